"""Which events wait for an agreement that is set aside: records on ``lintas.lanes.waiting``. Pure.

Written in the transaction in which the lane decided that they wait, so the topic holds each of them once. The events
themselves stay in their own topic.
"""

import json
from collections.abc import Sequence
from itertools import accumulate, pairwise

from lintas import names
from schemas.desired import WAITING_PARTITIONS
from streams.slots import Slot


def place_of(slot: Slot) -> tuple[str, int]:
    """The partition of ``lintas.lanes.waiting`` for a slot, whatever the number of lanes."""
    return names.LANES_WAITING, names.lane_of(*slot[1:], WAITING_PARTITIONS)


def key_of(slot: Slot) -> bytes:
    """The key of a slot's records."""
    agreement, topic, partition = slot
    return f"{agreement}/{topic}/{partition}".encode()


def as_value(offsets: Sequence[int]) -> bytes:
    """Offsets in ascending order: the first, then by how much each is greater than the one before."""
    return json.dumps([*offsets[:1], *(after - before for before, after in pairwise(offsets))]).encode()


def from_value(value: bytes) -> list[int]:
    """The offsets of a record."""
    return list(accumulate(json.loads(value)))
