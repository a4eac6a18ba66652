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
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

from aiokafka.errors import KafkaError

from streams.backlog import Backlog
from streams.batch import Batch
from streams.decide import Dead, Delivery, Filtered, Plans
from streams.duties import LaneDuties
from streams.past import PastEvents
from streams.replays import CANCELLED, DONE, Replay, Replayed
from streams.slots import EVERYBODY, Done, Partition, Past, SetAside, Slot
from streams.status import (
    LanesStatus,
    aside_record,
    backfill_record,
    redriven_record,
    replayed_record,
    resume_record,
)
from streams.window import DuplicateWindow

log = logging.getLogger(__name__)

REST_SECONDS: Final = 5
BACKFILL: Final = "its past comes first: events published since {since}"


@dataclasses.dataclass(frozen=True, slots=True)
class Chunk:
    """Some events of one slot, decided.

    Attributes:
        slot: whose.
        batch: what is to be written.
        status: what is to be told on the status topic in the same transaction.
        committed: to be called once that is committed.
    """

    slot: Slot
    batch: Batch
    status: Sequence[tuple[bytes, bytes | None]]
    committed: Callable[[], None]


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
        self._replayed: dict[Slot, Replayed] = {}
        self._to_backfill: dict[Slot, dt.datetime] = {}  # slots that have not begun, and from when on
        self._mine: Collection[Partition] = ()
        self._past: dict[tuple[Slot, int | None], PastEvents] = {}  # by slot and replay
        self._narrowed: dict[tuple[str, int], Plans] = {}  # by agreement and replay
        self._not_before: dict[Slot, float] = {}  # replays at a rate
        self._rest_until = 0.0
        self._backlog = self._new_backlog()

    def _new_backlog(self) -> Backlog:
        return Backlog(self._duties.options, self._client_id)

    def take_up(self, status: LanesStatus, mine: Collection[Partition], plans: Plans) -> None:
        """Go on from what the status topic says of some input partitions, under a catalogue."""
        self.aside = status.aside_in(mine)
        self._redriven = {slot: done for slot, done in status.redriven.items() if slot[1:] in mine}
        self._replayed = {slot: reached for slot, reached in status.replayed.items() if slot[1:] in mine}
        self._to_backfill = {
            slot: since for slot, since in plans.backfills(mine).items() if slot not in status.backfills
        }
        self._mine = mine
        self._past.clear()
        self._narrowed.clear()

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
            readmitted = self._redriven.get((EVERYBODY, *slot[1:]), Done())
            past = Past(round(since.timestamp() * 1000), position, None, readmitted)
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
                or await self._replay(plans, at)
            )
        except (KafkaError, TimeoutError) as error:
            log.warning("%s: %s; trying again in %d s", self._client_id, type(error).__name__, REST_SECONDS)
            self.rest(REST_SECONDS)
            await self._backlog.stop()
            self._backlog = self._new_backlog()
            self._past.clear()
            return None

    def rest(self, seconds: float) -> None:
        """Give nothing for a while."""
        self._rest_until = time.monotonic() + seconds

    async def stop(self) -> None:
        """Let go of the brokers."""
        await self._backlog.stop()

    async def _decide(
        self, plans: Plans, slot: Slot, at: dt.datetime, window: DuplicateWindow, give: Callable[[Batch], None]
    ) -> Batch:
        async with self._duties.turn:
            begun = time.monotonic()
            batch = Batch(plans, {slot[1:]: window}, self.aside if slot[0] == EVERYBODY else {}, at=at)
            give(batch)
            self._duties.pace.decided(batch.events, time.monotonic() - begun)
            return batch

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
        batch = await self._decide(plans, slot, at, _no_window(), lambda batch: batch.catch_up(slot, owed.events))
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
        events = self._past.get((slot, None))
        if events is None:
            start = await self._backlog.at_time(place, past.since_ms)
            events = await self._open(plans, slot, None, (start, past.next, past.until), past.since_ms, past.readmitted)
        records, reached = await events.take(self._duties.pace.events)
        batch = await self._decide(plans, slot, at, events.window, lambda batch: batch.give_past(slot, records, None))
        is_all = reached >= past.until
        left = dataclasses.replace(why, past=None if is_all else dataclasses.replace(past, next=reached))

        def committed() -> None:
            self.aside[slot] = left
            self._spent(slot, None, begun, is_all=is_all)

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
                    window = self._windows[slot[1:]]
                    give = functools.partial(Batch.readmit, place=slot[1:], letters=letters, number=task.number)
                else:
                    window = _no_window()
                    give = functools.partial(Batch.redrive, slot=slot, letters=letters, number=task.number)
                batch = await self._decide(plans, slot, at, window, give)
                reached = Done(task.number, done + len(chosen))
                return Chunk(
                    slot,
                    batch,
                    [redriven_record(slot, reached)],
                    functools.partial(self._redriven.__setitem__, slot, reached),
                )
        return None

    # Replays.

    async def _replay(self, plans: Plans, at: dt.datetime) -> Chunk | None:
        now = time.monotonic()
        replays = self._duties.replays()
        for slot in replays.slots():
            if slot[1:] not in self._mine or slot in self.aside or now < self._not_before.get(slot, 0):
                continue
            reached = self._replayed.get(slot, Replayed())
            replay = replays.next(slot, reached)
            if replay is None:
                continue
            if replay.number in replays.cancelled:
                ended = reached if reached.number == replay.number else Replayed(replay.number)
                return self._replayed_chunk(plans, slot, at, dataclasses.replace(ended, ended=CANCELLED))
            if plans.in_force(slot, at) and not self._duties.pace.is_rest():
                return await self._give_replay(plans, slot, at, replay, reached)
        return None

    async def _give_replay(self, plans: Plans, slot: Slot, at: dt.datetime, replay: Replay, reached: Replayed) -> Chunk:
        begun, place = time.monotonic(), slot[1:]
        request, readmitted = replay.request, self._redriven.get((EVERYBODY, *place), Done())
        if reached.number != replay.number:
            start = await self._backlog.at_time(place, request.since_ms)
            until = self._positions[place]  # what is not decided yet is live
            if request.until_ms is not None:
                until = min(until, await self._backlog.at_time(place, request.until_ms))
            reached = Replayed(replay.number, start, start, max(start, until), ended="")
        terms = request.terms.get(slot[0])
        if terms is not None:
            plans = self._under(plans, replay, slot[0])
        events = self._past.get((slot, replay.number))
        if events is None:
            offsets = (reached.start, reached.next, reached.until)
            events = await self._open(plans, slot, replay.number, offsets, request.since_ms, readmitted)
        most, rate = self._duties.pace.events, request.events_per_second
        if rate is not None:
            rate /= len(request.slots)
            most = max(1, min(most, int(rate)))
        records, next_offset = await events.take(most)
        batch = await self._decide(
            plans, slot, at, events.window, lambda batch: batch.give_past(slot, records, replay.number)
        )
        outcomes = batch.outcomes(place)
        is_all = next_offset >= reached.until
        now_reached = dataclasses.replace(
            reached,
            next=next_offset,
            delivered=reached.delivered + outcomes[Delivery],
            filtered=reached.filtered + outcomes[Filtered],
            dead=reached.dead + outcomes[Dead],
            ended=DONE if is_all else "",
        )

        def committed() -> None:
            self._replayed[slot] = now_reached
            self._spent(slot, replay.number, begun, is_all=is_all)
            if rate is not None:
                self._not_before[slot] = begun + len(records) / rate

        return Chunk(slot, batch, [replayed_record(slot, now_reached)], committed)

    def _replayed_chunk(self, plans: Plans, slot: Slot, at: dt.datetime, reached: Replayed) -> Chunk:
        """Nothing but how far a slot has come."""
        committed = functools.partial(self._replayed.__setitem__, slot, reached)
        return Chunk(slot, Batch(plans, {}, {}, at=at), [replayed_record(slot, reached)], committed)

    def _under(self, plans: Plans, replay: Replay, agreement: str) -> Plans:
        """The catalogue with the replay's own terms for an agreement."""
        key = (agreement, replay.number)
        if key not in self._narrowed:
            self._narrowed[key] = plans.under(replay.request.terms[agreement])
        return self._narrowed[key]

    # Both pasts.

    async def _open(
        self,
        plans: Plans,
        slot: Slot,
        replay: int | None,
        offsets: tuple[int, int | None, int],
        since_ms: int,
        readmitted: Done,
    ) -> PastEvents:
        """Events of the past between ``offsets`` (the first, the next if it is known, the one behind the last)."""
        place, settings = slot[1:], self._duties.settings
        event_type, redrives = plans.by_topic[place[0]], self._duties.redrives()
        letters = await self._backlog.letters_since(event_type.quarantine, since_ms)
        given = redrives.given((EVERYBODY, *place), readmitted)
        start, next_offset, until = offsets
        events = PastEvents(
            self._backlog,
            place,
            next_offset=start if next_offset is None else next_offset,
            until=until,
            quarantined={one.event.offset for one in letters if one.slot[1:] == place and one.offset not in given},
            window=DuplicateWindow(
                records=settings.duplicate_window_records, seconds=settings.duplicate_window_seconds
            ),
        )
        await events.recall(event_type, start, settings.duplicate_window_records)
        self._past[slot, replay] = events
        return events

    def _spent(self, slot: Slot, replay: int | None, begun: float, *, is_all: bool) -> None:
        self._duties.pace.spent(time.monotonic() - begun)
        if is_all:
            self._past.pop((slot, replay), None)


def _no_window() -> DuplicateWindow:
    """For events that have been through their window before."""
    return DuplicateWindow(records=1, seconds=1)
