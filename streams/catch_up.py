"""What a lane gives besides live events.

In this order: what waits for agreements that were set aside, and before that the past of new ones; letters once more,
of one consumer or out of quarantine; replays. Decides and commits nothing live. Reads by the way, while live events are
carried; the lane asks for one chunk at a time between two live batches and commits it with its own producer:
docs/decisions/0010 and 0012.
"""

import asyncio
import dataclasses
import datetime as dt
import functools
import logging
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from aiokafka.errors import KafkaError

from streams.backlog import Backlog
from streams.batch import Batch
from streams.chunk import Chunk, Ready, decide
from streams.decide import Plans
from streams.duties import LaneDuties
from streams.letters import Letter
from streams.past import PastEvents, open_past
from streams.replaying import Replaying
from streams.slots import EVERYBODY, Done, Partition, Past, SetAside, Slot
from streams.status import LanesStatus, aside_record, backfill_record, redriven_record, resume_record
from streams.window import DuplicateWindow

log = logging.getLogger(__name__)

REST_SECONDS: Final = 5
WAIT_SECONDS: Final = 0.02  # live events wait no longer for something to be ready
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
    ) -> None:
        """``windows`` and ``positions`` are the lane's own, by input partition."""
        self.aside: dict[Slot, SetAside] = {}
        self._duties, self._client_id = duties, client_id
        self._windows, self._positions = windows, positions
        self._redriven: dict[Slot, Done] = {}
        self._to_backfill: dict[Slot, dt.datetime] = {}  # slots that have not begun, and from when on
        self._mine: Collection[Partition] = ()
        self._past: dict[Slot, PastEvents] = {}
        self._replaying = Replaying(duties, positions, self._readmitted)
        self._rest_until = 0.0
        self._reading: asyncio.Task[tuple[Ready, SetAside | None] | None] | None = None
        self._read_under: Plans | None = None
        self._backlog = self._new_backlog()

    def _new_backlog(self) -> Backlog:
        return Backlog(self._duties.options, self._client_id)

    def take_up(self, status: LanesStatus, mine: Collection[Partition], plans: Plans) -> None:
        """Go on from what the status topic says of some input partitions, under a catalogue."""
        self.aside = status.aside_in(mine)
        self._redriven = {slot: done for slot, done in status.redriven.items() if slot[1:] in mine}
        self._to_backfill = {
            slot: since for slot, since in plans.backfills(mine).items() if slot not in status.backfills
        }
        self._mine = mine
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

    async def next(self, plans: Plans, at: dt.datetime) -> Chunk | None:
        """The next chunk, judged at a moment; None if nothing is ready: live events must not wait for what is read."""
        if self._reading is None:
            if time.monotonic() < self._rest_until:
                return None
            self._reading, self._read_under = asyncio.create_task(self._read(plans, at)), plans
        await asyncio.wait([self._reading], timeout=WAIT_SECONDS)
        if not self._reading.done():
            return None
        reading, self._reading = self._reading, None
        try:
            ready = reading.result()
        except (KafkaError, TimeoutError) as error:
            log.warning("%s: %s; trying again in %d s", self._client_id, type(error).__name__, REST_SECONDS)
            self.rest(REST_SECONDS)
            await self._backlog.stop()
            self._backlog = self._new_backlog()
            self._forget()
            return None
        if ready is None:
            return None
        slot, why = ready
        if self._read_under is not plans or self.aside.get(slot.slot) != why or not plans.in_force(slot.slot, at):
            self._forget()  # things have changed since it was read
            return None
        return await slot.decide(at)

    async def _read(self, plans: Plans, at: dt.datetime) -> tuple[Ready, SetAside | None] | None:
        """What is to be given next, with why its slot was set aside then."""
        ready = (
            (await self._resumed(plans, at) if self.aside else None)
            or await self._redrive(plans, at)
            or await self._replaying.next(plans, at, self.aside, self._backlog)
        )
        return None if ready is None else (ready, self.aside.get(ready.slot))

    def _forget(self) -> None:
        """What was read and not given: it is read again."""
        self._past.clear()
        self._replaying.forget()
        self._backlog.forget_all()

    def rest(self, seconds: float) -> None:
        """Give nothing for a while."""
        self._rest_until = time.monotonic() + seconds

    async def stop(self) -> None:
        """Let go of the brokers."""
        reading, self._reading = self._reading, None
        if reading is not None:
            reading.cancel()
            await asyncio.wait([reading])
        await self._backlog.stop()

    # What waits, and the past of what is new.

    async def _resumed(self, plans: Plans, at: dt.datetime) -> Ready | None:
        slot = await self._backlog.resumed(self.aside)
        if slot is None or not plans.in_force(slot, at):
            return None
        why = self.aside[slot]
        if why.past is not None:
            return await self._backfill(plans, slot, why, why.past)
        owed = await self._backlog.next(slot, why, self._duties.pace.events)
        if not owed.events and not owed.all_of_it:
            return None
        if owed.all_of_it:
            status = [aside_record(slot, None), resume_record(slot, None)]
            committed = functools.partial(self._is_live, slot)
        else:
            left = dataclasses.replace(why, from_offset=owed.events[-1][0] + 1)
            status = [aside_record(slot, left)]
            committed = functools.partial(self.aside.__setitem__, slot, left)

        async def give(at: dt.datetime) -> Chunk:
            batch = await decide(self._duties, plans, slot, at, lambda batch: batch.catch_up(slot, owed.events))
            return Chunk(slot, batch, status, committed)

        return Ready(slot, give)

    def _is_live(self, slot: Slot) -> None:
        del self.aside[slot]
        self._backlog.forget(slot)

    async def _backfill(self, plans: Plans, slot: Slot, why: SetAside, past: Past) -> Ready | None:
        if self._duties.pace.is_rest():
            return None
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
        records, reached = await events.take(self._duties.pace.events)
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
                lambda batch: batch.give_past(slot, records, None),
                window=events.window,
            )
            return Chunk(slot, batch, [aside_record(slot, left)], committed)

        return Ready(slot, give)

    # Letters once more.

    async def _redrive(self, plans: Plans, at: dt.datetime) -> Ready | None:
        redrives = self._duties.redrives()
        for slot in redrives.slots():
            if slot[1:] not in self._mine or slot in self.aside or not plans.in_force(slot, at):
                continue
            for task, done in redrives.tasks(slot, self._redriven.get(slot, Done())):
                chosen = task.letters[done : done + self._duties.pace.events]
                letters = await self._backlog.letters(task.topic, chosen)
                reached = Done(task.number, done + len(chosen))
                return Ready(slot, functools.partial(self._give_letters, plans, slot, letters, reached))
        return None

    async def _give_letters(
        self, plans: Plans, slot: Slot, letters: Sequence[Letter], reached: Done, at: dt.datetime
    ) -> Chunk:
        if slot[0] == EVERYBODY:
            give = functools.partial(Batch.readmit, place=slot[1:], letters=letters, number=reached.number)
            window = self._windows[slot[1:]]
            batch = await decide(self._duties, plans, slot, at, give, window=window, aside=self.aside)
        else:
            give = functools.partial(Batch.redrive, slot=slot, letters=letters, number=reached.number)
            batch = await decide(self._duties, plans, slot, at, give)
        committed = functools.partial(self._redriven.__setitem__, slot, reached)
        return Chunk(slot, batch, [redriven_record(slot, reached)], committed)
