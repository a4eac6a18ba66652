"""Starts the parts of a bus side by side, restarts those that die, stops them in order."""

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import time
from collections.abc import Callable, Coroutine, Iterable
from datetime import datetime
from typing import Any

import psutil

from lintas.errors import LocalBusError, PartFailed
from lintas.local import logs, state
from lintas.local.part import Part
from lintas.local.spawn import launched

_log = logging.getLogger(__name__)

_PROBE_SECONDS = 0.05
_STEADY_SECONDS = 60.0  # a part that served so long has recovered from its earlier failures
_FIRST_BACK_OFF_SECONDS = 0.5
_LONGEST_BACK_OFF_SECONDS = 30.0
_ROTATE_SECONDS = 60.0


class Supervised:
    """One part under supervision."""

    def __init__(self, part: Part, changed: Callable[[], None]) -> None:
        self.part = part
        self.phase: state.Phase = "stopped"
        self.restarts = 0
        self._changed = changed
        self._process: asyncio.subprocess.Process | None = None
        self._identity: state.Identity | None = None
        self._since: datetime | None = None
        self._stopping = False

    def describe(self) -> state.PartState:
        """What to write down about it."""
        return state.PartState(
            name=self.part.name,
            phase=self.phase,
            process=self._identity,
            port=self.part.port,
            since=self._since,
            restarts=self.restarts,
            log=self.part.log,
        )

    async def start(self) -> None:
        """Start the part and wait until it serves.

        Raises:
            PartFailed: it ended, or did not serve in time.
        """
        logs.rotate(self.part.log)
        try:
            await _finish(asyncio.to_thread(self.part.prepare))
        except (OSError, subprocess.SubprocessError) as error:
            raise self._failed(f"could not be prepared: {error}") from error
        await _finish(self._spawn())
        assert self._process is not None
        deadline = time.monotonic() + self.part.start_seconds
        while not await self._serves():
            if self._process.returncode is not None:
                raise self._failed(f"{_ended(self._process.returncode)} before it was ready")
            if time.monotonic() > deadline:
                raise self._failed(f"not ready after {self.part.start_seconds:.0f} s")
            await asyncio.sleep(_PROBE_SECONDS)
        self._enter("running")

    async def watch(self) -> None:
        """Restart the part whenever it ends, until it is stopped.

        Raises:
            PartFailed: it failed too often in a row.
        """
        failures = 0
        served_since = time.monotonic()
        while self._process is not None:
            code = await self._process.wait()
            if self._stopping:
                return
            await self._end_process()  # what it started and left behind
            if time.monotonic() - served_since > _STEADY_SECONDS:
                failures = 0
            reason = _ended(code)
            while True:
                failures += 1
                if self.part.attempts is not None and failures > self.part.attempts:
                    self._enter("failed")
                    raise self._failed(reason, attempts=self.part.attempts)
                self._enter("restarting")
                _log.warning("%s %s; starting it again", self.part.name, reason)
                await asyncio.sleep(_back_off(failures))
                self.restarts += 1
                try:
                    await self.start()
                except PartFailed as error:
                    reason = str(error.details["reason"])
                    await self._end_process()
                    continue
                break
            served_since = time.monotonic()

    async def stop(self) -> None:
        """End the part: ask, wait, then kill it with all that it started."""
        self._stopping = True
        await self._end_process()
        self._identity = None
        self._since = None
        if self.phase != "failed":
            self._enter("stopped")

    def kill(self) -> None:
        """End the part at once."""
        self._stopping = True
        if self._process is not None and self._process.returncode is None:
            _signal_session(self._process.pid, signal.SIGKILL)

    async def _spawn(self) -> None:
        part = self.part
        with part.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *launched(part.argv, user=part.user, death_signal=part.stop_signal),
                env=dict(part.env),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C at the terminal reaches the supervisor alone
            )
        with contextlib.suppress(psutil.NoSuchProcess):
            self._identity = state.Identity.of(self._process.pid, part.argv)
        self._since = state.now()
        self._enter("starting")

    async def _serves(self) -> bool:
        try:
            return await self.part.ready()
        except OSError:
            return False

    async def _end_process(self) -> None:
        process = self._process
        if process is None:
            return
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(self.part.stop_signal)
            try:
                await asyncio.wait_for(process.wait(), self.part.stop_seconds)
            except TimeoutError:
                _log.warning("%s did not stop in %.0f s and is killed", self.part.name, self.part.stop_seconds)
        _signal_session(process.pid, signal.SIGKILL)
        await process.wait()

    def _enter(self, phase: state.Phase) -> None:
        self.phase = phase
        self._changed()

    def _failed(self, reason: str, attempts: int = 1) -> PartFailed:
        return PartFailed(
            part=self.part.name,
            reason=reason,
            attempts=attempts,
            log=self.part.log,
            log_end=logs.tail(self.part.log),
        )


