"""Counting births, deaths and moves by province and day: pure, and the same however often an event comes.

What is known lies in one table of JSON values, whose changes are written together, batch by batch:

- ``count/<day>/<province>``: the counts of one province and day, with their version
- ``seen/<digest>``: the day on which an event that has been counted arrived
- ``position/<partition>``: the offset in the inbox up to which everything has been counted
"""

import dataclasses
import datetime as dt
import hashlib
from collections import deque
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any, Final

BIRTHS, DEATHS, MOVES_IN, MOVES_OUT = "births", "deaths", "moves_in", "moves_out"
FIELDS: Final = (BIRTHS, DEATHS, MOVES_IN, MOVES_OUT)
# Event type -> the field of its payload that names a province, and what one event adds to that province.
COUNTED: Final[Mapping[str, tuple[tuple[str, str], ...]]] = {
    "id.go.dukcapil.birth.registered.v1": (("province", BIRTHS),),
    "id.go.dukcapil.death.registered.v1": (("province", DEATHS),),
    "id.go.dukcapil.resident.moved.v1": (("from_province", MOVES_OUT), ("to_province", MOVES_IN)),
}
PROVINCE_DIGITS: Final = 2
# Longer than the counted event types are kept (30 days): what is replayed from them is recognised.
REMEMBER_DAYS: Final = 35
_SEEN, _POSITION, _COUNT = "seen/", "position/", "count/"
_DAY_MS: Final = 86_400_000


@dataclasses.dataclass(frozen=True, slots=True)
class Registration:
    """One record of the inbox, as far as it is counted."""

    partition: int
    offset: int
    arrived_ms: int  # the broker's time
    digest: str = ""  # of source and id
    day: str = ""  # on which it was registered, ISO 8601
    adds: tuple[tuple[str, str], ...] = ()  # province, and which of its counts grows by one


@dataclasses.dataclass(frozen=True, slots=True)
class Computed:
    """The counts of one province and day; a version stands for one state of them for ever."""

    day: str
    province: str
    births: int
    deaths: int
    moves_in: int
    moves_out: int
    version: int

    @property
    def id(self) -> str:
        """The event's id: the same counts never have two."""
        return f"{self.day}/{self.province}/{self.version}"


def registration(
    partition: int, offset: int, arrived_ms: int, event: Mapping[str, str], data: Mapping[str, Any]
) -> Registration:
    """What one delivery adds to the counts.

    Args:
        partition: of the inbox.
        offset: in the partition.
        arrived_ms: when the bus delivered it.
        event: the CloudEvents attributes; an event type that is not counted adds nothing.
        data: the payload as the agreement released it.

    Raises:
        KeyError, ValueError: the payload lacks what is counted; the agreement has changed.
    """
    adds = tuple((data[field][:PROVINCE_DIGITS], what) for field, what in COUNTED.get(event["type"], ()))
    if not adds:
        return Registration(partition, offset, arrived_ms)
    digest = hashlib.sha256(f"{event['source']}\0{event['id']}".encode()).hexdigest()[:32]
    day = dt.date.fromisoformat(data["registered_at"]).isoformat()
    return Registration(partition, offset, arrived_ms, digest, day, adds)


class Tally:
    """Counts into a table; what it changes there counts only if all of it is kept, from one `close` to the next."""

    def __init__(self, table: MutableMapping[str, Any]) -> None:
        """``table`` holds what earlier tallies left; its values are replaced, never changed in place."""
        self._table = table
        self._seen = deque(sorted((arrived, key) for key, arrived in table.items() if key.startswith(_SEEN)))
        self._grown: dict[tuple[str, str], dict[str, int]] = {}
        self._positions: dict[int, int] = {}

    def positions(self) -> dict[int, int]:
        """The next offset of every partition of the inbox of which something has been counted."""
        kept = {
            int(key.removeprefix(_POSITION)): int(position)
            for key, position in self._table.items()
            if key.startswith(_POSITION)
        }
        return kept | self._positions

    def add(self, registration: Registration) -> None:
        """Count one record, unless it or the same event has been counted; those of a partition come in order."""
        position = self._positions.get(registration.partition)
        if position is None:
            position = self._table.get(f"{_POSITION}{registration.partition}", 0)
        if registration.offset < position:
            return
        self._positions[registration.partition] = registration.offset + 1
        key = _SEEN + registration.digest
        if not registration.adds or key in self._table:
            return
        arrived = registration.arrived_ms // _DAY_MS
        self._table[key] = arrived
        self._seen.append((arrived, key))
        for province, what in registration.adds:
            counts = self._grown.setdefault((registration.day, province), {})
            counts[what] = counts.get(what, 0) + 1

    def close(self) -> list[Computed]:
        """Put the batch into the table; the new versions of all counts that have grown."""
        computed = [self._recount(day, province, grown) for (day, province), grown in sorted(self._grown.items())]
        for partition, position in self._positions.items():
            self._table[f"{_POSITION}{partition}"] = position
        self._forget()
        self._grown.clear()
        self._positions.clear()
        return computed

    def _recount(self, day: str, province: str, grown: Mapping[str, int]) -> Computed:
        key = f"{_COUNT}{day}/{province}"
        before: Mapping[str, int] = self._table.get(key, {})
        counts = {field: before.get(field, 0) + grown.get(field, 0) for field in FIELDS}
        version = before.get("version", 0) + 1
        self._table[key] = {**counts, "version": version}
        return Computed(day, province, **counts, version=version)

    def _forget(self) -> None:
        while self._seen and self._seen[0][0] < self._seen[-1][0] - REMEMBER_DAYS:
            del self._table[self._seen.popleft()[1]]


def computed_of(table: Mapping[str, Any]) -> Iterable[Computed]:
    """The newest version of all counts."""
    for key, counts in table.items():
        if key.startswith(_COUNT):
            day, province = key.removeprefix(_COUNT).split("/")
            yield Computed(day, province, **counts)
