"""A flood of dead letters is one agreement's trouble: it is set aside, from the next event on."""

import datetime as dt
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from streams.breaker import Breaker
from streams.slots import SetAside, Slot

PLACE = ("events.a.thing.v1", 3)
SLOT, OTHER = ("one", *PLACE), ("two", *PLACE)
AT = dt.datetime(2026, 11, 26, 1, 2, 3, tzinfo=dt.UTC)


def batch(floods: Mapping[Slot, Sequence[str]], next_offset: int | None = 70) -> Any:
    offsets = {} if next_offset is None else {PLACE: next_offset}
    return SimpleNamespace(floods=lambda: floods, decided={PLACE: object()}, next_offsets=offsets, at=AT)


def test_a_flood_sets_its_agreement_aside_behind_what_is_decided() -> None:
    breaker = Breaker(5)
    assert breaker.note(batch({SLOT: ["a"] * 4, OTHER: ["b"]}), {}) == {}
    assert breaker.note(batch({SLOT: ["a", "c"], OTHER: ["b"]}, 72), {}) == {
        SLOT: SetAside(72, "a flood of dead letters: 6 in a row, the last for c", "2026-11-26T01:02:03.000+00:00")
    }


def test_a_batch_in_which_most_events_are_given_ends_a_run() -> None:
    breaker = Breaker(5)
    for _ in range(9):
        assert breaker.note(batch({SLOT: ["a"] * 4}), {}) == {}
        assert breaker.note(batch({}), {}) == {}


def test_a_batch_of_other_partitions_does_not_end_a_run() -> None:
    breaker, other = Breaker(5), batch({})
    other.decided = {("events.a.thing.v1", 0): object()}
    breaker.note(batch({SLOT: ["a"] * 4}), {})
    breaker.note(other, {})
    assert breaker.note(batch({SLOT: ["a"]}), {}).keys() == {SLOT}


def test_what_is_given_at_last_and_dies_waits_again_with_its_history() -> None:
    aside = {SLOT: SetAside(90, "refuses", "2026-11-25T00:00:00Z", "2026-11-20T00:00:00Z")}
    (again,) = Breaker(2).note(batch({SLOT: ["a", "b"]}, None), aside).values()
    assert (again.from_offset, again.waiting_since) == (90, "2026-11-20T00:00:00Z")
    assert again.since != aside[SLOT].since


def test_letters_that_are_redriven_and_die_again_do_not_count() -> None:
    assert Breaker(1).note(batch({SLOT: ["a", "b"]}, None), {}) == {}


def test_what_is_given_besides_does_not_end_the_runs_of_others() -> None:
    """Between two live batches, `one` is given what waited: that says nothing about `two`."""
    breaker, aside = Breaker(5), {SLOT: SetAside(90, "refuses", "2026-11-25T00:00:00Z")}
    breaker.note(batch({OTHER: ["a"] * 4}), {})
    breaker.note(batch({}, None), aside, behind=SLOT)
    assert breaker.note(batch({OTHER: ["a"]}), {}).keys() == {OTHER}
