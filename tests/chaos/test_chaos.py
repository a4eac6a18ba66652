"""A short round of faults on three real brokers: nothing lost, doubled, out of order or beside the audit."""

import pytest
from campaign import Outcome, Terms, run
from faults import KINDS

pytestmark = pytest.mark.timeout(900)

TERMS = Terms(events=40_000, rate=800, faults=36, seconds=45, seed=61, batch_events=200, keep_history=True)


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return run(tmp_path_factory.mktemp("chaos"), TERMS)


def test_nothing_is_lost_doubled_reordered_or_beside_the_audit(outcome: Outcome) -> None:
    assert not outcome.violations, str(outcome.violations)


def test_the_round_saw_every_kind_of_fault_and_every_fate_of_events(outcome: Outcome) -> None:
    in_vain = outcome.injected.in_vain
    assert set(outcome.injected.happened) | set(in_vain) == set(KINDS)
    assert outcome.injected.happened.total() >= TERMS.faults / 2, in_vain
    for fate in ("routed", "duplicate", "quarantined", "deliveries", "dead", "filtered", "suspended", "waiting"):
        assert outcome.counted[fate], fate


def test_workers_outlive_what_befalls_them(outcome: Outcome) -> None:
    assert outcome.ended_by_themselves == []
