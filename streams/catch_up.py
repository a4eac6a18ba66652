"""What a lane gives besides live events.

In this order: what waits for agreements that were set aside, and before that the past of new ones; letters once more,
of one consumer or out of quarantine; replays. Decides and commits nothing live. The lane asks for one chunk at a time
between two live batches and commits it with its own producer: docs/decisions/0010 and 0012.
"""

import dataclasses
import datetime as dt
import functools
import logging
import time
from collections.abc import Collection, Mapping
from typing import Final

from aiokafka.errors import KafkaError

from streams.backlog import Backlog
from streams.batch import Batch
from streams.chunk import Chunk, decide
from streams.decide import Plans
from streams.duties import LaneDuties
from streams.past import PastEvents, open_past
from streams.replaying import Replaying
from streams.slots import EVERYBODY, Done, Partition, Past, SetAside, Slot
from streams.status import LanesStatus, aside_record, backfill_record, redriven_record, resume_record
from streams.window import DuplicateWindow

log = logging.getLogger(__name__)

REST_SECONDS: Final = 5
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
        self._past.clear()
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

    async def next(self, plans: Plans, at: dt.datetime) -> Chunk | None:
        """The next chunk, judged at a moment.

        None if there is nothing to do for now, or it cannot be read: live events must not suffer.
        """
        if time.monotonic() < self._rest_until:
            return None
        try:
            return (
                (await self._resumed(plans, at) if self.aside else None)
                or await self._redrive(plans, at)
                or await self._replaying.next(plans, at, self.aside, self._backlog)
            )
        except (KafkaError, TimeoutError) as error:
            log.warning("%s: %s; trying again in %d s", self._client_id, type(error).__name__, REST_SECONDS)
            self.rest(REST_SECONDS)
            await self._backlog.stop()
            self._backlog = self._new_backlog()
            self._past.clear()
            self._replaying.forget()
            return None

    def rest(self, seconds: float) -> None:
        """Give nothing for a while."""
        self._rest_until = time.monotonic() + seconds

    async def stop(self) -> None:
        """Let go of the brokers."""
        await self._backlog.stop()

    # What waits, and the past of what is new.

    async def _resumed(self, plans: Plans, at: dt.datetime) -> Chunk | None:
        slot = await self._backlog.resumed(self.aside)
        if slot is None or not plans.in_force(slot, at):
            return None
        why = self.aside[slot]
        if why.past is not None:
            return await self._backfill(plans, slot, at, why, why.past)
        owed = await self._backlog.next(slot, why, self._duties.pace.events)
        if not owed.events and not owed.all_of_it:
            return None
        batch = await decide(self._duties, plans, slot, at, lambda batch: batch.catch_up(slot, owed.events))
        if owed.all_of_it:
            status = [aside_record(slot, None), resume_record(slot, None)]
            return Chunk(slot, batch, status, functools.partial(self._is_live, slot))
        left = dataclasses.replace(why, from_offset=owed.events[-1][0] + 1)
        return Chunk(slot, batch, [aside_record(slot, left)], functools.partial(self.aside.__setitem__, slot, left))

    def _is_live(self, slot: Slot) -> None:
        del self.aside[slot]
        self._backlog.forget(slot)

    async def _backfill(self, plans: Plans, slot: Slot, at: dt.datetime, why: SetAside, past: Past) -> Chunk | None:
        if self._duties.pace.is_rest():
            return None
        begun, place = time.monotonic(), slot[1:]
        events = self._past.get(slot)
        if events is None:
            start = await self._backlog.at_time(place, past.since_ms)
            events = self._past[slot] = await open_past(
                self._duties,
                self._backlog,
                plans.by_topic[slot[1]],
                place,
                offsets=(start, start if past.next is None else past.next, past.until),
                since_ms=past.since_ms,
                readmitted=past.readmitted,
            )
        records, reached = await events.take(self._duties.pace.events)
        batch = await decide(
            self._duties,
            plans,
            slot,
            at,
            lambda batch: batch.give_past(slot, records, None),
            window=events.window,
        )
        is_all = reached >= past.until
        left = dataclasses.replace(why, past=None if is_all else dataclasses.replace(past, next=reached))

        def committed() -> None:
            self.aside[slot] = left
            self._duties.pace.spent(time.monotonic() - begun)
            if is_all:
                del self._past[slot]

        return Chunk(slot, batch, [aside_record(slot, left)], committed)

    # Letters once more.

    async def _redrive(self, plans: Plans, at: dt.datetime) -> Chunk | None:
        redrives = self._duties.redrives()
        for slot in redrives.slots():
            if slot[1:] not in self._mine or slot in self.aside or not plans.in_force(slot, at):
                continue
            for task, done in redrives.tasks(slot, self._redriven.get(slot, Done())):
                chosen = task.letters[done : done + self._duties.pace.events]
                letters = await self._backlog.letters(task.topic, chosen)
                if slot[0] == EVERYBODY:
                    batch = await decide(
                        self._duties,
                        plans,
                        slot,
                        at,
                        functools.partial(Batch.readmit, place=slot[1:], letters=letters, number=task.number),
                        window=self._windows[slot[1:]],
                        aside=self.aside,
                    )
                else:
                    give = functools.partial(Batch.redrive, slot=slot, letters=letters, number=task.number)
                    batch = await decide(self._duties, plans, slot, at, give)
                reached = Done(task.number, done + len(chosen))
                return Chunk(
                    slot,
                    batch,
                    [redriven_record(slot, reached)],
                    functools.partial(self._redriven.__setitem__, slot, reached),
                )
        return None
