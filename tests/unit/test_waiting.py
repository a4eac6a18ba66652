"""Offsets that wait come back as they were."""

from hypothesis import given
from hypothesis import strategies as st

from schemas.desired import WAITING_PARTITIONS
from streams import waiting


@given(st.lists(st.integers(0, 2**60), unique=True).map(sorted))
def test_offsets_come_back_as_they_were(offsets: list[int]) -> None:
    assert waiting.from_value(waiting.as_value(offsets)) == offsets


def test_a_slot_has_one_place_and_one_key() -> None:
    slot, other = ("a.agreement", "events.a.thing.v1", 3), ("b.agreement", "events.a.thing.v1", 3)
    assert waiting.place_of(slot) == waiting.place_of(other)
    assert waiting.place_of(slot)[1] in range(WAITING_PARTITIONS)
    assert waiting.key_of(slot) == b"a.agreement/events.a.thing.v1/3"
    assert waiting.key_of(slot) != waiting.key_of(other)
