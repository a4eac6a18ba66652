"""The oracle sees what it is there to see: in histories that are tampered with, and of lanes broken on purpose."""

import dataclasses
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from campaign import Outcome, Terms, run
from oracle import History, Oracle

pytestmark = pytest.mark.timeout(900)

BROKEN_WORKERS = str(Path(__file__).with_name("broken_workers.py"))
ROUNDS = 3  # of more and more faults, until the defect shows


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """A history without faults."""
    terms = Terms(events=3_000, rate=1_000, faults=0, seconds=1, batch_events=200, keep_history=True)
    outcome = run(tmp_path_factory.mktemp("sound"), terms)
    assert not outcome.violations, str(outcome.violations)
    return outcome


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


@pytest.mark.parametrize(
    ("part", "tamper", "seen"),
    [
        ("delivered", without_one, "missing: delivered by the audit only"),
        ("delivered", with_one_twice, "delivered twice"),
        ("delivered", backwards, "delivered out of order"),
        ("delivered", with_one_altered, "commitments of the audit and deliveries differ"),
        ("audit", without_one, "missing: never decided"),
        ("audit", without_one, "delivered without audit: an aborted batch was seen"),
        ("audit", with_one_twice, "decided twice"),
        ("letters", without_one, "letters differ from the audit"),
        ("letters", with_one_twice, "letters differ from the audit"),
        ("published", without_one, "offsets of an event topic with gaps"),
    ],
)
def test_a_history_that_is_tampered_with_is_noticed(
    sound: Outcome, part: str, tamper: Callable[[Iterable[Any]], list[Any]], seen: str
) -> None:
    history: History = dataclasses.replace(sound.history, **{part: tamper(getattr(sound.history, part))})
    oracle = Oracle(sound.numbers, sound.catalogues)
    oracle.enter(history)
    assert any(seen in kind for kind in oracle.judge().found)


@pytest.mark.long
@pytest.mark.parametrize(
    ("broken", "kinds"),
    [
        # positions beside the transaction: a worker killed between the two repeats what it delivered
        ("offsets-apart", ("worker killed", "connections cut")),
        # a late EndTxn ends the transaction after the one that it was meant for, which slow answers make long
        ("answers-repeated", ("request late", "answers delayed")),
    ],
)
def test_lanes_broken_on_purpose_are_caught(tmp_path: Path, broken: str, kinds: tuple[str, ...]) -> None:
    seen = []
    for number in range(1, ROUNDS + 1):
        terms = Terms(
            events=15_000 * number,
            rate=500,
            faults=60 * number,
            seconds=30 * number,
            seed=number,
            kinds=kinds,
            program=(BROKEN_WORKERS, broken),
            batch_events=50,
        )
        outcome = run(tmp_path / str(number), terms)
        seen.append(str(outcome.violations))
        if any(kind.startswith(("missing", "decided twice", "delivered")) for kind in outcome.violations.found):
            return
    pytest.fail(f"the oracle saw nothing: {seen}")
