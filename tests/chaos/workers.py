"""Lane workers as subprocesses behind the proxies: started again whenever they end, as a supervisor would."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

from lintas.local.spawn import launched

LINTAS_WORKER: Sequence[str] = ("-m", "lintas", "worker", "--log-level", "info")
END_SECONDS = 60.0


class Worker:
    """One worker process after another, with one log."""

    def __init__(self, log: Path, environment: Mapping[str, str], program: Sequence[str] = LINTAS_WORKER) -> None:
        self.log = log
        self._program = program
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None

    def spawn(self) -> None:
        """Start it; from the main thread only, whose end is the worker's end."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                launched([sys.executable, *self._program], user=None, death_signal=signal.SIGKILL),
                env={**os.environ, **self._environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    @property
    def id(self) -> str:
        """Its name in audit records."""
        assert self._process is not None
        return f"{socket.gethostname()}-{self._process.pid}"

    @property
    def code(self) -> int | None:
        """Its exit code, if it has ended."""
        return None if self._process is None else self._process.poll()

    def signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    def kill(self) -> None:
        """End it at once and take note of its end."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    async def end(self) -> int:
        """Ask it to stop; its exit code, or that of the kill where it does not stop in time."""
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        assert self._process is not None
        with contextlib.suppress(subprocess.TimeoutExpired):
            await asyncio.to_thread(self._process.wait, END_SECONDS)
        self.kill()
        return self._process.wait()


class Crew:
    """The workers of a bus.

    Attributes:
        workers: one for each place of the crew.
        by_themselves: the exit codes of workers that nobody had told to end.
    """

    def __init__(
        self, size: int, folder: Path, environment: Mapping[str, str], program: Sequence[str] = LINTAS_WORKER
    ) -> None:
        self.workers = [Worker(folder / f"worker-{one}.log", environment, program) for one in range(size)]
        self.by_themselves: list[int] = []
        self._busy = [asyncio.Lock() for _ in self.workers]
        self._watch: asyncio.Task[None] | None = None

    def start(self) -> None:
        for worker in self.workers:
            worker.spawn()
        self._watch = asyncio.create_task(self._start_again())

    @contextlib.asynccontextmanager
    async def to_itself(self, place: int) -> AsyncIterator[Worker]:
        """A worker that the caller may end; it is started again afterwards."""
        async with self._busy[place]:
            worker = self.workers[place]
            try:
                yield worker
            finally:
                if worker.code is not None:
                    worker.spawn()

    async def end(self) -> list[int]:
        """Ask all to stop; their exit codes."""
        if self._watch is not None:
            self._watch.cancel()
        for lock in self._busy:
            await lock.acquire()
        return list(await asyncio.gather(*(worker.end() for worker in self.workers)))

    def kill(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
        for worker in self.workers:
            worker.kill()

    async def _start_again(self) -> None:
        while True:
            for worker, lock in zip(self.workers, self._busy, strict=True):
                if not lock.locked() and worker.code is not None:
                    self.by_themselves.append(worker.code)
                    worker.spawn()
            await asyncio.sleep(0.2)
