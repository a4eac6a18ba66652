"""The bus's own programs that ``lintas up`` runs beside the servers: the one list of them."""

import os
import sys
from dataclasses import dataclass

from lintas.local.home import Home
from lintas.local.part import Part

_SERVERS_OF_ANOTHER_BUS = (
    "LINTAS_BOOTSTRAP_SERVERS",
    "LINTAS_REGISTRY_URL",
    "LINTAS_POSTGRES_DSN",
    "LINTAS_CA_FILE",
)


@dataclass(frozen=True, slots=True)
class Program:
    """One verb of the command line, run as a service.

    ``attempts`` is how often it may fail in a row before the bus stops; None tries for ever, for programs
    that cannot work before the catalogue names them.
    """

    name: str
    arguments: tuple[str, ...]
    attempts: int | None = 5


PROGRAMS: tuple[Program, ...] = (
    Program("worker", ("worker",)),
    Program("vital-statistics", ("processor", "vital-statistics"), attempts=None),
)


def part(home: Home, program: Program) -> Part:
    """The program, to be run on the bus in ``home``."""
    environment = {name: value for name, value in os.environ.items() if name not in _SERVERS_OF_ANOTHER_BUS}
    return Part(
        name=program.name,
        argv=(sys.executable, "-m", "lintas", *program.arguments),
        env=environment | {"LINTAS_HOME": str(home.path), "PYTHONUNBUFFERED": "1"},
        log=home.log(program.name),
        attempts=program.attempts,
    )
