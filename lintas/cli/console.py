"""``lintas console``: the web pages on which people see how the bus is, and act."""

import datetime as dt
import logging
import signal
import sys

import click

from lintas import logs
from lintas.cli import service_options
from lintas.cli.moment import Moment
from lintas.errors import BadSettings
from lintas.settings import Settings

LOOPBACK = ("127.0.0.1", "::1", "localhost")
STOP_SECONDS = 5
USUAL_PERIOD = dt.timedelta(hours=24)

log = logging.getLogger(__name__)


@click.command()
@service_options.listen("127.0.0.1:8460", "where it is served")
@click.option(
    "--from",
    "since",
    type=Moment(),
    help="books of events published then or later; 24 hours ago if not given",
)
@service_options.log_level
def console(*, listen: tuple[str, int], since: dt.datetime | None, log_level: str) -> None:
    """Serve the console: how the bus is, who may have which fields of what, what failed and why.

    People log in by OpenID Connect (LINTAS_OIDC_ISSUER). Where that is not set, and the console listens on loopback, it
    has an issuer of its own with demo people; their passwords are in <secrets>/console-people.yaml. Elsewhere
    LINTAS_CONSOLE_URL must say where browsers find it. GET /metrics, /live, /ready and /startup need no login. SIGTERM
    ends it. Exit 0 stopped, 1 something went wrong (see the log), 2 misuse.
    """
    import socket

    import uvicorn

    from monitoring.console.app import build
    from monitoring.console.bus import LiveBus

    logs.set_up("console", log_level)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))  # uvicorn takes them while it serves, and gives them back
    settings = Settings()
    host, port = listen
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(listen)
    except OSError as error:
        raise click.BadParameter(
            f"nothing can listen on {host}:{port}: {error.strerror}", param_hint="--listen"
        ) from error
    port = listening.getsockname()[1]
    url = settings.console_url or _own_url(host, port)
    if host not in LOOPBACK and settings.oidc_issuer is None:
        raise BadSettings(
            name="LINTAS_OIDC_ISSUER",
            reason=f"it is not set, and the console is to listen on {host}, where others than this machine reach it",
            remedy="set it to the issuer of your people's identities, or listen on 127.0.0.1.",
        )
    bus = LiveBus(settings, since or dt.datetime.now(dt.UTC) - USUAL_PERIOD)
    app = build(settings, bus, url)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,  # addresses and names of people are no business of a log
            server_header=False,
            timeout_graceful_shutdown=STOP_SECONDS,
        )
    )
    app.state.console.stopping = lambda: server.should_exit
    log.info("the console is at %s", url)
    bus.start()
    server.run(sockets=[listening])
    bus.stop()


def _own_url(host: str, port: int) -> str:
    if host not in LOOPBACK:
        raise BadSettings(
            name="LINTAS_CONSOLE_URL",
            reason=f"it is not set, and the console is to listen on {host}, which is no address for browsers",
            remedy="set it to where people find the console, such as https://lintas.example.go.id.",
        )
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
