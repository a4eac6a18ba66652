"""The runtime as the REST API asks it: from another thread, with a loop of its own.

So the API answers while a connector holds the runtime's loop up, and then says that it does not answer.
"""

import asyncio
import time
from collections.abc import Coroutine, Mapping
from typing import Any, Final, TypeVar

from connectors.runtime.ownership import is_owned
from connectors.runtime.rest.app import Connectors
from connectors.runtime.runtime import ConnectorRuntime
from connectors.runtime.state import ConnectorsState
from connectors.runtime.topics import cluster_id
from connectors.runtime.validation import Plugins
from lintas.errors import ConnectorConflict
from lintas.settings import Settings
from schemas.connector_configs import Record

REMEMBER_SECONDS: Final = 2.0  # whether others run a system's connectors
ANSWER_SECONDS: Final = 35.0  # longer than a write takes to fail
T = TypeVar("T")


class Bridge(Connectors):
    """Has the runtime's loop do what the API asks for."""

    def __init__(self, settings: Settings, runtime: ConnectorRuntime, loop: asyncio.AbstractEventLoop) -> None:
        """``loop`` is the runtime's."""
        self._settings, self._runtime, self._loop = settings, runtime, loop
        self._owned: dict[str, tuple[float, bool]] = {}  # when it was asked, and the answer

    @property
    def plugins(self) -> Plugins:
        """Every kind of connector."""
        return self._runtime.plugins

    async def cluster_id(self) -> str:
        """Kafka's; empty as long as no system is known whose credentials would let us ask."""
        system = next(iter(self._runtime.systems), None)
        return await asyncio.to_thread(cluster_id, self._settings, system) if system else ""

    async def states(self) -> Mapping[str, ConnectorsState]:
        """Copies: see `Connectors`."""

        async def copied() -> dict[str, ConnectorsState]:
            return {system: one.log.state.copy() for system, one in self._runtime.systems.items()}

        return await self._in_loop(copied())

    async def owned(self, system: str) -> bool:
        """See `Connectors`; known here if it is this runtime."""
        one = self._runtime.systems.get(system)
        if one is not None and one.is_owner:
            return True
        asked, answer = self._owned.get(system, (0.0, False))
        if time.monotonic() - asked > REMEMBER_SECONDS:
            answer = await asyncio.to_thread(is_owned, self._settings, system)
            self._owned[system] = time.monotonic(), answer
        return answer

    async def write(self, system: str, *records: Record) -> None:
        """See `Connectors`."""
        if not records:
            return
        one = self._runtime.systems.get(system)
        if one is None:
            raise ConnectorConflict(
                connector=system,
                reason="its system's topic is not followed here any more",
                remedy="see in the catalogue in force that the system has connectors; ask again.",
            )
        await self._in_loop(one.log.write(*records))

    async def _in_loop(self, work: Coroutine[Any, Any, T]) -> T:
        async with asyncio.timeout(ANSWER_SECONDS):
            return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))
