"""Records of any topics of the bus, from given positions to their end."""

import io
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import fastavro
from confluent_kafka import OFFSET_BEGINNING, Message

from lintas import names
from lintas.settings import Settings
from schemas.cluster import Partition
from schemas.desired import AUDIT_PARTITIONS
from schemas.topic_reader import messages_from
from schemas.wire import framing
from streams.audit import AUDIT_SCHEMA
from streams.records import InputRecord


def records_from(
    settings: Settings, positions: Mapping[Partition, int], principal: str = names.ADMIN
) -> Iterator[InputRecord]:
    """Every committed record from the positions on; those of a partition in their order.

    Raises:
        BusUnavailable: Kafka does not answer.
    """
    return map(_record, messages_from(settings, principal, positions))


def records_between(
    settings: Settings, starts: Mapping[Partition, int], ends: Mapping[Partition, int], principal: str = names.ADMIN
) -> Iterator[InputRecord]:
    """Every committed record of some partitions from ``starts`` on and before ``ends``.

    Raises:
        BusUnavailable: Kafka does not answer.
    """
    wanted = {partition: start for partition, start in starts.items() if start < ends[partition]}
    return map(_record, messages_from(settings, principal, wanted, ends))


def all_records(settings: Settings, partitions: Iterable[Partition]) -> Iterator[InputRecord]:
    """Every committed record that some partitions still hold.

    Raises:
        BusUnavailable: Kafka does not answer.
    """
    return records_from(settings, dict.fromkeys(partitions, OFFSET_BEGINNING))


def audit_records(settings: Settings) -> Iterator[Mapping[str, Any]]:
    """Every audit record, decoded (schemas/audit.avsc).

    Raises:
        BusUnavailable: Kafka does not answer.
    """
    schema = fastavro.parse_schema(dict(AUDIT_SCHEMA))
    for record in all_records(settings, ((names.AUDIT_DECISIONS, number) for number in range(AUDIT_PARTITIONS))):
        _, body = framing.unframe(record.value or b"")
        batch = fastavro.schemaless_reader(io.BytesIO(body), schema, None)
        assert isinstance(batch, dict), "the schema is a record's"
        yield batch


def _record(message: Message) -> InputRecord:
    topic, partition, offset = message.topic(), message.partition(), message.offset()
    assert topic is not None, "a record has a place"
    assert partition is not None, "as above"
    assert offset is not None, "as above"
    _, timestamp_ms = message.timestamp()
    return InputRecord(topic, partition, offset, timestamp_ms, message.key(), message.value(), message.headers() or [])
