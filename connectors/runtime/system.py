"""One system's connectors: who runs them, and how each is to be."""

import asyncio
import contextlib
import dataclasses
import datetime as dt
import logging
from collections.abc import Callable, Iterator
from typing import Final

from aiokafka.errors import KafkaError

from connectors.runtime.groups import delete_others
from connectors.runtime.log import SystemLog
from connectors.runtime.runner import Runner, Shared, Wanted
from connectors.runtime.state import State
from lintas import names
from lintas.settings import Settings
from schemas.cluster import options
from streams.sole_owner import SoleOwner

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 5.0  # how often it is looked whether all is as wanted, if nothing tells of a change


class SystemConnectors:
    """Waits until nobody else runs the system's connectors, and runs them until somebody else does."""

    def __init__(self, settings: Settings, make: Callable[[Callable[[], None]], Shared]) -> None:
        """``make`` gives what runners share, with a log that calls what it is given at every change."""
        self._settings = settings
        self._wake = asyncio.Event()
        self._shared = make(self._wake.set)
        self._is_owner = False
        self._runners: dict[str, tuple[Runner, asyncio.Task[None]]] = {}
        self._stopping = False
        self._tidy = False  # there may be groups of connectors that were deleted

    @property
    def log(self) -> SystemLog:
        """What the system's topic says."""
        return self._shared.log

    @property
    def is_owner(self) -> bool:
        """Whether this process runs the system's connectors."""
        return self._is_owner

    @property
    def _system(self) -> str:
        return self._shared.connection.system

    def stop(self) -> None:
        """Let every connector come to its end, and then `run`."""
        self._stopping = True
        self._wake.set()

    async def run(self) -> None:
        """Run the system's connectors whenever it is this process's turn.

        Raises:
            ClientError, KafkaError, TimeoutError: the bus cannot be reached to begin with.
        """
        try:
            await self.log.start()
            self._shared.observer.reached(self._system, "")
            owner = self._join()
            try:
                await self._keep()
            finally:
                self._shared.observer.owned(self._system, owner=False)
                await asyncio.to_thread(owner.close)
        finally:
            await self.log.stop()

    def _join(self) -> SoleOwner:
        loop = asyncio.get_running_loop()

        def changed(is_owner: bool) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(self._change, is_owner)

        owner = SoleOwner(
            options(self._settings, self._system),
            names.connectors_group(self._system),
            names.connectors_topic(self._system),
            session_seconds=self._settings.session_timeout_seconds,
        )
        self._shared.observer.owned(self._system, owner=False)
        owner.watch(changed)
        return owner

    def _change(self, is_owner: bool) -> None:
        self._is_owner = self._tidy = is_owner
        log.info(
            "%s: its connectors are run %s",
            self._system,
            "here" if is_owner else "by another runtime",
            extra={"event": "connectors_owned" if is_owner else "connectors_lost", "system": self._system},
        )
        self._shared.observer.owned(self._system, owner=is_owner)
        self._wake.set()

    async def _keep(self) -> None:
        try:
            while not self._stopping:
                self._wake.clear()
                self.log.check()
                if self._is_owner:
                    self._fit()
                    await self._tell()
                    if self._tidy:
                        self._tidy = False
                        await asyncio.to_thread(
                            delete_others, self._settings, self._system, set(self.log.state.configs)
                        )
                else:
                    await self._drop()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_SECONDS):
                        await self._wake.wait()
            await self._end()
        finally:
            await self._drop()

    def _fit(self) -> None:
        """Have a runner for every connector, and tell each what is wanted."""
        state = self.log.state
        for name, (runner, task) in list(self._runners.items()):
            if task.done():
                del self._runners[name]
                self._tidy = True
            elif name not in state.configs:
                runner.want(None)
        for name, config in state.configs.items():
            if name not in self._runners:
                runner = Runner(name, self._shared, self._wake.set, last=state.statuses.get(name))
                runner.want(Wanted(config, state.target(name)))
                task = asyncio.create_task(runner.run(), name=f"runner of {name}")
                task.add_done_callback(self._ended)
                self._runners[name] = runner, task
            else:
                self._runners[name][0].want(Wanted(config, state.target(name)))

    def _ended(self, runner: asyncio.Task[None]) -> None:
        """A runner has ended: its connector was deleted, and may have been made anew already; or it is broken."""
        if runner.cancelled() or (error := runner.exception()) is None:
            self._wake.set()
        else:  # another is made when it is looked again, not sooner
            log.error("%s: the %s is broken: %s", self._system, runner.get_name(), error, exc_info=error)

    async def _tell(self) -> None:
        """Write how connectors are, where the topic says otherwise."""
        state = self.log.state
        records = [
            runner.status.record(name)
            for name, (runner, _) in self._runners.items()
            if runner.status is not None and name in state.configs and state.statuses.get(name) != runner.status
        ]
        if records:
            with _unsaid(self._system):
                await self.log.write(*records)

    async def _end(self) -> None:
        """Stop every connector where nothing is under way, and say that nobody runs them."""
        for runner, _ in self._runners.values():
            runner.want(None)
        if not self._runners:
            return
        await asyncio.wait([task for _, task in self._runners.values()])
        now = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
        records = [
            dataclasses.replace(runner.status, state=State.UNASSIGNED, since=now).record(name)
            for name, (runner, _) in self._runners.items()
            if runner.status is not None and not runner.status.disabled and name in self.log.state.configs
        ]
        self._runners.clear()
        if records and self._is_owner:
            with _unsaid(self._system):
                await self.log.write(*records)

    async def _drop(self) -> None:
        """Stop every connector at once and say nothing: somebody else runs them."""
        tasks = [task for _, task in self._runners.values()]
        self._runners.clear()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


@contextlib.contextmanager
def _unsaid(system: str) -> Iterator[None]:
    """What cannot be written now is written when it is looked again."""
    try:
        yield
    except (KafkaError, TimeoutError) as error:
        log.warning("%s: how its connectors are could not be written: %s", system, error)
