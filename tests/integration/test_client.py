"""The client and the verbs publish and read on a real Kafka with real access rights."""

import asyncio
import collections
import datetime as dt
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable

import pytest
from aiokafka import AIOKafkaProducer
from lintas_client import (
    AuthenticationRefused,
    BusUnreachable,
    MalformedEvent,
    NotEntitled,
    Publisher,
    Receipt,
    Subscriber,
    UndecodableDelivery,
    UnknownInbox,
)
from own_systems import OwnSystems, as_lines, permit

from lintas import credentials, names
from lintas.settings import Settings
from schemas.cluster import Cluster

EVENTS = 10_000


@pytest.fixture
def systems(bus: Settings) -> OwnSystems:
    return OwnSystems.create(bus)


def _lintas(systems: OwnSystems, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "LINTAS_HOME": str(systems.settings.home.absolute())}
    command = [sys.executable, "-m", "lintas", *arguments]
    return subprocess.run(
        command, input=stdin, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.05)


async def _read(subscriber: Subscriber) -> list[str]:
    async with subscriber:
        return [delivery.data["number"] async for delivery in subscriber]


async def test_every_acknowledged_event_is_there_once_and_in_order_per_key(systems: OwnSystems) -> None:
    async with Publisher(systems.connection(systems.publisher)) as publisher:
        sent = [
            await publisher.send(systems.event_type, permit(number), key=f"key-{number % 7}")
            for number in range(EVENTS)
        ]
        receipts: list[Receipt] = await asyncio.gather(*sent)
    records = await systems.published()
    assert {(receipt.partition, receipt.offset) for receipt in receipts} == {
        (record.partition, record.offset) for record in records
    }
    assert len(records) == EVENTS
    by_key: dict[bytes, list[int]] = collections.defaultdict(list)
    for record in records:
        by_key[record.key].append(int(dict(record.headers)["ce_subject"].removeprefix(b"P-")))
    assert all(numbers == sorted(numbers) for numbers in by_key.values())


async def test_publish_many_says_where_each_event_lies(systems: OwnSystems) -> None:
    async with Publisher(systems.connection(systems.publisher)) as publisher:
        receipts = await publisher.publish_many(systems.event_type, [permit(number) for number in range(100)])
    records = {(record.partition, record.offset): record for record in await systems.published()}
    assert [records[receipt.partition, receipt.offset].key for receipt in receipts] == [
        f"P-{number}".encode() for number in range(100)
    ]


async def test_a_publisher_is_refused_an_event_type_that_is_not_its_own(systems: OwnSystems) -> None:
    other = OwnSystems.create(systems.settings)
    async with Publisher(systems.connection(systems.publisher)) as publisher:
        with pytest.raises(NotEntitled, match=f"refuses {systems.publisher} to publish to events"):
            await publisher.publish(other.event_type, permit(1))
        await publisher.publish(systems.event_type, permit(1))  # its own it may


async def test_a_system_that_publishes_nothing_is_refused_at_once(systems: OwnSystems) -> None:
    with pytest.raises(NotEntitled, match=f"refuses {systems.consumer} to publish to any event topic"):
        async with Publisher(systems.connection(systems.consumer)):
            pytest.fail("it was let in")


async def test_a_system_is_refused_the_inbox_of_another(systems: OwnSystems) -> None:
    foreign = systems.connection(systems.publisher, system=systems.consumer, principal=systems.publisher)
    with pytest.raises(NotEntitled, match=f"refuses {systems.publisher} to read inbox"):
        async with Subscriber(foreign):
            pytest.fail("it was let in")


async def test_a_system_is_refused_the_group_of_another(systems: OwnSystems) -> None:
    with pytest.raises(NotEntitled, match="as group somebody"):
        async with Subscriber(systems.connection(systems.consumer), "somebody") as subscriber:
            await anext(subscriber)


