"""The past of an input partition is given in order, from where it was left up to where it ends."""

from types import SimpleNamespace
from typing import Any

import pytest
from raw_batches import raw_batch

from streams.past import PastEvents
from streams.record_format import RawBatch
from streams.records import InputRecord
from streams.window import DuplicateWindow

PLACE = ("events.a.t.v1", 2)
BATCH = 10  # records in a batch of the topic


class Topic:
    """Offsets 0 to 99; gives one batch at a time."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    async def batches(self, place: tuple[str, int], position: int, until: int) -> tuple[list[RawBatch], int]:
        assert place == PLACE
        self.asked.append(position)
        if position >= until:
            return [], until
        first = position // BATCH * BATCH
        records = [InputRecord(*PLACE, offset, offset, b"k", b"v", []) for offset in range(first, first + BATCH)]
        return [raw_batch(records, from_offset=position)], min(first + BATCH, until)


def past(topic: Any, next_offset: int, until: int, quarantined: set[int] | None = None) -> PastEvents:
    window = DuplicateWindow(records=1_000, seconds=1_000)
    return PastEvents(
        topic, PLACE, next_offset=next_offset, until=until, quarantined=quarantined or set(), window=window
    )


@pytest.mark.parametrize("most", [1, 3, 7, 10, 100])
async def test_every_event_comes_once_however_many_are_taken(most: int) -> None:
    events, found, reached = past(Topic(), 3, 48), [], 3
    while reached < 48:
        taken, now_reached = await events.take(most)
        assert len(taken) <= most
        assert now_reached > reached
        found += [record.offset for record in taken]
        assert not found or found[-1] < now_reached
        reached = now_reached
    assert found == list(range(3, 48))
    assert reached == 48


async def test_what_is_in_quarantine_is_left_out() -> None:
    taken, reached = await past(Topic(), 0, 20, {0, 5, 19}).take(100)
    assert [record.offset for record in taken] == [one for one in range(20) if one not in (0, 5, 19)]
    assert reached == 20


async def test_what_ends_before_it_begins_is_all_given() -> None:
    assert await past(Topic(), 30, 30).take(10) == ([], 30)


async def test_a_partition_whose_end_is_deleted_is_all_given() -> None:
    class Deleted(Topic):
        async def batches(self, place: tuple[str, int], position: int, until: int) -> tuple[list[RawBatch], int]:
            assert place == PLACE
            assert position < until
            return [], until

    assert await past(Deleted(), 3, 48).take(10) == ([], 48)


async def test_whoever_goes_on_knows_what_was_given_before_but_nothing_from_before_the_beginning() -> None:
    events = past(Topic(), 40, 60, {35})
    plan: Any = SimpleNamespace(read=lambda record: SimpleNamespace(identity=b"%d" % (record.offset % 30)))
    await events.recall(plan, 30, 1_000)
    known = [number for number in range(30) if events.window.is_repeat(50, 50, b"%d" % number)]
    assert known == [offset % 30 for offset in range(30, 40) if offset != 35]
