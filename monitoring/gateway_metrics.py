"""What the gateway serves beside its API: its metrics (monitoring/metrics.yaml), and whether it is well."""

from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from importlib.metadata import version

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from monitoring.endpoints import Check, Health
from monitoring.listed import metric
from monitoring.spans import NoSpans, Spans


class GatewayMetrics:
    """Counts for one gateway (``connectors.gateway.measures``)."""

    def __init__(self, spans: Spans | None = None) -> None:
        """``spans`` takes one of every request; nobody does if it is None."""
        self._spans = spans or NoSpans()
        self.registry = CollectorRegistry()
        self._requests = metric("lintas_gateway_requests_total").counter(self.registry)
        self._duration = metric("lintas_gateway_request_duration_seconds").histogram(self.registry)
        self._events = metric("lintas_gateway_events_total").counter(self.registry)
        self._limited = metric("lintas_gateway_limited_total").counter(self.registry)
        metric("lintas_build_info").gauge(self.registry).labels("gateway", version("lintas")).set(1)

    def answered(self, route: str, method: str, status: int, seconds: float, traceparent: str | None) -> None:
        """A request was answered."""
        self._requests.labels(route, f"{status // 100}xx").inc()
        self._duration.labels(route).observe(seconds)
        self._spans.record(
            f"{method} {route}",
            seconds,
            {"http.route": route, "http.request.method": method, "http.response.status_code": status},
            parent=traceparent,
            failed=status >= HTTPStatus.INTERNAL_SERVER_ERROR,
        )

    def events(self, system: str, outcome: str, count: int) -> None:
        """What became of events."""
        self._events.labels(system, outcome).inc(count)

    def limited(self, system: str) -> None:
        """A system met its limits."""
        self._limited.labels(system).inc()


def routes(metrics: GatewayMetrics, health: Health) -> Sequence[Route]:
    """``/metrics``, ``/live``, ``/ready``, ``/startup``, as every program has them."""

    async def show(request: Request) -> Response:
        encoder, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encoder(metrics.registry), headers={"content-type": content_type})

    return [
        Route("/metrics", show),
        Route("/live", _check(health.live)),
        Route("/ready", _check(health.ready)),
        Route("/startup", _check(health.startup)),
    ]


def _check(check: Check) -> Callable[[Request], Awaitable[Response]]:
    async def answer(_: Request) -> Response:
        wrong = check()
        return PlainTextResponse(f"{wrong or 'ok'}\n", 503 if wrong else 200)

    return answer
