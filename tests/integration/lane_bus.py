"""A small deployment for tests of lanes: one publisher, two consumers, workers as subprocesses, all read back."""

import asyncio
import contextlib
import dataclasses
import io
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import fastavro
import yaml
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.structs import ConsumerRecord

from lintas import credentials, names
from lintas.local.bus import LocalBus
from lintas.settings import Settings
from schemas.load import Catalogue, load
from schemas.provision import apply, ensure_bus
from schemas.publication import read_current
from schemas.snapshot import RegisteredSchema, Snapshot
from schemas.wire import envelope, framing
from schemas.wire.codec import Codec
from streams.audit import AUDIT_SCHEMA, members

EVENT_TYPE = "id.go.a.thing.v1"
TOPIC = "events.a.thing.v1"
PUBLISHER = "a.pub"
POISON = "Rahu"  # the name in an event that crashes a poisoned worker
SCHEMA: Mapping[str, Any] = {
    "type": "record",
    "name": "Thing",
    "namespace": "id.go.a",
    "fields": [
        {"name": "who", "type": "string"},
        {"name": "n", "type": "long"},
        {"name": "name", "type": "string"},
    ],
}
LINTAS_WORKER = ("-m", "lintas", "worker")


def catalogue(
    folder: Path,
    *,
    consumers: Mapping[str, Mapping[str, Any]] | None = None,
    schema: Mapping[str, Any] | None = None,
) -> Catalogue:
    """One personal event type of agency a; consumers of agency b by name, with what differs in their agreements."""
    consumers = consumers or {
        "all": {"release": {"who": "pseudonym", "n": "keep"}},
        "even": {
            "when": "data.n % 2 == 0",
            "require": {"name-there": 'data.name != ""'},
            "release": {"who": "pseudonym", "n": "keep", "name": {"mask": {"keep_last": 1}}},
        },
    }
    systems = {name: {"name": f"System {name}", "kind": "government"} for name in consumers}
    _write(
        folder,
        "agencies/a",
        {
            "agency": "a",
            "name": "Agency A",
            "domain": "id.go.a",
            "systems": {"pub": {"name": "Publisher", "kind": "government"}},
        },
    )
    _write(folder, "agencies/b", {"agency": "b", "name": "Agency B", "domain": "id.go.b", "systems": systems})
    _write(
        folder,
        f"events/{EVENT_TYPE}",
        {
            "event_type": EVENT_TYPE,
            "owner": "a",
            "title": "Thing",
            "summary": "A thing happened to somebody",
            "publishers": [PUBLISHER],
            "classification": "personal",
            "subject": "who",
            "personal_fields": ["who", "name"],
            "partitions": 4,
        },
    )
    (folder / f"events/{EVENT_TYPE}.avsc").write_text(json.dumps(schema or SCHEMA))
    for name, terms in consumers.items():
        _write(
            folder,
            f"agreements/{name}",
            {
                "agreement": name,
                "provider": "a",
                "consumer": f"b.{name}",
                "event_type": EVENT_TYPE,
                "legal_basis": "UU 1/2026",
                "purpose": "tests",
                "valid": {"from": "2026-01-01", "until": "2099-12-31"},
                **terms,
            },
        )
    read, problems = load(folder)
    assert not problems, problems
    return read


def _write(folder: Path, name: str, content: Mapping[str, Any]) -> None:
    path = folder / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(content))


class Worker:
    """``lintas worker``, or another program in its place, as a subprocess."""

    def __init__(
        self, settings: Settings, log: Path, program: Sequence[str] = LINTAS_WORKER, **environment: str
    ) -> None:
        self.log = log
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, *program],
                env={**os.environ, "LINTAS_HOME": str(settings.home), **environment},
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def end(self) -> int:
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    @property
    def text(self) -> str:
        return self.log.read_text(errors="replace")


