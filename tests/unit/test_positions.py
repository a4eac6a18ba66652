"""What a lane makes of the brokers' answers about positions; the answers are aiokafka's, the broker is not needed."""

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import CoordinatorNotAvailableError
from aiokafka.structs import OffsetAndMetadata
from hypothesis import given
from hypothesis import strategies as st
from raw_batches import raw_batch

from lintas.errors import OffsetLost
from schemas.wire import envelope
from schemas.wire.errors import MalformedEvent
from streams import positions
from streams.records import InputRecord
from streams.window import DuplicateWindow, identity

PARTITION = TopicPartition("events.a.thing.v1", 3)


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> dict[TopicPartition, OffsetAndMetadata]:
    """What the brokers say; a coordinator that loads answers with an error that aiokafka overlooks, so with nothing."""
    said: dict[TopicPartition, OffsetAndMetadata] = {}

    class Admin:
        def __init__(self, **_: Any) -> None: ...

        async def start(self) -> None: ...

        async def close(self) -> None: ...

        async def list_consumer_group_offsets(self, *_: Any, **__: Any) -> Mapping[TopicPartition, OffsetAndMetadata]:
            return said

    monkeypatch.setattr(positions, "AIOKafkaAdminClient", Admin)
    return said


async def test_a_position_is_what_was_committed(answer: dict[TopicPartition, OffsetAndMetadata]) -> None:
    answer[PARTITION] = OffsetAndMetadata(7, "m")
    assert await positions.committed_positions({}, 0, [(*PARTITION,)]) == {(*PARTITION,): OffsetAndMetadata(7, "m")}


async def test_a_position_that_brokers_say_they_do_not_have_is_lost(
    answer: dict[TopicPartition, OffsetAndMetadata],
) -> None:
    answer[PARTITION] = OffsetAndMetadata(-1, "")
    with pytest.raises(OffsetLost):
        await positions.committed_positions({}, 0, [(*PARTITION,)])


@pytest.mark.usefixtures("answer")
async def test_a_position_that_brokers_do_not_speak_of_is_asked_for_again() -> None:
    with pytest.raises(CoordinatorNotAvailableError):
        await positions.committed_positions({}, 0, [(*PARTITION,)])


async def test_a_consumer_that_raises_while_it_stops_ends_nobody() -> None:
    class Stubborn:
        async def stop(self) -> None:
            raise CoordinatorNotAvailableError

    await positions.stop_quietly(Stubborn())


def _refilled(records: Sequence[InputRecord], position: int, *, in_full: bool) -> DuplicateWindow:
    window = DuplicateWindow(records=40, seconds=900)
    for offset in MALFORMED_OFFSETS:
        window.add_malformed(offset)
    batches = [raw_batch(records[start : start + 7]) for start in range(0, len(records), 7)]
    if not in_full:
        refill = positions.Refill(window, TopicPartition("t", 0), position)
        for batch in batches:
            refill.take(batch)
        return window
    for batch in batches:
        for record in batch.records("t", 0):
            if record.offset < position and not window.is_malformed(record.offset):
                with contextlib.suppress(MalformedEvent):
                    read = envelope.parse(record.headers, record.value)
                    event = identity(read.source.encode(), read.id.encode())
                    window.is_repeat(record.offset, record.timestamp_ms, event)
    return window


MALFORMED_OFFSETS = (3, 30)
USUAL = [
    ("content-type", b"application/avro"),
    ("ce_specversion", b"1.0"),
    ("ce_id", b""),
    ("ce_source", b"urn:lintas:a.pub"),
    ("ce_type", b"id.go.a.thing.v1"),
    ("ce_time", b"2026-11-24T01:02:03Z"),
]
_ODD_HEADERS = [
    lambda headers: headers,
    lambda headers: headers[::-1],
    lambda headers: [*headers, ("ce_more", b"x")],
    lambda headers: [(name, b"urn:lintas:a.other" if name == "ce_source" else value) for name, value in headers],
    lambda headers: [(name, b"no source" if name == "ce_source" else value) for name, value in headers],
    lambda headers: [(name, b"soon" if name == "ce_time" else value) for name, value in headers],
    lambda headers: headers[:3],
    lambda _: [("content-type", b"application/cloudevents+json")],
    lambda _: [],
]


@given(
    st.lists(st.tuples(st.sampled_from(_ODD_HEADERS), st.integers(0, 9)), min_size=1, max_size=60), st.integers(0, 60)
)
def test_a_window_is_refilled_as_if_every_record_were_read_in_full(kinds: Any, position: int) -> None:
    records = []
    for offset, (odd, number) in enumerate(kinds):
        headers = [(name, f"e-{number}".encode() if name == "ce_id" else value) for name, value in USUAL]
        records.append(InputRecord("t", 0, offset, 1_000 + offset, b"k", b"v", odd(headers)))
    fast, slow = (_refilled(records, position, in_full=in_full) for in_full in (False, True))
    assert fast._seen == slow._seen
    assert list(fast._seen) == list(slow._seen)
