"""The lane's promises on a real Kafka: exactly once, in order, one consumer's trouble is nobody else's."""

import asyncio
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import lane_bus
import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType
from lane_bus import Sent, Worker, catalogue, decisions, inbox, mixed, publish, put_in_force, wait_until
from lane_promises import Workers, assert_exactly_once, expected

from lintas import names
from lintas.credentials import aiokafka_options, confluent_options
from lintas.local.bus import LocalBus
from lintas.settings import Settings
from schemas.provision import ensure_bus
from streams.status import read_status

pytestmark = pytest.mark.timeout(240)


def test_kill_9_in_mid_stream_loses_nothing_and_doubles_nothing(settings: Settings, workers: Workers) -> None:
    sent = list(mixed(0, 30_000))
    first, second = workers.start(LINTAS_BATCH_EVENTS="500"), workers.start(LINTAS_BATCH_EVENTS="500")
    with ThreadPoolExecutor() as pool:
        publishing = pool.submit(lambda: asyncio.run(publish(settings, iter(sent))))
        wait_until(lambda: lane_bus.decided(settings) > 1_000, "some batches")
        first.kill()
        third = workers.start(LINTAS_BATCH_EVENTS="500")
        before = lane_bus.decided(settings)
        wait_until(lambda: lane_bus.decided(settings) > before, "more batches")
        second.kill()
        assert publishing.result() == len(sent)
    wait_until(lambda: lane_bus.decided(settings) >= len(sent), "every event", 90)
    assert_exactly_once(settings, sent)
    assert third.end() == 0


def test_a_worker_that_is_asked_to_stop_hands_over_and_ends_with_0(settings: Settings, workers: Workers) -> None:
    sent = list(mixed(0, 20_000))
    first = workers.start(LINTAS_BATCH_EVENTS="500")
    with ThreadPoolExecutor() as pool:
        publishing = pool.submit(lambda: asyncio.run(publish(settings, iter(sent))))
        wait_until(lambda: lane_bus.decided(settings) > 500, "some batches")
        second = workers.start()
        assert first.end() == 0
        assert publishing.result() == len(sent)
    wait_until(lambda: lane_bus.decided(settings) >= len(sent), "every event")
    assert_exactly_once(settings, sent)
    assert second.end() == 0
    for worker in (first, second):
        assert '"frames"' not in worker.text  # no exception was logged
        assert "Unclosed" not in worker.text


def test_an_inbox_that_is_gone_sets_its_consumer_aside_and_nobody_else(settings: Settings, workers: Workers) -> None:
    workers.start()
    before = list(mixed(0, 1_000))
    asyncio.run(publish(settings, iter(before)))
    wait_until(lambda: lane_bus.decided(settings) >= len(before), "the events before")
    admin = AdminClient(dict(confluent_options(settings, names.ADMIN)))
    admin.delete_topics([names.inbox_topic("b.even")])[names.inbox_topic("b.even")].result(30)

    after = list(mixed(1_000, 2_000))
    asyncio.run(publish(settings, iter(after)))
    wait_until(lambda: lane_bus.decided(settings) >= len(before) + len(after), "the events after")

    good, even, _ = expected(before + after)
    assert asyncio.run(inbox(settings, "b.all")).numbers == good
    _, agreements = asyncio.run(decisions(settings))
    assert agreements["even", "delivered"] == len(expected(before)[1])
    # What the consumer would have got, and what it could not have been given, waits whole.
    assert agreements["even", "waiting"] == sum(one.n % 2 == 0 and one.kind in ("good", "nameless") for one in after)
    assert agreements["even", "delivered"] + agreements["even", "waiting"] >= len(even)
    aside = asyncio.run(read_status(aiokafka_options(settings, names.ADMIN))).aside
    assert {agreement for agreement, _, _ in aside} == {"even"}
    assert all("inbox.b.even" in why.reason for why in aside.values())


