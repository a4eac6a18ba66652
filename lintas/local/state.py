"""What a supervisor writes down about itself and its parts, and how to tell if it is still true."""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Literal

import psutil
from pydantic import BaseModel, ConfigDict, ValidationError

from lintas.credentials import write_private
from lintas.errors import BusAlreadyRunning
from lintas.local.home import Home

Phase = Literal["starting", "running", "restarting", "stopped", "failed"]
_CLOCK_TOLERANCE_SECONDS = 2.0  # the start time of a process moves a little when the clock is set
_LEFTOVER_GRACE_SECONDS = 10.0
_LOCK_SECONDS = 0.3  # `status` takes the lock for a moment, to look


class Identity(BaseModel):
    """A process, told apart from a later one that was given the same number."""

    model_config = ConfigDict(frozen=True)

    pid: int
    created: float
    argv: tuple[str, ...]

    @classmethod
    def of(cls, pid: int, argv: tuple[str, ...]) -> "Identity":
        """The identity of a process that we have just started and not yet waited for."""
        return cls(pid=pid, created=psutil.Process(pid).create_time(), argv=argv)

    def process(self) -> psutil.Process | None:
        """The process, if it still runs and is the one that was written down."""
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(self.pid)
            same_birth = abs(process.create_time() - self.created) < _CLOCK_TOLERANCE_SECONDS
            if same_birth and tuple(process.cmdline()[-len(self.argv) :]) == self.argv:
                return process
        return None


class PartState(BaseModel):
    """One part as ``lintas status`` shows it."""

    name: str
    phase: Phase
    process: Identity | None = None
    port: int | None = None
    since: datetime | None = None
    restarts: int = 0
    log: Path


class BusState(BaseModel):
    """One supervisor and its parts."""

    supervisor: Identity
    phase: Phase
    parts: list[PartState] = []

    def write(self, home: Home) -> None:
        """Write it for others to read."""
        write_private(home.state, self.model_dump_json(indent=1) + "\n")


def read(home: Home) -> BusState | None:
    """What the last supervisor wrote, whether or not it still runs."""
    try:
        return BusState.model_validate_json(home.state.read_text())
    except (FileNotFoundError, ValidationError):
        return None


def now() -> datetime:
    """The present, with zone, to the second."""
    return datetime.now(UTC).replace(microsecond=0)


@contextlib.contextmanager
def ownership(home: Home) -> Iterator[None]:
    """Own the home as its only supervisor; the ownership ends with this process, however it ends.

    Raises:
        BusAlreadyRunning: another supervisor owns it.
    """
    home.path.mkdir(parents=True, exist_ok=True)
    with home.lock.open("a") as lock:
        deadline = time.monotonic() + _LOCK_SECONDS
        while not _locked(lock, fcntl.LOCK_EX):
            if time.monotonic() > deadline:
                state = read(home)
                raise BusAlreadyRunning(home=home.path, pid=state.supervisor.pid if state else "unknown")
            time.sleep(_LOCK_SECONDS / 10)
        yield


def is_owned(home: Home) -> bool:
    """Whether a supervisor runs in the home."""
    if not home.lock.exists():
        return False
    with home.lock.open() as lock:
        return not _locked(lock, fcntl.LOCK_SH)


def _locked(file: IO[str], how: int) -> bool:
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def leftovers(home: Home) -> list[psutil.Process]:
    """Processes that a killed supervisor left behind, with all that they started in turn."""
    state = read(home)
    if state is None:
        return []
    found: dict[int, psutil.Process] = {}
    for identity in (part.process for part in state.parts):
        leader = identity.process() if identity else None
        if leader is not None:
            found[leader.pid] = leader
    # each part leads a session of its own; PostgreSQL's processes lead their own, but stay in its folder
    cluster = str(home.path / "data" / "postgres" / "cluster")
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, ProcessLookupError, PermissionError):
            if os.getsid(process.pid) in found or (process.name() == "postgres" and process.cwd() == cluster):
                found[process.pid] = process
    found.pop(os.getpid(), None)
    return list(found.values())


def clean(home: Home) -> int:
    """End what a killed supervisor left behind, politely first; returns how many processes that were."""
    processes = leftovers(home)
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.terminate()
            process.resume()  # one that was stopped cannot end
    _, alive = psutil.wait_procs(processes, timeout=_LEFTOVER_GRACE_SECONDS)
    for process in alive:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(alive, timeout=_LEFTOVER_GRACE_SECONDS)
    home.addresses.unlink(missing_ok=True)
    home.state.unlink(missing_ok=True)
    return len(processes)
