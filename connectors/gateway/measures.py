"""What the gateway tells whoever counts (monitoring makes metrics of it)."""

from typing import Protocol


class Measures(Protocol):
    """Told of everything that is counted."""

    def answered(self, route: str, method: str, status: int, seconds: float, traceparent: str | None) -> None:
        """A request was answered; a stream counts up to its beginning."""

    def events(self, system: str, outcome: str, count: int) -> None:
        """What became of events: published, refused, unconfirmed, delivered."""

    def limited(self, system: str) -> None:
        """A system met its limit of rate or of open requests."""


class Unmeasured:
    """Nobody counts."""

    def answered(self, route: str, method: str, status: int, seconds: float, traceparent: str | None) -> None:
        """See `Measures`."""

    def events(self, system: str, outcome: str, count: int) -> None:
        """See `Measures`."""

    def limited(self, system: str) -> None:
        """See `Measures`."""
