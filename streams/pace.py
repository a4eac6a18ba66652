"""How much of a worker's time goes to what is not live."""

import enum
import time
from typing import Final

CHUNK_SECONDS: Final = 0.015  # that deciding one chunk should take: live events wait for it
FEWEST_EVENTS: Final = 20
MOST_EVENTS: Final = 2_000
BUSY_SHARE: Final = 0.15
QUIET_SHARE: Final = 0.9
QUIET_SECONDS: Final = 1.0


class Work(enum.Enum):
    """Kinds of events, each with its own price."""

    WAITING = "waiting"
    PAST = "past"
    LETTERS = "letters"  # for one consumer
    QUARANTINE = "quarantine"  # for everybody


class Pace:
    """Shared by the lanes of one worker, since they share its processor."""

    def __init__(self) -> None:
        self._most = dict.fromkeys(Work, FEWEST_EVENTS)
        self._live_at = 0.0
        self._not_before = 0.0

    def most(self, work: Work) -> int:
        """How many events the next chunk may have."""
        return self._most[work]

    def decided(self, work: Work, events: int, seconds: float) -> None:
        """A chunk of so many events took so long to decide."""
        if events:
            fitting = int(events * CHUNK_SECONDS / max(seconds, 1e-6))
            self._most[work] = max(FEWEST_EVENTS, min(fitting, 2 * self._most[work], MOST_EVENTS))

    def live(self) -> None:
        """Live events have been carried."""
        self._live_at = time.monotonic()

    def is_rest(self) -> bool:
        """Whether the past has to wait for now."""
        return time.monotonic() < self._not_before

    def spent(self, seconds: float) -> None:
        """Events of the past took so long: the smaller part of the time while live events flow, else most of it."""
        now = time.monotonic()
        share = BUSY_SHARE if now - self._live_at < QUIET_SECONDS else QUIET_SHARE
        self._not_before = now + seconds * (1 / share - 1)
