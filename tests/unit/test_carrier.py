"""What lanes decide by field span is, to the byte, what the reference path decides."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from aiokafka.errors import CorruptRecordException
from aiokafka.record.util import calc_crc32c
from day_records import AT, KEYS, day_records, example_plans, mutated
from raw_batches import batch_bytes, raw_batch

from schemas.wire import framing
from schemas.wire.varint import zigzag
from streams.batch import Batch
from streams.decide import EventTypePlan, Plans
from streams.record_format import RawBatch, batches, content, parts_of
from streams.records import InputRecord
from streams.slots import SetAside, Slot
from streams.window import DuplicateWindow


@pytest.fixture(scope="module")
def plans() -> Plans:
    return example_plans()


@pytest.fixture(scope="module")
def inputs(plans: Plans) -> Mapping[str, Sequence[InputRecord]]:
    return day_records(plans)


def reference(plans: Plans) -> Plans:
    """The same catalogue without any plan by field span."""
    plain = Plans(plans.snapshot, KEYS)
    for plan in plain.by_topic.values():
        plan.readings = {}
    return plain


def decided(
    plans: Plans, inputs: Mapping[str, Sequence[InputRecord]], aside: Mapping[Slot, SetAside] | None = None
) -> tuple[dict[Any, list[bytes]], dict[Any, list[bytes]]]:
    """Everything that is written for some records: outputs, and audit entries."""
    windows = {(topic, 0): DuplicateWindow(records=1_000, seconds=100) for topic in inputs}
    batch = Batch(plans, windows, aside or {}, at=AT)
    batch.seed = b"s" * 32
    for topic, records in inputs.items():
        raw = raw_batch(records)
        while raw.left:
            batch.add(topic, 0, raw, 97)
    outputs = {place: records for place, records in batch.outputs.items() if records}
    return outputs, {place: one.entries for place, one in batch.decided.items()}


def counted(plans: Plans, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many events the reference path had to read."""
    calls = [0]
    read = EventTypePlan.read

    def counting(self: EventTypePlan, record: InputRecord) -> Any:
        calls[0] += 1
        return read(self, record)

    monkeypatch.setattr(EventTypePlan, "read", counting)
    assert plans
    return calls


def test_a_day_of_the_example_deployment_is_decided_to_the_same_bytes(
    plans: Plans, inputs: Mapping[str, Sequence[InputRecord]], monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = decided(reference(plans), inputs)
    read = counted(plans, monkeypatch)
    assert decided(plans, inputs) == wanted
    events = sum(map(len, inputs.values()))
    assert sum(map(len, wanted[0].values())) > events  # there is something to compare
    assert read[0] < events / 4  # and most of it was not decided by the reference path


def test_agreements_that_are_set_aside_wait_alike(plans: Plans, inputs: Mapping[str, Sequence[InputRecord]]) -> None:
    topic = max(inputs, key=lambda name: len(inputs[name]))
    aside = {
        (one.agreement.agreement, topic, 0): SetAside(0, "inbox: gone", "2026-11-24T00:00:00Z")
        for one in plans.by_topic[topic].agreements
    }
    assert aside
    assert decided(plans, {topic: inputs[topic]}, aside) == decided(reference(plans), {topic: inputs[topic]}, aside)


def test_events_with_something_odd_about_them_are_decided_to_the_same_bytes(
    plans: Plans, inputs: Mapping[str, Sequence[InputRecord]]
) -> None:
    chance = random.Random(3)
    changed = {
        topic: [mutated(one, chance) if chance.random() < 0.5 else one for one in records]
        for topic, records in inputs.items()
    }
    wanted = decided(reference(plans), changed)
    assert decided(plans, changed) == wanted
    assert any(topic.startswith("quarantine.") for topic, _ in wanted[0])


def test_a_record_whose_header_name_is_not_utf_8_is_carried_like_any_other(
    plans: Plans, inputs: Mapping[str, Sequence[InputRecord]]
) -> None:
    topic, records = next(iter(inputs.items()))
    odd = [
        InputRecord(topic, 0, one.offset, one.timestamp_ms, one.key, one.value, [*one.headers, ("\udcff", b"x")])
        for one in records
    ]
    outputs, entries = decided(plans, {topic: odd})
    assert (outputs, entries) == decided(reference(plans), {topic: odd})
    plain = decided(plans, {topic: records})[0]
    assert {place: len(held) for place, held in outputs.items()} == {place: len(held) for place, held in plain.items()}


def test_records_before_the_one_that_was_asked_for_are_passed_over(
    plans: Plans, inputs: Mapping[str, Sequence[InputRecord]]
) -> None:
    topic, records = max(inputs.items(), key=lambda one: len(one[1]))
    batch = Batch(plans, {(topic, 0): DuplicateWindow(records=100, seconds=100)}, {}, at=AT)
    raw = raw_batch(records, from_offset=records[3].offset)
    while raw.left:
        batch.add(topic, 0, raw, len(records))
    assert batch.first_offsets == {(topic, 0): records[3].offset}
    assert batch.events == len(records) - 3


def test_contents_come_back_as_they_were() -> None:
    for key, value, headers in (
        (None, None, []),
        (b"", b"", [("a", b"")]),
        (b"k" * 200, b"v" * 70_000, [("\udcffname", b"x" * 5_000), ("b", None)]),
    ):
        assert parts_of(content(key, value, headers)) == (key, value, headers)


def test_a_number_written_longer_than_it_needs_is_read_and_its_content_written_as_it_should_be() -> None:
    record = InputRecord("t", 0, 5, 10, b"key", b"value", [("a", b"b")])
    held = b"\0" + zigzag(0) + zigzag(0) + content(record.key, record.value, record.headers)
    longer = held.replace(b"\x06key", b"\x86\x00key")
    raw = batch_bytes([record])
    body = zigzag(len(longer)) + longer
    changed = bytearray(raw[:61] + body)
    changed[8:12] = (len(changed) - 12).to_bytes(4, "big")
    changed[17:21] = calc_crc32c(bytes(changed[21:])).to_bytes(4, "big")
    (read,) = RawBatch(bytes(changed), from_offset=0).records("t", 0)
    assert read == record


def test_damaged_batches_are_refused() -> None:
    raw = bytearray(batch_bytes([InputRecord("t", 0, 5, 10, b"key", b"value", [])]))
    raw[-1] ^= 1
    with pytest.raises(CorruptRecordException):
        RawBatch(bytes(raw), from_offset=0)


def test_batches_of_aborted_transactions_and_their_ends_are_left_out() -> None:
    transactional, control = 0x10, 0x30

    def one(offset: int, producer: int) -> bytes:
        record = InputRecord("t", 0, offset, 0, None, str(offset).encode(), [])
        return batch_bytes([record], attributes=transactional, producer=producer)

    def end(offset: int, producer: int, *, commit: bool) -> bytes:
        key = b"\0\0\0" + bytes([commit])
        return batch_bytes([InputRecord("t", 0, offset, 0, key, b"", [])], attributes=control, producer=producer)

    message_set = b"".join(
        (one(0, 1), one(1, 2), end(2, 1, commit=False), one(3, 1), end(4, 1, commit=True), end(5, 2, commit=True))
    )
    found = [batch.base_offset for batch in batches(message_set + message_set[:30], [(1, 0)], 0)]
    assert found == [1, 3]


def test_a_value_that_begins_like_another_schema_is_not_read_with_it(plans: Plans) -> None:
    plan = next(iter(plans.by_topic.values()))
    ids = {one.id for one in plans.snapshot.event_types[plan.event_type].schemas}
    assert {framing.unframe(head)[0] for head in plan.readings} <= ids
