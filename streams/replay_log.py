"""Which consumers are to be given events of the past once more: the log on ``lintas.replays``. Pure.

The log is append-only. A request has an id that is made of what it asks for and how often that was asked before, and
the first with an id counts: a command that is repeated, or given by two at once, asks for one replay.
"""

import dataclasses
import json
import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Self

from lintas import names
from schemas.model import Agreement
from schemas.snapshot import PublishedAgreement, RegisteredSchema, digest_of
from streams.slots import Slot

log = logging.getLogger(__name__)

_REPLAY, _CANCEL = "replay", "cancel"
DONE: Final = "done"
CANCELLED: Final = "cancelled"


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """What somebody asks for.

    Attributes:
        system: the consumer whose inbox it is for, and no other's.
        since_ms: events published at this moment or later by the broker's clock, ...
        until_ms: ... and before this one; None: whatever has been published when it begins.
        agreements: under which; each with the input partitions of its event type.
        events_per_second: at most so many for all of it; None: as many as live events leave room for.
        terms: by agreement, what is given in place of the agreement in force, and is less than that.
        author: who answers for it.
        at: when that was, ISO 8601.
    """

    system: str
    since_ms: int
    until_ms: int | None
    agreements: Mapping[str, Sequence[tuple[str, int]]]
    events_per_second: float | None
    terms: Mapping[str, PublishedAgreement]
    author: str
    at: str

    @property
    def slots(self) -> list[Slot]:
        """Every agreement and input partition."""
        return [(agreement, *place) for agreement, places in self.agreements.items() for place in places]

    def id(self, before: int) -> str:
        """The request's id, if the same was asked for and ended ``before`` times."""
        same = {name: value for name, value in self._as_json().items() if name not in ("author", "at")}
        return f"{digest_of(same)[:16]}-{before}"

    def _as_json(self) -> dict[str, Any]:
        return {
            "system": self.system,
            "since_ms": self.since_ms,
            "until_ms": self.until_ms,
            "agreements": {name: [list(place) for place in places] for name, places in self.agreements.items()},
            "events_per_second": self.events_per_second,
            "terms": {name: terms.as_json() for name, terms in self.terms.items()},
            "author": self.author,
            "at": self.at,
        }

    def as_record(self, before: int) -> tuple[bytes, bytes]:
        """Key and value in the log."""
        return self.id(before).encode(), json.dumps({"kind": _REPLAY, **self._as_json()}).encode()

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """A request of the log.

        Raises:
            KeyError, TypeError, ValueError: it is none.
        """
        return cls(
            value["system"],
            int(value["since_ms"]),
            None if value["until_ms"] is None else int(value["until_ms"]),
            {name: [(topic, int(number)) for topic, number in places] for name, places in value["agreements"].items()},
            value["events_per_second"],
            {
                name: PublishedAgreement(
                    Agreement.model_validate(terms["contract"]), RegisteredSchema(**terms["released"])
                )
                for name, terms in value["terms"].items()
            },
            value["author"],
            value["at"],
        )


@dataclasses.dataclass(frozen=True, slots=True)
class Replay:
    """A request that counts; its number is its offset in the log, and what deliveries carry as ``ce_replay``."""

    number: int
    id: str
    request: Request


@dataclasses.dataclass(frozen=True, slots=True)
class Replayed:
    """How far one slot has come with a replay.

    Attributes:
        number: of the replay.
        start: where its events begin in the input partition.
        next: the offset of the next event.
        until: where its events end.
        delivered: events given.
        filtered: that do not concern the consumer.
        dead: that could not be given.
        ended: empty, ``done`` or ``cancelled``.
    """

    number: int = -1
    start: int = 0
    next: int = 0
    until: int = 0
    delivered: int = 0
    filtered: int = 0
    dead: int = 0
    ended: str = DONE


class Replays:
    """The log as read so far."""

    def __init__(self) -> None:
        self.all: dict[int, Replay] = {}
        self.cancelled: set[int] = set()
        self._by_slot: defaultdict[Slot, list[Replay]] = defaultdict(list)
        self._numbers: dict[str, int] = {}

    def add(self, number: int, key: bytes, value: bytes | None) -> None:
        """Take in the next record of the log; ``number`` is its offset. One that is no request asks for nothing."""
        try:
            body = json.loads(value or b"")
            kind, replay = body["kind"], key.decode()
            if kind == _CANCEL:
                self.cancelled.add(self._numbers[replay])
                return
            request = Request.from_json(body)
        except (ValueError, KeyError, TypeError):
            log.critical("record %d of %s is no request; nothing is done about it", number, names.REPLAYS)
            return
        if replay not in self._numbers:
            self._numbers[replay] = number
            self.all[number] = Replay(number, replay, request)
            for slot in request.slots:
                self._by_slot[slot].append(self.all[number])

    def slots(self) -> Iterable[Slot]:
        """The slots that ever had a replay."""
        return self._by_slot.keys()

    def next(self, slot: Slot, reached: Replayed) -> Replay | None:
        """The replay that a slot is to go on with, or to begin; None: there is nothing to do."""
        for replay in self._by_slot.get(slot, ()):
            if replay.number > reached.number or (replay.number == reached.number and not reached.ended):
                return replay
        return None

    def state(self, replay: Replay, reached: Mapping[Slot, Replayed]) -> dict[Slot, Replayed | None]:
        """How far each slot of a replay is; None: not begun. A slot that has gone on to a later one has ended it."""
        found: dict[Slot, Replayed | None] = {}
        for slot in replay.request.slots:
            mine = reached.get(slot)
            if mine is None or mine.number < replay.number:
                found[slot] = None
            elif mine.number == replay.number:
                found[slot] = mine
            else:
                found[slot] = Replayed(replay.number)
        return found


def cancel_record(replay: Replay, author: str, at: str) -> tuple[bytes, bytes]:
    """Key and value by which a replay is ended before its end."""
    return replay.id.encode(), json.dumps({"kind": _CANCEL, "author": author, "at": at}).encode()
