"""Files to events and an inbox to Parquet on the real bus, with both connectors killed (-9) again and again."""

import asyncio
import csv
import datetime as dt
import functools
import hashlib
import json
import random
import shutil
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
import yaml
from aiokafka import AIOKafkaProducer
from aiokafka.structs import ConsumerRecord
from connector_bus import ConnectorBus
from lane_bus import lintas, read, wait_until
from lintas_client.preparation import prepare
from own_systems import OwnSystems, permit

from connectors.runtime.state import State
from lintas import credentials, names
from lintas.local.bus import LocalBus
from lintas.local.programs import Program
from lintas.settings import Settings
from schemas.cluster import Cluster
from schemas.registry import Registry
from schemas.wire import framing
from schemas.wire.codec import Codec

REPOSITORY = Path(__file__).parents[2]
TOPIC = "events.bmkg.earthquake.measured.v1"
QUAKES = "id.go.bmkg.earthquake.measured.v1"
PUBLISHER, READER = "bmkg.inatews", "ina-digital.open-data"
ROWS, DISTINCT = 19_228, 18_505
COLUMNS = ("tgl", "ot", "lat", "lon", "depth", "mag", "remark")
SEED = 20261126


def records_of(settings: Settings, topic: str) -> list[ConsumerRecord]:
    return asyncio.run(read(settings, topic))


def ce_id(record: ConsumerRecord) -> str:
    return str(dict(record.headers)["ce_id"], "utf-8")


def parquet_rows(folder: Path, event_type: str) -> list[dict[str, Any]]:
    place = folder / f"event_type={event_type}"
    schema = pq.read_schema(place / "_common_metadata")
    rows: list[dict[str, Any]] = ds.dataset(place, schema=schema, partitioning="hive").to_table().to_pylist()
    return sorted(rows, key=lambda row: (row["inbox_partition"], row["inbox_offset"]))


def places(records: list[ConsumerRecord]) -> list[tuple[int, int]]:
    return sorted((record.partition, record.offset) for record in records)


async def fill_inbox(systems: OwnSystems, count: int) -> None:
    """Deliver permits to the consumer's inbox as the bus does, in transactions."""
    producer = AIOKafkaProducer(
        **credentials.aiokafka_options(systems.settings, names.ADMIN), transactional_id=f"test-{uuid.uuid4().hex}"
    )
    await producer.start()
    try:
        for start in range(0, count, 50):
            async with producer.transaction():
                for serial in range(start, start + 50):
                    event = prepare(systems.registered, systems.publisher, permit(serial), id=f"d{serial}")
                    await producer.send(
                        names.inbox_topic(systems.consumer),
                        event.value,
                        event.key,
                        partition=serial % 2,
                        headers=event.headers,
                    )
    finally:
        await producer.stop()


def rows_read(source: ConnectorBus) -> int:
    return sum(entry["position"]["records"] for entry in source.progress("permits").values())


def has_read_more(source: ConnectorBus, before: int) -> bool:
    return rows_read(source) > before


def row_count(folder: Path, event_type: str) -> int:
    return sum(pq.read_metadata(path).num_rows for path in folder.glob(f"event_type={event_type}/day=*/*.parquet"))


@pytest.fixture
def runtimes(tmp_path: Path) -> Iterator[Callable[[Settings, str], ConnectorBus]]:
    """Makes what runs a system's connectors; nothing of it outlives the test."""
    made: list[ConnectorBus] = []

    def make(settings: Settings, system: str) -> ConnectorBus:
        (tmp_path / f"connectors-{system}.log").touch()
        made.append(ConnectorBus(settings, system, tmp_path))
        return made[-1]

    yield make
    for one in made:
        one.kill()


