"""How much one system may ask of a gateway: events a second; requests, and bytes of them, at once."""

import contextlib
import dataclasses
import math
import time
from collections.abc import Callable, Iterator
from typing import Final

from connectors.gateway.refusal import Refused

BURST_SECONDS: Final = 10  # of rate may come at once


@dataclasses.dataclass(slots=True)
class _Allowance:
    left: float
    at: float
    running: int = 0
    held_bytes: int = 0


class Limits:
    """Counts by system, in memory: each gateway counts for itself."""

    def __init__(
        self,
        events_per_second: float,
        requests_at_once: int,
        bytes_at_once: int,
        limited: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Every system may do as much; ``limited`` is told of one that asks for more."""
        self._rate, self._at_once, self._bytes_at_once = events_per_second, requests_at_once, bytes_at_once
        self._limited, self._clock = limited, clock
        self._systems: dict[str, _Allowance] = {}

    @contextlib.contextmanager
    def request(self, system: str) -> Iterator[None]:
        """One request of a system.

        Raises:
            Refused: 429: it has too many open, or has spent its events.
        """
        allowance = self._allowance(system)
        if allowance.running >= self._at_once:
            raise self._too_many(system, f"has {allowance.running} requests open, and may have no more.", 1)
        if (pause := self.pause(system)) > 0:
            raise self._too_many(
                system, f"may send and fetch {self._rate:g} events a second.", max(1, math.ceil(pause))
            )
        allowance.running += 1
        try:
            yield
        finally:
            allowance.running -= 1

    @contextlib.contextmanager
    def body(self, system: str) -> Iterator[Callable[[int], None]]:
        """The body of one request of a system, which is in memory until the request is answered.

        Yields:
            what takes note of bytes that have come; raises Refused, 429: the system's requests hold too many.
        """
        allowance, own = self._allowance(system), 0

        def hold(size: int) -> None:
            nonlocal own
            if allowance.held_bytes + size > self._bytes_at_once:
                raise self._too_many(system, f"may have {self._bytes_at_once} bytes under way at once.", 1)
            allowance.held_bytes += size
            own += size

        try:
            yield hold
        finally:
            allowance.held_bytes -= own

    def pause(self, system: str) -> float:
        """For how many seconds the system may neither send nor fetch; 0 if it may."""
        return max(0.0, -self._allowance(system).left / self._rate)

    def spend(self, system: str, events: int) -> None:
        """A request brought or fetched events; what goes beyond the allowance is paid by waiting afterwards."""
        self._allowance(system).left -= events

    def _allowance(self, system: str) -> _Allowance:
        most, now = self._rate * BURST_SECONDS, self._clock()
        allowance = self._systems.setdefault(system, _Allowance(most, now))
        allowance.left = min(most, allowance.left + (now - allowance.at) * self._rate)
        allowance.at = now
        return allowance

    def _too_many(self, system: str, detail: str, seconds: int) -> Refused:
        self._limited(system)
        return Refused(
            "too-many-requests",
            f"{system} {detail}",
            cause="A program sends faster than was agreed, or does not wait for answers.",
            remedy="Wait as long as Retry-After says; send events in batches; ask the operator of the bus for more.",
            headers={"retry-after": str(seconds)},
        )