async def test_a_system_whose_inbox_is_gone_is_told_so(systems: OwnSystems, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lintas_client.kafka.REQUEST_TIMEOUT_MS", 2_000)  # a new inbox may take a moment to be known
    inbox = names.inbox_topic(systems.consumer)
    Cluster(systems.settings).delete_topics([inbox])
    with pytest.raises(UnknownInbox, match=inbox):
        async with Subscriber(systems.connection(systems.consumer)):
            pytest.fail("there is none")


async def test_a_wrong_password_is_told_from_a_bus_that_is_down(systems: OwnSystems) -> None:
    stranger = systems.connection(systems.publisher, password="guess")
    with pytest.raises(AuthenticationRefused, match=systems.publisher) as refused:
        async with Publisher(stranger):
            pytest.fail("it was let in")
    assert "guess" not in str(refused.value)
    with pytest.raises(BusUnreachable, match=r"127\.0\.0\.1:1"):
        async with Subscriber(systems.connection(systems.consumer, bootstrap_servers="127.0.0.1:1")):
            pytest.fail("nothing listens there")


async def test_an_event_larger_than_the_bus_takes_is_malformed(systems: OwnSystems) -> None:
    async with Publisher(systems.connection(systems.publisher)) as publisher:
        with pytest.raises(MalformedEvent, match="larger than"):
            await publisher.publish(systems.event_type, permit(1, number="x" * 1_100_000))


async def test_a_record_that_cannot_be_read_stops_the_subscriber_until_it_is_skipped(systems: OwnSystems) -> None:
    await systems.deliver(permit(0))
    await systems.deliver(permit(1), raw=b"\x00\x00\x00\x00\x01 not avro")
    await systems.deliver(permit(2))
    async with Subscriber(systems.connection(systems.consumer), follow=False) as subscriber:
        assert (await anext(subscriber)).data["number"] == "P-0"
        for _ in range(2):  # asking again does not lead past it
            with pytest.raises(UndecodableDelivery, match=r"\[0\] offset"):
                await anext(subscriber)
        subscriber.skip()
        assert (await anext(subscriber)).data["number"] == "P-2"
    assert await _read(Subscriber(systems.connection(systems.consumer), follow=False)) == []


async def test_what_was_not_committed_by_the_bus_is_not_read(systems: OwnSystems) -> None:
    await systems.deliver(permit(0))
    aborted = AIOKafkaProducer(
        **credentials.aiokafka_options(systems.settings, names.ADMIN), transactional_id=uuid.uuid4().hex
    )
    await aborted.start()
    await aborted.begin_transaction()
    await aborted.send_and_wait(names.inbox_topic(systems.consumer), b"never", partition=0)
    await aborted.abort_transaction()
    await aborted.stop()
    await systems.deliver(permit(1))
    assert await _read(Subscriber(systems.connection(systems.consumer), remember=False, follow=False)) == ["P-0", "P-1"]


async def test_reading_without_remembering_disturbs_no_group(systems: OwnSystems) -> None:
    await systems.deliver(permit(0))
    reader = systems.connection(systems.consumer)
    assert await _read(Subscriber(reader, remember=False, follow=False)) == ["P-0"]
    assert await _read(Subscriber(reader, remember=False, follow=False)) == ["P-0"]
    assert await _read(Subscriber(reader, follow=False)) == ["P-0"]
    assert await _read(Subscriber(reader, follow=False)) == []
    assert await _read(Subscriber(reader, f"{systems.consumer}.second", follow=False)) == ["P-0"]


async def test_a_reader_begins_at_the_end_or_at_a_moment(systems: OwnSystems) -> None:
    await systems.deliver(permit(0))
    reader = systems.connection(systems.consumer)
    async with Subscriber(reader, remember=False) as subscriber:
        first = await anext(subscriber)
    await systems.deliver(permit(1), partition=1)
    after = first.timestamp + dt.timedelta(milliseconds=1)
    assert await _read(Subscriber(reader, remember=False, start=after, follow=False)) == ["P-1"]
    assert await _read(Subscriber(reader, remember=False, start="end", follow=False)) == []


async def test_two_subscribers_of_a_group_share_the_inbox_and_miss_nothing(systems: OwnSystems) -> None:
    reader = systems.connection(systems.consumer)
    found: list[str] = []

    async def take() -> None:
        async with Subscriber(reader) as subscriber:
            async for delivery in subscriber:
                found.append(delivery.data["number"])  # noqa: PERF401  both append to one list

    takers = [asyncio.create_task(take()) for _ in range(2)]
    for number in range(20):
        await systems.deliver(permit(number), partition=number % 2)
    async with asyncio.timeout(60):
        while len(set(found)) < 20:  # noqa: ASYNC110  what is waited for is in the other tasks
            await asyncio.sleep(0.05)
    for taker in takers:
        taker.cancel()
    await asyncio.gather(*takers, return_exceptions=True)
    assert set(found) == {f"P-{number}" for number in range(20)}


async def test_publish_reports_every_bad_line_and_publishes_the_good_ones(systems: OwnSystems) -> None:
    lines = as_lines([permit(0), permit(1, issued="soon", fee=1.5), permit(2)]) + "{broken\n\n" + as_lines([permit(3)])
    done = _lintas(systems, "publish", systems.event_type, "-", "--as", systems.publisher, stdin=lines)
    assert done.returncode == 1
    assert [line.partition(": ")[0] for line in done.stderr.splitlines() if line.startswith("line")] == [
        "line 2",
        "line 2",
        "line 4",
    ]
    assert "2 of 5 events were not published" in done.stderr
    subjects = {dict(record.headers)["ce_subject"] for record in await systems.published()}
    assert subjects == {b"P-0", b"P-2", b"P-3"}


async def test_publishing_a_file_twice_gives_its_events_the_same_ids(systems: OwnSystems) -> None:
    for _ in range(2):
        lines = as_lines([permit(number) for number in range(5)])
        done = _lintas(systems, "publish", systems.event_type, "--as", systems.publisher, "-o", "json", stdin=lines)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout.splitlines()[-1]) == {"published": 5, "rejected": 0}
    ids = collections.Counter(dict(record.headers)["ce_id"] for record in await systems.published())
    assert set(ids.values()) == {2}


