import asyncio
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from lintas.errors import LocalBusError, PartFailed
from lintas.local import supervisor as module
from lintas.local.part import Part
from lintas.local.state import PartState
from lintas.local.supervisor import Supervisor

SLEEP = "import time; time.sleep(60)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); {SLEEP}"


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that another process does."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  no event tells of another process
            await asyncio.sleep(0.01)


def has_ended(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


class Seen:
    """What a supervisor told of its parts, last word first."""

    def __init__(self) -> None:
        self.parts: list[PartState] = []
        self.history: list[tuple[str, str]] = []

    def __call__(self, parts: list[PartState]) -> None:
        self.parts = parts
        self.history += [(part.name, part.phase) for part in parts]

    def pid(self, name: str) -> int:
        [found] = [part.process.pid for part in self.parts if part.name == name and part.process]
        return found

    async def until(self, name: str, phase: str, restarts: int = 0) -> None:
        await until(lambda: any((p.name, p.phase, p.restarts) == (name, phase, restarts) for p in self.parts))


@pytest.fixture(autouse=True)
def _no_long_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FIRST_BACK_OFF_SECONDS", 0.01)


@pytest.fixture
def seen() -> Iterator[Seen]:
    history = Seen()
    yield history
    for part in history.parts:
        assert part.process is None or part.process.process() is None, "a test left a process behind"


def part(folder: Path, code: str = SLEEP, name: str = "part", **changes: Any) -> Part:
    return Part(name=name, argv=(sys.executable, "-c", code), log=folder / f"{name}.log", env=os.environ, **changes)


async def test_a_part_that_is_killed_is_restarted(tmp_path: Path, seen: Seen) -> None:
    supervisor = Supervisor(seen)
    await supervisor.start([part(tmp_path)])
    first = seen.pid("part")
    os.kill(first, signal.SIGKILL)
    await seen.until("part", "running", restarts=1)
    assert seen.pid("part") != first
    await supervisor.close()
    assert not psutil.pid_exists(first)


async def test_a_part_that_keeps_failing_stops_the_bus_with_its_last_words(tmp_path: Path, seen: Seen) -> None:
    supervisor = Supervisor(seen)
    await supervisor.start([part(tmp_path, "print('disk is full', flush=True); exit(3)", attempts=2)])
    with pytest.raises(PartFailed, match=r"exit code 3(.|\n)*after 2 attempts(.|\n)*disk is full"):
        async with asyncio.timeout(10):
            await supervisor.failure()
    await supervisor.close()
    assert seen.parts[0].phase == "failed"


async def test_a_part_may_be_tried_for_ever(tmp_path: Path, seen: Seen) -> None:
    supervisor = Supervisor(seen)
    await supervisor.start([part(tmp_path, "exit(1)", attempts=None)])
    await seen.until("part", "running", restarts=6)
    await supervisor.close()


async def test_a_part_that_ends_before_it_is_ready_fails_the_start(tmp_path: Path, seen: Seen) -> None:
    async def never() -> bool:
        return False

    supervisor = Supervisor(seen)
    with pytest.raises(PartFailed, match="exit code 4 before it was ready"):
        await supervisor.start([part(tmp_path, name="well"), part(tmp_path, "exit(4)", ready=never)])
    await supervisor.close()


async def test_a_part_that_is_not_ready_in_time_fails_the_start(tmp_path: Path, seen: Seen) -> None:
    async def refused() -> bool:
        raise ConnectionRefusedError

    supervisor = Supervisor(seen)
    with pytest.raises(PartFailed, match=r"not ready after 0 s"):
        await supervisor.start([part(tmp_path, ready=refused, start_seconds=0.1)])
    await supervisor.close()


async def test_a_failing_preparation_names_its_reason(tmp_path: Path, seen: Seen) -> None:
    def prepare() -> None:
        raise LocalBusError(reason="the disk could not be formatted", remedy="see the log.")

    supervisor = Supervisor(seen)
    with pytest.raises(LocalBusError, match="could not be formatted"):
        await supervisor.start([part(tmp_path, prepare=prepare)])
    await supervisor.close()


async def test_a_part_that_ignores_the_request_to_stop_is_killed(tmp_path: Path, seen: Seen) -> None:
    deaf = part(tmp_path, STUBBORN, stop_seconds=0.2)

    async def ready() -> bool:
        return "deaf" in deaf.log.read_text()

    supervisor = Supervisor(seen)
    await supervisor.start([part(tmp_path, STUBBORN, stop_seconds=0.2, ready=ready)])
    pid = seen.pid("part")
    await supervisor.close()
    assert not psutil.pid_exists(pid)


async def test_what_a_part_started_goes_with_it(tmp_path: Path, seen: Seen) -> None:
    start_child = f"print(subprocess.Popen([sys.executable, '-c', '{SLEEP}']).pid, flush=True)"
    code = f"import subprocess, sys; {start_child}; {SLEEP}"
    parent = part(tmp_path, code)

    async def ready() -> bool:
        return parent.log.read_text().endswith("\n")

    supervisor = Supervisor(seen)
    await supervisor.start([part(tmp_path, code, ready=ready)])
    child = psutil.Process(int(parent.log.read_text()))
    await supervisor.close()
    await until(lambda: has_ended(child))


async def test_programs_are_stopped_before_the_servers_that_they_use(tmp_path: Path, seen: Seen) -> None:
    supervisor = Supervisor(seen)
    await supervisor.start([part(tmp_path, name="server", port=1)])
    await supervisor.start([part(tmp_path, name="program")])
    await supervisor.close()
    assert ("server", "stopped") not in seen.history[: seen.history.index(("program", "stopped"))]


async def test_a_start_that_is_cancelled_leaves_nothing_behind(tmp_path: Path, seen: Seen) -> None:
    async def never() -> bool:
        return False

    supervisor = Supervisor(seen)
    start = asyncio.create_task(supervisor.start([part(tmp_path, ready=never)]))
    await seen.until("part", "starting")
    start.cancel()
    await asyncio.gather(start, return_exceptions=True)
    pid = seen.pid("part")
    await supervisor.close()
    assert not psutil.pid_exists(pid)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process of its parent's death")
async def test_parts_die_with_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    script = f"""
import asyncio, os, sys
from pathlib import Path
from lintas.local.part import Part
from lintas.local.supervisor import Supervisor
async def main():
    supervisor = Supervisor(lambda parts: None)
    argv = (sys.executable, "-c", {SLEEP!r})
    log = Path({str(tmp_path / "log")!r})
    await supervisor.start([Part(name="part", argv=argv, log=log, env=os.environ)])
    print(supervisor._parts[0]._process.pid, flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""
    killed = await asyncio.create_subprocess_exec(sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE)
    assert killed.stdout is not None
    child = psutil.Process(int(await killed.stdout.readline()))
    killed.kill()
    await killed.wait()
    await until(lambda: has_ended(child))
