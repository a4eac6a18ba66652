"""Connections that bring no request end; those that are of use stay."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn

from connectors.gateway.connections import Connection

IDLE_SECONDS = 0.2
REQUEST = b"GET / HTTP/1.1\r\nhost: here\r\n\r\n"


async def slow(_scope: Any, _receive: Any, send: Any) -> None:
    """Answers after three times what a connection may be idle."""
    await asyncio.sleep(3 * IDLE_SECONDS)
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


@contextlib.asynccontextmanager
async def connected() -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to a server that serves as the gateway does."""
    config = uvicorn.Config(slow, log_config=None, lifespan="off", timeout_keep_alive=IDLE_SECONDS, http=Connection)  # type: ignore[arg-type]  # seconds need not be whole
    server = uvicorn.Server(config)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        while not server.started:  # noqa: ASYNC110  it tells nobody
            await asyncio.sleep(0.01)
        reader, writer = await asyncio.open_connection(*listening.getsockname())
        yield reader, writer
        writer.close()
        server.should_exit = True
        await serving


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nho"])
async def test_a_connection_without_a_whole_request_ends(sent: bytes) -> None:
    async with connected() as (reader, writer), asyncio.timeout(5):
        writer.write(sent)
        assert await reader.read() == b""


async def test_a_connection_is_not_ended_while_its_request_is_served_nor_behind_it_at_once() -> None:
    async with connected() as (reader, writer):
        for _ in range(2):
            writer.write(REQUEST)
            assert await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        async with asyncio.timeout(5):
            assert await reader.read() == b""  # then it is
