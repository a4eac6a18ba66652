"""What a lane gives besides live events.

In turn: what waits for agreements that were set aside, and before that the past of new ones; letters once more, of one
consumer or out of quarantine; replays. Decides and commits nothing live. Reads by the way, while live events are
carried; the lane asks for one chunk at a time between two live batches and commits it with its own producer:
docs/decisions/0010 and 0012.
"""

import asyncio
import dataclasses
import datetime as dt
import functools
import logging
import time
from collections.abc import Callable, Collection, Coroutine, Mapping, MutableMapping, Sequence
from typing import Any, Final

from aiokafka.errors import KafkaError

from streams.backlog import Backlog, Owed
from streams.batch import Batch
from streams.chunk import Chunk, Ready, decide
from streams.crashes import problem_of
from streams.decide import Plans
from streams.duties import LaneDuties
from streams.letters import Letter
from streams.pace import Work
from streams.past import PastEvents, open_past
from streams.replaying import Replaying
from streams.slots import EVERYBODY, Done, Partition, Past, SetAside, Slot, in_turn
from streams.status import LanesStatus, aside_record, backfill_record, redriven_record, resume_record
from streams.window import DuplicateWindow

log = logging.getLogger(__name__)

AWAY_SECONDS: Final = 5.0
CRASH_SECONDS: Final = 60.0
WAIT_SECONDS: Final = 0.02  # live events wait no longer for something to be ready, ...
HAND_OVER_SECONDS: Final = 0.5  # ... but for the last events that wait, or new ones would come all the time
BACKFILL: Final = "its past comes first: events published since {since}"


