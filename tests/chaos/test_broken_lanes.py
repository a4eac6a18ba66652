"""Lanes that are broken on purpose: the oracle sees it."""

from pathlib import Path

import pytest
from campaign import Terms, run

pytestmark = pytest.mark.timeout(900)

BROKEN_WORKERS = str(Path(__file__).with_name("broken_workers.py"))
ROUNDS = 3  # of more and more faults, until the defect shows


@pytest.mark.long
@pytest.mark.parametrize(
    ("broken", "kinds", "faults"),
    [
        # positions beside the transaction: a worker killed between the two repeats what it delivered; it must have come
        # as far as to deliver before the next is killed
        ("offsets-apart", ("worker killed",), 12),
        # a late EndTxn ends the transaction after the one that it was meant for, which slow answers make long
        ("answers-repeated", ("request late", "answers delayed"), 80),
    ],
)
def test_lanes_broken_on_purpose_are_caught(tmp_path: Path, broken: str, kinds: tuple[str, ...], faults: int) -> None:
    seen = []
    for number in range(1, ROUNDS + 1):
        terms = Terms(
            events=20_000 * number,
            rate=500,
            faults=faults * number,
            seconds=40 * number,
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
