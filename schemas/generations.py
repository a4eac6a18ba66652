"""The topic of lane plans on Kafka: reading it, appending to it, and the generation that a bus begins with."""

import datetime as dt
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from lintas import names
from lintas.errors import BusUnavailable, LanePlansBroken, NoLanes
from lintas.settings import Settings
from schemas.cluster import TIMEOUT_SECONDS, Cluster, options, unavailable
from schemas.desired import control_topic
from schemas.lane_plans import LanePlan, LanePlans
from schemas.topic_reader import read_to_end

BUS = "lintas"  # who asks for the generation that a bus begins with


def read_plans(settings: Settings, principal: str = names.ADMIN) -> LanePlans:
    """The topic of lane plans, whole.

    Raises:
        LanePlansBroken: a record is not what it should be.
        BusUnavailable: Kafka does not answer.
    """
    plans = LanePlans()
    for key, value in read_to_end(settings, principal, names.LANES_PLANS):
        plans.add(key, value)
    return plans


def latest_plan(settings: Settings) -> LanePlan:
    """The newest generation, open or not.

    Raises:
        NoLanes: the bus has none yet.
        BusUnavailable: Kafka does not answer.
    """
    latest = read_plans(settings).latest
    if latest is None:
        raise NoLanes
    return latest


def append(settings: Settings, record: tuple[bytes, bytes], principal: str = names.ADMIN) -> None:
    """Append a record, and return once every copy that must have it has it.

    Raises:
        BusUnavailable: Kafka does not answer; the record may still appear. Appending it again is harmless.
    """
    failures: list[KafkaError] = []

    def delivered(error: KafkaError | None, _: Any) -> None:
        if error is not None:
            failures.append(error)

    producer = Producer(
        options(settings, principal)
        | {"acks": "all", "enable.idempotence": True, "message.timeout.ms": int(TIMEOUT_SECONDS * 1000)}
    )
    key, value = record
    producer.produce(names.LANES_PLANS, value, key, partition=0, on_delivery=delivered)
    left = producer.flush(TIMEOUT_SECONDS + 5)
    if failures:
        raise unavailable(settings, KafkaException(failures[0]))
    if left:
        raise BusUnavailable(part="Kafka", address=settings.brokers, reason="a plan was not acknowledged")


def now() -> str:
    """The present moment as plans carry it."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")


def ensure_lanes(settings: Settings, cluster: Cluster) -> None:
    """Give a bus its first generation; where there is one, see to it that its control topic is there.

    Raises:
        LanePlansBroken: the plans are gone, though the bus has had lanes.
        BusUnavailable: Kafka does not answer.
    """
    topics = cluster.partitions()
    plans = read_plans(settings)
    if plans.latest is None:
        if any(names.is_control_topic(topic) for topic in topics):
            raise LanePlansBroken(reason="it is empty, though this bus has had lanes")
        append(settings, plans.next(settings.lanes, BUS, now()).as_record())
        plans = read_plans(settings)
    latest = plans.latest
    assert latest is not None, "a plan was appended"
    if latest.control_topic not in topics:
        cluster.create_topics([control_topic(settings, latest.generation, latest.lanes)])
    if plans.unfinished is not None and latest.generation == 1:  # nobody came before: there is nobody to fence
        append(settings, latest.opening())
