"""What the console counts of itself (monitoring/metrics.yaml)."""

import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from importlib.metadata import version

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from starlette.requests import Request
from starlette.responses import Response

from monitoring.listed import metric
from monitoring.spans import NoSpans, Spans

Endpoint = Callable[[Request], Awaitable[Response]]


class Measures:
    """The metrics of one console."""

    def __init__(self, spans: Spans | None = None) -> None:
        """``spans`` takes one of every request; nobody does if it is None."""
        self._spans = spans or NoSpans()
        self.registry = CollectorRegistry()
        self._requests = metric("lintas_console_requests_total").counter(self.registry)
        self._duration = metric("lintas_console_request_duration_seconds").histogram(self.registry)
        self._acts = metric("lintas_console_acts_total").counter(self.registry)
        metric("lintas_build_info").gauge(self.registry).labels("console", version("lintas")).set(1)

    def acted(self, act: str, outcome: str) -> None:
        """Somebody did something, or was refused."""
        self._acts.labels(act, outcome).inc()

    def measured(self, page: str, endpoint: Endpoint) -> Endpoint:
        """The endpoint, measured. A stream is measured up to its beginning."""

        async def measure(request: Request) -> Response:
            began = time.perf_counter()
            status = 500
            try:
                response = await endpoint(request)
                status = response.status_code
            finally:
                seconds = time.perf_counter() - began
                self._requests.labels(page, f"{status // 100}xx").inc()
                self._duration.labels(page).observe(seconds)
                self._spans.record(
                    f"{request.method} {page}",
                    seconds,
                    {"http.route": page, "http.request.method": request.method, "http.response.status_code": status},
                    parent=request.headers.get("traceparent"),
                    failed=status >= HTTPStatus.INTERNAL_SERVER_ERROR,
                )
            return response

        return measure

    async def show(self, request: Request) -> Response:
        """Answer a scrape, in the format that it asks for."""
        encoder, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encoder(self.registry), headers={"content-type": content_type})
