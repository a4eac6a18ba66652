"""``lintas gateway``: systems publish and fetch their inbox over HTTP."""

import asyncio
import contextlib
import logging
import signal
import socket
import ssl
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lintas import logs
from lintas.cli import service_options
from lintas.errors import BadSettings
from lintas.settings import Settings

if TYPE_CHECKING:
    from connectors.gateway.live import LiveBus

LOOPBACK = ("127.0.0.1", "::1", "localhost")
STOP_SECONDS = 5
IDLE_SECONDS = 60  # a connection without requests is closed after this
SECRETS_SECONDS = 2.0  # new systems get a secret at the embedded issuer within this time
BACKLOG = 2_048

log = logging.getLogger(__name__)


@click.command()
@service_options.listen("127.0.0.1:8090", "where it is served")
@service_options.log_level
def gateway(*, listen: tuple[str, int], log_level: str) -> None:
    """Serve the HTTP gateway: systems publish events and fetch their inbox without speaking Kafka.

    It speaks for the systems whose credentials lie in LINTAS_GATEWAY_SYSTEMS_DIR (default: <secrets>), with the rights
    of each. Systems show who they are by an access token of LINTAS_GATEWAY_ISSUER. Where that is not set, and the
    gateway listens on loopback, it has an issuer of its own; a system's secret there is in
    <folder>/<system>.client-secret. With LINTAS_GATEWAY_CERTIFICATE_FILE and LINTAS_GATEWAY_KEY_FILE it speaks TLS.
    GET /openapi.json describes the API; GET /metrics, /live, /ready and /startup need no token. SIGTERM ends it. Exit 0
    stopped, 1 something went wrong (see the log), 2 misuse.
    """
    logs.set_up("gateway", log_level)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))  # uvicorn takes them while it serves, and gives them back
    settings = Settings()
    family = socket.AF_INET6 if ":" in listen[0] else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(listen)
    except OSError as error:
        raise click.BadParameter(
            f"nothing can listen on {listen[0]}:{listen[1]}: {error.strerror}", param_hint="--listen"
        ) from error
    asyncio.run(_serve(settings, listening, url_of(settings, listen[0], listening.getsockname()[1])))


async def _serve(settings: Settings, listening: socket.socket, url: str) -> None:
    import uvicorn

    from connectors.gateway.app import build
    from connectors.gateway.connections import Connection
    from connectors.gateway.live import LiveBus
    from monitoring import spans
    from monitoring.endpoints import Health
    from monitoring.gateway_metrics import GatewayMetrics, routes

    bus = LiveBus(settings)
    metrics = GatewayMetrics(spans.start("gateway"))
    health = Health(ready=bus.problem, startup=bus.problem)
    app = build(settings, bus, url, measures=metrics, routes=routes(metrics, health))
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            http=Connection,
            log_config=None,
            access_log=False,  # addresses are no business of a log
            server_header=False,
            timeout_graceful_shutdown=STOP_SECONDS,
            timeout_keep_alive=IDLE_SECONDS,
            backlog=BACKLOG,
            ssl_certfile=settings.gateway_certificate_file,
            ssl_keyfile=settings.gateway_key_file,
        )
    )
    app.state.gateway.stopping = lambda: server.should_exit
    async with _running(settings, bus, own_issuer=app.state.issuer is not None):
        log.info("the gateway is at %s", url)
        await server.serve(sockets=[listening])


@contextlib.asynccontextmanager
async def _running(settings: Settings, bus: "LiveBus", *, own_issuer: bool) -> AsyncIterator[None]:
    from connectors.gateway.live import folder
    from connectors.gateway.token_issuer import make_missing_secrets

    async def keep_secrets() -> None:
        while True:
            await asyncio.sleep(SECRETS_SECONDS)
            try:
                await asyncio.to_thread(make_missing_secrets, folder(settings))
            except OSError as error:  # the next time it may go well
                log.error("a system gets no secret at the gateway's issuer: %s", logs.told(error))  # noqa: TRY400  it says what is wrong

    await bus.start()
    if own_issuer:
        make_missing_secrets(folder(settings))
    keeping = asyncio.create_task(keep_secrets()) if own_issuer else None
    try:
        yield
    finally:
        if keeping is not None:
            keeping.cancel()
        await bus.stop()


def url_of(settings: Settings, host: str, port: int) -> str:
    """Where systems find the gateway.

    Raises:
        BadSettings: tokens would be given to whoever reaches this machine; or TLS is half set up.
    """
    if (settings.gateway_certificate_file is None) != (settings.gateway_key_file is None):
        raise BadSettings(
            name="LINTAS_GATEWAY_KEY_FILE",
            reason="of certificate and key only one is set",
            remedy="set LINTAS_GATEWAY_CERTIFICATE_FILE and LINTAS_GATEWAY_KEY_FILE, or neither.",
        )
    if settings.gateway_certificate_file is not None:
        _try_out(settings.gateway_certificate_file, settings.gateway_key_file)
    if host not in LOOPBACK and settings.gateway_issuer is None:
        raise BadSettings(
            name="LINTAS_GATEWAY_ISSUER",
            reason=f"it is not set, and the gateway is to listen on {host}, which others than this machine reach",
            remedy="set it to the issuer of your systems' access tokens, or listen on 127.0.0.1.",
        )
    if settings.gateway_url:
        return settings.gateway_url
    scheme = "http" if settings.gateway_certificate_file is None else "https"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def _try_out(certificate: Path, key: Path | None) -> None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password="")
    except OSError as error:  # ssl.SSLError is one
        reason = "they are no certificate and its key in PEM" if isinstance(error, ssl.SSLError) else error.strerror
        raise BadSettings(
            name="LINTAS_GATEWAY_CERTIFICATE_FILE",
            reason=f"TLS cannot be spoken with {certificate} and {key}: {reason}",
            remedy="name the certificate chain, and its private key without a passphrase, in PEM.",
        ) from None
