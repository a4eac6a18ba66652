"""Work that waits for a disk, done in a thread."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

_Done = TypeVar("_Done")


class Threads:
    """Does one thing at a time in a thread, and never leaves one behind that still works."""

    def __init__(self) -> None:
        self._working: asyncio.Future[Any] | None = None

    async def run(self, work: Callable[[], _Done]) -> _Done:
        """Do it and wait for it; if the waiting is cancelled, the work goes on to its end."""
        self._working = asyncio.ensure_future(asyncio.to_thread(work))
        return await asyncio.shield(self._working)

    async def finish(self) -> None:
        """Wait until nothing works any more, however it ended."""
        if self._working is not None:
            await asyncio.wait({self._working})
