"""Reading a small topic of the bus's own from its beginning to its end, committed records only."""

from collections.abc import Iterator, Mapping
from typing import Final

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from lintas.errors import BusUnavailable
from lintas.settings import Settings
from schemas.cluster import Partition, options, unavailable

TIMEOUT_SECONDS: Final = 30.0


def read_to_end(settings: Settings, principal: str, topic: str) -> Iterator[tuple[bytes, bytes | None]]:
    """Key and value of every record of the topic's one partition; none if there is no such topic.

    Raises:
        BusUnavailable: Kafka does not answer.
    """
    yield from read_from(settings, principal, {(topic, 0): OFFSET_BEGINNING})


def numbered(settings: Settings, principal: str, topic: str) -> Iterator[tuple[int, bytes, bytes | None]]:
    """Offset, key and value of every record of the topic's one partition: see `messages_from`."""
    for message in messages_from(settings, principal, {(topic, 0): OFFSET_BEGINNING}):
        offset = message.offset()
        assert offset is not None, "a record has a place"
        yield offset, message.key() or b"", message.value()


def read_from(
    settings: Settings, principal: str, positions: Mapping[Partition, int]
) -> Iterator[tuple[bytes, bytes | None]]:
    """Key and value of every record from the positions on: see `messages_from`."""
    for message in messages_from(settings, principal, positions):
        yield message.key() or b"", message.value()


def messages_from(
    settings: Settings, principal: str, positions: Mapping[Partition, int], ends: Mapping[Partition, int] | None = None
) -> Iterator[Message]:
    """Every committed record from the positions on, up to ``ends``, or where a partition has ended when that is met.

    Before the ``ends`` of partitions no transaction may be open.

    Raises:
        BusUnavailable: Kafka does not answer.
    """
    if not positions:
        return
    consumer = Consumer(
        options(settings, principal)
        | {
            "group.id": f"{principal}.reader",  # librdkafka wants one that is allowed; nothing is joined or committed
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": 50,
        }
    )
    try:
        there = {topic for topic in {topic for topic, _ in positions} if _exists(settings, consumer, topic)}
        unfinished = {partition for partition in positions if partition[0] in there}
        consumer.assign([TopicPartition(*partition, positions[partition]) for partition in unfinished])
        while unfinished:
            message = consumer.poll(TIMEOUT_SECONDS)
            if message is None:
                raise BusUnavailable(
                    part="Kafka", address=settings.brokers, reason=f"no answer within {TIMEOUT_SECONDS:.0f} s"
                )
            partition = (message.topic(), message.partition())
            is_record = _is_record(settings, message)
            end = ends.get(partition) if ends else None
            if is_record and (end is None or message.offset() < end):
                yield message
            if is_record:
                is_last = end is not None and message.offset() >= end - 1
            else:  # a new leader may take some time to learn that all before an end is committed
                is_last = end is None or message.offset() >= end
            if partition in unfinished and is_last:
                unfinished.discard(partition)
                consumer.incremental_unassign([TopicPartition(*partition)])
    finally:
        consumer.close()


def _exists(settings: Settings, consumer: Consumer, topic: str) -> bool:
    """Whether there is such a topic; a consumer that is assigned one that is not there waits for it in silence."""
    try:
        error = consumer.list_topics(topic, TIMEOUT_SECONDS).topics[topic].error
    except KafkaException as failure:
        raise unavailable(settings, failure) from failure
    if error is None:
        return True
    if error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
        return False
    raise unavailable(settings, KafkaException(error))


def _is_record(settings: Settings, message: Message) -> bool:
    """Whether this is a record and not the partition's end."""
    error = message.error()
    if error is None:
        return True
    if error.code() == KafkaError._PARTITION_EOF:
        return False
    raise unavailable(settings, KafkaException(error))
