"""Many publishers at once over HTTP: connections that send a prepared request as soon as the last is answered.

A process of its own: ``python -m bench.http_load HOST PORT CONNECTIONS SECONDS`` reads one request for all connections
from standard input, with ``@@`` where it is to carry the connection's number, and prints what it measured as JSON. It
knows just as much of HTTP as its two servers need: answers have a Content-Length.
"""

import asyncio
import json
import sys
import time

WARMING_SECONDS = 2.0
NUMBER = b"@@"


async def load(host: str, port: int, request: bytes, connections: int, seconds: float) -> dict[str, float]:
    """Requests a second, and how long their answers took, after warming up."""
    began = time.perf_counter()
    measured_from, until = began + WARMING_SECONDS, began + WARMING_SECONDS + seconds
    took: list[float] = []
    answered = 0

    async def publisher(number: int) -> None:
        nonlocal answered
        mine = request.replace(NUMBER, b"%02d" % (number % 100))
        reader, writer = await asyncio.open_connection(host, port)
        try:
            while (sent := time.perf_counter()) < until:
                writer.write(mine)
                await _answer(reader)
                now = time.perf_counter()
                answered += 1
                if measured_from <= now <= until:
                    took.append(now - sent)
        finally:
            writer.close()

    await asyncio.gather(*(publisher(number) for number in range(connections)))
    if not took:
        raise RuntimeError("no request was answered within the time")
    took.sort()
    return {
        "rate": len(took) / seconds,
        "answered": answered,  # in all, also outside of the time that is measured
        "p50_ms": took[len(took) // 2] * 1000,
        "p99_ms": took[len(took) * 99 // 100] * 1000,
        "most_ms": took[-1] * 1000,
    }


async def _answer(reader: asyncio.StreamReader) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    if b" 200 " not in head.partition(b"\r\n")[0]:
        raise RuntimeError(f"{head.decode()}{(await reader.read(2_000)).decode(errors='replace')}")
    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    await reader.readexactly(int(length.partition(b":")[2]))


if __name__ == "__main__":
    host, port, connections, seconds = sys.argv[1:]
    print(json.dumps(asyncio.run(load(host, int(port), sys.stdin.buffer.read(), int(connections), float(seconds)))))
