"""Matching the things that one side names with those that the other side has, round by round. Pure."""

import math
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator
from typing import Final, NamedTuple

from streams.decisions import Place

_MOST_SHOWN: Final = 10  # runs of offsets in a line


class Kept(NamedTuple):
    """Where the other side must keep a thing, and since when."""

    topic: str
    partition: int
    decided_ms: int


class Entry(NamedTuple):
    """A mention of a thing on one side, of which the other side has said nothing yet."""

    place: Place  # told if it is left over
    due: float  # the round by whose end the other side must have it; infinity: it may lack it
    kept: Kept | None  # where it must be, if not at the place


class Matching:
    """Two sides that must hold the same things, each equally often.

    What is named and not required may be missing on the other side: it explains, and does not demand. What is due in a
    later round demands from that round on.

    Attributes:
        named: how many the first side has.
        found: how many the other side has.
    """

    def __init__(self) -> None:
        self.named = self.found = 0
        self._missing: dict[Hashable, list[Entry]] = {}  # named, not found yet
        self._unexplained: dict[Hashable, list[Entry]] = {}  # found, not named yet

    def name(
        self, thing: Hashable, place: Place, *, required: bool = True, due: int = 0, kept: Kept | None = None
    ) -> None:
        """Enter a thing on the first side.

        Args:
            thing: what the other side must have as well.
            place: is told if it is left over.
            required: whether it must be found at all.
            due: the first round that must have found it when it ends.
            kept: where it must be found, if not at the place.
        """
        self.named += 1
        if not _take(self._unexplained, thing):
            self._missing.setdefault(thing, []).append(Entry(place, due if required else math.inf, kept))

    def find(self, thing: Hashable, place: Place, *, due: int = 0) -> None:
        """Enter a thing on the other side; round ``due`` is the first that must have it named when it ends."""
        self.found += 1
        if not _take(self._missing, thing):
            self._unexplained.setdefault(thing, []).append(Entry(place, due, None))

    def missing(self, now: int) -> list[Entry]:
        """What was named, is due in round ``now`` or was before, and was not found."""
        return [entry for entries in self._missing.values() for entry in entries if entry.due <= now]

    def unexplained(self, now: float = math.inf) -> list[Place]:
        """What was found, is due in round ``now`` or was before, and was not named."""
        return [entry.place for entries in self._unexplained.values() for entry in entries if entry.due <= now]


def _take(left: dict[Hashable, list[Entry]], thing: Hashable) -> bool:
    """Take one of what is left of a thing; whether there was one."""
    entries = left.get(thing)
    if entries is None:
        return False
    entries.pop()
    if not entries:
        del left[thing]
    return True


def told(places: Iterable[Place]) -> str:
    """Places in words, runs of offsets together, the first of many."""
    by_partition: defaultdict[tuple[str, int], list[int]] = defaultdict(list)
    for topic, partition, offset in sorted(places):
        by_partition[topic, partition].append(offset)
    words, left = [], _MOST_SHOWN
    for (topic, partition), offsets in by_partition.items():
        runs = list(_runs(offsets))
        if left > 0:
            more = ", ..." if len(runs) > left else ""
            words.append(f"{topic} [{partition}] {', '.join(runs[:left])}{more}")
        left -= len(runs)
    return "; ".join(words) + ("; and more" if left < 0 and len(words) < len(by_partition) else "")


def _runs(offsets: list[int]) -> Iterator[str]:
    first = last = offsets[0]
    for offset in [*offsets[1:], None]:
        if offset is not None and offset <= last + 1:
            last = offset
            continue
        yield str(first) if first == last else f"{first}-{last}"
        if offset is not None:
            first = last = offset
