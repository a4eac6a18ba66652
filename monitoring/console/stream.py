"""Server-sent events: parts of a page, sent anew when they have changed."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Final

from starlette.responses import StreamingResponse

from monitoring.console.page import Visit

LOOK_SECONDS: Final = 1.0
PING_SECONDS: Final = 15.0  # so that proxies and browsers know that we are there

Parts = Callable[[], Iterable[tuple[str, str]]]


def stream(visit: Visit, parts: Parts) -> StreamingResponse:
    """The answer to whoever listens.

    Args:
        visit: the stream ends when the session or the server does.
        parts: names of events, and the HTML of each as it is now; asked when anything of the bus was read anew.
    """
    return StreamingResponse(events(visit, parts), media_type="text/event-stream", headers={"x-accel-buffering": "no"})


async def events(visit: Visit, parts: Parts) -> AsyncIterator[str]:
    """The lines of the stream."""
    console = visit.console
    seen, sent, spoken = -1, dict[str, str](), time.monotonic()
    yield "retry: 3000\n\n"
    while console.sessions.is_open(visit.session) and not console.stopping():
        version = console.bus.version
        if version != seen:
            seen = version
            for name, html in parts():
                if sent.get(name) != html:
                    sent[name], spoken = html, time.monotonic()
                    yield f"event: {name}\n" + "".join(f"data: {line}\n" for line in html.splitlines()) + "\n"
        elif time.monotonic() > spoken + PING_SECONDS:
            spoken = time.monotonic()
            yield ": here\n\n"
        await asyncio.sleep(LOOK_SECONDS)
