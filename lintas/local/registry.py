"""Apicurio Registry with its storage in an H2 file: Confluent's API, ids that survive kill -9."""

from pathlib import Path

import httpx

from lintas.local import jre
from lintas.local.home import Home
from lintas.local.part import Part
from lintas.local.ports import LOOPBACK, Ports

NAME = "registry"
_HEAP_MB = 256


def url(ports: Ports) -> str:
    """The base address of the Confluent-compatible API."""
    return f"http://{LOOPBACK}:{ports.registry}/apis/ccompat/v7"


def start_jar(program: Path) -> Path:
    """What Java is to run of the unpacked distribution in ``program``."""
    return program / "quarkus-run.jar"


def part(home: Home, ports: Ports, program: Path, *, fast_start: bool, archive: Path | None = None) -> Part:
    """The registry, to be run in ``home`` from the unpacked distribution in ``program``.

    ``archive`` is where its loaded classes are kept, see ``warm``; it need not be there.
    """
    machine = jre.options(_HEAP_MB, home.temporary, fast_start=fast_start, archive=archive)
    return Part(
        name=NAME,
        argv=jre.command(home.config(NAME) / "java.args", [*machine, "-jar", str(start_jar(program))]),
        env=jre.environment()
        | {
            "APICURIO_STORAGE_KIND": "sql",
            "APICURIO_STORAGE_SQL_KIND": "h2",
            # without WRITE_DELAY=0 a schema registered just before a kill -9 is lost
            "APICURIO_DATASOURCE_URL": f"jdbc:h2:file:{home.data(NAME) / 'registry'};WRITE_DELAY=0",
            "QUARKUS_HTTP_HOST": LOOPBACK,
            "QUARKUS_HTTP_PORT": str(ports.registry),
            "QUARKUS_MANAGEMENT_HOST": LOOPBACK,
            "QUARKUS_MANAGEMENT_PORT": str(ports.registry_management),
            "QUARKUS_OTEL_SDK_DISABLED": "true",
            "QUARKUS_LOG_CONSOLE_COLOR": "false",
            "QUARKUS_LOG_CONSOLE_FORMAT": "%d{yyyy-MM-dd'T'HH:mm:ss.SSSXXX} %-5p %c{1}: %s%e%n",
        },
        log=home.log(NAME),
        port=ports.registry,
        ready=lambda: _ready(ports),
    )


async def _ready(ports: Ports) -> bool:
    """Whether the API answers a question to its storage."""
    async with httpx.AsyncClient(timeout=2, trust_env=False) as client:
        try:
            answer = await client.get(f"{url(ports)}/subjects")
        except httpx.TransportError:
            return False
    return answer.is_success
