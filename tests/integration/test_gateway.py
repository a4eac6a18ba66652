"""The gateway on a real bus, as a process of its own: what it publishes, what it gives, what it remembers."""

import asyncio
import contextlib
import datetime as dt
import json
import ssl
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from lintas_client import Connection, Subscriber
from lintas_client.preparation import prepare

from bench.served import running_gateway
from connectors.gateway import entitlements
from connectors.gateway.incoming import BATCH, STRUCTURED
from connectors.gateway.kafka_reader import KafkaReader
from lintas import credentials, names
from lintas.connection import connection_of
from lintas.settings import Settings
from lintas.stack.certificates import authority, server
from schemas.load import Catalogue
from schemas.provision import apply
from schemas.publication import read_current
from schemas.snapshot import Snapshot

OFFICE, DESK = "office-gate", "office-gate.desk"
STATISTICS, SHOP = "users-gate.statistics", "users-gate.shop"
MADE, LOST = f"id.go.{OFFICE}.thing.made.v1", f"id.go.{OFFICE}.thing.lost.v1"
TOPIC = f"events.{OFFICE}.thing.made.v1"
THING = {"number": "T-1", "colour": "red"}


@pytest.fixture(scope="module")
def in_force(catalogue_bus: Settings, small_catalogue: Callable[[str], Catalogue]) -> Snapshot:
    apply(catalogue_bus, small_catalogue("gate"), author="test")
    current = read_current(catalogue_bus)
    assert current is not None
    return current[1]