class Supervisor:
    """All parts of one bus."""

    def __init__(self, changed: Callable[[list[state.PartState]], None]) -> None:
        """``changed`` is called with a description of all parts whenever one of them changes."""
        self._started: list[list[Supervised]] = []  # side by side
        self._watches: list[asyncio.Task[None]] = []
        self._on_change = changed

    async def start(self, parts: Iterable[Part]) -> None:
        """Start parts side by side and wait until all serve; from then on they are watched.

        Raises:
            PartFailed: one of them did not come up.
        """
        new = [Supervised(part, self._changed) for part in parts]
        self._started.append(new)
        try:
            async with asyncio.TaskGroup() as group:
                for one in new:
                    group.create_task(one.start())
        except* LocalBusError as errors:
            raise _first(errors) from None
        self._watches += [asyncio.create_task(one.watch()) for one in new]
        self._watches.append(asyncio.create_task(_rotate_for_ever([one.part for one in new])))

    async def failure(self) -> None:
        """Wait until a part fails for good.

        Raises:
            PartFailed: the part and why.
        """
        done, _ = await asyncio.wait(self._watches, return_when=asyncio.FIRST_EXCEPTION)
        for watch in done:
            watch.result()

    async def stop(self, parts: Iterable[str]) -> None:
        """Stop the named parts side by side."""
        wanted = set(parts)
        await asyncio.gather(*(one.stop() for one in self._parts if one.part.name in wanted))

    async def close(self) -> None:
        """Stop everything: what was started last first, since it uses what was there."""
        for watch in self._watches:
            watch.cancel()
        await asyncio.gather(*self._watches, return_exceptions=True)
        for together in reversed(self._started):
            await asyncio.gather(*(one.stop() for one in together))

    def kill(self) -> None:
        """End everything at once."""
        for one in self._parts:
            one.kill()

    @property
    def _parts(self) -> list[Supervised]:
        return [one for together in self._started for one in together]

    def _changed(self) -> None:
        self._on_change([one.describe() for one in self._parts])


async def _finish(work: Coroutine[Any, Any, None]) -> None:
    """Wait for work that must not be left half done: a cancellation takes effect after it."""
    task = asyncio.create_task(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise


async def _rotate_for_ever(parts: list[Part]) -> None:
    while True:
        await asyncio.sleep(_ROTATE_SECONDS)
        for part in parts:
            logs.rotate(part.log)


def _first(errors: BaseExceptionGroup[LocalBusError]) -> LocalBusError:
    first = errors.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first


def _back_off(failures: int) -> float:
    return min(_LONGEST_BACK_OFF_SECONDS, _FIRST_BACK_OFF_SECONDS * 2.0 ** (failures - 1))


def _ended(code: int) -> str:
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"


def _signal_session(leader: int, number: signal.Signals) -> None:
    """Signal the process group of a part: what it started and left behind goes with it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, number)
