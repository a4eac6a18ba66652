"""The example deployment, running: its command line as a user has it, its credentials files, its topics read whole."""

import io
import json
import os
import re
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fastavro
import httpx
from confluent_kafka import Consumer, KafkaError, TopicPartition

from lintas import names
from lintas.settings import Settings
from schemas.cluster import Cluster
from schemas.publication import read_current
from schemas.snapshot import Snapshot

_JAAS = re.compile(r'username="([^"]+)" password="([^"]+)"')


@dataclass(frozen=True, slots=True)
class Record:
    """A record as it lies on the bus."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]

    def text(self, header: str) -> str:
        """The value of a header; empty if it is not there."""
        return dict(self.headers).get(header, b"").decode()

    @property
    def place(self) -> tuple[str, int, int]:
        return self.topic, self.partition, self.offset


@dataclass(frozen=True, eq=False)
class Deployment:
    """A bus with the example catalogue in force and a worker."""

    settings: Settings
    _schemas: dict[int, Any] = field(default_factory=dict)

    def lintas(self, *arguments: str | Path, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """Run the command line as a user does."""
        return subprocess.run(
            [sys.executable, "-m", "lintas", *map(str, arguments)],
            env={**os.environ, "LINTAS_HOME": str(self.settings.home), "COLUMNS": "200"},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def credentials_file(self, system: str) -> Path:
        return self.settings.home / "secrets" / f"{system}.properties"

    def properties(self, system: str) -> dict[str, str]:
        """What a system's credentials file says, as any program reads a properties file."""
        lines = self.credentials_file(system).read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    def librdkafka(self, system: str, **more: Any) -> dict[str, Any]:
        """A system's connection for stock clients made of librdkafka, from its credentials file."""
        properties = self.properties(system)
        found = _JAAS.search(properties["sasl.jaas.config"])
        assert found is not None
        return {
            "bootstrap.servers": properties["bootstrap.servers"],
            "security.protocol": properties["security.protocol"],
            "sasl.mechanism": properties["sasl.mechanism"],
            "sasl.username": found[1],
            "sasl.password": found[2],
            "log_level": 0,
            **more,
        }

    def snapshot(self) -> Snapshot:
        """The catalogue in force."""
        current = read_current(self.settings)
        assert current is not None
        return current[1]

    def schema(self, schema_id: int) -> Any:
        """The schema of an id, asked of the registry as any program asks it."""
        if schema_id not in self._schemas:
            answer = httpx.get(f"{self.settings.registry}/schemas/ids/{schema_id}").raise_for_status()
            self._schemas[schema_id] = json.loads(answer.json()["schema"])
        return self._schemas[schema_id]

    def decode(self, record: Record) -> Any:
        """The payload of a record, by its framing and the registry alone."""
        assert record.value is not None
        magic, schema_id = struct.unpack_from(">bI", record.value)
        assert magic == 0
        body = io.BytesIO(record.value[5:])
        data = fastavro.schemaless_reader(body, self.schema(schema_id))
        assert body.read() == b""
        return data

    def read(self, *topics: str, system: str = names.ADMIN) -> list[Record]:
        """Every committed record of some topics, in order within each partition."""
        consumer = Consumer(
            self.librdkafka(
                system,
                **{
                    "group.id": f"{system}.test",
                    "enable.auto.commit": False,
                    "isolation.level": "read_committed",
                    "enable.partition.eof": True,
                },
            )
        )
        try:
            partitions = [
                TopicPartition(topic, partition, 0)
                for topic in topics
                for partition in consumer.list_topics(topic, timeout=20).topics[topic].partitions
            ]
            consumer.assign(partitions)
            left, found = {(one.topic, one.partition) for one in partitions}, []
            while left:
                messages = consumer.consume(10_000, timeout=0.2)
                for message in messages:
                    error = message.error()
                    if error is None:
                        found.append(_record(message))
                    elif error.code() == KafkaError._PARTITION_EOF:
                        left.discard((message.topic(), message.partition()))
                    else:
                        raise AssertionError(error)
            return found
        finally:
            consumer.close()

    def settle(self, seconds: float = 90) -> None:
        """Wait until the bus has decided about everything that was published."""
        cluster = Cluster(self.settings)
        partitions = [
            (topic, number)
            for topic, count in cluster.partitions().items()
            if topic.startswith(names.EVENTS)
            for number in range(count)
        ]
        ends = cluster.ends(partitions)

        def decided() -> bool:
            committed = cluster.committed(names.LANES_OFFSETS_GROUP, partitions)
            return all(committed.get(partition, -1) >= end for partition, end in ends.items())

        wait_until(decided, "the bus decides about everything published", seconds)


def wait_until(condition: Callable[[], bool], what: str, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.2)


def _record(message: Any) -> Record:
    return Record(
        message.topic(),
        message.partition(),
        message.offset(),
        message.timestamp()[1],
        message.key(),
        message.value(),
        tuple(message.headers() or ()),
    )


def by_partition(records: Iterable[Record]) -> Mapping[int, list[Record]]:
    found: dict[int, list[Record]] = {}
    for record in records:
        found.setdefault(record.partition, []).append(record)
    return found
