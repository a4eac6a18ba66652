"""What a lane gives at once of what is not live: some events of one slot, read and then decided."""

import dataclasses
import datetime as dt
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

from streams.batch import Batch
from streams.decide import Plans
from streams.duties import LaneDuties
from streams.pace import Work
from streams.slots import SetAside, Slot
from streams.window import DuplicateWindow

Status = Sequence[tuple[bytes, bytes | None]]  # keys and values of records


@dataclasses.dataclass(frozen=True, slots=True)
class Chunk:
    """A batch for one slot.

    Attributes:
        slot: whose.
        batch: what is to be written.
        status: what is to be told on the status topic in the same transaction.
        committed: to be called once that is committed.
    """

    slot: Slot
    batch: Batch
    status: Status
    committed: Callable[[], None]


@dataclasses.dataclass(frozen=True, slots=True)
class Ready:
    """What has been read for a slot and can be decided.

    Attributes:
        slot: whose.
        decide: makes a chunk of it, judged at a moment; None if there is nothing to give after all.
        is_past: whether it can wait while live events flow.
    """

    slot: Slot
    decide: Callable[[dt.datetime], Awaitable[Chunk | None]]
    is_past: bool = False


async def decide(
    duties: LaneDuties,
    plans: Plans,
    slot: Slot,
    at: dt.datetime,
    work: Work,
    give: Callable[[Batch], None],
    *,
    window: DuplicateWindow | None = None,
    aside: Mapping[Slot, SetAside] | None = None,
) -> Batch:
    """Let events into a batch when it is this lane's turn.

    Args:
        duties: of the lane.
        plans: the catalogue under which they are judged.
        slot: whose they are.
        at: the moment at which they are judged.
        work: what kind of events they are.
        give: called with the batch.
        window: of the slot's input partition; None: they have been through one before.
        aside: who is set aside, where events are for everybody.
    """
    async with duties.turn:
        begun = time.monotonic()
        windows = {slot[1:]: window or DuplicateWindow(records=1, seconds=1)}
        batch = Batch(plans, windows, aside or {}, at=at)
        give(batch)
        duties.pace.decided(work, batch.events, time.monotonic() - begun)
        return batch