class CatchUp:
    """The slots of one lane that are behind; lives as long as the lane is owned.

    Attributes:
        aside: which agreements are set aside, and why.
    """

    def __init__(
        self,
        duties: LaneDuties,
        client_id: str,
        windows: Mapping[Partition, DuplicateWindow],
        positions: Mapping[Partition, int],
        rests: MutableMapping[Slot, float],
        background: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        """Begin with nothing known.

        Args:
            duties: of the lane.
            client_id: for the brokers.
            windows: the lane's own, by input partition.
            positions: likewise.
            rests: slots that are left alone until a moment (``time.monotonic``); outlives this object.
            background: has something done that nobody waits for.
        """
        self.aside: dict[Slot, SetAside] = {}
        self._duties, self._client_id = duties, client_id
        self._windows, self._positions = windows, positions
        self._rests, self._background = rests, background
        self._redriven: dict[Slot, Done] = {}
        self._to_backfill: dict[Slot, dt.datetime] = {}  # slots that have not begun, and from when on
        self._mine: Collection[Partition] = ()
        self._past: dict[Slot, PastEvents] = {}
        self._replaying = Replaying(duties, positions, self._readmitted)
        self._backlog = self._new_backlog()
        self._reading: asyncio.Task[Ready | None] | None = None
        self._ready: Ready | None = None  # it waits for its time
        self._read_under: Plans | None = None
        self._read_beside: Mapping[Slot, SetAside] = {}  # who was set aside when the reading began
        self._read_for: Slot | None = None
        self._wait_anew: set[Slot] = set()  # slots for which live events have been found to wait since then
        self._hands_over = False  # a slot has all that waited, but for what came while that was read
        self._not_before = 0.0
        self._turn = -1
        self._last_redriven: Slot | None = None

    def _new_backlog(self) -> Backlog:
        return Backlog(self._duties.options, self._client_id)

    def take_up(self, status: LanesStatus, mine: Collection[Partition], plans: Plans) -> None:
        """Go on from what the status topic says of some input partitions, under a catalogue."""
        self.aside = status.aside_in(mine)
        self._redriven = {slot: done for slot, done in status.redriven.items() if slot[1:] in mine}
        self._to_backfill = {
            slot: since for slot, since in plans.backfills(mine).items() if slot not in status.backfills
        }
        self._mine = frozenset(mine)
        self._read_under = None  # what is being read is for another catalogue
        self._replaying.take_up(status.replayed, mine)

    def _readmitted(self, place: Partition) -> Done:
        """How far a partition's events of quarantine have been given to everybody."""
        return self._redriven.get((EVERYBODY, *place), Done())

    def begin_backfills(self, plans: Plans, at: dt.datetime) -> list[tuple[bytes, bytes | None]]:
        """Set new agreements that have come into force aside until they have their past; records for the status topic.

        To be called with the moment at which the next events are judged, before they are.
        """
        records: list[tuple[bytes, bytes | None]] = []
        for slot, since in list(self._to_backfill.items()):
            if not plans.in_force(slot, at):
                continue
            del self._to_backfill[slot]
            position = self._positions[slot[1:]]
            past = Past(round(since.timestamp() * 1000), position, None, self._readmitted(slot[1:]))
            reason = BACKFILL.format(since=since.isoformat())
            why = self.aside[slot] = SetAside(position, reason, at.isoformat(timespec="milliseconds"), past=past)
            log.info("%s: %s in %s [%d]: %s", self._client_id, *slot, reason)
            records += [aside_record(slot, why), resume_record(slot, why, "backfill"), backfill_record(slot)]
        return records

    @property
    def is_reading(self) -> bool:
        """Whether something may be ready soon."""
        return self._reading is not None

    def note_live(self, batch: Batch) -> None:
        """Live events have been carried: some may wait for agreements that are being given what waited before."""
        self._wait_anew |= batch.waiting().keys()

    async def next(self, plans: Plans, at: dt.datetime) -> Chunk | None:
        """The next chunk, judged at a moment; None if nothing is ready: live events must not wait for what is read."""
        ready = self._ready or await self._read_on(plans, at)
        if ready is None:
            return None
        if (
            self._read_under is not plans
            or self.aside.get(ready.slot) != self._read_beside.get(ready.slot)
            or not plans.in_force(ready.slot, at)
        ):
            self._forget()  # things have changed since it was read
            return None
        if ready.is_past and self._duties.pace.is_rest():
            self._ready = ready
            return None
        self._ready = None
        return await ready.decide(at)

    async def _read_on(self, plans: Plans, at: dt.datetime) -> Ready | None:
        """What is ready, if it is soon."""
        if self._reading is None:
            if time.monotonic() < self._not_before:
                return None
            self._read_under, self._read_beside = plans, dict(self.aside)
            self._wait_anew.clear()
            self._reading = asyncio.create_task(self._read(plans, at))
        await asyncio.wait([self._reading], timeout=HAND_OVER_SECONDS if self._hands_over else WAIT_SECONDS)
        if not self._reading.done():
            return None
        reading, self._reading, self._hands_over = self._reading, None, False
        error = TimeoutError() if reading.cancelled() else reading.exception()
        if isinstance(error, Exception):
            self._failed(error)
            return None
        return reading.result()

    async def _read(self, plans: Plans, at: dt.datetime) -> Ready | None:
        """What is ready of what waits, of letters or of replays: in turn, since each may go on for hours."""
        self._turn += 1
        kinds = [self._resumed, self._redrive, self._replay]
        first = self._turn % len(kinds)
        for kind in kinds[first:] + kinds[:first]:
            self._read_for = None
            if ready := await kind(plans, at):
                return ready
        return None

    async def _replay(self, plans: Plans, at: dt.datetime) -> Ready | None:
        return await self._replaying.next(plans, at, self._can_be_given, self._backlog)

    def _can_be_given(self, slot: Slot) -> bool:
        """Whether a slot's turn may come; if so, the reading is for it."""
        can = slot[1:] in self._mine and slot not in self.aside and time.monotonic() >= self._rests.get(slot, 0)
        if can:
            self._read_for = slot
        return can

    def _failed(self, error: Exception) -> None:
        """Leave what could not be read alone for a while: others may be given what is theirs."""
        if isinstance(error, KafkaError | TimeoutError):
            seconds, why = AWAY_SECONDS, type(error).__name__
        else:
            seconds, why = CRASH_SECONDS, problem_of(error).message
        of = "" if self._read_for is None else " of %s in %s [%d]" % self._read_for  # noqa: UP031  a tuple
        log.warning("%s: what is behind%s cannot be given: %s; again in %d s", self._client_id, of, why, seconds)
        if self._read_for is None:
            self._not_before = time.monotonic() + seconds
        else:
            self._rests[self._read_for] = time.monotonic() + seconds
        self._background(self._backlog.stop())
        self._backlog = self._new_backlog()
        self._forget()

    def _forget(self) -> None:
        """What was read and not given: it is read again."""
        self._ready = None
        self._past.clear()
        self._replaying.forget()
        self._backlog.forget_all()

    async def stop(self) -> None:
        """Let go of the brokers."""
        reading, self._reading = self._reading, None
        if reading is not None:
            reading.cancel()
            await asyncio.wait([reading])
        await self._backlog.stop()

    # What waits, and the past of what is new.

    async def _resumed(self, plans: Plans, at: dt.datetime) -> Ready | None:
        if not self.aside:
            return None
        able = {slot: why for slot, why in self._read_beside.items() if time.monotonic() >= self._rests.get(slot, 0)}
        slot = await self._backlog.resumed(able)
        if slot is None or not plans.in_force(slot, at):
            return None
        self._read_for, why = slot, self._read_beside[slot]
        if why.past is not None:
            return await self._backfill(plans, slot, why, why.past)
        owed = await self._backlog.next(slot, why, self._duties.pace.most(Work.WAITING))
        if not owed.events and not owed.all_of_it:
            return None
        return Ready(slot, functools.partial(self._give_waiting, plans, slot, why, owed))

    async def _give_waiting(self, plans: Plans, slot: Slot, why: SetAside, owed: Owed, at: dt.datetime) -> Chunk | None:
        self._hands_over = owed.all_of_it and slot in self._wait_anew
        if owed.all_of_it and not self._hands_over:
            status = [aside_record(slot, None), resume_record(slot, None)]
            committed = functools.partial(self._is_live, slot)
        elif owed.events:
            left = dataclasses.replace(why, from_offset=owed.events[-1][0] + 1)
            status = [aside_record(slot, left)]
            committed = functools.partial(self.aside.__setitem__, slot, left)
        else:
            return None
        batch = await decide(
            self._duties, plans, slot, at, Work.WAITING, lambda batch: batch.catch_up(slot, owed.events)
        )
        return Chunk(slot, batch, status, committed)

    def _is_live(self, slot: Slot) -> None:
        del self.aside[slot]
        self._backlog.forget(slot)

    async def _backfill(self, plans: Plans, slot: Slot, why: SetAside, past: Past) -> Ready | None:
        events = self._past.get(slot)
        if events is None:
            start = await self._backlog.at_time(slot[1:], past.since_ms)
            events = self._past[slot] = await open_past(
                self._duties,
                self._backlog,
                plans.by_topic[slot[1]],
                slot[1:],
                offsets=(start, start if past.next is None else past.next, past.until),
                since_ms=past.since_ms,
                readmitted=past.readmitted,
            )
        records, reached = await events.take(self._duties.pace.most(Work.PAST))
        is_all = reached >= past.until
        left = dataclasses.replace(why, past=None if is_all else dataclasses.replace(past, next=reached))

        async def give(at: dt.datetime) -> Chunk:
            begun = time.monotonic()

            def committed() -> None:
                self.aside[slot] = left
                self._duties.pace.spent(time.monotonic() - begun)
                if is_all:
                    del self._past[slot]

            batch = await decide(
                self._duties,
                plans,
                slot,
                at,
                Work.PAST,
                lambda batch: batch.give_past(slot, records, None),
                window=events.window,
            )
            return Chunk(slot, batch, [aside_record(slot, left)], committed)

        return Ready(slot, give, is_past=True)

    # Letters once more.

    async def _redrive(self, plans: Plans, at: dt.datetime) -> Ready | None:
        redrives = self._duties.redrives()
        for slot in in_turn(redrives.slots(), self._last_redriven):
            if not self._can_be_given(slot) or not plans.in_force(slot, at):
                continue
            work = Work.QUARANTINE if slot[0] == EVERYBODY else Work.LETTERS
            for task, done in redrives.tasks(slot, self._redriven.get(slot, Done())):
                self._last_redriven = slot
                chosen = task.letters[done : done + self._duties.pace.most(work)]
                letters, looked_for = await self._backlog.letters(task.topic, chosen)
                reached = Done(task.number, done + looked_for)
                return Ready(slot, functools.partial(self._give_letters, plans, slot, letters, reached))
        return None

    async def _give_letters(
        self, plans: Plans, slot: Slot, letters: Sequence[Letter], reached: Done, at: dt.datetime
    ) -> Chunk:
        place = slot[1:]
        if slot[0] == EVERYBODY:
            # Not of events of a topic that was deleted and made anew since.
            known = [letter for letter in letters if letter.event.offset < self._positions[place]]
            give = functools.partial(Batch.readmit, place=place, letters=known, number=reached.number)
            window = self._windows[place]
            batch = await decide(self._duties, plans, slot, at, Work.QUARANTINE, give, window=window, aside=self.aside)
        else:
            give = functools.partial(Batch.redrive, slot=slot, letters=letters, number=reached.number)
            batch = await decide(self._duties, plans, slot, at, Work.LETTERS, give)
        committed = functools.partial(self._redriven.__setitem__, slot, reached)
        return Chunk(slot, batch, [redriven_record(slot, reached)], committed)