def test_a_record_too_large_for_an_inbox_waits_and_the_others_go_on(
    settings: Settings, workers: Workers, tmp_path: Path
) -> None:
    in_full = {"release": {"n": "keep", "name": "keep"}, "personal_data_in_clear": ["name"], "when": "data.n % 2 == 0"}
    in_short = {"release": {"who": "pseudonym", "n": "keep"}}
    put_in_force(settings, catalogue(tmp_path / "full", consumers={"all": in_short, "even": in_full}))
    admin = AdminClient(dict(confluent_options(settings, names.ADMIN)))
    small = ConfigResource(
        ResourceType.TOPIC,
        names.inbox_topic("b.even"),
        incremental_configs=[ConfigEntry("max.message.bytes", "100000", incremental_operation=AlterConfigOpType.SET)],
    )
    admin.incremental_alter_configs([small])[small].result(30)
    workers.start()
    asyncio.run(publish(settings, iter([Sent(0), Sent(2)])))
    asyncio.run(publish(settings, iter([Sent(4)]), padding=400_000))
    asyncio.run(publish(settings, iter([Sent(6), Sent(101), Sent(8)])))
    wait_until(lambda: lane_bus.decided(settings) >= 6, "every event")

    assert asyncio.run(inbox(settings, "b.all")).numbers == [0, 2, 4, 6, 8, 101]
    received = asyncio.run(inbox(settings, "b.even")).numbers
    _, agreements = asyncio.run(decisions(settings))
    assert 4 not in received
    assert agreements["even", "waiting"] >= 1
    assert agreements["even", "waiting"] + len(received) == 5


def test_lanes_switch_to_a_new_catalogue_between_two_batches(
    settings: Settings, workers: Workers, tmp_path: Path
) -> None:
    workers.start()
    asyncio.run(publish(settings, mixed(0, 200)))
    wait_until(lambda: lane_bus.decided(settings) >= 200, "the events before")
    release = {"who": "pseudonym", "n": "keep"}
    changed = catalogue(
        tmp_path / "changed",
        consumers={
            "all": {"release": release, "suspended": True},
            "even": {"when": "data.n % 2 == 0", "release": release},
            "late": {"release": release},
        },
    )
    put_in_force(settings, changed, wait_seconds=30)
    asyncio.run(publish(settings, mixed(200, 200)))
    wait_until(lambda: lane_bus.decided(settings) >= 400, "the events after")

    assert max(asyncio.run(inbox(settings, "b.all")).numbers) < 200
    assert asyncio.run(inbox(settings, "b.late")).numbers == expected(list(mixed(200, 200)))[0]
    for batch in asyncio.run(lane_bus.audit_batches(settings)):
        standings = {
            standing["agreement"]: standing["standing"]
            for part in batch["partitions"]
            for standing in part["agreements"]
        }
        is_new = batch["catalogue"] == lane_bus.in_force(settings).digest
        assert standings == (
            {"all": "suspended", "even": "in_force", "late": "in_force"}
            if is_new
            else {"all": "in_force", "even": "in_force"}
        )


def test_events_deleted_before_a_lane_read_them_stop_it_until_a_person_skips_them(
    settings: Settings, workers: Workers
) -> None:
    asyncio.run(publish(settings, mixed(0, 400)))
    admin = AdminClient(dict(confluent_options(settings, names.ADMIN)))
    gone = [TopicPartition(lane_bus.TOPIC, number, 10) for number in range(4)]
    for deleted in admin.delete_records(gone).values():
        deleted.result(30)

    worker = workers.start(LINTAS_STOPPED_LANE_SECONDS="2")
    wait_until(lambda: "events were deleted before the lane could read them" in worker.text, "the alarm")
    restore = [sys.executable, "-m", "lintas", "lanes", "restore", "--all"]
    environment = {**os.environ, "LINTAS_HOME": str(settings.home)}
    assert (
        "no position is lost"
        in subprocess.run(restore, env=environment, capture_output=True, text=True, check=True).stdout
    )
    subprocess.run([*restore, "--skip-deleted"], env=environment, check=True)

    wait_until(lambda: lane_bus.decided(settings) >= 400 - 4 * 10, "the events that are left")


def test_a_worker_waits_for_a_first_catalogue_and_can_be_stopped_meanwhile(tmp_path: Path) -> None:
    bus = LocalBus(tmp_path / "bus", fast_start=True)
    settings = bus.start(outlive=False)
    try:
        ensure_bus(settings)
        worker = Worker(settings, tmp_path / "worker.log")
        try:
            wait_until(lambda: "Lanes" in worker.text, "the worker to run")
            begun = time.monotonic()
            assert worker.end() == 0
            assert time.monotonic() - begun < 8  # far below the time that a hand-over may take
        finally:
            worker.kill()
    finally:
        bus.stop()
