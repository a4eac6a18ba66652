"""How many lanes there are: everybody who reads the plans decides the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lintas.errors import LanePlansBroken
from schemas.lane_plans import LanePlan, LanePlans

FIRST = LanePlan(1, 8, "bus", "2026-11-25T00:00:00.000+00:00")
THREE = LanePlan(2, 3, "ani@ops", "2026-11-25T01:00:00.000+00:00")
TWELVE = LanePlan(2, 12, "budi@ops", "2026-11-25T01:00:00.001+00:00")

Record = tuple[bytes, bytes]


def read(*records: Record) -> LanePlans:
    plans = LanePlans()
    for key, value in records:
        plans.add(key, value)
    return plans


def test_a_bus_without_plans_has_no_lanes() -> None:
    assert read().latest is None
    assert read().in_force is None
    assert read().unfinished is None


@pytest.mark.parametrize(
    ("records", "in_force", "unfinished"),
    [
        ([FIRST.as_record()], None, FIRST),
        ([FIRST.as_record(), FIRST.opening()], FIRST, None),
        # planned: the old lanes must stop though the new ones may not start
        ([FIRST.as_record(), FIRST.opening(), THREE.as_record()], None, THREE),
        ([FIRST.as_record(), FIRST.opening(), THREE.as_record(), THREE.opening()], THREE, None),
        # finished twice, by the command and by a worker
        ([FIRST.as_record(), FIRST.opening(), THREE.as_record(), THREE.opening(), THREE.opening()], THREE, None),
        # an opening that comes late opens nothing newer
        ([FIRST.as_record(), FIRST.opening(), THREE.as_record(), FIRST.opening()], None, THREE),
        # an opening without a plan
        ([FIRST.as_record(), FIRST.opening(), THREE.opening()], FIRST, None),
    ],
)
def test_lanes_run_only_in_the_newest_generation_and_only_once_it_is_open(
    records: list[Record], in_force: LanePlan | None, unfinished: LanePlan | None
) -> None:
    plans = read(*records)
    assert plans.in_force == in_force
    assert plans.unfinished == unfinished


@pytest.mark.parametrize(("first", "second"), [(THREE, TWELVE), (TWELVE, THREE)])
def test_the_first_plan_of_a_generation_wins(first: LanePlan, second: LanePlan) -> None:
    plans = read(FIRST.as_record(), FIRST.opening(), first.as_record(), second.as_record())
    assert plans.latest == first
    assert plans.won(first)
    assert not plans.won(second)


def test_a_plan_that_is_late_or_early_does_nothing() -> None:
    fourth = LanePlan(4, 5, "ani@ops", "")
    after_an_unfinished_one = LanePlan(3, 5, "ani@ops", "")
    plans = read(
        FIRST.as_record(),
        FIRST.opening(),
        fourth.as_record(),
        THREE.as_record(),
        after_an_unfinished_one.as_record(),
        THREE.opening(),
        TWELVE.as_record(),
    )
    assert plans.in_force == THREE
    assert not any(plans.won(plan) for plan in (fourth, after_an_unfinished_one, TWELVE))


def test_only_the_generation_before_is_replaced() -> None:
    plans = read(FIRST.as_record(), FIRST.opening(), THREE.as_record())
    assert plans.before(THREE) == FIRST
    assert plans.before(FIRST) is None


def test_generations_share_no_id_group_or_topic() -> None:
    assert FIRST.transactional_ids == [f"lintas.lane.g1.{lane}" for lane in range(8)]
    assert THREE.transactional_ids == [f"lintas.lane.g2.{lane}" for lane in range(3)]
    assert FIRST.group != THREE.group
    assert THREE.control_topic != TWELVE.control_topic  # two who plan at once do not share a topic


@pytest.mark.parametrize(
    ("key", "value"),
    [(b"plan/2", None), (b"plan/2", b"not json"), (b"plan/2", b"{}"), (b"open/1", None)],
)
def test_what_cannot_be_read_is_not_guessed(key: bytes, value: bytes | None) -> None:
    plans = read(FIRST.as_record(), FIRST.opening())
    with pytest.raises(LanePlansBroken):
        plans.add(key, value)


plan = st.builds(LanePlan, st.integers(1, 4), st.integers(1, 9), st.sampled_from(["ani", "budi"]), st.just(""))
records = st.lists(plan.flatmap(lambda one: st.sampled_from([one.as_record(), one.opening()])))


@given(records)
def test_a_generation_is_planned_only_once_the_one_before_is_open(log: list[Record]) -> None:
    plans = LanePlans()
    for key, value in log:
        before, was_open = plans.latest, plans.in_force is not None
        plans.add(key, value)
        if plans.latest != before:
            assert before is None or was_open
            assert plans.latest is not None
            assert plans.latest.generation == (1 if before is None else before.generation + 1)
