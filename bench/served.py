"""Services of a bus, each in a process of its own: the console, the gateway, and the least that a service can be."""

import contextlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import httpx

from lintas.local.ports import LOOPBACK
from lintas.settings import Settings

Process = subprocess.Popen[bytes]
UNLIMITED = {"LINTAS_GATEWAY_EVENTS_PER_SECOND": "1e9", "LINTAS_GATEWAY_REQUESTS_AT_ONCE": "100000"}
_LINTAS = ("-m", "lintas")
_LISTEN = ("--listen", f"{LOOPBACK}:0")


@contextlib.contextmanager
def running_console(settings: Settings, since: str, log: Path) -> Iterator[str]:
    """``lintas console`` of a bus; yields its address once it has read the catalogue."""
    command = (*_LINTAS, "console", *_LISTEN, "--from", since)
    with _running(command, {"LINTAS_HOME": str(settings.home)}, log, r"the console is at (http://[\w.:]+)") as (url, _):
        yield url


@contextlib.contextmanager
def running_gateway(settings: Settings, log: Path, **environment: str) -> Iterator[tuple[str, Process]]:
    """``lintas gateway`` of a bus, without limits unless given; its address once it is ready, and its process."""
    variables = {**UNLIMITED, "LINTAS_HOME": str(settings.home), **environment}
    with _running((*_LINTAS, "gateway", *_LISTEN), variables, log, r"the gateway is at (https?://[\w.:]+)") as found:
        yield found


@contextlib.contextmanager
def running_bare_service(log: Path) -> Iterator[tuple[str, Process]]:
    """``bench.bare``, served as the gateway is."""
    command = ("-m", "uvicorn", "bench.bare:app", "--host", LOOPBACK, "--port", "0", "--lifespan", "off")
    with _running((*command, "--no-access-log"), {}, log, r"running on (http://[\w.:]+)", ready="") as found:
        yield found


@contextlib.contextmanager
def _running(
    command: Sequence[str], environment: Mapping[str, str], log: Path, address: str, *, ready: str = "/ready"
) -> Iterator[tuple[str, Process]]:
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, *command], env={**os.environ, **environment}, stdout=output, stderr=output
        )
    try:
        yield _address(log, process, address, ready), process
    finally:
        process.terminate()
        process.wait(30)


def _address(log: Path, process: Process, pattern: str, ready: str, seconds: float = 120) -> str:
    deadline = time.monotonic() + seconds
    while True:
        if process.poll() is not None:
            raise RuntimeError(f"it has ended:\n{log.read_text()}")
        said = re.search(pattern, log.read_text())
        if said:
            if not ready:
                return said[1]
            with contextlib.suppress(httpx.TransportError):
                # whose certificate it is does not matter: it was just started here
                if httpx.get(said[1] + ready, timeout=20, verify=False).is_success:
                    return said[1]
        if time.monotonic() > deadline:
            raise TimeoutError(f"it is not ready within {seconds:g} s:\n{log.read_text()}")
        time.sleep(0.2)
