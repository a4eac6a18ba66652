"""An event that crashes the code is isolated: every other event is decided as if it were not there."""

import fractions
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from day_records import KEYS
from test_carrier import decided, inputs, plans, reference

from schemas.released import Releaser
from schemas.wire.errors import Problem
from schemas.wire.varint import zigzag
from streams import crashes
from streams.decide import AgreementPlan, Event, EventTypePlan, Plans
from streams.records import InputRecord

__all__ = ["inputs", "plans"]  # fixtures

CRASH = b"__lintas.errors.stage" + zigzag(5) + b"crash"
Records = Mapping[str, Sequence[InputRecord]]


@pytest.fixture(autouse=True)
def _told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crashes, "_told", set())


def longest(inputs: Records) -> tuple[str, Sequence[InputRecord]]:
    return max(inputs.items(), key=lambda one: len(one[1]))


def without(inputs: Sequence[InputRecord], poison: InputRecord) -> list[InputRecord]:
    return [one for one in inputs if one is not poison]


def test_an_event_that_crashes_the_reading_is_quarantined_and_told_by_its_trace(
    plans: Plans, inputs: Records, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    topic, records = longest(inputs)
    poison = records[len(records) // 2]
    broken = reference(plans)  # so that every event is read in full
    read = EventTypePlan.read

    def crash(self: EventTypePlan, record: InputRecord) -> Event:
        if record.offset == poison.offset:
            raise ZeroDivisionError("a value of the event")
        return read(self, record)

    wanted, _ = decided(broken, {topic: without(records, poison)})
    monkeypatch.setattr(EventTypePlan, "read", crash)
    with caplog.at_level(logging.ERROR):
        outputs, entries = decided(broken, {topic: records})
    quarantine = (broken.by_topic[topic].quarantine, 0)
    (quarantined,) = (one for one in outputs[quarantine] if CRASH in one)
    outputs[quarantine].remove(quarantined)
    assert {place: len(held) for place, held in outputs.items() if held} == {
        place: len(held) for place, held in wanted.items()
    }
    assert len(entries[topic, 0]) == len(records)
    (told,) = caplog.messages
    digest = told.partition("trace ")[2][:12]
    assert digest.encode() in quarantined
    assert b"crash: crash" in entries[topic, 0][len(records) // 2]
    assert b"a value" not in quarantined
    assert "a value" not in told


def test_an_event_that_crashes_one_release_is_a_dead_letter_of_that_consumer_alone(
    plans: Plans, inputs: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic, records = longest(inputs)
    whole, _ = decided(plans, {topic: records})
    unlucky = next(one for one in plans.by_topic[topic].agreements if (one.inbox, 0) in whole)
    decide = AgreementPlan.decide
    crashed: list[Event] = []

    def crash(self: AgreementPlan, event: Event) -> Any:
        if self.agreement.agreement == unlucky.agreement.agreement and not crashed:
            crashed.append(event)
            raise RecursionError
        return decide(self, event)

    monkeypatch.setattr(AgreementPlan, "decide", crash)
    outputs, _ = decided(reference(plans), {topic: records})
    (dead,) = (held for place, held in outputs.items() if place[0] == unlucky.dead and place not in whole)
    assert b"RecursionError, trace " in b"".join(dead)
    others = {place: held for place, held in whole.items() if place[0] not in (unlucky.inbox, unlucky.dead)}
    # salts are drawn in the order of deliveries, so from the dead letter on they differ: the counts must not
    assert {place: len(outputs[place]) for place in others} == {place: len(held) for place, held in others.items()}
    mine = [sum(len(held) for place, held in one.items() if place[0] == unlucky.inbox) for one in (whole, outputs)]
    assert mine == [mine[0], mine[0] - 1]


def test_where_only_the_fast_path_crashes_the_reference_path_delivers_and_the_trace_is_told(
    plans: Plans, inputs: Records, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    topic, records = longest(inputs)
    wanted = decided(plans, {topic: records})
    broken = Plans(plans.snapshot, KEYS)
    for reading in broken.by_topic[topic].readings.values():
        walk, calls = reading.walk, iter(range(len(records) + 1))

        def crash(*arguments: Any, walk: Any = walk, calls: Any = calls) -> Any:
            if next(calls) == 7:
                raise TypeError("a value of the event")
            return walk(*arguments)

        monkeypatch.setattr(reading, "walk", crash)
    with caplog.at_level(logging.ERROR):
        assert decided(broken, {topic: records}) == wanted
    assert [message.partition(":")[0] for message in caplog.messages] == ["an event crashed the code"]


def test_a_machine_without_memory_is_not_the_events_fault(
    plans: Plans, inputs: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr(Releaser, "__call__", crash)
    with pytest.raises(MemoryError):
        decided(reference(plans), inputs)


def test_equal_crashes_have_equal_digests_and_different_ones_do_not() -> None:
    def fail(read: Callable[[str], Any], text: str) -> Problem:
        with pytest.raises(ValueError, match=text) as caught:
            read(text)
        return crashes.problem_of(caught.value)

    assert fail(int, "a") == fail(int, "b") != fail(fractions.Fraction, "c")