@pytest.fixture(scope="module")
def gateway(catalogue_bus: Settings, in_force: Snapshot, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a gateway that tests share."""
    del in_force
    with running_gateway(catalogue_bus, tmp_path_factory.mktemp("gateway") / "log") as (url, _):
        yield url


@contextlib.asynccontextmanager
async def speaking(
    settings: Settings, url: str, system: str, ca: Path | None = None
) -> AsyncIterator[httpx.AsyncClient]:
    """HTTP as a system, with a token that it got for its secret."""
    secret = (settings.secrets / f"{system}.client-secret").read_text().strip()
    verify = ssl.create_default_context(cafile=ca) if ca else True
    async with httpx.AsyncClient(base_url=url, timeout=40, verify=verify) as http:
        answer = await http.post("/issuer/token", data={"grant_type": "client_credentials"}, auth=(system, secret))
        assert answer.status_code == 200, answer.text
        http.headers["authorization"] = f"Bearer {answer.json()['access_token']}"
        yield http


def event(event_id: str, **others: Any) -> dict[str, Any]:
    source = names.source_of(DESK)
    return {"specversion": "1.0", "id": event_id, "source": source, "type": MADE, "data": THING, **others}


def binary(event_id: str, event_type: str = MADE) -> Mapping[str, str]:
    attributes = {"specversion": "1.0", "id": event_id, "source": names.source_of(DESK), "type": event_type}
    return {"content-type": "application/json", **{f"ce-{name}": value for name, value in attributes.items()}}


async def read(settings: Settings, topic: str, partitions: int) -> list[dict[str, bytes]]:
    """The headers of every record of a topic."""
    consumer = AIOKafkaConsumer(**credentials.aiokafka_options(settings, names.ADMIN))
    await consumer.start()
    try:
        places = [TopicPartition(topic, number) for number in range(partitions)]
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        ends, found = await consumer.end_offsets(places), []
        while any([await consumer.position(place) < ends[place] for place in places]):
            for records in (await consumer.getmany(timeout_ms=500)).values():
                found += [dict(record.headers) for record in records]
        return found
    finally:
        await consumer.stop()


async def deliver(settings: Settings, snapshot: Snapshot, agreement: str, event_ids: list[str]) -> None:
    """Put events into a consumer's inbox as a lane does, in a transaction, half of them in each partition."""
    published = snapshot.agreements[agreement]
    source = snapshot.event_types[published.contract.event_type]
    as_released = entitlements.event_type(source, published.released)
    producer = AIOKafkaProducer(
        **credentials.aiokafka_options(settings, names.ADMIN), transactional_id=f"test-{uuid.uuid4().hex}"
    )
    await producer.start()
    try:
        async with producer.transaction():
            for number, event_id in enumerate(event_ids):
                made = prepare(as_released, DESK, {"number": "T-1"}, id=event_id, extensions={"agreement": agreement})
                await producer.send(
                    names.inbox_topic(published.contract.consumer),
                    made.value,
                    made.key,
                    partition=number % 2,
                    headers=made.headers,
                )
    finally:
        await producer.stop()


def certificates(folder: Path) -> dict[str, Path]:
    """An authority, and a certificate and key of 127.0.0.1 that it signed."""
    now = dt.datetime.now(dt.UTC)
    signer = authority("test", now)
    signed = server(signer, "gateway", "test", ["127.0.0.1"], now)
    made = {"ca": signer.certificate, "certificate": signed.certificate, "key": signed.key}
    for name, pem in made.items():
        (folder / f"{name}.pem").write_bytes(pem)
    return {name: folder / f"{name}.pem" for name in made}


async def fetch_until(http: httpx.AsyncClient, count: int, cursor: str = "") -> tuple[list[str], str]:
    """The ids of deliveries and the last cursor, once so many have come; only the cursor given is acknowledged."""
    deadline = time.monotonic() + 30
    while True:
        answer = await http.get("/inbox", params={"wait": 5, **({"cursor": cursor} if cursor else {})})
        assert answer.status_code == 200, answer.text
        found = [one["id"] for one in answer.json()["events"]]
        if len(found) >= count:
            return found, answer.json()["cursor"]
        assert time.monotonic() < deadline, found


async def test_events_of_all_three_modes_lie_on_the_bus_and_repeats_are_answered_as_the_first(
    catalogue_bus: Settings, gateway: str
) -> None:
    async with speaking(catalogue_bus, gateway, DESK) as http:
        data = json.dumps(THING)

        async def publish() -> list[tuple[int, Any]]:
            answers = [
                await http.post("/events", content=data, headers=binary("b-1")),
                await http.post("/events", json=event("s-1"), headers={"content-type": STRUCTURED}),
                await http.post("/events", json=[event("m-1"), event("m-2")], headers={"content-type": BATCH}),
            ]
            return [(one.status_code, one.json()) for one in answers]

        first = await publish()
        assert [status for status, _ in first] == [200, 200, 200]
        assert first[2][1]["published"] == 2
        assert await publish() == first
        broken = await http.post("/events", json=[event("x-1"), event("x-2", data={})], headers={"content-type": BATCH})
        assert (broken.status_code, [one["published"] for one in broken.json()["results"]]) == (422, ["no", "no"])
    found = await read(catalogue_bus, TOPIC, 3)
    assert sorted(one["ce_id"] for one in found) == [b"b-1", b"b-1", b"m-1", b"m-1", b"m-2", b"m-2", b"s-1", b"s-1"]
    assert {one["ce_source"] for one in found} == {names.source_of(DESK).encode()}


async def test_another_system_s_token_opens_neither_event_type_nor_inbox(
    catalogue_bus: Settings, in_force: Snapshot, gateway: str
) -> None:
    await deliver(catalogue_bus, in_force, f"{SHOP}.lost", ["mine"])
    async with speaking(catalogue_bus, gateway, STATISTICS) as http:
        assert (await http.post("/events", content=json.dumps(THING), headers=binary("n-1"))).status_code == 403
        async with speaking(catalogue_bus, gateway, SHOP) as shop:
            ids, cursor = await fetch_until(shop, 1)
        assert ids == ["mine"]
        assert (await http.get("/inbox", params={"cursor": cursor})).status_code == 400
        assert (await http.get("/inbox", headers={"authorization": "Bearer a.b.c"})).status_code == 401
    async with speaking(catalogue_bus, gateway, DESK) as http:
        assert (await http.get("/inbox")).status_code == 404


async def test_what_was_acknowledged_does_not_come_again_also_from_another_gateway_that_speaks_tls(
    catalogue_bus: Settings, in_force: Snapshot, gateway: str, tmp_path: Path
) -> None:
    await deliver(catalogue_bus, in_force, f"{STATISTICS}.made", [f"d-{number}" for number in range(6)])
    async with speaking(catalogue_bus, gateway, STATISTICS) as http:
        ids, cursor = await fetch_until(http, 6)
        assert sorted((await fetch_until(http, 6))[0]) == sorted(ids)  # nothing was acknowledged
        first = await http.get("/inbox", params={"limit": 2})
        assert (await http.put("/inbox/cursor", json={"cursor": first.json()["cursor"]})).status_code == 204
    pem = certificates(tmp_path)
    tls = {
        "LINTAS_GATEWAY_CERTIFICATE_FILE": str(pem["certificate"]),
        "LINTAS_GATEWAY_KEY_FILE": str(pem["key"]),
    }
    with running_gateway(catalogue_bus, tmp_path / "log", **tls) as (other, _):
        assert other.startswith("https://")
        async with speaking(catalogue_bus, other, STATISTICS, pem["ca"]) as http:
            rest, _ = await fetch_until(http, 4)
            assert sorted(rest) == sorted(set(ids) - {one["id"] for one in first.json()["events"]})
            assert (await http.get("/inbox", params={"cursor": cursor})).json()["events"] == []
            async with http.stream("GET", "/inbox/stream") as stream:
                lines = stream.aiter_lines()
                assert await anext(lines) == ": here are deliveries"
                await deliver(catalogue_bus, in_force, f"{STATISTICS}.made", ["live-1", "live-2"])
                told = await asyncio.wait_for(_events(lines, 2), 20)
            first_id, second_id = (one["id"] for _, one in told)
            assert {first_id, second_id} == {"live-1", "live-2"}  # of two partitions: in whichever order
            async with http.stream("GET", "/inbox/stream", headers={"last-event-id": told[0][0]}) as stream:
                again = await asyncio.wait_for(_events(stream.aiter_lines(), 1), 20)
            assert again[0][1]["id"] == second_id
            assert (await fetch_until(http, 1))[0] == [second_id]  # the first one was acknowledged by reconnecting


async def _events(lines: AsyncIterator[str], count: int) -> list[tuple[str, Any]]:
    """Ids and data of so many server-sent events."""
    found: list[tuple[str, Any]] = []
    cursor = ""
    async for line in lines:
        name, _, value = line.partition(": ")
        if name == "id":
            cursor = value
        elif name == "data":
            found.append((cursor, json.loads(value)))
            if len(found) == count:
                break
    return found


async def test_a_kafka_client_of_the_same_system_goes_on_where_the_gateway_was_and_the_gateway_says_that_it_reads(
    catalogue_bus: Settings, in_force: Snapshot, gateway: str
) -> None:
    async with speaking(catalogue_bus, gateway, SHOP) as http:
        await deliver(catalogue_bus, in_force, f"{SHOP}.lost", ["k-1"])
        page = (await http.get("/inbox", params={"wait": 5})).json()
        assert (await http.put("/inbox/cursor", json={"cursor": page["cursor"]})).status_code == 204
        await deliver(catalogue_bus, in_force, f"{SHOP}.lost", ["k-2"])
        later = await fetch_until(http, 1)
        connection = Connection.from_properties(credentials.path_of(catalogue_bus, SHOP))
        async with Subscriber(connection) as subscriber:
            assert (await anext(subscriber)).event["id"] == "k-2"
            assert (await http.put("/inbox/cursor", json={"cursor": later[1]})).status_code == 409


async def test_whatever_waits_is_given_at_once_wherever_was_read_before(
    catalogue_bus: Settings, in_force: Snapshot, gateway: str
) -> None:
    async with speaking(catalogue_bus, gateway, SHOP) as http:
        _, cursor = await fetch_until(http, 0)
        await http.put("/inbox/cursor", json={"cursor": cursor})
        await deliver(catalogue_bus, in_force, f"{SHOP}.lost", [f"w-{number}" for number in range(4)])
        ids, last = await fetch_until(http, 4)
        first = (await http.get("/inbox", params={"limit": 1})).json()
        await http.put("/inbox/cursor", json={"cursor": first["cursor"]})
        for _ in range(3):  # without `wait`: an empty answer would say that nothing waits
            rest = (await http.get("/inbox")).json()
            assert sorted(one["id"] for one in (*first["events"], *rest["events"])) == sorted(ids)
        await http.put("/inbox/cursor", json={"cursor": last})


async def test_behind_a_transaction_reading_goes_on_without_going_back(
    catalogue_bus: Settings, in_force: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = await KafkaReader.started(connection_of(catalogue_bus, SHOP), 2)
    try:
        await deliver(catalogue_bus, in_force, f"{SHOP}.lost", ["t-1", "t-2"])
        positions, ids = await reader.committed(), set[bytes]()
        while not ids >= {b"t-1", b"t-2"}:
            for record in await reader.read(positions, 10, 5):
                positions[record.partition] = record.offset + 1
                ids.add(dict(record.headers)["ce_id"])
        assert await reader.read(positions, 10, 1) == []  # the ends of the transactions, which are no records
        monkeypatch.setattr(reader._consumer, "seek", None)
        assert await reader.read(positions, 10, 0.1) == []
        await reader.commit(positions)
    finally:
        await reader.stop()


async def test_it_shows_the_catalogue_in_force_and_its_metrics(catalogue_bus: Settings, gateway: str) -> None:
    async with speaking(catalogue_bus, gateway, DESK) as http:
        shown = (await http.get("/event-types")).json()["event_types"]
        assert [one["event_type"] for one in shown] == [LOST, MADE]
        metrics = (await http.get("/metrics")).text
        assert 'lintas_gateway_requests_total{route="/event-types",status="2xx"}' in metrics
        assert (await http.get("/live")).text == (await http.get("/ready")).text == "ok\n"
