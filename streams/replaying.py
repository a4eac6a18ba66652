"""A lane's part in replays: it gives one inbox events of the past once more (docs/decisions/0012)."""

import dataclasses
import datetime as dt
import functools
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from typing import Final

from streams.backlog import Backlog
from streams.batch import Batch
from streams.chunk import Chunk, Ready, decide
from streams.decide import Plans
from streams.duties import LaneDuties
from streams.pace import Work
from streams.past import PastEvents, open_past
from streams.replay_log import CANCELLED, CHANGED, DONE, Replay, Replayed, Replays, basis_of
from streams.slots import Done, Partition, Slot, in_turn
from streams.status import replayed_record

CHUNKS_PER_SECOND: Final = 1.0  # of a replay at a rate
CHUNKS_IN_A_ROW: Final = 20  # of one slot: what is fetched for it is used up before another's turn


class Replaying:
    """The replays of one lane's slots, as long as the lane is owned."""

    def __init__(
        self, duties: LaneDuties, positions: Mapping[Partition, int], readmitted: Callable[[Partition], Done]
    ) -> None:
        """Begin with nothing known.

        Args:
            duties: of the lane.
            positions: the lane's own, by input partition.
            readmitted: how far a partition's events of quarantine have been given to everybody.
        """
        self._duties, self._positions, self._readmitted = duties, positions, readmitted
        self._reached: dict[Slot, Replayed] = {}
        self._mine: Collection[Partition] = ()
        self._events: dict[tuple[Slot, int], PastEvents] = {}  # by slot and replay
        self._narrowed: dict[tuple[str, int, str], Plans] = {}  # by agreement, replay and catalogue
        self._not_before: dict[Slot, float] = {}  # where they come at a rate
        self._last: Slot | None = None
        self._in_a_row = 0

    def take_up(self, reached: Mapping[Slot, Replayed], mine: Collection[Partition]) -> None:
        """Go on from what the status topic says of some input partitions, under a new catalogue."""
        self._reached = {slot: one for slot, one in reached.items() if slot[1:] in mine}
        self._mine = mine
        self._narrowed.clear()
        self.forget()

    def forget(self) -> None:
        """What was read of events and not given."""
        self._events.clear()

    async def next(
        self, plans: Plans, at: dt.datetime, can_be_given: Callable[[Slot], bool], backlog: Backlog
    ) -> Ready | None:
        """What is to be given next, of the slots in turn for which ``can_be_given`` holds.

        Raises:
            KafkaError, TimeoutError: the brokers cannot be asked.
        """
        now, replays = time.monotonic(), self._duties.replays()
        order = in_turn(replays.slots(), self._last)
        if self._in_a_row < CHUNKS_IN_A_ROW:
            order = order[-1:] + order[:-1]  # the last one goes on
        for slot in order:
            reached = self._reached.get(slot, Replayed())
            replay = replays.next(slot, reached)
            if (
                replay is None
                or now < self._not_before.get(slot, 0)
                or not can_be_given(slot)
                or not plans.in_force(slot, at)
            ):
                continue
            self._in_a_row = self._in_a_row + 1 if slot == self._last else 0
            self._last = slot
            if ending := _why_ended(replays, replay, plans, slot):
                reached = reached if reached.number == replay.number else Replayed(replay.number)
                reached = dataclasses.replace(reached, ended=ending)
                return Ready(slot, functools.partial(self._end, plans, slot, reached))
            return await self._give(plans, slot, replay, reached, backlog)
        return None

    async def _end(self, plans: Plans, slot: Slot, reached: Replayed, at: dt.datetime) -> Chunk:
        def committed() -> None:
            self._reached[slot] = reached
            self._events.pop((slot, reached.number), None)

        return Chunk(slot, Batch(plans, {}, {}, at=at), [replayed_record(slot, reached)], committed)

    async def _give(self, plans: Plans, slot: Slot, replay: Replay, reached: Replayed, backlog: Backlog) -> Ready:
        if reached.number != replay.number:
            reached = await self._begin(slot, replay, backlog)
        if slot[0] in replay.request.terms:
            plans = self._under(plans, replay, slot[0])
        events = self._events.get((slot, replay.number))
        if events is None:
            events = self._events[slot, replay.number] = await open_past(
                self._duties,
                backlog,
                plans.by_topic[slot[1]],
                slot[1:],
                offsets=(reached.start, reached.next, reached.until),
                since_ms=replay.request.since_ms,
                readmitted=self._readmitted(slot[1:]),
            )
        rate = replay.request.events_per_second
        rate = None if rate is None else rate / len(replay.request.slots)
        most = self._duties.pace.most(Work.PAST)
        most = most if rate is None else max(1, min(most, int(rate / CHUNKS_PER_SECOND)))
        records, next_offset = await events.take(most)

        async def give(at: dt.datetime) -> Chunk:
            begun = time.monotonic()
            batch = await decide(
                self._duties,
                plans,
                slot,
                at,
                Work.PAST,
                lambda batch: batch.give_past(slot, records, replay.number),
                window=events.window,
            )
            now_reached = _after(reached, batch, next_offset)

            def committed() -> None:
                self._reached[slot] = now_reached
                self._duties.pace.spent(time.monotonic() - begun)
                if rate is not None:
                    self._not_before[slot] = begun + len(records) / rate
                if now_reached.ended:
                    del self._events[slot, replay.number]

            return Chunk(slot, batch, [replayed_record(slot, now_reached)], committed)

        return Ready(slot, give, is_past=True)

    async def _begin(self, slot: Slot, replay: Replay, backlog: Backlog) -> Replayed:
        """Where the events of a replay lie in a slot's input partition; what is not decided yet is live."""
        place, request = slot[1:], replay.request
        start, until = await backlog.at_time(place, request.since_ms), self._positions[place]
        if request.until_ms is not None:
            until = min(until, await backlog.at_time(place, request.until_ms))
        return Replayed(replay.number, start, start, max(start, until), ended="")

    def _under(self, plans: Plans, replay: Replay, agreement: str) -> Plans:
        """The catalogue with the replay's own terms for an agreement."""
        key = (agreement, replay.number, plans.digest)
        if key not in self._narrowed:
            self._narrowed[key] = plans.under(replay.request.terms[agreement].terms)
        return self._narrowed[key]


def _why_ended(replays: Replays, replay: Replay, plans: Plans, slot: Slot) -> str:
    """Why a slot is to be given nothing more of a replay; empty if it is."""
    if replay.number in replays.cancelled:
        return CANCELLED
    terms = replay.request.terms.get(slot[0])
    consumer = plans.snapshot.agreements[slot[0]].contract.consumer
    if consumer != replay.request.system or (terms and terms.basis != basis_of(plans.snapshot, slot[0])):
        return CHANGED
    return ""


def _after(reached: Replayed, batch: Batch, next_offset: int) -> Replayed:
    """How far a slot is once another chunk is given."""
    outcomes = Counter[str]()
    for tally in batch.tallies().values():
        for served, count in tally.served.items():
            outcomes[served.outcome] += count
    return dataclasses.replace(
        reached,
        next=next_offset,
        delivered=reached.delivered + outcomes["delivered"],
        filtered=reached.filtered + outcomes["filtered"],
        dead=reached.dead + outcomes["dead"],
        ended=DONE if next_offset >= reached.until else "",
    )
