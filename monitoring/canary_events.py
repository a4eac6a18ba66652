"""Canary events: what one holds, and whether one that arrives is what the canary's agreement promises. Pure."""

import dataclasses
import datetime as dt
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, Final

from lintas import names

PERCHES: Final = 32  # keys, so that the partitions of the event type and with them the lanes are all met
REMEMBERED: Final = 10_000  # events of which a repeat is noticed
REPEATED, OUT_OF_ORDER, ALTERED = "repeated", "out_of_order", "altered"
PROBLEMS: Final = (REPEATED, OUT_OF_ORDER, ALTERED)
_MASKED: Final = "nobody may read this"
_WITHHELD: Final = "this must never arrive"


@dataclasses.dataclass(frozen=True, slots=True)
class Arrival:
    """One event of this process as it arrived.

    Attributes:
        sequence: its number.
        seconds: from sending to reading; never below 0.
        first: whether it had not arrived before.
        problems: of ``PROBLEMS``.
    """

    sequence: int
    seconds: float
    first: bool
    problems: tuple[str, ...]


class CanaryEvents:
    """Makes the events of one process and judges what arrives."""

    def __init__(self, run: str) -> None:
        """``run`` tells this process from others, earlier ones too."""
        self._run = run
        self._arrived: deque[int] = deque(maxlen=REMEMBERED)
        self._last: dict[str, int] = {}  # sequence, by perch

    def payload(self, sequence: int, sent_at: dt.datetime) -> dict[str, Any]:
        """The event of a number; numbers begin with 1."""
        return {
            **self._kept(sequence),
            "sent_at": sent_at,
            "mask_me": _MASKED,
            "withhold_me": _WITHHELD,
        }

    def _kept(self, sequence: int) -> dict[str, Any]:
        return {"run": self._run, "sequence": sequence, "perch": f"perch-{sequence % PERCHES}"}

    def judge(self, agreement: str | None, data: Any, now: dt.datetime) -> Arrival | None:
        """What arrived.

        Args:
            agreement: under which it was delivered.
            data: the payload as it was decoded.
            now: when it was read.

        Returns:
            None if it is of another process.
        """
        if not isinstance(data, Mapping) or not isinstance(data.get("sequence"), int):
            return Arrival(0, 0.0, first=False, problems=(ALTERED,))  # whosever it is, the agreement promises that
        if data.get("run") != self._run:
            return None
        sequence: int = data["sequence"]
        first = sequence not in self._arrived
        problems = tuple(self._problems(sequence, agreement, data, first=first))
        if first:
            self._arrived.append(sequence)
            perch = f"perch-{sequence % PERCHES}"
            self._last[perch] = max(sequence, self._last.get(perch, 0))
        sent_at = data.get("sent_at")
        seconds = max(0.0, (now - sent_at).total_seconds()) if isinstance(sent_at, dt.datetime) else 0.0
        return Arrival(sequence, seconds, first, problems)

    def _problems(self, sequence: int, agreement: str | None, data: Mapping[str, Any], *, first: bool) -> Iterator[str]:
        expected = {**self._kept(sequence), "mask_me": "*" * (len(_MASKED) - 2) + _MASKED[-2:]}
        rest = {name: value for name, value in data.items() if name != "sent_at"}
        if agreement != names.CANARY or rest != expected or not isinstance(data.get("sent_at"), dt.datetime):
            yield ALTERED
        if not first:
            yield REPEATED
        elif sequence < self._last.get(f"perch-{sequence % PERCHES}", 0):
            yield OUT_OF_ORDER
