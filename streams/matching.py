"""Matching the things that one side names with those that the other side has. Pure."""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator
from typing import Final, TypeVar

from streams.decisions import Place

_MOST_SHOWN: Final = 10  # runs of offsets in a line
T = TypeVar("T")


class Matching:
    """Two sides that must hold the same things, each equally often.

    What is named and not required may be missing on the other side: it explains, and does not demand.

    Attributes:
        named: how many the first side has.
        found: how many the other side has.
    """

    def __init__(self) -> None:
        self.named = self.found = 0
        self._missing: dict[Hashable, list[tuple[Place, bool]]] = {}  # named, not found yet; whether required
        self._unexplained: dict[Hashable, list[Place]] = {}  # found, not named yet

    def name(self, thing: Hashable, place: Place, *, required: bool = True) -> None:
        """Enter a thing on the first side; ``place`` is told if it is left over."""
        self.named += 1
        if not _take(self._unexplained, thing):
            self._missing.setdefault(thing, []).append((place, required))

    def find(self, thing: Hashable, place: Place) -> None:
        """Enter a thing on the other side."""
        self.found += 1
        if not _take(self._missing, thing):
            self._unexplained.setdefault(thing, []).append(place)

    @property
    def missing(self) -> list[Place]:
        """What was named, is required, and was not found."""
        return [place for places in self._missing.values() for place, required in places if required]

    @property
    def unexplained(self) -> list[Place]:
        """What was found and not named."""
        return [place for places in self._unexplained.values() for place in places]


def _take(left: dict[Hashable, list[T]], thing: Hashable) -> bool:
    """Take one of what is left of a thing; whether there was one."""
    places = left.get(thing)
    if places is None:
        return False
    places.pop()
    if not places:
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
