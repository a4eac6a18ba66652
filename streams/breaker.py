"""The circuit breaker of dead letters: an agreement that most events are dead for is set aside. Pure."""

from collections.abc import Mapping
from typing import Final

from streams.batch import Batch
from streams.slots import SetAside, Slot

REASON: Final = "a flood of dead letters: {run:,} in a row, the last for {reason}"


class Breaker:
    """One lane's; what it has seen is forgotten with it."""

    def __init__(self, most: int) -> None:
        """``most`` dead letters of a slot, in batches in which they are most of its events, are a flood."""
        self._most = most
        self._runs: dict[Slot, int] = {}

    def note(self, batch: Batch, aside: Mapping[Slot, SetAside], *, behind: Slot | None = None) -> dict[Slot, SetAside]:
        """Take in a batch that is committed; which agreements are to be set aside, from where and why.

        ``behind``: it was not live, but what this slot waited for; then the rest waits again. Letters that are given
        again, and replays, are no concern of the breaker.
        """
        floods = batch.floods()
        self._runs = {
            slot: run
            for slot, run in self._runs.items()
            if slot in floods or (slot[1:] not in batch.decided if behind is None else slot != behind)
        }
        flooded = {}
        for slot, reasons in floods.items():
            before = aside.get(slot)
            from_offset = batch.next_offsets.get(slot[1:]) if before is None else before.from_offset
            if from_offset is None:
                continue
            run = self._runs[slot] = self._runs.get(slot, 0) + len(reasons)
            if run >= self._most:
                del self._runs[slot]
                since = batch.at.isoformat(timespec="milliseconds")
                why = REASON.format(run=run, reason=reasons[-1])
                flooded[slot] = (
                    SetAside(from_offset, why, since) if before is None else before.again(from_offset, why, since)
                )
        return flooded
