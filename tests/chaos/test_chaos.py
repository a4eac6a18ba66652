"""A short round of faults on three real brokers: nothing lost, doubled, out of order or beside the audit.

The oracle that says so sees what it is there to see: in the same history, once that is tampered with.
"""

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from campaign import Outcome, Terms, run
from faults import KINDS
from numbered import LATE
from oracle import History, Oracle

from lintas import names

pytestmark = pytest.mark.timeout(900)

# A seed by which catalogues are changed and an inbox refuses early, so that there are events left for what that brings.
TERMS = Terms(events=40_000, rate=650, faults=36, seconds=60, seed=1199, batch_events=200, keep_history=True)


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return run(tmp_path_factory.mktemp("chaos"), TERMS)


def test_nothing_is_lost_doubled_reordered_or_beside_the_audit(outcome: Outcome) -> None:
    assert not outcome.violations, str(outcome.violations)


def test_the_round_saw_every_kind_of_fault_and_every_fate_of_events(outcome: Outcome) -> None:
    in_vain = outcome.injected.in_vain
    assert set(outcome.injected.happened) | set(in_vain) == set(KINDS)
    assert outcome.injected.happened.total() >= TERMS.faults / 2, in_vain
    for fate in (
        "routed",
        "duplicate",
        "quarantined",
        "deliveries",
        "dead",
        "filtered",
        "suspended",
        "waiting",
        "resumed",
        "backfilled",
        "replayed",
    ):
        assert outcome.counted[fate], fate


def test_workers_outlive_what_befalls_them(outcome: Outcome) -> None:
    assert outcome.ended_by_themselves == []


@dataclasses.dataclass(frozen=True)
class Altered:
    """A record with another value."""

    original: Any
    other: bytes

    def value(self) -> bytes:
        return self.other

    def __getattr__(self, name: str) -> Any:
        return getattr(self.original, name)


def without_one(records: Iterable[Any]) -> list[Any]:
    return list(records)[1:]


def with_one_twice(records: Iterable[Any]) -> list[Any]:
    return [*records, next(iter(records))]


def backwards(records: Iterable[Any]) -> list[Any]:
    return list(records)[::-1]


def with_one_altered(records: Iterable[Any]) -> list[Any]:
    first, *others = records
    return [Altered(first, first.value()[:-1] + bytes([first.value()[-1] ^ 1])), *others]


def without_one_replayed(records: Iterable[Any]) -> list[Any]:
    return _without_the_first(records, lambda record: names.HEADER_REPLAY in dict(record.headers()))


def without_one_of_who_came_late(records: Iterable[Any]) -> list[Any]:
    return _without_the_first(records, lambda record: record.topic() == names.inbox_topic(f"b.{LATE}0"))


def _without_the_first(records: Iterable[Any], chosen: Callable[[Any], bool]) -> list[Any]:
    kept = list(records)
    kept.remove(next(filter(chosen, kept)))
    return kept


@pytest.mark.parametrize(
    ("part", "tamper", "seen"),
    [
        ("delivered", without_one, "missing: delivered by the audit only"),
        ("delivered", with_one_twice, "delivered twice"),
        ("delivered", backwards, "delivered out of order"),
        ("delivered", with_one_altered, "commitments of the audit and deliveries differ"),
        ("delivered", without_one_replayed, "missing: not replayed"),
        ("delivered", without_one_of_who_came_late, "who came late has not the same"),
        ("audit", without_one, "missing: never decided"),
        ("audit", without_one, "delivered without audit: an aborted batch was seen"),
        ("audit", with_one_twice, "decided twice"),
        ("letters", without_one, "letters differ from the audit"),
        ("letters", with_one_twice, "letters differ from the audit"),
        ("published", without_one, "offsets of an event topic with gaps"),
    ],
)
def test_a_history_that_is_tampered_with_is_noticed(
    outcome: Outcome, part: str, tamper: Callable[[Iterable[Any]], list[Any]], seen: str
) -> None:
    history: History = dataclasses.replace(
        outcome.history,
        **{part: tamper(getattr(outcome.history, part))},  # type: ignore[arg-type]  # none of the parts is `replays`
    )
    oracle = Oracle(outcome.numbers, outcome.catalogues)
    oracle.enter(history)
    assert any(seen in kind for kind in oracle.judge().found)
