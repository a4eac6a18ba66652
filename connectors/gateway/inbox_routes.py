"""``GET /inbox``, ``GET /inbox/stream``, ``GET`` and ``PUT /inbox/cursor``."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from connectors.gateway import inbox, incoming
from connectors.gateway.gateway import Gateway
from connectors.gateway.incoming import BATCH
from connectors.gateway.refusal import Refused, as_json, malformed
from connectors.gateway.request_body import body_of

CURSOR_HEADER: Final = "lintas-cursor"
JSON: Final = "application/json"
STREAM: Final = "text/event-stream"
LOOK_SECONDS: Final = 1.0  # a wait looks so often whether the gateway stops
COMMENT_SECONDS: Final = 15.0  # a stream that has nothing to tell says so, or proxies end it
STREAM_EVENTS: Final = 100  # fetched at once
MOST_CURSOR_BYTES: Final = 8_192


async def pull(gateway: Gateway, request: Request, limit: int, wait: float, cursor: str | None) -> Response:
    """Acknowledge a cursor, if one is given, and give what comes behind it."""
    kind = accepted(request, (JSON, BATCH))
    async with gateway.admitted(request, gateway.settings.gateway_request_seconds + wait) as caller:
        gateway.limits.spend(caller.system, 1)
        async with inbox.opened(gateway.bus, caller.system) as mine:
            positions: Mapping[int, int] = await mine.begin(cursor)
            until = time.monotonic() + wait
            while True:
                left = max(until - time.monotonic(), 0.0)
                page = await mine.read(positions, limit, min(left, LOOK_SECONDS) or 0.05)
                if page.events or left <= LOOK_SECONDS or gateway.stopping():
                    break
            told = mine.cursor(page.positions)
        gateway.limits.spend(caller.system, max(0, len(page.events) - 1))
        if page.events:
            gateway.measures.events(caller.system, "delivered", len(page.events))
    body: Any = page.events if kind == BATCH else {"events": page.events, "cursor": told}
    return Response(as_json(body), headers={CURSOR_HEADER: told, "cache-control": "no-store"}, media_type=kind)


async def where(gateway: Gateway, request: Request) -> Response:
    """The cursor of what is acknowledged."""
    accepted(request, (JSON,))
    async with gateway.admitted(request, gateway.settings.gateway_request_seconds) as caller:
        gateway.limits.spend(caller.system, 1)
        async with inbox.opened(gateway.bus, caller.system) as mine:
            told = mine.cursor(await mine.begin(None))
    return Response(as_json({"cursor": told}), headers={"cache-control": "no-store"}, media_type=JSON)


async def acknowledge(gateway: Gateway, request: Request) -> Response:
    """Acknowledge a cursor."""
    async with gateway.admitted(request, gateway.settings.gateway_request_seconds) as caller:
        gateway.limits.spend(caller.system, 1)
        mode, kind = incoming.mode_of(request.scope["headers"])
        body = await body_of(request, MOST_CURSOR_BYTES, gateway.settings.gateway_request_seconds / 2)
        value = incoming.load(body) if mode == "binary" and kind != incoming.AVRO else None
        cursor = value.get("cursor") if isinstance(value, dict) else None
        if not isinstance(cursor, str):
            raise malformed('The body is not a JSON object such as {"cursor": "..."}.')
        async with inbox.opened(gateway.bus, caller.system) as mine:
            await mine.acknowledge(cursor)
    return Response(status_code=204)


async def stream(gateway: Gateway, request: Request, cursor: str | None) -> Response:
    """Deliveries as server-sent events, from a cursor or from what is acknowledged on."""
    accepted(request, (STREAM,))
    events = _events(gateway, request, cursor)
    first = await anext(events)  # whatever is to be refused is refused before the answer begins
    return _Stream(first, events)


class _Stream(StreamingResponse):
    """Events as they come; what they are made with is let go of at once, also where the client leaves amid them."""

    def __init__(self, first: bytes, events: AsyncGenerator[bytes, None]) -> None:
        self._events = events
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        super().__init__(_after(first, events), media_type=STREAM, headers=headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with contextlib.aclosing(self._events):
            await super().__call__(scope, receive, send)


async def _events(gateway: Gateway, request: Request, cursor: str | None) -> AsyncGenerator[bytes, None]:
    longest = time.monotonic() + gateway.settings.gateway_stream_seconds
    async with gateway.admitted(request) as caller, inbox.opened(gateway.bus, caller.system) as mine:
        positions: Mapping[int, int] = await mine.begin(cursor)
        yield b": here are deliveries\n\n"
        told = time.monotonic()
        while time.monotonic() < longest and time.time() < caller.until and not gateway.stopping():
            if await request.is_disconnected():
                return
            page = inbox.Page((), (), positions)
            if (pause := gateway.limits.pause(caller.system)) > 0:
                await asyncio.sleep(min(pause, LOOK_SECONDS))
            else:
                page = await mine.read(positions, STREAM_EVENTS, LOOK_SECONDS)
            for event, behind in zip(page.events, page.behind, strict=True):
                yield b"id: %s\ndata: %s\n\n" % (mine.cursor(behind).encode(), as_json(event))
            if page.events:
                gateway.limits.spend(caller.system, len(page.events))
                gateway.measures.events(caller.system, "delivered", len(page.events))
                told = time.monotonic()
            elif time.monotonic() - told > COMMENT_SECONDS:
                yield b": nothing yet\n\n"
                told = time.monotonic()
            positions = page.positions


async def _after(first: bytes, events: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    try:
        async for event in events:
            yield event
    except Refused as refused:  # the answer has begun: it is told as an event
        yield b"event: problem\ndata: %s\n\n" % as_json(refused.body())


def accepted(request: Request, kinds: tuple[str, ...]) -> str:
    """The media type of ``kinds`` that the request likes best (RFC 9110, section 12.5.1).

    Raises:
        Refused: 406.
    """
    found = ",".join(request.headers.getlist("accept"))
    wanted = dict(_weighed(part) for part in found.split(",")) if found.strip() else {"*/*": 1.0}
    weights = {
        kind: next((wanted[of] for of in (kind, f"{kind.partition('/')[0]}/*", "*/*") if of in wanted), 0.0)
        for kind in kinds
    }
    best = max(kinds, key=weights.__getitem__)  # of equals the first
    if weights[best] > 0:
        return best
    raise Refused(
        "not-acceptable",
        f"The answer is given as {' or '.join(kinds)}.",
        cause="The Accept header names other media types only.",
        remedy="Name one of these in Accept, or leave it out.",
    )


def _weighed(part: str) -> tuple[str, float]:
    """A media range of an Accept header, and its weight."""
    kind, *parameters = (one.strip().lower() for one in part.split(";"))
    weights = [one.removeprefix("q=") for one in parameters if one.startswith("q=")]
    try:
        return kind, float(weights[0]) if weights else 1.0
    except ValueError:
        return kind, 1.0
