"""PostgreSQL's connectors in the real runtime on a real bus, killed with -9: each row an event, each delivery a row."""

import asyncio
import contextlib
import decimal
import random
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from connector_bus import ConnectorBus
from lane_bus import read, wait_until
from lintas_client.preparation import prepare
from lintas_client.wire import framing
from own_systems import PARTITIONS, OwnSystems, permit
from postgres_server import Database, Server

from connectors.plugins.postgres.statements import installation
from lintas import credentials, names
from lintas.settings import Settings

INSERT = """
INSERT INTO lintas.outbox (event_type, payload) SELECT %s, jsonb_build_object(
    'number', 'P-' || n %% 50, 'issued', '2026-11-24', 'fee', n::numeric(12,2)
) FROM generate_series(%s::int, %s) AS n
"""


@pytest.fixture(scope="module")
def systems(bus: Settings) -> OwnSystems:
    return OwnSystems.create(bus).with_connectors()


@contextlib.contextmanager
def runtimes(*made: ConnectorBus) -> Iterator[None]:
    """Kill what still runs at the end."""
    try:
        yield
    finally:
        for one in made:
            one.kill()


def outbox(postgres_server: Server, folder: Path) -> Database:
    made = postgres_server.database(folder)
    made.run(installation("outbox"))
    made.run(f"GRANT USAGE ON SCHEMA lintas TO {made.role}")
    made.run(f"GRANT SELECT, UPDATE, DELETE ON lintas.outbox TO {made.role}")
    return made


def fill(systems: OwnSystems, count: int) -> None:
    """Write permits to both partitions of the consumer's inbox, as the bus does."""

    async def write() -> None:
        producer = AIOKafkaProducer(
            **credentials.aiokafka_options(systems.settings, names.ADMIN), transactional_id=f"test-{uuid.uuid4().hex}"
        )
        await producer.start()
        try:
            async with producer.transaction():
                for n in range(count):
                    event = prepare(
                        systems.registered,
                        systems.publisher,
                        permit(n),
                        id=f"{uuid.uuid4()}",
                        extensions={"agreement": f"{systems.consumer}.permits", "channel": "G2G"},
                    )
                    topic = names.inbox_topic(systems.consumer)
                    await producer.send(topic, event.value, event.key, partition=n % PARTITIONS, headers=event.headers)
        finally:
            await producer.stop()

    asyncio.run(write())


def wait_until_begun(runtime: ConnectorBus, name: str, earlier: int) -> None:
    """Wait until the connector has begun once more than so often."""
    begun = f"{name} is RUNNING"
    wait_until(lambda: runtime.text.count(begun) > earlier, f"{begun}; {runtime.text[-2000:]}")


def kill_soon(runtime: ConnectorBus, name: str, earlier: int, between: float) -> None:
    """Kill the runtime, at most so many seconds after the connector has begun, as it has ``earlier`` times before."""
    wait_until_begun(runtime, name, earlier)
    time.sleep(random.uniform(0, between))
    runtime.kill()
    runtime.start()


def source_under_fire(
    systems: OwnSystems, postgres_server: Server, folder: Path, *, rows: int, kills: int, between: float
) -> None:
    database, name = outbox(postgres_server, folder), f"outbox-{uuid.uuid4().hex[:6]}"
    runtime = ConnectorBus(systems.settings, systems.publisher, folder)
    runtime.configure(name, "postgres-outbox", {"dsn_file": str(database.dsn_file), "rows": 50})
    with runtimes(runtime):
        runtime.start()
        for kill in range(kills):
            part = rows // kills
            database.run(INSERT, systems.event_type, kill * part, kill * part + part - 1)
            kill_soon(runtime, name, kill, between)
        waiting = "SELECT count(*) FROM lintas.outbox WHERE state <> 'published'"
        wait_until(lambda: database.run(waiting) == [(0,)], f"all are published; {runtime.text[-2000:]}", 120)
        wait_until_begun(runtime, name, kills)
        assert runtime.end() == 0
    rows_of_each = dict(database.run("SELECT event_id, payload FROM lintas.outbox"))
    published = asyncio.run(read(systems.settings, systems.registered.topic))
    events = [record for record in published if id_of(record) in rows_of_each]
    assert sorted(map(id_of, events)) == sorted(rows_of_each), "each once"
    by_key: dict[bytes, list[Any]] = {}
    for record in events:
        data = systems.registered.codec.decode(framing.unframe(record.value)[1])
        payload = rows_of_each[id_of(record)]
        assert (data["number"], data["fee"]) == (payload["number"], decimal.Decimal(str(payload["fee"])))
        by_key.setdefault(record.key, []).append(data["fee"])
    assert all(fees == sorted(fees) for fees in by_key.values()), "in order per key"


