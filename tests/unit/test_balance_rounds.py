"""Topics are read on from where a round has ended, whatever became of it, and nothing is entered twice."""

import dataclasses
import datetime as dt
import io
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import fastavro
import pytest
from test_books import AGREEMENTS, FIRST, INBOX, NOT_IN_INBOX, TOPIC, World, inbox, world

from lintas import names
from lintas.errors import BusUnavailable
from lintas.settings import Settings
from schemas.cluster import Partition
from schemas.wire import framing
from streams import balance
from streams.audit import AUDIT_SCHEMA
from streams.balance import Reading
from streams.records import InputRecord

__all__ = ["world"]  # a fixture
MARKER = b"end of a transaction"  # key of what has an offset and is never read


@dataclasses.dataclass
class Bus:
    """Topics in memory with one or two partitions, in the place of a cluster and of what reads from it."""

    records: dict[Partition, list[InputRecord]] = dataclasses.field(default_factory=dict)
    deleted: dict[Partition, int] = dataclasses.field(default_factory=dict)  # by retention, how many of them
    fails_after: int | None = None  # so many records

    def append(self, record: InputRecord) -> None:
        partition = self.records.setdefault((record.topic, record.partition), [])
        partition.append(dataclasses.replace(record, offset=len(partition)))

    def decide(self, batch: Mapping[str, Any]) -> None:
        body = io.BytesIO()
        whole = {"generation": 1, "lane": 0, "worker": "w", **batch}
        fastavro.schemaless_writer(body, fastavro.parse_schema(dict(AUDIT_SCHEMA)), whole)
        value = framing.frame(1, body.getvalue())
        self.append(InputRecord(names.AUDIT_DECISIONS, 0, 0, 10_000, b"key", value, []))

    def partitions(self) -> dict[str, int]:
        return {topic: max(number for one, number in self.records if one == topic) + 1 for topic, _ in self.records}

    def beginnings(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        return {place: self.deleted.get(place, 0) for place in partitions}

    def ends(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        return {place: len(self.records.get(place, [])) for place in partitions}

    committed_ends = ends

    def at_time(self, partitions: Iterable[Partition], time_ms: int) -> dict[Partition, int]:
        found: dict[Partition, int] = {}
        for place in partitions:
            later = [one.offset for one in self.records.get(place, []) if one.timestamp_ms >= time_ms]
            found |= {place: later[0]} if later else {}
        return found

    def read(
        self, _: Settings, starts: Mapping[Partition, int], ends: Mapping[Partition, int]
    ) -> Iterator[InputRecord]:
        for place, start in starts.items():
            for record in self.records.get(place, [])[max(start, self.deleted.get(place, 0)) : ends[place]]:
                if record.key == MARKER:
                    continue
                if self.fails_after == 0:
                    raise BusUnavailable(part="Kafka", address="here", reason="it is gone")
                if self.fails_after is not None:
                    self.fails_after -= 1
                yield record


@pytest.fixture
def bus(monkeypatch: pytest.MonkeyPatch) -> Bus:
    bus = Bus()
    monkeypatch.setattr(balance, "Cluster", lambda _: bus)
    monkeypatch.setattr(balance, "records_between", bus.read)
    monkeypatch.setattr(balance.AgreementsByCatalogue, "__call__", lambda *_: AGREEMENTS)
    return bus


def carry(bus: Bus, world: World) -> None:
    for record in world.records:
        bus.append(record)
    bus.decide(world.batch)


def differences(reading: Reading) -> list[str]:
    return [difference.kind for difference in reading.books.differences()]


def test_only_what_is_new_is_read_also_in_partitions_that_are_new(bus: Bus, world: World) -> None:
    reading = Reading(Settings())
    reading.round()
    assert reading.records == 0
    carry(bus, world)
    reading.round()
    assert (reading.records, differences(reading)) == (len(world.records) + 1, [])
    bus.append(inbox(FIRST, 0))
    reading.round()
    assert (reading.records, differences(reading)) == (len(world.records) + 2, ["unexplained"])


@pytest.mark.parametrize("read", range(11))
def test_a_round_that_failed_half_way_is_made_good_and_nothing_is_entered_twice(
    bus: Bus, world: World, read: int
) -> None:
    carry(bus, world)
    bus.fails_after = read
    reading = Reading(Settings())
    with pytest.raises(BusUnavailable):
        reading.round()
    bus.fails_after = None
    reading.round()
    assert (reading.records, differences(reading)) == (len(world.records) + 1, [])


def test_what_retention_deleted_before_it_was_read_is_not_missed(bus: Bus, world: World) -> None:
    reading = Reading(Settings())
    reading.round()
    carry(bus, world)
    bus.append(dataclasses.replace(inbox("stranger.births", 7), topic=INBOX, timestamp_ms=20_000))
    bus.deleted[INBOX, 1] = 2  # both deliveries
    reading.round()
    assert differences(reading) == ["unexplained"]  # the stranger's alone


def test_what_retention_deletes_after_it_was_read_excuses_nothing(bus: Bus, world: World) -> None:
    world.records.remove(inbox(FIRST, 1))
    carry(bus, world)
    reading = Reading(Settings())
    reading.round()
    assert differences(reading) == ["missing"]
    bus.append(dataclasses.replace(inbox("stranger.births", 7), topic=INBOX, timestamp_ms=20_000))
    bus.deleted[INBOX, 1] = 1  # the other delivery, which was read
    reading.round()
    assert differences(reading) == ["missing", "unexplained"]


def test_the_oldest_record_that_is_left_tells_what_must_be_there_though_a_marker_comes_first(
    bus: Bus, world: World
) -> None:
    bus.append(dataclasses.replace(inbox(FIRST, 0), key=MARKER))
    bus.append(dataclasses.replace(inbox(FIRST, 0), key=MARKER))
    world.records.remove(inbox(FIRST, 1))
    carry(bus, world)
    bus.deleted[INBOX, 1] = 1
    reading = Reading(Settings())
    reading.round()
    assert [str(difference) for difference in reading.books.differences()] == [NOT_IN_INBOX]


def test_books_are_begun_anew_if_a_topic_has_become_shorter(bus: Bus, world: World) -> None:
    carry(bus, world)
    reading = Reading(Settings())
    reading.round()
    del bus.records[INBOX, 1]
    bus.append(inbox(FIRST, 0))
    reading.round()
    assert [str(difference) for difference in reading.books.differences()] == [NOT_IN_INBOX]


def test_reading_begins_with_what_was_published_since_a_moment(bus: Bus, world: World) -> None:
    carry(bus, world)
    reading = Reading(Settings(), since=dt.datetime.fromtimestamp(2, dt.UTC))
    reading.round()
    account = reading.books.event_types[TOPIC]
    assert (account.events.found, account.outcomes) == (3, {"routed": 1, "duplicate": 1, "quarantined": 1})
