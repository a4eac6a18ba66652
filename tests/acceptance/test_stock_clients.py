"""Any Kafka client with any Confluent-compatible Avro deserializer reads an inbox, its own and no other.

Nothing of Lintas is used to read: a system's credentials file, confluent-kafka and the schema registry.
"""

import asyncio
import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.schema_registry import SchemaRegistryClient, topic_subject_name_strategy
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext
from deployment import Deployment, wait_until
from lintas_client import AuthenticationRefused, Connection, NotEntitled, Publisher, Subscriber, UnknownInbox
from marked_day import MarkedDay

CONSUMER, OTHER, PUBLISHER = "kpu.sidalih", "djp.coretax", "bmkg.inatews"
REFUSED = KafkaError.TOPIC_AUTHORIZATION_FAILED


def read_inbox(deployment: Deployment, system: str, salts: set[bytes]) -> dict[bytes, tuple[Any, dict[str, bytes]]]:
    """Payload and headers of the deliveries with some salts, read as confluent-kafka's manual reads a topic."""
    consumer = Consumer(
        deployment.librdkafka(
            system, **{"group.id": f"{system}.stock", "auto.offset.reset": "earliest", "enable.auto.commit": False}
        )
    )
    consumer.subscribe([f"inbox.{system}"])
    found: dict[bytes, tuple[Any, dict[str, bytes]]] = {}
    # A registry whose answer does not arrive is asked again; Apicurio has no associations to ask for.
    with SchemaRegistryClient(
        {"url": deployment.properties(system)["schema.registry.url"], "timeout": 20, "max.retries": 3}
    ) as registry:
        deserialize = AvroDeserializer(registry, conf={"subject.name.strategy": topic_subject_name_strategy})
        try:
            while not salts <= found.keys():
                message = consumer.poll(20)
                assert message is not None, f"{len(found)} records, not all that were delivered"
                assert message.error() is None, message.error()
                headers = dict(message.headers())
                context = SerializationContext(message.topic(), MessageField.VALUE)
                found[headers["lintas-salt"]] = deserialize(message.value(), context), headers
        finally:
            consumer.close()
    return {salt: found[salt] for salt in salts}


@pytest.mark.parametrize("system", ["kemenkes.satusehat", "ina-digital.public-warning", "bps.trade-statistics", OTHER])
def test_the_stock_deserializer_reads_an_inbox_with_the_systems_own_credentials(
    marked_day: MarkedDay, system: str
) -> None:
    delivered = {dict(one.record.headers)["lintas-salt"]: one for one in marked_day.to(system)}
    for salt, (payload, headers) in read_inbox(marked_day.deployment, system, set(delivered)).items():
        assert payload == marked_day.deployment.decode(delivered[salt].record)
        assert headers["ce_agreement"].decode() == delivered[salt].agreement


def test_what_it_reads_is_what_was_published_and_released(marked_day: MarkedDay) -> None:
    """Spelt out for one agreement: its number, the day of death and the province, and nothing else."""
    delivered = {
        dict(one.record.headers)["lintas-salt"]: marked_day.events[one.event].data
        for one in marked_day.to(OTHER)
        if one.agreement == f"{OTHER}.death-registered"
    }
    assert delivered
    for salt, (payload, _) in read_inbox(marked_day.deployment, OTHER, set(delivered)).items():
        data = delivered[salt]
        assert str(payload.pop("died_on")) == data["died_on"]
        assert payload == {"deceased": {"nik": data["deceased"]["nik"]}, "province": data["province"]}


# Refusals.


def topics_of(deployment: Deployment) -> set[str]:
    """Every topic of the bus."""
    return set(AdminClient(deployment.librdkafka("admin")).list_topics(timeout=20).topics)


def own_topics(deployment: Deployment, system: str) -> set[str]:
    """What a system may know of: its inbox, its tables, the topics it publishes to and its agency's quarantine."""
    snapshot = deployment.snapshot()
    writes = {one.topic for one in snapshot.event_types.values() if system in one.contract.publishers}
    inbox = {f"inbox.{system}"} if system in snapshot.consumers() else set()
    quarantine = {f"quarantine.{system.partition('.')[0]}"} if writes else set()
    tables = {name for name in topics_of(deployment) if name.startswith(f"tables.{system}.")}
    return writes | inbox | quarantine | tables


def refusals(deployment: Deployment, system: str, topics: set[str]) -> dict[str, int]:
    """The error with which a system is refused each of some topics that it tries to read."""
    consumer = Consumer(deployment.librdkafka(system, **{"group.id": system, "auto.offset.reset": "earliest"}))
    found: dict[str, int] = {}

    def all_answered() -> bool:
        for message in consumer.consume(1000, timeout=0.5):
            error = message.error()
            found[message.topic()] = 0 if error is None else error.code()
        return found.keys() == topics

    try:
        consumer.subscribe(list(topics))
        wait_until(all_answered, "every topic answers", 30)
        return found
    finally:
        consumer.close()


@pytest.mark.parametrize("system", [CONSUMER, PUBLISHER, "bps.vital-statistics"])
def test_a_system_is_refused_every_topic_but_its_own(marked_day: MarkedDay, system: str) -> None:
    deployment = marked_day.deployment
    readable = {topic for topic in own_topics(deployment, system) if not topic.startswith("events.")}
    foreign = topics_of(deployment) - readable
    for kind in ("inbox.", "events.", "dead.", "quarantine.", "audit.", "lintas."):
        assert any(name.startswith(kind) for name in foreign)
    assert set(refusals(deployment, system, foreign).values()) == {REFUSED}


