"""The books of a running bus balance while events flow; every defect made in its topics is found and named."""

import asyncio
import contextlib
import dataclasses
import datetime as dt
import io
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import fastavro
import lane_bus
import pytest
from aiokafka.structs import ConsumerRecord
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from lane_bus import TOPIC, Worker, mixed, publish, running_bus, wait_until

from lintas import credentials, names
from lintas.settings import Settings
from monitoring.console.ledger import LedgerReader
from schemas.cluster import Cluster
from schemas.desired import AUDIT_PARTITIONS, Topic, system_topics
from schemas.wire import framing
from streams import balance as balance_module
from streams.audit import AUDIT_SCHEMA
from streams.balance import balance

EVENTS = 6_000
INBOX = names.inbox_topic("b.all")
PARTITIONS = [(TOPIC, number) for number in range(4)]

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def carried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A bus that has carried events of every kind, watched by the books meanwhile; nothing runs on it any more."""
    folder = tmp_path_factory.mktemp("balance")
    with running_bus(folder) as settings:
        worker = Worker(settings, folder / "worker.log", LINTAS_BATCH_EVENTS="200")
        try:
            with ThreadPoolExecutor() as pool:
                publishing = pool.submit(lambda: asyncio.run(publish(settings, slowly(EVENTS))))
                while not publishing.done():
                    books = balance(settings)
                    assert [str(difference) for difference in books.differences()] == []
                assert publishing.result() == EVENTS
            wait_until(lambda: decided(settings) == EVENTS, "every event")
        finally:
            worker.end()
        yield settings


def slowly(count: int) -> Iterator[lane_bus.Sent]:
    for one in mixed(0, count):
        if one.n % 100 == 0:
            time.sleep(0.1)
        yield one


def decided(settings: Settings) -> int:
    return sum(Cluster(settings).committed(names.LANES_OFFSETS_GROUP, PARTITIONS).values())


def differences(settings: Settings) -> list[str]:
    return [str(difference) for difference in balance(settings).differences()]


def test_the_command_shows_books_that_balance(carried: Settings) -> None:
    found = subprocess.run(
        [sys.executable, "-m", "lintas", "balance", "-o", "json"],
        env={"LINTAS_HOME": str(carried.home), "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    told = json.loads(found.stdout)
    (row,) = told["event_types"]
    assert row["published"] == EVENTS
    assert row["published"] == row["routed"] + row["duplicate"] + row["quarantined"]
    assert row["in_flight"] == 0
    assert told["differences"] == []
    for agreement in told["agreements"]:
        ways = ("delivered", "filtered", "dead", "waiting", "not_in_force")
        assert agreement["routed"] == sum(agreement[way] for way in ways) == row["routed"]
        assert agreement["delivered"] > 0
    yesterday = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
    ledger = LedgerReader(carried, yesterday)()  # what the overview of the console shows
    assert list(map(dataclasses.asdict, ledger.event_types.values())) == told["event_types"]
    assert list(map(dataclasses.asdict, ledger.agreements.values())) == told["agreements"]
    assert ledger.differences == ()


def test_slices_of_time_give_the_same_books(carried: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = balance(carried)
    monkeypatch.setattr(balance_module, "SLICE_RECORDS", 500)
    sliced = balance(carried)
    assert sliced.differences() == []
    assert {topic: account.outcomes for topic, account in sliced.event_types.items()} == {
        topic: account.outcomes for topic, account in whole.event_types.items()
    }


def test_a_period_is_a_part_of_the_whole(carried: Settings) -> None:
    records = asyncio.run(lane_bus.read(carried, TOPIC))
    times = sorted(record.timestamp for record in records)
    middle = dt.datetime.fromtimestamp(times[EVENTS // 2] / 1000, dt.UTC)
    before, after = balance(carried, until=middle), balance(carried, since=middle)
    assert before.differences() == after.differences() == []
    counts = [books.event_types[TOPIC].events.found for books in (before, after)]
    assert counts == [
        sum(one < times[EVENTS // 2] for one in times),
        sum(one >= times[EVENTS // 2] for one in times),
    ]


Change = Callable[[list[ConsumerRecord]], Sequence[ConsumerRecord]]


@contextlib.contextmanager
def rewritten(settings: Settings, topic: Topic, change: Change) -> Iterator[None]:
    """The topic replaced by a copy in which something is changed; as it was again afterwards."""
    records = asyncio.run(lane_bus.read(settings, topic.name))
    _replace(settings, topic, change(records))
    try:
        yield
    finally:
        _replace(settings, topic, records)


def _replace(settings: Settings, topic: Topic, records: Sequence[ConsumerRecord]) -> None:
    options = dict(credentials.confluent_options(settings, names.ADMIN))
    admin = AdminClient(options)
    admin.delete_topics([topic.name])[topic.name].result(30)
    wait_until(lambda: topic.name not in Cluster(settings).partitions(), "the topic is gone")
    Cluster(settings).create_topics([topic])
    producer = Producer(options)
    for record in records:
        headers = list(record.headers)
        producer.produce(
            topic.name, record.value, record.key, record.partition, timestamp=record.timestamp, headers=headers
        )
    assert producer.flush(30) == 0


def inbox_topic(settings: Settings) -> Topic:
    return Topic(INBOX, Cluster(settings).partitions()[INBOX], {})


def audit_topic(settings: Settings) -> Topic:
    (topic,) = (one for one in system_topics(settings) if one.name == names.AUDIT_DECISIONS)
    assert topic.partitions == AUDIT_PARTITIONS
    return topic


def test_a_record_that_is_missing_from_an_inbox_is_found(carried: Settings) -> None:
    with rewritten(carried, inbox_topic(carried), lambda records: records[:700] + records[701:]):
        (difference,) = differences(carried)
    assert difference.startswith(f"all: 1 events delivered, but not in the inbox: {TOPIC} [")
    assert differences(carried) == []


def test_a_record_that_is_written_twice_is_found(carried: Settings) -> None:
    with rewritten(carried, inbox_topic(carried), lambda records: [*records, records[700]]):
        (difference,) = differences(carried)
    assert difference.startswith(f"all: 1 records in the inbox without a decision, or there twice: {INBOX} [")


def test_an_audit_record_that_is_removed_is_found(carried: Settings) -> None:
    with rewritten(carried, audit_topic(carried), lambda records: records[:3] + records[4:]):
        found = differences(carried)
    about = {difference.partition(":")[0] for difference in found}
    assert {TOPIC, "all", "even"} <= about
    (passed_over,) = (difference for difference in found if "passed over" in difference)
    assert f"{TOPIC} [" in passed_over


def test_an_offset_that_is_skipped_is_found(carried: Settings) -> None:
    skipped: list[str] = []

    def skip(records: list[ConsumerRecord]) -> Sequence[ConsumerRecord]:
        schema = fastavro.parse_schema(dict(AUDIT_SCHEMA))
        for number, record in enumerate(records):
            schema_id, body = framing.unframe(record.value)
            batch: Any = fastavro.schemaless_reader(io.BytesIO(body), schema, None)
            for part in batch["partitions"]:
                for event in part["events"]:
                    if event["outcome"] == "duplicate":
                        part["events"].remove(event)
                        skipped.append(f"{TOPIC} [{part['partition']}] {event['offset']}")
                        written = io.BytesIO()
                        fastavro.schemaless_writer(written, schema, batch)
                        value = framing.frame(schema_id, written.getvalue())
                        return [*records[:number], with_value(record, value), *records[number + 1 :]]
        raise AssertionError("there is a duplicate")

    with rewritten(carried, audit_topic(carried), skip):
        (difference,) = differences(carried)
    (place,) = skipped
    assert difference.endswith(f"published and not decided, but later ones are: {place}")


def with_value(record: ConsumerRecord, value: bytes) -> ConsumerRecord:
    return ConsumerRecord(**{**{name: getattr(record, name) for name in record.__dataclass_fields__}, "value": value})
