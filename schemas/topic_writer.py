"""Appending to a small topic of the bus's own."""

from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from lintas import names
from lintas.errors import BusUnavailable
from lintas.settings import Settings
from schemas.cluster import TIMEOUT_SECONDS, options, unavailable


def append(settings: Settings, topic: str, *records: tuple[bytes, bytes | None], principal: str = names.ADMIN) -> None:
    """Append records to the topic's first partition, and return once every copy that must have them has them.

    Raises:
        BusUnavailable: Kafka does not answer; records may still appear.
    """
    failures: list[KafkaError] = []

    def delivered(error: KafkaError | None, _: Any) -> None:
        if error is not None:
            failures.append(error)

    producer = Producer(
        options(settings, principal)
        | {"acks": "all", "enable.idempotence": True, "message.timeout.ms": int(TIMEOUT_SECONDS * 1000)}
    )
    for key, value in records:
        producer.produce(topic, value, key, partition=0, on_delivery=delivered)
    left = producer.flush(TIMEOUT_SECONDS + 5)
    if failures:
        raise unavailable(settings, KafkaException(failures[0]))
    if left:
        raise BusUnavailable(part="Kafka", address=settings.brokers, reason=f"{topic} did not acknowledge a record")
