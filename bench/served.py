"""The console of a bus, served by a process of its own to whoever looks at it in a browser."""

import contextlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from lintas.local.ports import LOOPBACK
from lintas.settings import Settings


@contextlib.contextmanager
def running_console(settings: Settings, since: str, log: Path) -> Iterator[str]:
    """``lintas console`` of a bus, in a process of its own; yields its address once it has read the catalogue."""
    command = [sys.executable, "-m", "lintas", "console", "--listen", f"{LOOPBACK}:0", "--from", since]
    environment = {**os.environ, "LINTAS_HOME": str(settings.home)}
    with log.open("w") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
    try:
        yield _address(log, process)
    finally:
        process.terminate()
        process.wait(30)


def _address(log: Path, process: "subprocess.Popen[bytes]", seconds: float = 120) -> str:
    deadline = time.monotonic() + seconds
    while True:
        if process.poll() is not None:
            raise RuntimeError(f"the console has ended:\n{log.read_text()}")
        said = re.search(r"the console is at (http://[\w.:]+)", log.read_text())
        if said:
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{said[1]}/ready", timeout=20).is_success:
                    return said[1]
        if time.monotonic() > deadline:
            raise TimeoutError(f"the console is not ready within {seconds:g} s:\n{log.read_text()}")
        time.sleep(0.2)