def id_of(record: Any) -> str:
    return bytes(dict(record.headers)["ce_id"]).decode()


def sink_under_fire(
    systems: OwnSystems, postgres_server: Server, folder: Path, *, events: int, kills: int, between: float
) -> None:
    database, name = postgres_server.database(folder), f"tables-{uuid.uuid4().hex[:6]}"
    database.run("CREATE SCHEMA inbox")
    database.run(f"GRANT USAGE, CREATE ON SCHEMA inbox TO {database.role}")
    as_connector = Database(database.name, database.connector_dsn, "", database.dsn_file, database.role)
    runtime = ConnectorBus(systems.settings, systems.consumer, folder)
    runtime.configure(name, "postgres-sink", {"dsn_file": str(database.dsn_file)})
    with runtimes(runtime):
        runtime.start()
        for kill in range(kills):
            fill(systems, events // kills)
            kill_soon(runtime, name, kill, between)
        inbox = asyncio.run(inbox_of(systems))
        there = "SELECT to_regclass('inbox.permits') IS NOT NULL"  # it may have died before it made the table
        wait_until(lambda: as_connector.run(there) == [(True,)], f"there is a table; {runtime.text[-2000:]}", 120)
        count = "SELECT count(*) FROM inbox.permits"
        wait_until(lambda: as_connector.run(count) == [(len(inbox),)], f"all are there; {runtime.text[-2000:]}", 120)
        wait_until_begun(runtime, name, kills)
        assert runtime.end() == 0
    rows = as_connector.run("SELECT inbox_partition, inbox_offset, ce_id, number, fee FROM inbox.permits")
    assert sorted(rows) == sorted(inbox)


async def inbox_of(systems: OwnSystems) -> list[tuple[Any, ...]]:
    """Every delivery of the consumer's inbox as its row."""
    found = []
    for record in await read(systems.settings, names.inbox_topic(systems.consumer)):
        data = systems.registered.codec.decode(framing.unframe(record.value)[1])
        found.append((record.partition, record.offset, id_of(record), data["number"], data["fee"]))
    return found


def test_every_row_is_an_event_once_though_the_runtime_is_killed(
    systems: OwnSystems, postgres_server: Server, tmp_path: Path
) -> None:
    source_under_fire(systems, postgres_server, tmp_path, rows=2000, kills=1, between=0.5)


def test_the_tables_equal_the_inbox_though_the_runtime_is_killed(
    systems: OwnSystems, postgres_server: Server, tmp_path: Path
) -> None:
    sink_under_fire(systems, postgres_server, tmp_path, events=2000, kills=1, between=0.5)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_every_row_is_an_event_once_though_the_runtime_is_killed_for_long(
    systems: OwnSystems, postgres_server: Server, tmp_path: Path
) -> None:
    source_under_fire(systems, postgres_server, tmp_path, rows=40_000, kills=8, between=4)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_the_tables_equal_the_inbox_though_the_runtime_is_killed_for_long(
    systems: OwnSystems, postgres_server: Server, tmp_path: Path
) -> None:
    sink_under_fire(systems, postgres_server, tmp_path, events=40_000, kills=8, between=4)
