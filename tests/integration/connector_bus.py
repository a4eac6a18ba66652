"""A runtime of connectors as a subprocess on a bus, for the connectors of one system.

    bus = ConnectorBus(settings, systems.publisher, tmp_path)
    bus.configure("births", "files", {"folder": str(folder)})
    bus.start()
    bus.wait_for("births", State.RUNNING)
    bus.kill()                      # -9; start() again
    bus.progress("births")          # what the connector noted
    bus.end()                       # SIGTERM; the exit code

The system needs its topic: ``OwnSystems.create(settings).with_connectors()``, or a catalogue that says so.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from lane_bus import Worker, wait_until

from connectors.runtime.log import SystemLog
from connectors.runtime.state import ConnectorsState, State, Status, Target
from lintas.connection import connection_of
from lintas.settings import Settings
from schemas.connector_configs import Configured, forgotten

LINTAS_CONNECTORS = ("-m", "lintas", "connector", "run")
T = TypeVar("T")


class ConnectorBus:
    """Runs a system's connectors, ends them, and looks at what their topic says."""

    def __init__(
        self, settings: Settings, system: str, folder: Path, program: Sequence[str] = LINTAS_CONNECTORS
    ) -> None:
        """``program`` runs connectors in place of ``lintas connector run``."""
        self._settings = settings
        self._system = system
        self._program = (*program, "--system", system, "--listen", "127.0.0.1:0")
        self._log = folder / f"connectors-{system}.log"
        self.running: list[Worker] = []
        self._started = 0

    def configure(self, name: str, plugin: str, config: Mapping[str, Any]) -> None:
        """Create a connector, or give it other settings."""
        self._write(Configured(plugin, dict(config), "test").record(name))

    def target(self, name: str, state: State = State.RUNNING, restarts: int = 0) -> None:
        """Say what is wanted of a connector."""
        self._write(Target(state, restarts).record(name))

    def delete(self, name: str) -> None:
        """Delete a connector; its progress stays."""
        self._write(*forgotten(name))

    def start(self, **environment: str) -> Worker:
        """One more runtime."""
        self._started += 1
        self.running.append(Worker(self._settings, self._log, self._program, **environment))
        return self.running[-1]

    def kill(self) -> None:
        """End every runtime with -9."""
        while self.running:
            self.running.pop().kill()

    def end(self) -> int:
        """End the runtime that was started last with SIGTERM; the exit code."""
        return self.running.pop().end()

    @property
    def address(self) -> str:
        """Where the runtime that was started last answers REST."""
        told = re.compile(r"REST and metrics are at (http://[0-9.]+:[0-9]+)")
        wait_until(lambda: len(told.findall(self.text)) >= self._started, "the runtime says where it answers")
        return str(told.findall(self.text)[-1])

    @property
    def text(self) -> str:
        """What the runtimes have logged."""
        return self._log.read_text(errors="replace")

    def state(self) -> ConnectorsState:
        """What the system's topic says."""

        async def read(log: SystemLog) -> ConnectorsState:
            return log.state

        return self._with_log(read)

    def progress(self, name: str) -> Mapping[str, Any]:
        """What the connector has noted, by name."""
        return self.state().progress(name)

    def positions(self, name: str) -> Mapping[int, int]:
        """The next offset of each partition of the inbox, as the runtime noted it for a sink."""
        kept = self.state().kept.get(name)
        return kept.positions if kept else {}

    def status(self, name: str) -> Status | None:
        """How the connector is; None if it was never run."""
        return self.state().statuses.get(name)

    def wait_for(self, name: str, state: State, seconds: float = 60) -> Status:
        """Wait until the connector is so."""
        found: list[Status] = []

        def is_so() -> bool:
            status = self.status(name)
            if status is not None and status.state is state:
                found.append(status)
            return bool(found)

        wait_until(is_so, f"{name} is {state}; the log ends: {self.text[-3000:]}", seconds)
        return found[0]

    def _write(self, *records: tuple[bytes, bytes | None]) -> None:
        self._with_log(lambda log: log.write(*records))

    def _with_log(self, use: Callable[[SystemLog], Awaitable[T]]) -> T:
        async def used() -> T:
            log = SystemLog(connection_of(self._settings, self._system))
            try:
                await log.start()
                return await use(log)
            finally:
                await log.stop()

        return asyncio.run(used())
