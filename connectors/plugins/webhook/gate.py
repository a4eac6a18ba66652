"""Whether a receiver may be sent anything now: pauses that it asks for, and rest while it is out of order."""

from typing import Final

_MANY: Final = 10  # first attempts of as many keys that fail one after the other: it is the receiver, not the events
_FIRST_REST_MS, _LONGEST_REST_MS = 1000, 30_000


class Gate:
    """Open, shut until a moment, or ajar: one request to see how the receiver is.

    While it is shut, events stay in the inbox instead of failing one by one.
    """

    def __init__(self) -> None:
        self._shut_until_ms = 0
        self._failures = 0
        self._rest_ms = 0  # 0: the receiver is in order

    @property
    def doubtful(self) -> bool:
        """Whether the receiver is taken to be out of order."""
        return self._rest_ms > 0

    def is_shut(self, now_ms: int) -> bool:
        """Whether nothing may be sent."""
        return now_ms < self._shut_until_ms

    def slots(self, most: int, now_ms: int) -> int:
        """How many requests may be under way, of ``most``."""
        if self.is_shut(now_ms):
            return 0
        return 1 if self.doubtful else most

    def shut(self, until_ms: int) -> None:
        """The receiver asked to be left alone."""
        self._shut_until_ms = max(self._shut_until_ms, until_ms)

    def failed(self, now_ms: int, *, first_attempt: bool) -> None:
        """An attempt failed in a way that speaks for trouble at the receiver.

        Later attempts do not count while the gate is open: events that it will never take are tried again and again.
        """
        self._failures += first_attempt
        resting = self._rest_ms or self._failures >= _MANY
        if resting and now_ms >= self._shut_until_ms:  # what was under way when it was shut says nothing new
            self._rest_ms = min(self._rest_ms * 2 or _FIRST_REST_MS, _LONGEST_REST_MS)
            self.shut(now_ms + self._rest_ms)

    def answered(self) -> bool:
        """The receiver took an event; whether it was thought to be out of order."""
        recovered, self._rest_ms, self._failures = self.doubtful, 0, 0
        return recovered
