"""The body of a request, within limits of size and time."""

import asyncio
from collections.abc import Callable

from starlette.requests import ClientDisconnect, Request

from connectors.gateway.refusal import Refused, malformed


def _nobody(_: int) -> None:
    """Takes no note."""


async def body_of(request: Request, most_bytes: int, seconds: float, hold: Callable[[int], None] = _nobody) -> bytes:
    """The body, whole.

    Args:
        request: whose.
        most_bytes: it may have.
        seconds: within which it must come.
        hold: told of bytes as they come (``Limits.body``).

    Raises:
        Refused: 413: it is larger; 408: it did not arrive in time; 400: it ended too soon; what ``hold`` raises.
    """
    try:
        if int(request.headers.get("content-length", "0")) > most_bytes:
            raise too_large(f"A body may have {most_bytes} bytes.")
    except ValueError:
        raise malformed("Content-Length is not a number.") from None
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for part in request.stream():
                hold(len(part))
                body += part
                if len(body) > most_bytes:
                    raise too_large(f"A body may have {most_bytes} bytes.")
    except TimeoutError:
        raise Refused(
            "request-timeout",
            f"The body did not arrive within {seconds:g} s.",
            cause="A slow or broken connection.",
            remedy="Send it again; nothing was published.",
            headers={"connection": "close"},
        ) from None
    except ClientDisconnect:
        raise malformed("The connection ended before the body did.") from None
    return bytes(body)


def too_large(detail: str) -> Refused:
    """More than may come in one request."""
    return Refused(
        "too-large",
        detail,
        cause="Too many events in one batch, or a document or picture within one.",
        remedy="Send smaller batches; publish where a large document can be fetched instead of the document.",
    )
