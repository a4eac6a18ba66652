"""What all routes of one gateway share, and how each request is let in."""

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Callable

from starlette.requests import Request

from connectors.gateway.bus import Bus
from connectors.gateway.callers import Caller, Callers
from connectors.gateway.limits import Limits
from connectors.gateway.live import not_served
from connectors.gateway.measures import Measures
from connectors.gateway.refusal import unavailable
from lintas.settings import Settings


def never() -> bool:
    """A gateway that nobody stops."""
    return False


@dataclasses.dataclass(slots=True)
class Gateway:
    """The parts of a gateway.

    Attributes:
        stopping: whether the server ends; streams and long polls end with it.
        turn: reading and checking of events, which keep the processor busy, are done one request at a time, so that
            the event loop goes round between two: connections to Kafka live through any rush.
    """

    settings: Settings
    bus: Bus
    callers: Callers
    limits: Limits
    measures: Measures
    stopping: Callable[[], bool] = never
    turn: asyncio.Lock = dataclasses.field(default_factory=asyncio.Lock)

    @contextlib.asynccontextmanager
    async def admitted(self, request: Request, seconds: float | None = None) -> AsyncIterator[Caller]:
        """The system that asks, let in for one request.

        Args:
            request: what it asks.
            seconds: the longest time; None: no bound.

        Raises:
            Refused: 401, 403, 429; 503 after the longest time.
        """
        caller = await self.callers.caller(request.headers.getlist("authorization"))
        if not self.bus.serves(caller.system):
            raise not_served(caller.system)
        with self.limits.request(caller.system):
            if seconds is None:
                yield caller
                return
            try:
                async with asyncio.timeout(seconds):
                    yield caller
            except TimeoutError:
                raise unavailable(f"This was not done within {seconds:g} s.") from None