def lintas(settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command line, to its end."""
    return subprocess.run(
        [sys.executable, "-m", "lintas", *arguments],
        env={**os.environ, "LINTAS_HOME": str(settings.home)},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.2)


@dataclasses.dataclass(frozen=True)
class Sent:
    """One record to publish: good, a repeat of the one before, from a stranger, without a required name, poison."""

    n: int
    kind: str = "good"


def mixed(start: int, count: int) -> Iterator[Sent]:
    for n in range(start, start + count):
        kind = {99: "repeat", 50: "stranger", 4: "nameless"}.get(n % 100, "good")
        yield Sent(n, kind)


async def publish(
    settings: Settings, sent: Iterator[Sent], *, padding: int = 0, schema: RegisteredSchema | None = None
) -> int:
    """Publish records, written as ``schema`` or as the newest in force; how many those were."""
    schema = schema or in_force(settings).event_types[EVENT_TYPE].current
    codec = Codec(schema.schema)
    producer = AIOKafkaProducer(
        **credentials.aiokafka_options(settings, PUBLISHER),
        enable_idempotence=True,
        linger_ms=10,
        max_batch_size=200_000,
        max_request_size=2_000_000,
    )
    await producer.start()
    futures = []
    try:
        for one in sent:
            n = one.n - 1 if one.kind == "repeat" else one.n
            who = f"person-{n % 97}"
            attributes = {
                "specversion": "1.0",
                "id": f"event-{n}",
                "type": EVENT_TYPE,
                "source": "urn:lintas:x.y" if one.kind == "stranger" else f"urn:lintas:{PUBLISHER}",
                "subject": who,
                "time": "2026-11-24T01:02:03.004Z",
            }
            name = {"nameless": "", "poison": POISON}.get(one.kind, "Siti Rahayu" + _padding(n, padding))
            value = framing.frame(schema.id, codec.encode({"who": who, "n": n, "name": name}))
            headers = envelope.binary_headers(attributes)
            futures.append(await producer.send(TOPIC, value, key=who.encode(), headers=headers))
        await asyncio.gather(*futures)
    finally:
        await producer.stop()
    return len(futures)


def _padding(n: int, size: int) -> str:
    return random.Random(n).randbytes(size // 2).hex() if size else ""


def in_force(settings: Settings) -> Snapshot:
    current = read_current(settings)
    assert current is not None
    return current[1]


async def read(settings: Settings, topic: str) -> list[ConsumerRecord]:
    """Every committed record of a topic, in the order of each partition."""
    consumer = AIOKafkaConsumer(
        **credentials.aiokafka_options(settings, names.ADMIN),
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=8 * 1024 * 1024,
    )
    await consumer.start()
    try:
        partitions = [TopicPartition(topic, number) for number in await consumer._client._wait_on_metadata(topic)]
        consumer.assign(partitions)
        for partition, beginning in (await consumer.beginning_offsets(partitions)).items():
            consumer.seek(partition, beginning)
        ends = await consumer.end_offsets(partitions)
        records: list[ConsumerRecord] = []
        async with asyncio.timeout(60):
            while not all([await consumer.position(at) >= end for at, end in ends.items()]):
                for batch in (await consumer.getmany(timeout_ms=500)).values():
                    records += batch
    finally:
        await consumer.stop()
    return records


@dataclasses.dataclass(frozen=True)
class Inbox:
    """What one consumer received: the numbers of the events, and whether each key's came in order."""

    numbers: list[int]
    ordered: bool
    records: list[ConsumerRecord]


async def inbox(settings: Settings, consumer: str) -> Inbox:
    codec = Codec(in_force(settings).agreements[consumer.removeprefix("b.")].released.schema)
    records = await read(settings, names.inbox_topic(consumer))
    by_key: dict[tuple[int, bytes], list[int]] = defaultdict(list)
    numbers = []
    for record in records:
        number = codec.decode(framing.unframe(record.value)[1])["n"]
        numbers.append(number)
        by_key[record.partition, record.key].append(number)
    one_partition = len(by_key) == len({key for _, key in by_key})
    return Inbox(sorted(numbers), one_partition and all(own == sorted(own) for own in by_key.values()), records)


async def decisions(settings: Settings) -> tuple[Counter[str], Counter[tuple[str, str]]]:
    """How often each outcome stands in the audit records: of events, and of (agreement, outcome)."""
    events: Counter[str] = Counter()
    agreements: Counter[tuple[str, str]] = Counter()
    seen: set[tuple[str, int, int]] = set()
    for batch in await audit_batches(settings):
        for part in batch["partitions"]:
            order = [standing["agreement"] for standing in part["agreements"]]
            for event in part["events"]:
                place = (part["topic"], part["partition"], event["offset"])
                assert place not in seen, f"decided twice: {place}"
                seen.add(place)
                events[event["outcome"]] += 1
                agreements.update(
                    (order[decision["agreement"]], decision["outcome"]) for decision in event["decisions"]
                )
                agreements.update((order[index], "filtered") for index in members(event["filtered"]))
    return events, agreements


async def audit_batches(settings: Settings) -> list[dict[str, Any]]:
    schema = fastavro.parse_schema(dict(AUDIT_SCHEMA))
    return [
        fastavro.schemaless_reader(io.BytesIO(framing.unframe(record.value)[1]), schema, None)
        for record in await read(settings, names.AUDIT_DECISIONS)
    ]


def decided(settings: Settings) -> int:
    return sum(asyncio.run(decisions(settings))[0].values())


@contextlib.contextmanager
def running_bus(folder: Path) -> Iterator[Settings]:
    """A bus of its own in ``folder`` with the deployment's catalogue in force; no workers."""
    bus = LocalBus(folder / "bus", fast_start=True)
    settings = bus.start(outlive=False)
    try:
        ensure_bus(settings)
        put_in_force(settings, catalogue(folder / "catalogue"))
        yield settings
    finally:
        bus.stop()


def put_in_force(settings: Settings, read: Catalogue, **terms: Any) -> None:
    apply(settings, read, author="test", **terms)