def test_no_system_learns_that_other_topics_exist(deployment: Deployment) -> None:
    snapshot = deployment.snapshot()
    systems = {one for event_type in snapshot.event_types.values() for one in event_type.contract.publishers}
    for system in sorted(systems | snapshot.consumers()):
        listed = AdminClient(deployment.librdkafka(system)).list_topics(timeout=20).topics
        assert set(listed) == own_topics(deployment, system)


def test_a_publisher_is_refused_every_topic_but_its_own(deployment: Deployment) -> None:
    answers: dict[str, int] = {}
    producer = Producer(deployment.librdkafka(PUBLISHER, **{"message.timeout.ms": 20_000}))
    foreign = topics_of(deployment) - {"events.bmkg.earthquake.measured.v1"}

    def answered(error: Any, message: Any) -> None:
        answers[message.topic()] = 0 if error is None else error.code()

    for topic in foreign:
        producer.produce(topic, b"x", on_delivery=answered)
    assert producer.flush(30) == 0
    assert answers == dict.fromkeys(foreign, REFUSED)


def test_a_consumer_cannot_write_to_its_own_inbox(deployment: Deployment) -> None:
    answers: list[int] = []
    producer = Producer(deployment.librdkafka(CONSUMER, **{"message.timeout.ms": 20_000}))
    producer.produce(f"inbox.{CONSUMER}", b"x", on_delivery=lambda error, _: answers.append(error.code()))
    assert producer.flush(30) == 0
    assert answers == [REFUSED]


def test_a_system_cannot_take_part_in_the_group_of_another(deployment: Deployment) -> None:
    consumer = Consumer(deployment.librdkafka(CONSUMER, **{"group.id": OTHER}))
    try:
        consumer.subscribe([f"inbox.{CONSUMER}"])
        message = consumer.poll(20)
        assert message is not None
        assert message.error().code() == KafkaError.GROUP_AUTHORIZATION_FAILED
    finally:
        consumer.close()


@pytest.mark.parametrize("lane", ["lintas.lane.g1.0", f"{OTHER}.writer"])
def test_a_publisher_cannot_fence_a_lane_or_another_system(deployment: Deployment, lane: str) -> None:
    producer = Producer(deployment.librdkafka(PUBLISHER, **{"transactional.id": lane}))
    with pytest.raises(KafkaException) as refused:
        producer.init_transactions(20)
    assert refused.value.args[0].code() == KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED


def test_the_wrong_password_is_refused(deployment: Deployment) -> None:
    errors: list[int] = []
    wrong = deployment.librdkafka(CONSUMER, **{"sasl.password": "not the password"})
    consumer = Consumer({**wrong, "group.id": CONSUMER, "error_cb": lambda error: errors.append(error.code())})
    try:
        consumer.subscribe([f"inbox.{CONSUMER}"])

        def refused() -> bool:
            message = consumer.poll(0.2)
            assert message is None or message.error() is not None
            return KafkaError._AUTHENTICATION in errors

        wait_until(refused, "the broker refuses the password", 20)
    finally:
        consumer.close()


def test_another_systems_name_with_ones_own_password_is_refused(deployment: Deployment) -> None:
    mine = deployment.librdkafka(CONSUMER)["sasl.password"]
    with pytest.raises(KafkaException) as refused:
        AdminClient(deployment.librdkafka(OTHER, **{"sasl.password": mine})).list_topics(timeout=5)
    assert refused.value.args[0].code() in (KafkaError._TRANSPORT, KafkaError._AUTHENTICATION, KafkaError._TIMED_OUT)


# Our own client says the same in its words.


def connection(deployment: Deployment, principal: str, **changes: Any) -> Connection:
    return dataclasses.replace(Connection.from_properties(deployment.credentials_file(principal)), **changes)


async def test_our_client_is_refused_an_event_type_that_is_not_its_own(marked_day: MarkedDay) -> None:
    weather = next(event for event in marked_day.events.values() if event.event_type.endswith("weather.warned.v1"))
    async with Publisher(connection(marked_day.deployment, PUBLISHER)) as publisher:
        with pytest.raises(NotEntitled):
            await publisher.publish(weather.event_type, weather.data)


async def test_our_client_is_refused_another_inbox(deployment: Deployment) -> None:
    other = connection(deployment, CONSUMER, system=OTHER)
    with pytest.raises((NotEntitled, UnknownInbox)):
        async with asyncio.timeout(30), Subscriber(other, remember=False, follow=False) as subscriber:
            await anext(subscriber)


@pytest.mark.parametrize("client", [Publisher, Subscriber])
async def test_our_client_with_the_wrong_password_is_refused(deployment: Deployment, client: Any) -> None:
    with pytest.raises(AuthenticationRefused):
        async with client(connection(deployment, CONSUMER, password="not the password")):
            pass


def test_the_command_line_is_refused_too(marked_day: MarkedDay, tmp_path: Path) -> None:
    weather = next(event for event in marked_day.events.values() if event.event_type.endswith("weather.warned.v1"))
    lines = tmp_path / "weather.jsonl"
    lines.write_text(json.dumps({"data": weather.data}))
    done = marked_day.deployment.lintas("publish", weather.event_type, lines, "--as", PUBLISHER)
    assert (done.returncode, done.stdout) == (1, "")
    assert PUBLISHER in done.stderr
    assert "events.bmkg.weather.warned.v1" in done.stderr
