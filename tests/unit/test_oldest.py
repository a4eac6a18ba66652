"""The age of what waits is that of its first record; markers of transactions are none, and nothing is read twice."""

from collections.abc import Mapping
from typing import Any

import pytest
from confluent_kafka import KafkaError, TopicPartition

from lintas.settings import Settings
from monitoring import oldest
from monitoring.oldest import Oldest

A, B = ("events.a", 0), ("events.a", 1)
RECORD = 111


class Message:
    def __init__(self, place: tuple[str, int], offset: int, written_ms: int | None) -> None:
        self._place, self._offset, self._written = place, offset, written_ms

    def topic(self) -> str:
        return self._place[0]

    def partition(self) -> int:
        return self._place[1]

    def offset(self) -> int:
        return self._offset

    def timestamp(self) -> tuple[int, int | None]:
        return 2, self._written

    def error(self) -> Any:
        return None if self._written is not None else KafkaError(KafkaError._PARTITION_EOF)


class Log:
    """Partitions of records (their times) and markers (None), read as librdkafka does."""

    def __init__(self, **records: list[int | None]) -> None:
        self.partitions: Mapping[str, list[int | None]] = records
        self.assigned: list[tuple[str, int, int]] = []
        self._queue: list[Message] = []
        self.mute = False

    def assign(self, places: list[TopicPartition]) -> None:
        self.assigned += [(place.topic, place.partition, place.offset) for place in places]
        self._queue = [] if self.mute else [message for place in places for message in self._read(place)]

    def _read(self, place: TopicPartition) -> list[Message]:
        records = self.partitions[f"{'ab'[place.partition]}"]
        own = (place.topic, place.partition)
        found = [Message(own, n, one) for n, one in enumerate(records) if n >= place.offset and one is not None]
        return [*found, Message(own, len(records), None)]

    def poll(self, _: float) -> Message | None:
        return self._queue.pop(0) if self._queue else None

    def incremental_unassign(self, places: list[TopicPartition]) -> None:
        gone = {(place.topic, place.partition) for place in places}
        self._queue = [one for one in self._queue if (one.topic(), one.partition()) not in gone]

    def unassign(self) -> None:
        self._queue = []


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Log:
    log = Log(a=[RECORD, None, 222, None], b=[None, None])
    monkeypatch.setattr(Oldest, "_connect", lambda _: log)
    return log


@pytest.mark.usefixtures("log")
def test_the_first_record_behind_a_position_counts() -> None:
    found = Oldest(Settings()).written_ms({(A, 0): 4, (A, 1): 4, (A, 3): 4, (B, 0): 2})
    assert found == {(A, 0): RECORD, (A, 1): 222}  # two groups in one partition; behind the others are only markers


def test_what_is_known_is_not_read_again(log: Log) -> None:
    looks = Oldest(Settings())
    for _ in range(3):
        assert looks.written_ms({(A, 0): 4, (B, 0): 2}) == {(A, 0): RECORD}
    assert log.assigned == [(*A, 0), (*B, 0)]


def test_behind_markers_only_what_is_new_is_read(log: Log) -> None:
    looks = Oldest(Settings())
    assert looks.written_ms({(B, 0): 2}) == {}
    log.partitions = {"b": [None, None, 333]}
    assert looks.written_ms({(B, 0): 3}) == {(B, 0): 333}
    assert log.assigned == [(*B, 0), (*B, 2)]


def test_where_brokers_are_too_slow_it_counts_from_when_it_was_asked(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oldest, "PROBE_SECONDS", 0.01)
    looks, log.mute = Oldest(Settings()), True
    (asked,) = looks.written_ms({(A, 0): 4}).values()
    assert looks.written_ms({(A, 0): 4}) == {(A, 0): asked}
    log.mute = False
    assert looks.written_ms({(A, 0): 4}) == {(A, 0): RECORD}
