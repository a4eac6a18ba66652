"""One connector kept as people want it: begun, paused, and begun anew after a failure, later and later."""

import asyncio
import contextlib
import dataclasses
import datetime as dt
import logging
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

from lintas_client import Connection
from lintas_client.registry import Registry

from connectors.runtime.context import Context
from connectors.runtime.journal import Journal
from connectors.runtime.life import Given
from connectors.runtime.log import SystemLog
from connectors.runtime.logger import logger_of
from connectors.runtime.observer import ConnectorObserver, Who
from connectors.runtime.sink_life import run_sink
from connectors.runtime.source_life import run_source
from connectors.runtime.state import State, Status, Target
from connectors.runtime.trace import trace_of
from connectors.runtime.validation import Plugins, valid
from lintas.errors import ConnectorDisabled, ConnectorFailed
from schemas.connector_configs import Configured
from schemas.snapshot import digest_of

log = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS: Final = 1.0
LONGEST_PAUSE_SECONDS: Final = 60.0
WELL_AFTER_SECONDS: Final = 60.0  # a connector that has run for so long has recovered: the next pause is short again
STOP_SECONDS: Final = 10.0


@dataclasses.dataclass(frozen=True, slots=True)
class Wanted:
    """How a connector is to be."""

    config: Configured
    target: Target

    @property
    def digest(self) -> str:
        """Of the configuration."""
        return digest_of(dataclasses.asdict(self.config))


@dataclasses.dataclass(frozen=True, slots=True)
class Shared:
    """What all runners of a system share.

    Attributes:
        connection: the system's.
        log: the system's, started.
        plugins: every kind of connector.
        worker: this runtime's name.
        transaction_seconds: brokers abandon a transaction after this.
        observer: told what connectors do.
    """

    connection: Connection
    log: SystemLog
    plugins: Plugins
    worker: str
    transaction_seconds: float
    observer: ConnectorObserver


def pause_before(attempt: int, chance: float) -> float:
    """Seconds to wait before an attempt (1 for the first after a failure).

    Doubled each time up to a minute, and between half and one and a half of that, as ``chance`` (0 to 1) says: what
    failed together does not come back together.
    """
    return min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(attempt - 1, 16)) * (0.5 + chance)