def test_connectors_killed_under_load_lose_and_repeat_nothing(
    bus: Settings, runtimes: Callable[[Settings, str], ConnectorBus], tmp_path: Path
) -> None:
    systems = OwnSystems.create(bus).with_connectors()
    folder, lake = tmp_path / "permits", tmp_path / "lake"
    folder.mkdir()
    for number in range(3):
        rows = [
            [f"P-{number}-{serial}", "2026-11-24", "bad" if serial % 100 == 7 else "1.00"] for serial in range(2000)
        ]
        with (folder / f"{number}.csv").open("w", newline="") as file:
            csv.writer(file).writerows([["number", "issued", "fee"], *rows])
    mapping = {"event_type": systems.event_type, "data": {name: name for name in ("number", "issued", "fee")}}
    source, sink = runtimes(bus, systems.publisher), runtimes(bus, systems.consumer)
    source.configure("permits", "files", {"folder": str(folder), "settle_seconds": 0, "batch": 20, "mapping": mapping})
    sink.configure("lake", "parquet", {"folder": str(lake), "max_seconds": 1})
    asyncio.run(fill_inbox(systems, 3000))
    for _ in range(2):
        before = rows_read(source)
        source.start()
        sink.start()
        source.wait_for("permits", State.RUNNING)
        sink.wait_for("lake", State.RUNNING)
        wait_until(functools.partial(has_read_more, source, before), "rows are read")
        source.kill()
        sink.kill()
    source.start()
    sink.start()
    wait_until(lambda: len(list(folder.glob("done/?.csv"))) == 3, "every file is read")
    wait_until(lambda: row_count(lake, systems.event_type) >= 3000, "the inbox is in files")
    assert source.end() == 0
    assert sink.end() == 0
    published = [record.key.decode() for record in records_of(bus, systems.registered.topic)]
    good = [f"P-{number}-{serial}" for number in range(3) for serial in range(2000) if serial % 100 != 7]
    assert Counter(published) == Counter(good)
    for number in range(3):
        with (folder / "done" / f"{number}.csv.rejected.csv").open(newline="") as file:
            assert [int(row["line"]) for row in csv.DictReader(file)] == [serial + 2 for serial in range(7, 2000, 100)]
    inbox = records_of(bus, names.inbox_topic(systems.consumer))
    kept = parquet_rows(lake, systems.event_type)
    assert len(inbox) == 3000
    assert [(row["inbox_partition"], row["inbox_offset"]) for row in kept] == places(inbox)
    assert {row["ce_id"]: row["number"] for row in kept} == {f"d{serial}": f"P-{serial}" for serial in range(3000)}
    assert {(row["issued"], row["fee"]) for row in kept} == {(dt.date(2026, 11, 24), Decimal("150000.00"))}


def as_event(row: dict[str, str]) -> dict[str, Any]:
    """A row of BMKG's catalogue as somebody's own program publishes it."""
    written = json.dumps([row[name] for name in COLUMNS], ensure_ascii=False, separators=(",", ":"))
    name = hashlib.sha256(written.encode()).hexdigest()[:32]
    day, month, year = row["tgl"].split("/")
    moment = f"{year}-{month}-{day}T{row['ot']}Z"
    data = {
        "event_id": name,
        "origin_time": moment,
        "latitude": float(row["lat"]),
        "longitude": float(row["lon"]),
        "depth_km": int(row["depth"]),
        "magnitude": row["mag"],
        "magnitude_tenths": int(Decimal(row["mag"]) * 10),
        "region": row["remark"],
    }
    return {"id": f"published-{name}", "time": moment, "data": data}


@pytest.fixture
def example(tmp_path: Path) -> Iterator[Settings]:
    """A bus with a worker and the example catalogue, whose connectors are those of docs/how-to/files.md."""
    local = LocalBus(tmp_path / "bus", fast_start=True, programs=[Program("worker", ("worker",))])
    settings = local.start(outlive=False)
    try:
        yield settings
    finally:
        local.stop()


def put_in_force(settings: Settings, folder: Path, quakes: Path, lake: Path) -> None:
    shutil.copytree(REPOSITORY / "schemas" / "catalogue", folder)
    page = (REPOSITORY / "docs" / "how-to" / "files.md").read_text()
    blocks = [yaml.safe_load(block.partition("```")[0]) for block in page.split("```yaml\n")[1:]]
    own: dict[str, dict[str, Any]] = {
        "earthquake-files": {"folder": str(quakes), "batch": 100},
        "quakes-for-analysts": {"folder": str(lake), "max_seconds": 1},
    }
    (folder / "connectors").mkdir(exist_ok=True)
    for block in blocks:
        if block["connector"] in own:
            block["config"] |= own[block["connector"]]
            (folder / "connectors" / f"{block['connector']}.yaml").write_text(yaml.safe_dump(block))
    applied = lintas(settings, "catalogue", "apply", str(folder), "--wait")
    assert applied.returncode == 0, applied.stderr


