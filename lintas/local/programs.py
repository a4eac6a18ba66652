"""The bus's own programs that ``lintas up`` runs beside the servers: the one list of them."""

import asyncio
import dataclasses
import json
import os
import sys
from collections.abc import Iterable

from lintas.local.home import Home
from lintas.local.part import Part
from lintas.local.ports import LOOPBACK, Ports

_SERVERS_OF_ANOTHER_BUS = (
    "LINTAS_BOOTSTRAP_SERVERS",
    "LINTAS_REGISTRY_URL",
    "LINTAS_POSTGRES_DSN",
    "LINTAS_CA_FILE",
)


@dataclasses.dataclass(frozen=True, slots=True)
class Program:
    """One verb of the command line, run as a service.

    ``attempts`` is how often it may fail in a row before the bus stops; None tries for ever, for programs
    that cannot work before the catalogue names them. One that listens does so at the port that ``Ports`` has under
    its name, and serves metrics and health there.
    """

    name: str
    arguments: tuple[str, ...]
    attempts: int | None = 5
    listens: bool = False


PROGRAMS: tuple[Program, ...] = (
    Program("worker", ("worker",), listens=True),
    Program("vital-statistics", ("processor", "vital-statistics"), attempts=None),
    Program("exporter", ("exporter",), attempts=None, listens=True),
    Program("canary", ("canary",), attempts=None, listens=True),
    Program("bookkeeper", ("bookkeeper",), attempts=None, listens=True),
    Program("console", ("console",), attempts=None, listens=True),
    Program("connector", ("connector", "run"), attempts=None, listens=True),
    Program("gateway", ("gateway",), attempts=None, listens=True),
)

CARRYING = tuple(program for program in PROGRAMS if program.name in ("worker", "vital-statistics"))  # without watchers


def part(home: Home, program: Program, ports: Ports) -> Part:
    """The program, to be run on the bus in ``home``."""
    environment = {name: value for name, value in os.environ.items() if name not in _SERVERS_OF_ANOTHER_BUS}
    arguments = [sys.executable, "-m", "lintas", *program.arguments]
    port = _port(program, ports)
    if port is not None:
        arguments += ["--listen", f"{LOOPBACK}:{port}"]
    made = Part(
        name=program.name,
        argv=tuple(arguments),
        env=environment | {"LINTAS_HOME": str(home.path), "PYTHONUNBUFFERED": "1"},
        log=home.log(program.name),
        port=port,
        attempts=program.attempts,
    )
    return made if port is None else dataclasses.replace(made, ready=lambda: _is_live(port))


def write_targets(home: Home, programs: Iterable[Program], ports: Ports) -> None:
    """Tell a Prometheus where the programs serve metrics, as a file of its file_sd_configs.

    The file stays when the bus is stopped: its programs are then seen to be down.
    """
    found = [
        {"targets": [f"{LOOPBACK}:{port}"], "labels": {"job": program.name}}
        for program in programs
        if (port := _port(program, ports)) is not None
    ]
    draft = home.targets.with_suffix(".draft")
    draft.write_text(json.dumps(found, indent=1) + "\n")
    draft.replace(home.targets)


def _port(program: Program, ports: Ports) -> int | None:
    return int(getattr(ports, program.name)) if program.listens else None


async def _is_live(port: int) -> bool:
    """Whether a program answers that it lives; whether it has anything to do yet is another question."""
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    try:
        writer.write(b"GET /live HTTP/1.0\r\n\r\n")
        return b" 200 " in await reader.readline()
    finally:
        writer.close()
