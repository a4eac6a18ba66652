"""The lines of a file or pipe, one at a time, however large it is and however slowly it comes."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from typing import Final

LINE_LIMIT: Final = 16 * 1024 * 1024  # far above what a broker takes
_CHUNK: Final = 256 * 1024


async def lines_of(
    descriptor: int, advance: Callable[[int], None] = lambda _: None
) -> AsyncIterator[tuple[int, bytes | None]]:
    """Number and content of every line that is not blank; None for a line that is too long to be an event.

    ``advance`` is told of the bytes that were read.
    """
    number, rest, too_long = 1, b"", False
    while chunk := await _read(descriptor):
        advance(len(chunk))
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            if too_long:
                yield number, None
            elif content := line.strip():
                yield number, content
            number, too_long = number + 1, False
        if len(rest) > LINE_LIMIT:
            rest, too_long = b"", True
    if too_long:
        yield number, None
    elif content := rest.strip():
        yield number, content


async def _read(descriptor: int) -> bytes:
    """The next bytes; while a pipe has none, everything else goes on."""
    loop = asyncio.get_running_loop()
    readable = loop.create_future()
    try:
        loop.add_reader(descriptor, _set, readable)
    except PermissionError:  # a regular file: always readable
        return os.read(descriptor, _CHUNK)
    try:
        await readable
    finally:
        loop.remove_reader(descriptor)
    return os.read(descriptor, _CHUNK)


def _set(readable: asyncio.Future[None]) -> None:
    if not readable.done():
        readable.set_result(None)
