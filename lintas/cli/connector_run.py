"""``lintas connector run``: the runtime of connectors, as production runs it."""

import asyncio
import logging
import signal
import socket
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lintas import logs
from lintas.cli import service_options
from lintas.errors import UnknownName
from lintas.settings import Settings

if TYPE_CHECKING:
    import uvicorn
    from prometheus_client import CollectorRegistry
    from starlette.applications import Starlette

    from connectors.runtime.runtime import ConnectorRuntime
    from monitoring.connector_metrics import ConnectorMetrics

LOOPBACK = ("127.0.0.1", "::1", "localhost")
STOP_SECONDS = 5

log = logging.getLogger(__name__)


@click.command()
@click.option("--system", "systems", multiple=True, metavar="SYSTEM", help="only of this system; may be given again")
@service_options.listen("127.0.0.1:8083", "where the REST API, metrics and health are served")
@click.option(
    "--token-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="holds the token that the REST API asks for (Authorization: Bearer); needed beyond loopback",
)
@service_options.log_level
def run(*, systems: tuple[str, ...], listen: tuple[str, int], token_file: Path | None, log_level: str) -> None:
    """Run connectors of systems: of every one whose credentials are here and that has connectors.

    A system has connectors if the catalogue in force holds some of it, or says `connectors: true`. Any number of
    runtimes may run; one at a time runs a system's connectors, and another takes over within seconds if it dies. The
    REST API has the shape of Kafka Connect's (docs/how-to/connectors.md). GET /metrics, /live, /ready and /startup need
    no token. SIGTERM finishes what is under way. Exit 0 stopped, 1 something went wrong (see the log), 2 misuse, or a
    system that --system names has no credentials here.
    """
    from prometheus_client import CollectorRegistry

    from connectors.plugins import known
    from connectors.runtime.runtime import ConnectorRuntime
    from connectors.runtime.validation import by_name
    from monitoring.connector_metrics import ConnectorMetrics

    logs.set_up("connector", log_level)
    settings = Settings()
    settings.brokers, settings.registry  # noqa: B018  without them none of the systems could be served
    _known(systems, settings)
    host, port = listen
    token = _token(host, token_file)
    listening = _bound(host, port)
    address = f"{host}:{listening.getsockname()[1]}"
    registry = CollectorRegistry()
    metrics = ConnectorMetrics(registry)

    async def serve() -> None:
        runtime = ConnectorRuntime(
            settings,
            by_name(known.PLUGINS),
            worker=f"{socket.gethostname()}:{listening.getsockname()[1]}",
            systems=systems,
            observer=metrics,
        )
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, runtime.stop)
        server = _server(_app(settings, runtime, loop, registry, metrics, token))
        answering = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name="REST", daemon=True)
        answering.start()
        log.info("REST and metrics are at http://%s", address)
        try:
            await runtime.run()
        finally:
            server.should_exit = True
            await asyncio.to_thread(answering.join, STOP_SECONDS)

    asyncio.run(serve())


def _known(systems: Iterable[str], settings: Settings) -> None:
    from connectors.runtime.runtime import with_credentials
    from lintas.credentials import path_of
    from schemas.suggestions import did_you_mean

    for system in systems:
        path = path_of(settings, system)
        if not path.exists():
            meant = did_you_mean(system, with_credentials(settings))
            raise UnknownName(
                kind="system with credentials here", name=system, suggestion=f"{path} does not exist{meant or '.'}"
            )


def _token(host: str, file: Path | None) -> str | None:
    token = file.read_text().strip() if file else None
    if token == "":
        raise click.BadParameter("the file is empty: write a long random token into it.", param_hint="--token-file")
    if token is None and host not in LOOPBACK:
        raise click.BadParameter(
            f"others than this machine reach {host}, and no token would be asked for: give one with --token-file, or "
            "listen on 127.0.0.1.",
            param_hint="--listen",
        )
    return token


def _bound(host: str, port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen()  # only now nobody else can
    except OSError as error:
        listening.close()
        raise click.BadParameter(
            f"nothing can listen on {host}:{port}: {error.strerror}. Where `lintas up` runs, a runtime runs already; "
            "a second one takes another port, or 0 for any.",
            param_hint="--listen",
        ) from error
    return listening


def _app(
    settings: Settings,
    runtime: "ConnectorRuntime",
    loop: asyncio.AbstractEventLoop,
    registry: "CollectorRegistry",
    metrics: "ConnectorMetrics",
    token: str | None,
) -> "Starlette":
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.routing import Mount

    from connectors.runtime.rest.app import rest_routes
    from connectors.runtime.rest.bridge import Bridge
    from connectors.runtime.rest.errors import not_there
    from connectors.runtime.rest.guard import Guard
    from monitoring.asgi_endpoints import endpoint_routes

    api = Mount("/", routes=rest_routes(Bridge(settings, runtime, loop)), middleware=[Middleware(Guard, token=token)])
    return Starlette(
        routes=[*endpoint_routes("connector", registry, metrics.health), api],
        exception_handlers={404: not_there, 405: not_there, 500: not_there},
    )


def _server(app: "Starlette") -> "uvicorn.Server":
    """Serves in a thread of its own: it answers while a connector holds the runtime's loop up."""
    import uvicorn

    return uvicorn.Server(
        uvicorn.Config(
            app, log_config=None, access_log=False, server_header=False, timeout_graceful_shutdown=STOP_SECONDS
        )
    )
