"""The places that lanes speak of: input partitions, the agreements that are served from each, and how far those are."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, Final, Self

Partition = tuple[str, int]  # topic and number
Slot = tuple[str, str, int]  # agreement, input topic and partition
EVERYBODY: Final = ""  # in an agreement's place: an event that was quarantined is given to everyone entitled to it


def in_turn(slots: Iterable[Slot], last: Slot | None) -> list[Slot]:
    """Slots in their order, beginning behind the one that was served last."""
    order = list(slots)
    first = order.index(last) + 1 if last in order else 0
    return order[first:] + order[:first]


@dataclasses.dataclass(frozen=True, slots=True)
class Done:
    """How far a slot has come with what was asked for its letters."""

    number: int = -1  # of the request
    letters: int = 0  # of that request's

    def as_json(self) -> Mapping[str, int]:
        """As it is kept on the lanes' status topic."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True, slots=True)
class Past:
    """What an agreement is to get before it goes live (``backfill`` in its contract).

    Attributes:
        since_ms: events published then or later, ...
        until: ... and before this offset, where the agreement came into force.
        next: the offset of the next one; None: it is still to be found.
        readmitted: how far events of quarantine had been given to everybody by then; later ones reach it that way.
    """

    since_ms: int
    until: int
    next: int | None
    readmitted: Done

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """As ``dataclasses.asdict`` gives it."""
        return cls(value["since_ms"], value["until"], value["next"], Done(**value["readmitted"]))


@dataclasses.dataclass(frozen=True, slots=True)
class SetAside:
    """Why and from where an agreement gets nothing of one input partition for now; its events wait in their topic."""

    from_offset: int
    reason: str
    since: str  # ISO 8601
    begun: str = ""  # when it was first set aside, if it was once more while it was given what waits for it
    past: Past | None = None  # what it is to get before what waits

    @property
    def waiting_since(self) -> str:
        """The moment from which on events wait."""
        return self.begun or self.since

    def as_json(self) -> dict[str, Any]:
        """As it is kept on the lanes' status topic."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """As ``as_json`` gives it."""
        past = value.get("past")
        return cls(**{**value, "past": None if past is None else Past.from_json(past)})

    def again(self, from_offset: int, reason: str, since: str) -> Self:
        """Set aside once more, before everything that it was to get has been given."""
        return dataclasses.replace(self, from_offset=from_offset, reason=reason, since=since, begun=self.waiting_since)
