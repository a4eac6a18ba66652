"""The gateway on a bus in memory, which holds the example deployment; nothing of it is on the network."""

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
from console_bus import example
from fastapi import FastAPI
from lintas_client import ClientError, Receipt
from lintas_client.delivery import Record
from lintas_client.preparation import Prepared, prepare
from lintas_client.wire.codec import Codec
from starlette.routing import BaseRoute

from connectors.gateway import entitlements
from connectors.gateway.app import build
from connectors.gateway.bus import Outlet, Reader
from connectors.gateway.cursor import Cursors
from connectors.gateway.measures import Measures
from connectors.gateway.refusal import Refused
from lintas.settings import Settings
from schemas.snapshot import Snapshot

URL = "http://127.0.0.1:8090"
QUAKES = "id.go.bmkg.earthquake.measured.v1"
BMKG, DUKCAPIL, BNPB = "bmkg.inatews", "dukcapil.siak", "bnpb.early-warning"
QUAKE: Mapping[str, Any] = {
    "event_id": "q1",
    "origin_time": "2026-11-24T01:02:03.000Z",
    "latitude": -7.1,
    "longitude": 106.2,
    "depth_km": 10,
    "magnitude": "5.6",
    "magnitude_tenths": 56,
    "region": "Java, Indonesia",
}
BINARY: Mapping[str, str] = {
    "content-type": "application/json",
    "ce-specversion": "1.0",
    "ce-id": "q1",
    "ce-source": f"urn:lintas:{BMKG}",
    "ce-type": QUAKES,
}


def structured(number: int = 1, **others: Any) -> dict[str, Any]:
    """An earthquake in the JSON event format."""
    attributes = {name.removeprefix("ce-"): value for name, value in BINARY.items() if name.startswith("ce-")}
    return {**attributes, "id": f"q{number}", "data": dict(QUAKE), **others}


class MemoryBus:
    """Keeps what was published, in order; inboxes have one partition.

    Attributes:
        sent: what was published.
        refusing: raised by the next event that is sent, if it is set.
        silent: events are taken and never confirmed.
    """

    def __init__(self) -> None:
        self.snapshot: Snapshot = example()
        self.systems = {BMKG, DUKCAPIL, BNPB}
        self.sent: list[Prepared] = []
        self.refusing: dict[str, ClientError] = {}
        self.silent = False
        self.retired: list[str] = []
        self.inboxes: defaultdict[str, list[Record]] = defaultdict(list)
        self.positions: defaultdict[str, dict[int, int]] = defaultdict(dict)
        self.group_in_use = False

    def serves(self, system: str) -> bool:
        return system in self.systems

    def cursors(self, system: str) -> Cursors:
        return Cursors(system, f"password of {system}")

    async def outlet(self, _: str) -> Outlet:
        return self

    def retire(self, system: str, _: Outlet) -> None:
        self.retired.append(system)

    async def send_prepared(self, event: Prepared) -> "asyncio.Future[Receipt]":
        if event.id in self.refusing:
            raise self.refusing[event.id]
        receipt: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        if not self.silent:
            self.sent.append(event)
            receipt.set_result(Receipt(event.topic, 0, len(self.sent), event.id))
        return receipt

    async def reader(self, system: str) -> Reader:
        if system not in self.snapshot.consumers():
            raise Refused("not-found", f"{system} has no inbox.")
        return MemoryReader(self, system)

    async def give_back(self, system: str, reader: Reader, *, well: bool) -> None:
        pass

    async def codec(self, schema_id: int) -> Codec:
        for agreement in self.snapshot.agreements.values():
            if agreement.released.id == schema_id:
                return entitlements.codec_of(agreement.released)
        raise LookupError(schema_id)

    def deliver(self, agreement: str, data: Mapping[str, Any], event_id: str) -> None:
        """Put an event into the inbox of an agreement's consumer."""
        published = self.snapshot.agreements[agreement]
        contract = published.contract
        source = self.snapshot.event_types[contract.event_type]
        as_released = entitlements.event_type(source, published.released)
        event = prepare(as_released, BMKG, data, id=event_id, extensions={"agreement": agreement, "channel": "G2G"})
        inbox = self.inboxes[contract.consumer]
        inbox.append(
            SimpleNamespace(
                topic=f"inbox.{contract.consumer}",
                partition=0,
                offset=len(inbox),
                timestamp=int(time.time() * 1000),
                key=event.key,
                value=event.value,
                headers=[*event.headers, ("lintas-salt", b"salt")],
            )
        )


class MemoryReader:
    """Reads an inbox in memory."""

    def __init__(self, bus: MemoryBus, system: str) -> None:
        self._bus, self._system = bus, system

    async def committed(self) -> dict[int, int]:
        return dict(self._bus.positions[self._system])

    async def commit(self, positions: Mapping[int, int]) -> None:
        if self._bus.group_in_use:
            raise Refused("inbox-in-use", "somebody reads")
        self._bus.positions[self._system] |= positions

    async def read(self, positions: Mapping[int, int], limit: int, seconds: float) -> Sequence[Record]:
        inbox = self._bus.inboxes[self._system]
        first = positions.get(0, 0)
        if first >= len(inbox):
            await asyncio.sleep(min(seconds, 0.02))
        return inbox[first : first + limit]


class Visitor:
    """A system that speaks to the gateway."""

    def __init__(self, app: FastAPI, http: httpx.AsyncClient, bus: MemoryBus) -> None:
        self.app, self.http, self.bus = app, http, bus

    def token(self, system: str = BMKG) -> dict[str, str]:
        return {"authorization": f"Bearer {self.app.state.issuer.token(system)}"}

    async def post(self, content: bytes, headers: Any, system: str = BMKG) -> httpx.Response:
        """POST /events as a system."""
        given = list(headers.items()) if isinstance(headers, Mapping) else list(headers)
        return await self.http.post("/events", content=content, headers=[*given, *self.token(system).items()])

    async def get(self, path: str, system: str = BNPB, **headers: str) -> httpx.Response:
        """GET as a system."""
        return await self.http.get(path, headers=self.token(system) | headers)


@contextlib.asynccontextmanager
async def visiting(
    folder: Path,
    bus: MemoryBus | None = None,
    *,
    measures: Measures | None = None,
    routes: Sequence[BaseRoute] = (),
    **settings: Any,
) -> AsyncIterator[Visitor]:
    """A gateway in this process."""
    bus = bus or MemoryBus()
    app = build(Settings(home=folder, **settings), bus, URL, measures=measures, routes=routes)
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=True)
    async with httpx.AsyncClient(transport=transport, base_url=URL) as http:
        yield Visitor(app, http, bus)


def errors_of(answer: httpx.Response) -> Iterator[tuple[str, str]]:
    """Path and rule of each error of an answer."""
    for error in answer.json().get("errors", []):
        yield error["path"], error["rule"]
