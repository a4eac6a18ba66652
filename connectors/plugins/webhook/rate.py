"""A token bucket for the rate that a receiver allows."""

import math
from typing import Final

_MINUTE: Final = 60.0


class Allowance:
    """So many requests in any minute, never more: what one second's share is may come at once.

    It begins empty, since after a restart nobody knows what was sent just before.
    """

    def __init__(self, per_minute: int | None, now: float) -> None:
        """``per_minute`` is None where the receiver sets no limit; ``now`` in seconds of any clock."""
        self.per_minute = per_minute
        if per_minute is not None:
            self._most = max(1, per_minute // 60)
            # With b tokens and r a minute a window may see b + r - 1 requests: so that is what is allowed.
            self._rate = (per_minute - self._most + 1) / _MINUTE
        self._tokens = 0.0
        self._at = now

    def take(self, now: float) -> bool:
        """Take the token of one request, if there is one."""
        if self.wait(now) > 0:
            return False
        self._tokens -= 1
        return True

    def within(self, seconds: float, now: float) -> float:
        """How many tokens there will have been by then."""
        self.wait(now)
        return math.inf if self.per_minute is None else self._tokens + seconds * self._rate

    def wait(self, now: float) -> float:
        """Seconds until there is a token."""
        if self.per_minute is None:
            return 0.0
        self._tokens = min(self._most, self._tokens + max(0.0, now - self._at) * self._rate)
        self._at = now  # a clock may also be set back
        missing = 1 - self._tokens
        return 0.0 if missing <= 0 or math.isclose(self._tokens, 1) else missing / self._rate
