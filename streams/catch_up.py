"""What a lane gives besides live events: what waits for agreements that were set aside, and dead letters once more.

Decides and commits nothing live. The lane asks for one chunk at a time between two live batches and commits it with its
own producer: docs/decisions/0010.
"""

import asyncio
import dataclasses
import logging
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from aiokafka.errors import KafkaError

from streams.backlog import Backlog
from streams.batch import Batch
from streams.decide import Plans
from streams.redrives import Done, Redrives
from streams.slots import Partition, SetAside, Slot
from streams.status import LanesStatus, aside_record, now, redriven_record, resume_record
from streams.window import DuplicateWindow

log = logging.getLogger(__name__)

REST_SECONDS: Final = 5
MOST_EVENTS: Final = 2_000  # at once, so that live events do not wait long


@dataclasses.dataclass(frozen=True, slots=True)
class Chunk:
    """Some events of one slot, decided, with what is to be told on the status topic in the same transaction."""

    slot: Slot
    batch: Batch
    status: Sequence[tuple[bytes, bytes | None]]
    left: SetAside | None = None  # of a slot that is resumed; None if nothing waits any more
    redriven: Done | None = None  # of a slot whose dead letters are redriven


class CatchUp:
    """The slots of one lane that are behind; lives as long as the lane is owned.

    Attributes:
        aside: which agreements are set aside, and why.
    """

    def __init__(self, options: Mapping[str, Any], client_id: str, batch_events: int, turn: asyncio.Lock) -> None:
        """``options`` are connection arguments for aiokafka; ``batch_events`` the most in one transaction.

        ``turn`` is that of the worker's lanes: one decides at a time.
        """
        self.aside: dict[Slot, SetAside] = {}
        self._redriven: dict[Slot, Done] = {}
        self._mine: Collection[Partition] = ()
        self._options, self._client_id = options, client_id
        self._backlog = Backlog(options, client_id)
        self._rest_until = 0.0
        self._most = min(MOST_EVENTS, batch_events)
        self._turn = turn

    def take_up(self, status: LanesStatus, mine: Collection[Partition]) -> None:
        """Go on from what the status topic says of some input partitions."""
        self.aside = status.aside_in(mine)
        self._redriven = {slot: done for slot, done in status.redriven.items() if slot[1:] in mine}
        self._mine = mine

    async def next(self, plans: Plans, redrives: Redrives) -> Chunk | None:
        """The next chunk; None if there is nothing to do for now, or it cannot be read: live events must not suffer."""
        if time.monotonic() < self._rest_until:
            return None
        try:
            return (await self._resumed(plans) if self.aside else None) or await self._redrive(plans, redrives)
        except (KafkaError, TimeoutError) as error:
            log.warning("%s: %s; trying again in %d s", self._client_id, type(error).__name__, REST_SECONDS)
            self._rest_until = time.monotonic() + REST_SECONDS
            await self._backlog.stop()
            self._backlog = Backlog(self._options, self._client_id)
            return None

    async def _resumed(self, plans: Plans) -> Chunk | None:
        slot = await self._backlog.resumed(self.aside)
        if slot is None or not plans.in_force(slot, now()):
            return None
        why = self.aside[slot]
        owed = await self._backlog.next(slot, why, self._most)
        if not owed.events and not owed.all_of_it:
            return None
        async with self._turn:
            batch = _batch(plans, slot)
            batch.catch_up(slot, owed.events)
        if owed.all_of_it:
            return Chunk(slot, batch, [aside_record(slot, None), resume_record(slot, None)])
        left = dataclasses.replace(why, from_offset=owed.events[-1][0] + 1)
        return Chunk(slot, batch, [aside_record(slot, left)], left=left)

    async def _redrive(self, plans: Plans, redrives: Redrives) -> Chunk | None:
        for slot in redrives.slots():
            if slot[1:] not in self._mine or slot in self.aside or not plans.in_force(slot, now()):
                continue
            for task, done in redrives.tasks(slot, self._redriven.get(slot, Done())):
                chosen = task.letters[done : done + self._most]
                letters = await self._backlog.letters(task.topic, chosen)
                async with self._turn:
                    batch = _batch(plans, slot)
                    batch.redrive(slot, letters, task.number)
                reached = Done(task.number, done + len(chosen))
                return Chunk(slot, batch, [redriven_record(slot, reached)], redriven=reached)
        return None

    def committed(self, chunk: Chunk) -> None:
        """The chunk's transaction is committed."""
        if chunk.redriven is not None:
            self._redriven[chunk.slot] = chunk.redriven
        elif chunk.left is not None:
            self.aside[chunk.slot] = chunk.left
        else:
            del self.aside[chunk.slot]
            self._backlog.forget(chunk.slot)

    async def stop(self) -> None:
        """Let go of the brokers."""
        await self._backlog.stop()


def _batch(plans: Plans, slot: Slot) -> Batch:
    """A batch of events that have been through their duplicate window before."""
    return Batch(plans, {slot[1:]: DuplicateWindow(records=1, seconds=1)}, {}, at=now())
