"""What people did on the bus: the log on ``lintas.acts``. Pure.

An act is two records under one id: ``begun`` before it, ``ended`` after it. One without the second was cut off.
"""

import dataclasses
import datetime as dt
import json
import logging
import re
from collections.abc import Iterator
from typing import Any, Final, Self

from lintas import names

log = logging.getLogger(__name__)

DONE, FAILED, UNFINISHED = "done", "failed", "unfinished"
OUTCOMES: Final = (DONE, FAILED, UNFINISHED)
REDRIVE, DISCARD, REPLAY, CANCEL, UNMASK = "redrive", "discard", "replay", "cancel", "unmask"
RESUME, APPLY, RESIZE = "resume", "apply", "resize"
CONNECTOR_PAUSE, CONNECTOR_RESUME = "connector_pause", "connector_resume"
CONNECTOR_RESTART, CONNECTOR_STOP = "connector_restart", "connector_stop"
ACTS: Final = (
    *(REDRIVE, DISCARD, REPLAY, CANCEL, UNMASK, RESUME, APPLY, RESIZE),
    *(CONNECTOR_PAUSE, CONNECTOR_RESUME, CONNECTOR_RESTART, CONNECTOR_STOP),
)
MOST_CHARACTERS: Final = 500  # of what a person or a browser writes
MOST_TOLD: Final = 4_000  # of what came of an act
_BEGUN, _ENDED = "begun", "ended"
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


@dataclasses.dataclass(frozen=True, slots=True)
class Actor:
    """Who does something.

    Attributes:
        subject: by which the login knows the person; on the command line the author.
        role: in which it is done.
        address: from where.
        user_agent: with what.
    """

    subject: str
    role: str
    address: str = ""
    user_agent: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Act:
    """One act.

    Attributes:
        id: random.
        at: when it began.
        actor: who.
        act: one of ``ACTS``.
        target: what it was done to, by name; no value of an event.
        agency: whose things those are; empty if they are the whole bus's.
        reason: why, in the person's words.
        outcome: one of ``OUTCOMES``.
        detail: what came of it.
        ended: when; None if that is not known.
    """

    id: str
    at: dt.datetime
    actor: Actor
    act: str
    target: str
    agency: str = ""
    reason: str = ""
    outcome: str = UNFINISHED
    detail: str = ""
    ended: dt.datetime | None = None

    def begun(self) -> tuple[bytes, bytes]:
        """Key and value of its first record."""
        told = {
            "kind": _BEGUN,
            "at": self.at.isoformat(),
            "act": self.act,
            "target": self.target,
            "agency": self.agency,
            "reason": self.reason,
            **dataclasses.asdict(self.actor),
        }
        return self.id.encode(), _json({name: plain(value) for name, value in told.items()})

    def ending(self) -> tuple[bytes, bytes]:
        """Key and value of its second record, if it has ended."""
        assert self.ended is not None, "it has ended"
        told = {
            "kind": _ENDED,
            "at": self.ended.isoformat(),
            "outcome": self.outcome,
            "detail": plain(self.detail, MOST_TOLD),
        }
        return self.id.encode(), _json(told)

    @classmethod
    def from_json(cls, act: str, value: dict[str, Any]) -> Self:
        """An act by its first record.

        Raises:
            KeyError, ValueError, TypeError: it is none.
        """
        actor = Actor(*(str(value[field.name]) for field in dataclasses.fields(Actor)))
        return cls(
            act,
            dt.datetime.fromisoformat(value["at"]),
            actor,
            str(value["act"]),
            str(value["target"]),
            str(value["agency"]),
            str(value["reason"]),
        )


class Acts:
    """The log as read so far."""

    def __init__(self) -> None:
        self._acts: dict[str, Act] = {}

    def add(self, number: int, key: bytes, value: bytes | None) -> None:
        """Take in the next record; ``number`` is its offset. One that cannot be read is left out, and told of."""
        try:
            act, told = key.decode(), json.loads(value or b"")
            if told["kind"] == _BEGUN:
                self._acts.setdefault(act, Act.from_json(act, told))
            elif self._acts[act].ended is None:
                self._acts[act] = dataclasses.replace(
                    self._acts[act],
                    outcome=DONE if told["outcome"] == DONE else FAILED,
                    detail=str(told["detail"]),
                    ended=dt.datetime.fromisoformat(told["at"]),
                )
        except (KeyError, ValueError, TypeError, AttributeError):
            log.critical("record %d of %s is no act", number, names.ACTS)

    def newest_first(self) -> Iterator[Act]:
        """Every act, that which began last first."""
        return reversed(self._acts.values())


def plain(text: str, most: int = MOST_CHARACTERS) -> str:
    """A text as it may stand in the log: on one line, not too long."""
    return _CONTROL.sub(" ", text).strip()[:most]


def _json(value: dict[str, str]) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()
