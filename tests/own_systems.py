"""Systems that a test makes for itself on a real bus, beside any catalogue: their users, rights, topics, schema."""

import asyncio
import dataclasses
import json
import time
import uuid
from collections.abc import Mapping
from typing import Any, Self

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from lintas_client import Connection
from lintas_client.preparation import prepare
from lintas_client.registry import EventType

from lintas import credentials, names
from lintas.settings import Settings
from schemas.cluster import Cluster
from schemas.desired import Acl, Topic
from schemas.registry import Registry

PARTITIONS = 2


def permit_schema(event_type: str, topic: str) -> dict[str, Any]:
    """The registered schema of an event type of permits."""
    return {
        "type": "record",
        "name": "PermitIssued",
        "fields": [
            {"name": "number", "type": "string"},
            {"name": "issued", "type": {"type": "int", "logicalType": "date"}},
            {"name": "fee", "type": {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}},
        ],
        "lintas.event_type": event_type,
        "lintas.topic": topic,
        "lintas.subject": "number",
    }


@dataclasses.dataclass(frozen=True)
class OwnSystems:
    """An agency with a publisher and a consumer, and one event type.

    Attributes:
        settings: of the bus.
        event_type: ``id.go.<agency>.permit.issued.v1``; only the publisher may write it.
        publisher: its id; it has no inbox.
        consumer: its id; it has an inbox and publishes nothing.
        registered: the event type as the registry knows it.
    """

    settings: Settings
    event_type: str
    publisher: str
    consumer: str
    registered: EventType

    @classmethod
    def create(cls, settings: Settings) -> Self:
        """Make them on a running bus, under names of their own."""
        agency = f"agency-{uuid.uuid4().hex[:8]}"
        publisher, consumer = f"{agency}.office", f"{agency}.reader"
        event_type = f"id.go.{agency}.permit.issued.v1"
        topic, inbox = names.events_topic(agency, f"id.go.{agency}", event_type), names.inbox_topic(consumer)
        cluster = Cluster(settings)
        cluster.create_topics([Topic(topic, PARTITIONS, {}), Topic(inbox, PARTITIONS, {})])
        for system in (publisher, consumer):
            cluster.create_user(credentials.create(settings, system))
        cluster.create_acls(
            [
                Acl(publisher, "WRITE", "TOPIC", topic, "LITERAL"),
                Acl(consumer, "READ", "TOPIC", inbox, "LITERAL"),
                Acl(consumer, "READ", "GROUP", consumer, "LITERAL"),
                Acl(consumer, "READ", "GROUP", f"{consumer}.", "PREFIXED"),
            ]
        )
        schema = permit_schema(event_type, topic)
        with Registry(settings.registry) as registry:
            schema_id = registry.register(names.subject_of_topic(topic), schema)
        return cls(settings, event_type, publisher, consumer, EventType.of_schema(schema_id, schema))

    def with_connectors(self) -> Self:
        """Both may have connectors: each has its topic for them, as `lintas catalogue apply` makes it."""
        cluster = Cluster(self.settings)
        for system in (self.publisher, self.consumer):
            topic = names.connectors_topic(system)
            cluster.create_topics([Topic(topic, 1, {"cleanup.policy": "compact"})])
            cluster.create_acls(
                [
                    Acl(system, "READ", "TOPIC", topic, "LITERAL"),
                    Acl(system, "WRITE", "TOPIC", topic, "LITERAL"),
                    Acl(system, "READ", "GROUP", f"{system}.", "PREFIXED"),
                    Acl(system, "DELETE", "GROUP", names.connector_id(system, ""), "PREFIXED"),
                    Acl(system, "WRITE", "TRANSACTIONAL_ID", f"{system}.", "PREFIXED"),
                ]
            )
        return self

    def connection(self, own: str, **changes: Any) -> Connection:
        """The connection of system ``own``, from its credentials file."""
        connection = Connection.from_properties(credentials.path_of(self.settings, own))
        return dataclasses.replace(connection, **changes)

    async def deliver(self, data: Any, *, partition: int = 0, raw: bytes | None = None, **attributes: Any) -> None:
        """Write to the consumer's inbox as the bus does, in a committed transaction; ``raw`` replaces the value."""
        event = prepare(self.registered, self.publisher, data, **attributes)
        producer = AIOKafkaProducer(
            **credentials.aiokafka_options(self.settings, names.ADMIN), transactional_id=f"test-{uuid.uuid4().hex}"
        )
        await producer.start()
        try:
            async with producer.transaction():
                await producer.send(
                    names.inbox_topic(self.consumer),
                    event.value if raw is None else raw,
                    event.key,
                    partition=partition,
                    headers=event.headers,
                )
        finally:
            await producer.stop()
        await asyncio.to_thread(self._wait_until_visible, (names.inbox_topic(self.consumer), partition))

    async def deliver_many(self, payloads: list[dict[str, Any]], *, at_once: int = 100) -> None:
        """Write to the consumer's inbox as the bus does, some in each committed transaction, in turn to partitions."""
        for start in range(0, len(payloads), at_once):
            some = payloads[start : start + at_once]
            await self.deliver_together(*((number % PARTITIONS, data, {}) for number, data in enumerate(some)))

    async def deliver_together(self, *events: tuple[int, Any, Mapping[str, Any]]) -> None:
        """Write several to the consumer's inbox in one transaction: partition, payload and attributes of each."""
        producer = AIOKafkaProducer(
            **credentials.aiokafka_options(self.settings, names.ADMIN), transactional_id=f"test-{uuid.uuid4().hex}"
        )
        inbox = names.inbox_topic(self.consumer)
        await producer.start()
        try:
            async with producer.transaction():
                for partition, data, attributes in events:
                    event = prepare(self.registered, self.publisher, data, **attributes)
                    await producer.send(inbox, event.value, event.key, partition=partition, headers=event.headers)
        finally:
            await producer.stop()

    def _wait_until_visible(self, place: tuple[str, int]) -> None:
        """A transaction's end is acknowledged before it is written to every partition."""
        cluster, deadline = Cluster(self.settings), time.monotonic() + 10
        while cluster.committed_ends([place]) != cluster.ends([place]):
            assert time.monotonic() < deadline, f"a transaction on {place} stays open"
            time.sleep(0.01)

    async def published(self) -> list[Any]:
        """Every record of the event type's topic, partition by partition."""
        consumer = AIOKafkaConsumer(**credentials.aiokafka_options(self.settings, names.ADMIN))
        await consumer.start()
        try:
            partitions = [TopicPartition(self.registered.topic, partition) for partition in range(PARTITIONS)]
            consumer.assign(partitions)
            ends = await consumer.end_offsets(partitions)
            for partition in partitions:
                consumer.seek(partition, 0)
            found: list[Any] = []
            while sum(ends.values()) > len(found):
                for records in (await consumer.getmany(timeout_ms=1000)).values():
                    found += records
            return sorted(found, key=lambda record: (record.partition, record.offset))
        finally:
            await consumer.stop()


def permit(serial: int, **changes: Any) -> dict[str, Any]:
    """A payload in natural JSON."""
    return {"number": f"P-{serial}", "issued": "2026-11-24", "fee": "150000.00", **changes}


def as_lines(payloads: list[dict[str, Any]]) -> str:
    """JSON lines as `lintas publish` takes them."""
    return "".join(json.dumps({"data": payload}) + "\n" for payload in payloads)
