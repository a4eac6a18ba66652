"""Who is set aside when topics refuse a batch. Pure."""

from collections.abc import Mapping

from lintas.errors import LaneStopped
from streams.batch import Batch
from streams.producer import Refused
from streams.slots import Partition, SetAside, Slot


def to_set_aside(
    batch: Batch,
    refused: Refused,
    aside: Mapping[Slot, SetAside],
    positions: Mapping[Partition, int],
    *,
    lane: int,
    behind: Slot | None,
) -> dict[Slot, SetAside]:
    """The agreements whose consumers' topics refuse records: their events wait from here, everybody else goes on.

    Args:
        batch: that was refused.
        refused: which topics refuse it, and why.
        aside: who is set aside already.
        positions: of the lane, by input partition.
        lane: its number.
        behind: the slot whose batch it was, if it was not live.

    Raises:
        LaneStopped: a topic refuses records of the bus itself.
    """
    since = batch.at.isoformat(timespec="milliseconds")
    found = {}
    sources_of = batch.sources()
    for (topic, number), reason in refused.reasons.items():
        slots: set[Slot] = set()
        for output, sources in sources_of.items():
            if output[0] == topic and number in (None, output[1]):
                slots |= sources
        if not slots:
            raise LaneStopped(
                lane=lane,
                reason=f"{topic} refuses records of the bus itself: {reason}",
                remedy="see the broker's log; `lintas catalogue apply` creates topics that are missing.",
            )
        for slot in slots - (set(aside) - {behind}):
            why, place = f"{topic} refuses records: {reason}", slot[1:]
            if slot in aside:
                found[slot] = aside[slot].again(batch.first_offsets.get(place, aside[slot].from_offset), why, since)
            else:
                found[slot] = SetAside(batch.first_offsets.get(place, positions[place]), why, since)
    return found
