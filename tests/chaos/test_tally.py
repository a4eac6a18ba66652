"""Tallies tell whether the same things were counted."""

from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tally import Tally


@given(st.lists(st.binary(min_size=32, max_size=32)), st.randoms())
def test_tallies_of_the_same_things_are_equal_in_any_order(things: list[bytes], random: Any) -> None:
    assert tally(things) == tally(random.sample(things, len(things)))


@given(st.lists(st.binary(min_size=32, max_size=32), min_size=2, unique=True))
def test_a_tally_tells_one_lost_and_another_doubled(things: list[bytes]) -> None:
    assert tally(things) != tally([things[0], *things[:1], *things[2:]])


def tally(things: Sequence[bytes]) -> Tally:
    counted = Tally()
    for thing in things:
        counted.add(thing)
    return counted
