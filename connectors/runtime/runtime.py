"""The process that runs connectors: of every system that it is given, each by itself."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Collection, Mapping
from typing import Final

from aiokafka.errors import KafkaError
from lintas_client import ClientError
from pydantic import TypeAdapter, ValidationError

from connectors.runtime.log import SystemLog
from connectors.runtime.observer import UNWATCHED, ConnectorObserver
from connectors.runtime.runner import Shared
from connectors.runtime.system import SystemConnectors
from connectors.runtime.topics import has_topic
from connectors.runtime.validation import Plugins
from lintas import names
from lintas.connection import connection_of
from lintas.errors import LintasError
from lintas.logs import told
from lintas.settings import Settings
from schemas.model import SystemId

log = logging.getLogger(__name__)

ASK_SECONDS: Final = 5.0  # how often it is asked whether a system has connectors now ...
LONGEST_ASK_SECONDS: Final = 20.0  # ... at first, and then
BEAT_SECONDS: Final = 1.0
_FORESEEN: Final = (LintasError, ClientError, KafkaError, TimeoutError, OSError)  # others are told with their places
_is_system: Final = TypeAdapter[str](SystemId)


class ConnectorRuntime:
    """Runs connectors from `run` to `stop`."""

    def __init__(
        self,
        settings: Settings,
        plugins: Plugins,
        *,
        worker: str,
        systems: Collection[str] = (),
        observer: ConnectorObserver = UNWATCHED,
    ) -> None:
        """Connect to nothing yet.

        Args:
            settings: of the bus.
            plugins: every kind of connector.
            worker: the name of this process in statuses.
            systems: whose connectors; if none is named, of every system whose credentials are there.
            observer: told what connectors do.
        """
        self._settings = settings
        self._plugins = plugins
        self._worker = worker
        self._named = tuple(systems)
        self._observer = observer
        self._systems: dict[str, SystemConnectors] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._wanted: set[str] = set()
        self._stopping = asyncio.Event()

    @property
    def plugins(self) -> Plugins:
        """Every kind of connector."""
        return self._plugins

    @property
    def worker(self) -> str:
        """The name of this process."""
        return self._worker

    @property
    def systems(self) -> Mapping[str, SystemConnectors]:
        """Every system whose connectors are known here, run here or not."""
        return self._systems

    def stop(self) -> None:
        """Let every connector come to its end, and then `run`."""
        self._stopping.set()

    async def run(self) -> None:
        """Run connectors until `stop`; what fails is tried again."""
        try:
            while not self._stopping.is_set():
                self._observer.beat()
                self._look()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(BEAT_SECONDS):
                        await self._stopping.wait()
            for running in self._systems.values():
                running.stop()
        finally:
            await self._end()

    def _look(self) -> None:
        """Begin with systems whose credentials have come, and let those go whose credentials were taken away."""
        self._wanted = set(self._named or with_credentials(self._settings))
        for system in [system for system, task in self._tasks.items() if task.done()]:
            del self._tasks[system]
        for system in self._wanted - self._tasks.keys():
            self._tasks[system] = asyncio.create_task(self._keep(system), name=f"connectors of {system}")
        for system in self._systems.keys() - self._wanted:
            self._systems[system].stop()

    async def _end(self) -> None:
        waiting = [task for system, task in self._tasks.items() if system not in self._systems]
        for task in waiting:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks.values())

    async def _keep(self, system: str) -> None:
        """Run one system's connectors as long as its credentials are here and it has any, whatever fails."""
        pause = ASK_SECONDS
        while system in self._wanted and not self._stopping.is_set():
            try:
                if await asyncio.to_thread(has_topic, self._settings, system):
                    pause = ASK_SECONDS
                    await self._run(system)
                else:
                    self._observer.owned(system, owner=None)
                self._observer.reached(system, "")
            except Exception as error:  # whatever it is, nobody else would try again
                why = told(error).partition("\n")[0]
                log.warning(
                    "%s: %s; trying again",
                    system,
                    why,
                    exc_info=None if isinstance(error, _FORESEEN) else error,
                    extra={"event": "system_failed", "system": system},
                )
                self._observer.reached(system, why)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._stopping.wait()
            pause = min(2 * pause, LONGEST_ASK_SECONDS)
        self._observer.owned(system, owner=None)
        self._observer.reached(system, "")

    async def _run(self, system: str) -> None:
        connection = connection_of(self._settings, system)

        def make(changed: Callable[[], None]) -> Shared:
            return Shared(
                connection=connection,
                log=SystemLog(connection, changed),
                plugins=self._plugins,
                worker=self._worker,
                transaction_seconds=self._settings.transaction_timeout_seconds,
                observer=self._observer,
            )

        self._systems[system] = SystemConnectors(self._settings, make)
        try:
            await self._systems[system].run()
        finally:
            del self._systems[system]


def with_credentials(settings: Settings) -> list[str]:
    """Every system whose credentials file is there."""
    found = []
    for path in settings.secrets.glob("*.properties"):
        with contextlib.suppress(ValidationError):
            name = _is_system.validate_python(path.stem)
            if not names.is_bus_name(name):
                found.append(name)
    return sorted(found)
