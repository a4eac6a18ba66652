"""Connections to the gateway: those that bring no request end by themselves."""

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol


class Connection(H11Protocol):
    """One that ends when no request has come whole (but for its body) within once to twice the keep-alive time.

    The server's own timer begins behind an answer only, and any byte stops it.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as its base has it
        """Begin to watch."""
        super().connection_made(transport)
        self._looking = self.loop.call_later(self.timeout_keep_alive, self._look, None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Watch no more."""
        self._looking.cancel()
        super().connection_lost(exc)

    def _look(self, before: object) -> None:
        answered = self.cycle is None or self.cycle.response_complete
        if answered and self.cycle is before:
            self.shutdown()
        else:
            self._looking = self.loop.call_later(self.timeout_keep_alive, self._look, self.cycle if answered else self)