class Decoder:
    """Reads payloads by their framing and the registry."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._codecs: dict[int, Codec] = {}

    def __call__(self, record: ConsumerRecord) -> Any:
        schema_id, body = framing.unframe(record.value)
        if schema_id not in self._codecs:
            with Registry(self._settings.registry) as registry:
                self._codecs[schema_id] = Codec(registry.schema(schema_id))
        return self._codecs[schema_id].decode(body)


def settle(settings: Settings, markers: int) -> None:
    """Wait until the bus has decided about every earthquake; ``markers`` of transactions end each partition."""
    cluster = Cluster(settings)
    ends = cluster.ends([(TOPIC, number) for number in range(cluster.partitions()[TOPIC])])

    def decided() -> bool:
        committed = cluster.committed(names.LANES_OFFSETS_GROUP, list(ends))
        return all(committed.get(place, -1) >= end - markers for place, end in ends.items())

    wait_until(decided, "the bus decides", 120)


def run_with_kills(source: ConnectorBus, sink: ConnectorBus, finished: Callable[[], bool]) -> int:
    """Run both, killed (-9) some seconds after both are at work, until something is finished; how often."""
    rng, kills = random.Random(SEED), 0
    while not finished():
        before = [lives(source), lives(sink)]
        source.start()
        sink.start()
        wait_until(functools.partial(are_more, (source, sink), before), "both run")
        wait_until(lambda: rng.random() < 0.06 or finished(), "a moment by chance, about three seconds away", 120)
        source.kill()
        sink.kill()
        kills += 1
        assert kills < 60
    return kills


def lives(runtime: ConnectorBus) -> int:
    """How often its connector has begun to run."""
    return runtime.text.count(" is RUNNING")


def are_more(runtimes: Sequence[ConnectorBus], before: Sequence[int]) -> bool:
    return all(lives(one) > known for one, known in zip(runtimes, before, strict=True))


def by_event_id(settings: Settings, system: str, decoded: Decoder) -> dict[bool, dict[str, Any]]:
    """What an inbox holds of earthquakes, by the row: from the connector (False), and from `lintas publish` (True)."""
    found: dict[bool, dict[str, Any]] = {True: {}, False: {}}
    for record in records_of(settings, names.inbox_topic(system)):
        name = ce_id(record)
        is_published, key = name.startswith("published-"), name.removeprefix("published-")
        assert key not in found[is_published], "delivered twice"
        found[is_published][key] = (decoded(record), record.key, dict(record.headers)["ce_time"])
    return found


@pytest.mark.long
@pytest.mark.timeout(900)
def test_the_earthquake_catalogue_gives_the_inbox_that_lintas_publish_gives(
    example: Settings,
    runtimes: Callable[[Settings, str], ConnectorBus],
    public_data: Path,
    tmp_path: Path,
) -> None:
    catalogue = public_data / "earthquakes" / "bmkg-catalogue-2021.csv"
    quakes, lake = tmp_path / "quakes", tmp_path / "lake"
    quakes.mkdir()
    put_in_force(example, tmp_path / "catalogue", quakes, lake)
    shutil.copy(catalogue, quakes / catalogue.name)
    with catalogue.open(newline="") as file:
        events = [as_event(row) for row in csv.DictReader(file, delimiter=";")]
    names_of_rows = [event["data"]["event_id"] for event in events]
    source, sink = runtimes(example, PUBLISHER), runtimes(example, READER)

    assert run_with_kills(source, sink, (quakes / "done" / catalogue.name).exists) > 2
    source.start()
    sink.start()
    settle(example, 1)
    wait_until(lambda: row_count(lake, QUAKES) >= DISTINCT, "the inbox is in files", 120)
    assert source.end() == 0
    assert sink.end() == 0
    topic = records_of(example, TOPIC)
    assert Counter(map(ce_id, topic)) == Counter(names_of_rows)
    assert len(topic) == ROWS
    inbox = records_of(example, names.inbox_topic(READER))
    assert Counter(map(ce_id, inbox)) == Counter(set(names_of_rows))
    assert len(inbox) == DISTINCT
    decoded = Decoder(example)
    by_place = {(record.partition, record.offset): decoded(record) for record in inbox}
    kept = parquet_rows(lake, QUAKES)
    assert [(row["inbox_partition"], row["inbox_offset"]) for row in kept] == places(inbox)
    for row in kept:
        data = by_place[row["inbox_partition"], row["inbox_offset"]]
        assert {name: row[name] for name in data} == data

    lines = tmp_path / "quakes.jsonl"
    lines.write_text("".join(json.dumps(event) + "\n" for event in events))
    done = lintas(example, "publish", QUAKES, str(lines), "--as", PUBLISHER)
    assert done.returncode == 0, done.stderr
    settle(example, 0)
    for system in (READER, "bnpb.early-warning"):
        found = by_event_id(example, system, decoded)
        assert found[True] == found[False]
        assert len(found[True]) > 300
