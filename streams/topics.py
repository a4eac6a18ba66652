"""Records of any topics of the bus, from given positions to their end."""

from collections.abc import Iterable, Iterator, Mapping

from confluent_kafka import OFFSET_BEGINNING, Message

from lintas import names
from lintas.settings import Settings
from schemas.cluster import Partition
from schemas.topic_reader import messages_from
from streams.records import InputRecord


def records_from(
    settings: Settings, positions: Mapping[Partition, int], principal: str = names.ADMIN
) -> Iterator[InputRecord]:
    """Every committed record from the positions on; those of a partition in their order.

    Raises:
        BusUnavailable: Kafka does not answer.
    """
    return map(_record, messages_from(settings, principal, positions))


def all_records(settings: Settings, partitions: Iterable[Partition]) -> Iterator[InputRecord]:
    """Every committed record that some partitions still hold.

    Raises:
        BusUnavailable: Kafka does not answer.
    """
    return records_from(settings, dict.fromkeys(partitions, OFFSET_BEGINNING))


def _record(message: Message) -> InputRecord:
    topic, partition, offset = message.topic(), message.partition(), message.offset()
    assert topic is not None, "a record has a place"
    assert partition is not None, "as above"
    assert offset is not None, "as above"
    _, timestamp_ms = message.timestamp()
    return InputRecord(topic, partition, offset, timestamp_ms, message.key(), message.value(), message.headers() or [])
