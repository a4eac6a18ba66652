"""Metrics and health beside an ASGI application's own pages, as ``monitoring.endpoints`` answers them."""

from collections.abc import Awaitable, Callable
from importlib.metadata import version

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from monitoring.endpoints import Check, Health
from monitoring.listed import metric


def endpoint_routes(program: str, registry: CollectorRegistry, health: Health) -> list[Route]:
    """``/metrics``, ``/live``, ``/ready`` and ``/startup``.

    Args:
        program: its name, for ``lintas_build_info``.
        registry: its metrics.
        health: its checks.
    """
    metric("lintas_build_info").gauge(registry).labels(program, version("lintas")).set(1)

    async def metrics(request: Request) -> Response:
        encoder, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encoder(registry), headers={"content-type": content_type})

    checks = {"/live": health.live, "/ready": health.ready, "/startup": health.startup}
    return [Route("/metrics", metrics), *(Route(path, _answer(check)) for path, check in checks.items())]


def _answer(check: Check) -> Callable[[Request], Awaitable[Response]]:
    async def answer(_: Request) -> Response:
        wrong = check()
        return PlainTextResponse(f"{wrong or 'ok'}\n", 503 if wrong else 200)

    return answer