class Runner:
    """Keeps one connector; its owner tells what is wanted, and looks at how it is."""

    def __init__(self, name: str, shared: Shared, changed: Callable[[], None], *, last: Status | None = None) -> None:
        """``changed`` is called whenever ``status`` has changed; ``last`` is what was said of the connector last."""
        self.status: Status | None = None
        self._last = last
        self._name = name
        self._shared = shared
        self._told = changed
        self._wanted: Wanted | None = None
        self._changed = asyncio.Event()
        self._attempt = 0
        self._journal: Journal | None = None  # of the newest life

    def want(self, wanted: Wanted | None) -> None:
        """Have the connector be so; None: it is deleted."""
        if wanted != self._wanted:
            self._wanted = wanted
            self._changed.set()

    async def run(self) -> None:
        """Keep it until it is deleted, or this is cancelled."""
        try:
            while (wanted := self._wanted) is not None:
                self._changed.clear()
                if self._is_disabled(wanted):
                    self.status = self._last
                    self._shared.observer.became(self._who(wanted), State.FAILED)
                    await self._changed.wait()
                elif wanted.target.state is State.RUNNING:
                    await self._live(wanted)
                else:
                    self._say(wanted, wanted.target.state)
                    self._attempt = 0
                    await self._changed.wait()
        finally:
            self._shared.observer.forgotten(self._shared.connection.system, self._name)

    async def _live(self, wanted: Wanted) -> None:
        """One life; returns when something else is wanted, or after the pause that follows a failure."""
        stopping = asyncio.Event()
        began = time.monotonic()
        life = asyncio.create_task(self._begin(wanted, stopping), name=f"connector {self._name}")
        changed = asyncio.create_task(self._changed.wait())
        try:
            await asyncio.wait({life, changed}, return_when=asyncio.FIRST_COMPLETED)
            if not life.done():
                stopping.set()
                await asyncio.wait({life}, timeout=STOP_SECONDS)
        finally:
            await _end(life)
            await _end(changed)
            if not life.done():
                await self._abandon()
        if self._changed.is_set():
            self._attempt = 0
            if life.done() and not life.cancelled() and (error := life.exception()) is not None:
                log.warning(
                    "%s failed when it was to stop: %s",
                    self._name,
                    error,
                    exc_info=error,
                    extra=self._fields("connector_failed"),
                )
            return
        error = _end_of(self._name, life)
        if isinstance(error, ConnectorDisabled):
            self._fail(wanted, error, None)
            await self._changed.wait()
            return
        if time.monotonic() - began > WELL_AFTER_SECONDS:
            self._attempt = 0
        self._attempt += 1
        pause = pause_before(self._attempt, random.random())  # noqa: S311  no secret
        self._fail(wanted, error, pause)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._changed.wait()
        if self._changed.is_set():
            self._attempt = 0

    async def _abandon(self) -> None:
        """Leave a life to itself that does not stop: without its journal it can commit nothing more."""
        if self._journal is not None:
            await self._journal.close()
        told = "%s does not stop; it is left to itself and can commit nothing more"
        log.error(told, self._name, extra=self._fields("connector_hangs"))

    def _fail(self, wanted: Wanted, error: BaseException, pause: float | None) -> None:
        next_attempt = "only a person has it go on" if pause is None else f"attempt {self._attempt} in {pause:.1f} s"
        told = "%s has failed, %s: %s"
        log.error(told, self._name, next_attempt, error, exc_info=error, extra=self._fields("connector_failed"))
        self._shared.observer.failed(self._who(wanted))
        self._say(wanted, State.FAILED, trace_of(error), disabled=pause is None)

    def _is_disabled(self, wanted: Wanted) -> bool:
        """Whether it was so, perhaps in another process, and nobody has said since that it may go on."""
        last = self._last
        return (
            last is not None
            and last.disabled
            and (last.restarts, last.config) == (wanted.target.restarts, wanted.digest)
            and wanted.target.state is State.RUNNING
        )

    async def _begin(self, wanted: Wanted, stopping: asyncio.Event) -> None:
        shared, config = self._shared, wanted.config
        plugin, settings = valid(shared.plugins, self._name, config.plugin, config.settings)
        registry = Registry(shared.connection)
        journal = self._journal = Journal(
            shared.connection, self._name, plugin.name, shared.log, transaction_seconds=shared.transaction_seconds
        )
        try:
            context = Context(self._name, shared.connection, registry, logger_of(shared.connection.system, self._name))
            built: Any = plugin.build(settings, context)
            live: Callable[[Any, Given], Awaitable[None]] = run_source if plugin.kind == "source" else run_sink
            await live(
                built,
                Given(
                    who=self._who(wanted),
                    worker=shared.worker,
                    context=context,
                    journal=journal,
                    stopping=stopping,
                    running=lambda: self._say(wanted, State.RUNNING),
                    observer=shared.observer,
                ),
            )
        finally:
            await journal.close()
            await registry.close()

    def _who(self, wanted: Wanted) -> Who:
        plugin = wanted.config.plugin
        kind = self._shared.plugins[plugin].kind if plugin in self._shared.plugins else ""
        return Who(self._shared.connection.system, self._name, plugin, kind)

    def _say(self, wanted: Wanted, state: State, trace: str | None = None, *, disabled: bool = False) -> None:
        now = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
        self.status = self._last = Status(
            state, now, self._shared.worker, trace, wanted.target.restarts, wanted.digest, disabled
        )
        self._shared.observer.became(self._who(wanted), state)
        log.info("%s is %s", self._name, state.value, extra=self._fields("connector_state"))
        self._told()

    def _fields(self, event: str) -> dict[str, str]:
        """What a line of the log is found by."""
        return {"event": event, "connector": self._name, "system": self._shared.connection.system}


def _end_of(connector: str, life: asyncio.Task[None]) -> BaseException:
    """What a life ended with that nobody asked to end."""
    error = None if life.cancelled() else life.exception()
    return error or ConnectorFailed(
        connector=connector, reason="it has ended by itself", remedy="show its log to who wrote this kind of connector."
    )


async def _end(task: asyncio.Task[Any]) -> None:
    """Cancel a task and wait for it, though not for ever; what it ended with stays in it."""
    task.cancel()
    await asyncio.wait({task}, timeout=STOP_SECONDS)
