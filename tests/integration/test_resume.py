"""An agreement that was set aside is given what waits for it: in order, exactly once, others undisturbed."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType
from lane_bus import TOPIC, Sent, catalogue, inbox, mixed, publish, put_in_force, wait_until
from lane_promises import Workers, expected

from lintas import names
from lintas.credentials import aiokafka_options, confluent_options
from lintas.settings import Settings
from schemas.cluster import Cluster
from streams.balance import balance
from streams.status import read_status

PARTITIONS = [(TOPIC, number) for number in range(4)]
TINY, USUAL = "100", "2097152"  # bytes: a record batch never fits into the first

pytestmark = pytest.mark.timeout(300)


def limit(settings: Settings, size: str) -> None:
    """Let the inbox of `even` take record batches of so many bytes."""
    change = ConfigResource(
        ResourceType.TOPIC,
        names.inbox_topic("b.even"),
        incremental_configs=[ConfigEntry("max.message.bytes", size, incremental_operation=AlterConfigOpType.SET)],
    )
    admin = AdminClient(dict(confluent_options(settings, names.ADMIN)))
    admin.incremental_alter_configs([change])[change].result(30)


def decided(settings: Settings) -> int:
    return sum(Cluster(settings).committed(names.LANES_OFFSETS_GROUP, PARTITIONS).values())


def delivered(settings: Settings) -> int:
    """How many events `even` was given by the audit log."""
    return balance(settings).agreements["even"].outcomes["delivered"]


def aside(settings: Settings) -> Mapping[Any, Any]:
    return asyncio.run(read_status(aiokafka_options(settings, names.ADMIN))).aside


def resume(settings: Settings, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lintas", "agreement", "resume", *options],
        env={**os.environ, "LINTAS_HOME": str(settings.home)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def waiting(settings: Settings, workers: Workers) -> list[Sent]:
    """Two workers; `even` was given some events and then refused the others."""
    sent = list(mixed(0, 8_000))
    for _ in range(2):
        workers.start(LINTAS_BATCH_EVENTS="300")
    asyncio.run(publish(settings, iter(sent[:2_000])))
    wait_until(lambda: decided(settings) == 2_000, "the events before")
    limit(settings, TINY)
    asyncio.run(publish(settings, iter(sent[2_000:])))
    wait_until(lambda: decided(settings) == len(sent), "the events after")
    assert {slot[0] for slot in aside(settings)} == {"even"}
    return sent


def assert_all_given(settings: Settings, sent: list[Sent]) -> None:
    good, even, _ = expected(sent)
    for consumer, wanted in (("b.all", good), ("b.even", even)):
        received = asyncio.run(inbox(settings, consumer))
        assert received.numbers == wanted
        assert received.ordered
    assert [str(difference) for difference in balance(settings).differences()] == []
    books = balance(settings).agreements["even"]
    assert (books.outcomes["delivered"], books.outcomes["waiting"]) == (len(even), 0)


def test_what_waited_is_given_while_events_flow_and_workers_are_killed(
    settings: Settings, workers: Workers, waiting: list[Sent]
) -> None:
    limit(settings, USUAL)
    live = list(mixed(8_000, 6_000))
    with ThreadPoolExecutor() as pool:
        publishing = pool.submit(lambda: asyncio.run(publish(settings, iter(live))))
        resuming = pool.submit(resume, settings, "even", "-o", "json")
        for worker in list(workers.all):
            before = delivered(settings)
            while delivered(settings) == before and not resuming.done():
                time.sleep(0.2)
            worker.kill()
            workers.start(LINTAS_BATCH_EVENTS="300")
        assert publishing.result() == len(live)
        resumed = resuming.result()
    assert resumed.returncode == 0, resumed.stderr
    assert {slot["agreement"] for slot in json.loads(resumed.stdout)} == {"even"}
    wait_until(lambda: decided(settings) == len(waiting) + len(live), "every event")
    assert not aside(settings)
    assert_all_given(settings, waiting + live)


def test_an_inbox_that_still_refuses_sets_the_agreement_aside_again_and_loses_nothing(
    settings: Settings, waiting: list[Sent]
) -> None:
    refused = resume(settings, "even")
    assert refused.returncode == 1
    assert "set aside again: inbox.b.even refuses records: " in refused.stderr
    limit(settings, USUAL)
    done = resume(settings, "even")
    assert done.returncode == 0, done.stderr
    assert "goes on live" in done.stdout
    assert_all_given(settings, waiting)
    again = resume(settings, "even")
    assert (again.returncode, again.stdout) == (0, "even is not set aside anywhere\n")
    assert resume(settings, "evn").returncode == 2


def test_a_flood_of_dead_letters_sets_an_agreement_aside_until_it_is_mended_and_resumed(
    settings: Settings, workers: Workers, tmp_path: Path
) -> None:
    workers.start(LINTAS_BATCH_EVENTS="100", LINTAS_DEAD_LETTERS_IN_A_ROW="200")
    flood = [Sent(n, "nameless") for n in range(0, 8_000, 2)]
    asyncio.run(publish(settings, iter(flood)))
    wait_until(lambda: decided(settings) == len(flood), "every event")
    assert {slot[0] for slot in aside(settings)} == {"even"}
    assert all("a flood of dead letters: " in why.reason for why in aside(settings).values())
    outcomes = balance(settings).agreements["even"].outcomes
    assert outcomes["dead"] + outcomes["waiting"] == len(flood)
    assert 200 <= outcomes["dead"] < len(flood) / 2

    again = resume(settings, "even")
    assert again.returncode == 1
    assert "is set aside again: a flood of dead letters: " in again.stderr
    assert balance(settings).agreements["even"].outcomes["waiting"] > 0

    release = {"release": {"who": "pseudonym", "n": "keep"}}
    lenient = {"all": release, "even": release}
    put_in_force(settings, catalogue(tmp_path / "lenient", consumers=lenient), wait_seconds=60)
    done = resume(settings, "even")
    assert done.returncode == 0, done.stderr
    assert balance(settings).differences() == []
    outcomes = balance(settings).agreements["even"].outcomes
    assert outcomes["waiting"] == 0
    assert len(asyncio.run(inbox(settings, "b.even")).numbers) == outcomes["delivered"] == len(flood) - outcomes["dead"]
    assert asyncio.run(inbox(settings, "b.all")).numbers == [one.n for one in flood]