def test_publish_tells_misuse_from_refusal(systems: OwnSystems) -> None:
    lines = as_lines([permit(0)])
    unknown = _lintas(systems, "publish", "id.go.nobody.made.this.v1", "--as", systems.publisher, stdin=lines)
    assert (unknown.returncode, "Registered are" in unknown.stderr) == (2, True)
    foreign = _lintas(systems, "publish", systems.event_type, "--as", systems.consumer, stdin=lines)
    assert (foreign.returncode, "The bus refuses" in foreign.stderr) == (1, True)
    stranger = _lintas(systems, "publish", systems.event_type, "--as", "nobody.nothing", stdin=lines)
    assert (stranger.returncode, "no credentials" in stranger.stderr) == (1, True)
    assert not any("Traceback" in done.stderr for done in (unknown, foreign, stranger))


def test_an_interrupted_publish_says_how_many_events_are_acknowledged(systems: OwnSystems) -> None:
    environment = {**os.environ, "LINTAS_HOME": str(systems.settings.home.absolute())}
    command = [sys.executable, "-m", "lintas", "publish", systems.event_type, "--as", systems.publisher, "-o", "json"]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(as_lines([permit(number) for number in range(3)]))
        process.stdin.flush()
        _until(lambda: len(asyncio.run(systems.published())) == 3)
        process.send_signal(signal.SIGINT)
        stderr = process.stderr.read()
    assert process.returncode == 130
    assert "stopped at line 3: 3 events" in stderr


async def test_read_prints_an_inbox_to_its_end(systems: OwnSystems) -> None:
    for number in range(3):
        await systems.deliver(permit(number), extensions={"agreement": "a-1", "channel": "G2G"})
    done = _lintas(systems, "read", "--as", systems.consumer, "-o", "json")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [event["data"] for event in events] == [permit(number) for number in range(3)]
    assert {(event["agreement"], event["channel"], event["partition"]) for event in events} == {("a-1", "G2G", 0)}
    table = _lintas(systems, "read", "--as", systems.consumer, "-n", "2").stdout.splitlines()
    assert [line.split()[0] for line in table] == ["place", "0:0", f"0:{events[1]['offset']}"]


def test_reading_as_a_system_without_an_inbox_is_refused(systems: OwnSystems) -> None:
    done = _lintas(systems, "read", "--as", systems.publisher)
    assert done.returncode == 1
    assert f"inbox.{systems.publisher}" in done.stderr


def test_read_takes_no_moment_for_a_group(systems: OwnSystems) -> None:
    done = _lintas(systems, "read", "--as", systems.consumer, "--group", "g", "--from", "2026-11-24T08:00+07:00")
    assert done.returncode == 2
