"""What every long-running program of the bus answers over HTTP: metrics, and whether it lives, serves, has started.

``/metrics`` for Prometheus (OpenMetrics with exemplars if asked for), ``/live``, ``/ready`` and ``/startup`` for
whoever restarts it or sends it work. The answers come from a thread of their own: they are had while the program's
event loop is stuck, and then say so.
"""

import dataclasses
import time
from collections.abc import Callable, Iterable
from http import HTTPStatus
from importlib.metadata import version
from threading import Thread
from wsgiref.simple_server import make_server
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer, _SilentHandler

from monitoring.listed import metric

Check = Callable[[], str]


def well() -> str:
    """A check that always passes."""
    return ""


class Pulse:
    """Tells whether a loop still goes round; safe to ask from another thread."""

    def __init__(self, what: str, most_seconds: float) -> None:
        """``what`` names the loop; it is stuck if it has not come round for ``most_seconds``."""
        self._what, self._most = what, most_seconds
        self._beaten = time.monotonic()

    def beat(self) -> None:
        """The loop has come round."""
        self._beaten = time.monotonic()

    def check(self) -> str:
        """Empty while the loop goes round, else for how long it has not."""
        silent = time.monotonic() - self._beaten
        return f"{self._what} has not come round for {silent:.0f} s" if silent > self._most else ""


@dataclasses.dataclass(frozen=True, slots=True)
class Health:
    """How a program is; each check gives nothing if it is well, else why not, without personal data.

    Attributes:
        live: not so, and it cannot help itself: it must be started anew.
        ready: it does its work; not so while what it depends on is away, which a restart does not mend.
        startup: it has come as far as doing its work for the first time.
    """

    live: Check = well
    ready: Check = well
    startup: Check = well


def serve(program: str, registry: CollectorRegistry, health: Health, address: tuple[str, int]) -> int:
    """Answer in a thread of its own as long as the process lives.

    Args:
        program: its name, for ``lintas_build_info``.
        registry: its metrics.
        health: its checks.
        address: host and port to listen at; port 0 for any that is free.

    Returns:
        the port.

    Raises:
        OSError: nothing can listen there.
    """
    host, port = address
    server = make_server(host, port, _answers(registry, health), ThreadingWSGIServer, handler_class=_SilentHandler)
    metric("lintas_build_info").gauge(registry).labels(program, version("lintas")).set(1)
    Thread(target=server.serve_forever, name="endpoints", daemon=True).start()
    return server.server_port


def _answers(registry: CollectorRegistry, health: Health) -> WSGIApplication:
    metrics: WSGIApplication = make_wsgi_app(registry)
    checks = {"/live": health.live, "/ready": health.ready, "/startup": health.startup}

    def answer(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/metrics":
            return metrics(environ, start)
        if path not in checks:
            return _text(start, HTTPStatus.NOT_FOUND, f"here are /metrics, {', '.join(checks)}")
        wrong = checks[path]()
        return _text(start, HTTPStatus.SERVICE_UNAVAILABLE if wrong else HTTPStatus.OK, wrong or "ok")

    return answer


def _text(start: StartResponse, status: HTTPStatus, text: str) -> Iterable[bytes]:
    start(f"{status.value} {status.phrase}", [("Content-Type", "text/plain; charset=utf-8")])
    return [text.encode() + b"\n"]
