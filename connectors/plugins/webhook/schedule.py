"""When to try again: growing delays with jitter, up to a last attempt when the time is over."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_JITTER: Final = 0.2  # of the delay, up or down


@dataclass(frozen=True, slots=True)
class Schedule:
    """Delays between attempts.

    Attributes:
        delays: seconds before the second, third ... attempt; the last one repeats.
        give_up_after: seconds from when an event was not delivered to the last attempt.
        chance: where jitter comes from.
    """

    delays: Sequence[float]
    give_up_after: float
    chance: random.Random

    def next_ms(self, attempts: int, since_ms: int, now_ms: int) -> int | None:
        """When to try again after that many failed attempts; None: never.

        Nothing is given up without an attempt at the end: who was told to wait longer tries once more afterwards.
        """
        last_ms = since_ms + round(self.give_up_after * 1000)
        if now_ms >= last_ms:
            return None
        delay = self.delays[min(attempts, len(self.delays)) - 1] * self.chance.uniform(1 - _JITTER, 1 + _JITTER)
        return min(now_ms + round(delay * 1000), last_ms)
