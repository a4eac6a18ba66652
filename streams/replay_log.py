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
from schemas.snapshot import PublishedAgreement, RegisteredSchema, Snapshot, digest_of
from streams.slots import Slot

log = logging.getLogger(__name__)

_REPLAY, _CANCEL = "replay", "cancel"
DONE: Final = "done"
CANCELLED: Final = "cancelled"
CHANGED: Final = "stopped: the agreement or its event type has changed since"
_ASKED: Final = ("system", "since_ms", "until_ms", "event_type", "as_of_ms", "events_per_second")


@dataclasses.dataclass(frozen=True, slots=True)
class Terms:
    """What is given in place of an agreement in force, and is less than that."""

    terms: PublishedAgreement
    basis: str  # of what it was made: if that has changed since, nothing may be given under it


def basis_of(snapshot: Snapshot, agreement: str) -> str:
    """The digest of an agreement and its event type as they are in a catalogue."""
    published = snapshot.agreements[agreement]
    event_type = snapshot.event_types[published.contract.event_type]
    return digest_of([published.as_json(), event_type.as_json()])


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """What somebody asks for.

    Attributes:
        system: the consumer whose inbox it is for, and no other's.
        since_ms: events published at this moment or later by the broker's clock, ...
        until_ms: ... and before this one; None: whatever has been published when it begins.
        event_type: only of this type; None: of every type.
        as_of_ms: no more than was given at this moment; None: what is given now.
        events_per_second: at most so many for all of it; None: as many as live events leave room for.
        agreements: under which; each with the input partitions of its event type.
        terms: by agreement, if ``as_of_ms`` is asked for.
        author: who answers for it.
        at: when that was, ISO 8601.
    """

    system: str
    since_ms: int
    until_ms: int | None
    event_type: str | None
    as_of_ms: int | None
    events_per_second: float | None
    agreements: Mapping[str, Sequence[tuple[str, int]]]
    terms: Mapping[str, Terms]
    author: str
    at: str

    @property
    def slots(self) -> list[Slot]:
        """Every agreement and input partition."""
        return [(agreement, *place) for agreement, places in self.agreements.items() for place in places]

    def as_record(self, before: int) -> tuple[bytes, bytes]:
        """Key and value in the log, if the same was asked for ``before`` times."""
        value = {
            "kind": _REPLAY,
            **{name: getattr(self, name) for name in (*_ASKED, "author", "at")},
            "agreements": {name: [list(place) for place in places] for name, places in self.agreements.items()},
            "terms": {name: {**one.terms.as_json(), "basis": one.basis} for name, one in self.terms.items()},
        }
        key = id_of(**{name: value[name] for name in _ASKED}, before=before)
        return key.encode(), json.dumps(value).encode()

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """A request of the log.

        Raises:
            Exception: it is none.
        """
        rate = value["events_per_second"]
        if value["kind"] != _REPLAY or not (rate is None or float(rate) > 0):
            raise ValueError
        return cls(
            str(value["system"]),
            int(value["since_ms"]),
            None if value["until_ms"] is None else int(value["until_ms"]),
            value["event_type"],
            value["as_of_ms"],
            None if rate is None else float(rate),
            {
                str(name): [(str(topic), int(number)) for topic, number in places]
                for name, places in value["agreements"].items()
            },
            {
                str(name): Terms(
                    PublishedAgreement(
                        Agreement.model_validate(terms["contract"]), RegisteredSchema(**terms["released"])
                    ),
                    str(terms["basis"]),
                )
                for name, terms in value["terms"].items()
            },
            str(value["author"]),
            str(value["at"]),
        )


def id_of(*, before: int, **asked: Any) -> str:
    """The id of a request: what was asked for (``_ASKED``), and how often the same was asked before."""
    return f"{digest_of(asked)[:16]}-{before}"


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
        ended: empty, ``done``, or why it ended before that.
    """

    number: int = -1
    start: int = 0
    next: int = 0
    until: int = 0
    delivered: int = 0
    filtered: int = 0
    dead: int = 0
    ended: str = DONE


GONE_ON: Final = Replayed()


class Replays:
    """The log as read so far.

    Attributes:
        all: every replay that counts, by number.
        cancelled: the numbers of those that were to end early.
    """

    def __init__(self) -> None:
        self.all: dict[int, Replay] = {}
        self.cancelled: set[int] = set()
        self._by_slot: defaultdict[Slot, list[Replay]] = defaultdict(list)
        self._numbers: dict[str, int] = {}

    def add(self, number: int, key: bytes, value: bytes | None) -> None:
        """Take in the next record of the log; ``number`` is its offset. One that is no request asks for nothing."""
        try:
            body, replay = json.loads(value or b""), key.decode()
            if body["kind"] == _CANCEL:
                self.cancelled.add(self._numbers[replay])
                return
            request = Request.from_json(body)
        except Exception:  # noqa: BLE001  whatever it is, lanes must go on
            log.critical("record %d of %s is no request; nothing is done about it", number, names.REPLAYS)
            return
        if replay not in self._numbers:
            self._numbers[replay] = number
            self.all[number] = Replay(number, replay, request)
            for slot in request.slots:
                self._by_slot[slot].append(self.all[number])

    def same(self, **asked: Any) -> list[Replay]:
        """The replays for which just this was asked, in their order."""
        stem = id_of(**asked, before=0).removesuffix("0")
        return [replay for replay in self.all.values() if replay.id.startswith(stem)]

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
        """How far each slot of a replay is; None: not begun.

        Of a slot that has gone on to a later one, only that it has ended this one is known (``GONE_ON``).
        """
        found: dict[Slot, Replayed | None] = {}
        for slot in replay.request.slots:
            mine = reached.get(slot)
            if mine is None or mine.number < replay.number:
                found[slot] = None
            elif mine.number == replay.number:
                found[slot] = mine
            else:
                found[slot] = GONE_ON
        return found


def cancel_record(replay: Replay, author: str, at: str) -> tuple[bytes, bytes]:
    """Key and value by which a replay is ended before its end."""
    return replay.id.encode(), json.dumps({"kind": _CANCEL, "author": author, "at": at}).encode()
