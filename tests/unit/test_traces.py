"""Every delivery names a trace: the publisher's where the event is about nobody, else one of its own."""

import dataclasses
import datetime as dt
from collections.abc import Mapping, Sequence

import pytest
from raw_batches import raw_batch
from test_carrier import decided, inputs, plans, reference

from schemas.model import Classification
from schemas.wire import trace_context
from streams import traces
from streams.batch import Batch
from streams.decide import Plans
from streams.record_format import parts_of
from streams.records import InputRecord
from streams.window import DuplicateWindow

__all__ = ["inputs", "plans"]  # fixtures

Records = Mapping[str, Sequence[InputRecord]]
SEED = b"s" * 32


def parent(number: int) -> str:
    return f"00-{number + 1:032x}-{number + 7:016x}-01"


def traced(inputs: Records, *, odd: bool = False) -> Records:
    """Every second event with the trace of its publisher, in the usual place among the headers or, if odd, another."""
    changed: dict[str, list[InputRecord]] = {}
    for topic, records in inputs.items():
        made = changed[topic] = []
        for number, one in enumerate(records):
            header = ("ce_traceparent", parent(number).encode())
            headers = [header, *one.headers] if odd and number % 3 else [*one.headers, header]
            made.append(one if number % 2 else dataclasses.replace(one, headers=headers))
    return changed


def told(outputs: Mapping[tuple[str, int], Sequence[bytes]]) -> list[tuple[str, str, str]]:
    """Inbox, event type and traceparent of each delivery."""
    found = []
    for (topic, _), records in outputs.items():
        for record in records if topic.startswith("inbox.") else ():
            headers = dict(parts_of(record)[2])
            found.append((topic, (headers["ce_type"] or b"").decode(), (headers["ce_traceparent"] or b"").decode()))
    return found


@pytest.mark.parametrize("odd", [False, True])
def test_both_paths_write_the_same_traces(plans: Plans, inputs: Records, *, odd: bool) -> None:
    events = traced(inputs, odd=odd)
    assert decided(plans, events) == decided(reference(plans), events)


def test_every_delivery_names_a_trace_and_goes_on_with_the_publishers_where_the_event_is_about_nobody(
    plans: Plans, inputs: Records
) -> None:
    personal = {
        name
        for name, one in plans.snapshot.event_types.items()
        if one.contract.classification is Classification.PERSONAL
    }
    given = {trace_context.trace_id(parent(number)) for number in range(5_000)}
    deliveries = told(decided(plans, traced(inputs))[0])
    assert all(trace_context.is_valid(one) for _, _, one in deliveries)
    went_on = [one for _, name, one in deliveries if name not in personal and trace_context.trace_id(one) in given]
    begun = [one for _, name, one in deliveries if trace_context.trace_id(one) not in given]
    assert all(trace_context.trace_id(one) not in given for _, name, one in deliveries if name in personal)
    assert min(len(went_on), len(begun)) > 100
    assert all(trace_context.is_sampled(one) for one in went_on)
    assert not any(trace_context.is_sampled(one) for one in begun)
    spans = [one[36:52] for one in went_on]
    assert len(set(spans)) == len(spans)  # nobody's span is another's, nor the publisher's
    assert not set(spans) & {parent(number)[36:52] for number in range(5_000)}
    assert len({trace_context.trace_id(one) for one in begun}) == len(begun)


def test_a_trace_follows_from_the_seed_and_the_number_of_the_delivery(plans: Plans, inputs: Records) -> None:
    topic, records = next(iter(inputs.items()))
    deliveries = told(decided(plans, {topic: records})[0])
    derived = traces.traces(SEED, topic, 0)
    assert {trace_context.trace_id(one) for _, _, one in deliveries} == {next(derived).decode() for _ in deliveries}


@pytest.mark.parametrize("value", ["00-1", "", "01" + parent(1)[2:], parent(1).upper().replace("00-", "FF-")])
def test_what_names_no_trace_counts_as_none(value: str) -> None:
    assert traces.of_delivery(value, b"7" * 32) == b"00-77777777777777777777777777777777-0000000000000001-00"


def test_a_batch_notes_the_trace_of_an_event_about_nobody_and_of_no_other(plans: Plans, inputs: Records) -> None:
    at = dt.datetime(2026, 11, 24, 12, tzinfo=dt.UTC)

    def noted(topic: str, records: Sequence[InputRecord]) -> str:
        batch = Batch(plans, {(topic, 0): DuplicateWindow(records=1_000, seconds=100)}, {}, at=at)
        raw = raw_batch(records)
        while raw.left:
            batch.add(topic, 0, raw, 97)
        (tally,) = batch.tallies().values()
        assert tally.trace_id == tally.parent[3:35]
        return tally.parent

    def topic_of(event_type: str) -> str:
        return plans.snapshot.event_types[event_type].topic

    quake, birth = topic_of("id.go.bmkg.earthquake.measured.v1"), topic_of("id.go.dukcapil.birth.registered.v1")
    events = traced(inputs)
    assert noted(quake, events[quake]) in {parent(number) for number in range(0, len(events[quake]), 2)}
    assert noted(birth, events[birth]) == noted(quake, inputs[quake]) == ""
