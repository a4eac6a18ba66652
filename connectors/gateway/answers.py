"""The outermost layer of the gateway: every request is counted, and whatever fails is answered as problem details."""

import logging
import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from connectors.gateway.measures import Measures
from connectors.gateway.refusal import Refused
from lintas import logs

OTHER = "other"  # whatever address is asked for that there is not
UNCOUNTED = frozenset({"/metrics", "/live", "/ready", "/startup"})

log = logging.getLogger(__name__)


class Answers:
    """Middleware: counts, and answers what nobody else does."""

    def __init__(self, app: ASGIApp, *, measures: Measures) -> None:
        self._app, self._measures = app, measures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 0

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["x-content-type-options"] = "nosniff"
                self._count(scope, status, time.perf_counter() - began)
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as error:
            if status:  # the answer has begun: the connection ends
                raise
            place = logs.digest(error)
            log.exception("a request failed; it is told as %s", place, extra={"event": "request_failed"})
            refused = Refused(
                "fault",
                f"The gateway failed; its log has the place under {place}.",
                cause="A defect of the gateway.",
                remedy="Tell the operator of the bus. Events may have been published: send them again with the same "
                "ids, a repeat is dropped.",
            )
            await refused.response()(scope, receive, watched)

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        if scope["path"] not in UNCOUNTED:
            route = getattr(scope.get("route"), "path", OTHER)
            trace = Headers(scope=scope).get("traceparent")
            self._measures.answered(route, scope["method"], status, seconds, trace)
