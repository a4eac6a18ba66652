"""A TCP proxy between workers and one broker that loses, delays and holds what Kafka's clients rely on."""

import asyncio
import contextlib
import dataclasses
from collections.abc import Callable

from lintas.local.ports import LOOPBACK

PRODUCE, INIT, ADD_PARTITIONS, ADD_OFFSETS, END, COMMIT_OFFSETS = 0, 22, 24, 25, 26, 28  # Kafka's request keys
CHUNK = 256 * 1024


@dataclasses.dataclass(frozen=True, slots=True)
class Trap:
    """What befalls the next request of some kind: the client is cut off, the request reaches the broker nevertheless.

    Attributes:
        requests: the request keys that spring it.
        late_seconds: how long after the cut the broker gets the request.
    """

    requests: frozenset[int]
    late_seconds: float


class Proxy:
    """Passes connections on to a broker until it is told to do worse.

    Attributes:
        port: where workers connect.
        target: where the broker listens.
    """

    def __init__(self, port: int, target: int) -> None:
        self.port, self.target = port, target
        self._traps: list[tuple[Trap, asyncio.Event]] = []
        self._delay_seconds = 0.0
        self._open = asyncio.Event()
        self._open.set()
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, LOOPBACK, self.port)

    async def stop(self) -> None:
        """Listen no more; cut every connection."""
        if self._server is not None:
            self._server.close()
        self.cut()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def cut(self) -> None:
        """Close every connection now."""
        for connection in list(self._connections):
            connection.cancel()

    def set_trap(self, trap: Trap, caught: asyncio.Event) -> Callable[[], None]:
        """Catch one request and say so, unless another proxy did; returns how to take the trap away."""
        self._traps.append((trap, caught))

        def remove() -> None:
            with contextlib.suppress(ValueError):
                self._traps.remove((trap, caught))

        return remove

    async def delay(self, answer_seconds: float, seconds: float) -> None:
        """For a time let every answer come late."""
        self._delay_seconds = answer_seconds
        await asyncio.sleep(seconds)
        self._delay_seconds = 0.0

    async def hold(self, seconds: float) -> None:
        """For a time let nothing pass."""
        self._open.clear()
        await asyncio.sleep(seconds)
        self._open.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        upstream: asyncio.StreamWriter | None = None
        try:
            answers, upstream = await asyncio.open_connection(LOOPBACK, self.target)
            requests = asyncio.create_task(self._requests(reader, upstream, writer))
            responses = asyncio.create_task(self._answers(answers, writer))
            try:
                await asyncio.wait({requests, responses}, return_when=asyncio.FIRST_COMPLETED)
                if requests.done() and not requests.cancelled() and requests.exception() is None:
                    await requests.result()  # a request that is still on its way
            finally:
                for each in (requests, responses):
                    each.cancel()
                await asyncio.gather(requests, responses, return_exceptions=True)
        except (OSError, asyncio.CancelledError):
            pass  # the broker is away, or the connection was cut
        finally:
            self._connections.discard(task)
            for end in (writer, upstream):
                if end is not None:
                    end.transport.abort() if end is writer else end.close()

    async def _requests(
        self, reader: asyncio.StreamReader, upstream: asyncio.StreamWriter, client: asyncio.StreamWriter
    ) -> "asyncio.Future[None]":
        """Pass requests on; returns what is left to be done once the client is cut off or gone."""
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readexactly(4)
                body = await reader.readexactly(int.from_bytes(head))
                await self._open.wait()
                trap = self._sprung_by(int.from_bytes(body[:2]))
                if trap is not None:
                    client.transport.abort()
                    return asyncio.create_task(_send_late(upstream, head + body, trap.late_seconds))
                upstream.write(head + body)
                await upstream.drain()
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    def _sprung_by(self, request: int) -> Trap | None:
        for trap, caught in self._traps:
            if request in trap.requests and not caught.is_set():
                self._traps.remove((trap, caught))
                caught.set()
                return trap
        return None

    async def _answers(self, answers: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while chunk := await answers.read(CHUNK):
                if self._delay_seconds:
                    await asyncio.sleep(self._delay_seconds)
                await self._open.wait()
                client.write(chunk)
                await client.drain()


async def _send_late(upstream: asyncio.StreamWriter, request: bytes, seconds: float) -> None:
    await asyncio.sleep(seconds)
    with contextlib.suppress(ConnectionError):
        upstream.write(request)
        await upstream.drain()
        await asyncio.sleep(1)  # time to be read before the connection goes
