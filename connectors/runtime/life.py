"""One life of a connector: from the fencing of earlier ones to the first doubt, or until it is asked to stop."""

import asyncio
import contextlib
import dataclasses
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

from connectors.runtime.context import Context
from connectors.runtime.journal import Journal
from connectors.runtime.observer import ConnectorObserver, Who

T = TypeVar("T")


@dataclasses.dataclass(frozen=True, slots=True)
class Given:
    """What a life is given.

    Attributes:
        who: the connector.
        worker: the runtime's name.
        context: as its plugin has it.
        journal: of this life.
        stopping: set when it is to stop, at a point where nothing is under way.
        running: to be called once it has begun.
        observer: told what it does.
    """

    who: Who
    worker: str
    context: Context
    journal: Journal
    stopping: asyncio.Event
    running: Callable[[], None]
    observer: ConnectorObserver


class Life(Protocol):
    """A source or sink with all that the runtime does around it."""

    async def __call__(self, connector: Any, given: Given) -> None:
        """Run until ``given.stopping``; any exception ends this life, and the next begins from what was committed."""


async def until(stopping: asyncio.Event, work: Awaitable[T]) -> T | None:
    """What ``work`` gives, or None where it was cancelled since ``stopping`` came first.

    Raises:
        Exception: what ``work`` raises.
    """
    working = asyncio.ensure_future(work)
    waiting = asyncio.ensure_future(stopping.wait())
    try:
        await asyncio.wait({working, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        return None
    finally:
        for task in (working, waiting):
            if not task.done():
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
