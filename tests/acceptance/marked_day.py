"""Marked events published by careless stock producers with their systems' own credentials, and where they went."""

import dataclasses
import functools
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Producer
from deployment import Deployment, Record
from lintas_client.preparation import Prepared, prepare
from lintas_client.registry import EventType
from markers import EXTENSION, SECRET_HEADER, MarkedEvent, Marker, Marking, cases

from lintas.cli.catalogue import EXAMPLE_DEPLOYMENT
from schemas.snapshot import Snapshot
from streams.evidence import commitment

Place = tuple[str, int, int]  # topic, partition, offset


@dataclass(frozen=True)
class Sent:
    """A record as it was handed to the producer."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]


@dataclass(frozen=True)
class Delivered:
    """A record of an inbox, with the agreement and the marked event that the audit log proves it comes from."""

    record: Record
    agreement: str
    event: str

    @property
    def bytes(self) -> bytes:
        """All that the consumer can see of it."""
        headers = b"\n".join(name.encode() + b"=" + value for name, value in self.record.headers)
        return b"\n".join([self.record.value or b"", self.record.key or b"", headers])


@dataclass(frozen=True, eq=False)
class MarkedDay:
    """What was published, whole and broken, once the bus has decided about it."""

    deployment: Deployment
    snapshot: Snapshot
    events: Mapping[str, MarkedEvent]
    markers: list[Marker]
    broken: int

    @functools.cached_property
    def deliveries(self) -> list[Delivered]:
        """Every delivery of a marked event, joined to it by the audit log's commitments alone."""
        topics = {one.topic for one in self.snapshot.event_types.values()}
        events = {record.place: record.text("ce_id") for record in self.deployment.read(*topics)}
        proofs = dict(self._proofs())
        found = []
        for record in self.deployment.read(*(f"inbox.{system}" for system in self.snapshot.consumers())):
            salt = dict(record.headers)["lintas-salt"]
            agreement, place = proofs[commitment(salt, record.key, record.headers, record.value)]
            if events[place] in self.events:
                found.append(Delivered(record, agreement, events[place]))
        return found

    def _proofs(self) -> Iterator[tuple[bytes, tuple[str, Place]]]:
        for record in self.deployment.read("audit.decisions"):
            for partition in self.deployment.decode(record)["partitions"]:
                for event in partition["events"]:
                    place = (partition["topic"], partition["partition"], event["offset"])
                    for decision in event["decisions"]:
                        if decision["outcome"] == "delivered":
                            agreement = partition["agreements"][decision["agreement"]]["agreement"]
                            yield decision["payload_out"], (agreement, place)

    def to(self, system: str) -> list[Delivered]:
        return [one for one in self.deliveries if one.record.topic == f"inbox.{system}"]


def publish_marked_day(deployment: Deployment) -> MarkedDay:
    """Every payload of the example deployment's cases, marked, and for each event type one that is broken."""
    snapshot, marking = deployment.snapshot(), Marking()
    judged = list(cases(EXAMPLE_DEPLOYMENT))
    judged += [(name, None) for name in snapshot.event_types.keys() - {name for name, _ in judged}]
    events = [_marked(marking, snapshot, event_type, data) for event_type, data in judged]
    first = dict(reversed(judged))
    broken = [_marked(marking, snapshot, event_type, data) for event_type, data in sorted(first.items())]
    by_system: dict[str, list[Sent]] = {}
    for event in events:
        by_system.setdefault(event.system, []).append(_record(snapshot, event))
    for number, event in enumerate(broken):
        record = _record(snapshot, event)
        by_system[event.system] += [_spoilt(record, event, number + more) for more in range(3)]
    for system, records in by_system.items():
        send(deployment, system, records)
    deployment.settle()
    return MarkedDay(deployment, snapshot, {event.id: event for event in events}, marking.markers, 3 * len(broken))


def _marked(marking: Marking, snapshot: Snapshot, event_type: str, data: Any) -> MarkedEvent:
    published = snapshot.event_types[event_type]
    return marking.event(event_type, published.contract.publishers[0], published.current.schema, data)


def prepared(snapshot: Snapshot, event_type: str, data: Any, **attributes: Any) -> Prepared:
    """An event as the client would send it."""
    published = snapshot.event_types[event_type]
    registered = EventType.of_schema(published.current.id, published.current.schema)
    return prepare(registered, published.contract.publishers[0], data, **attributes)


def _record(snapshot: Snapshot, event: MarkedEvent) -> Sent:
    attributes = event.attributes
    made = prepared(
        snapshot,
        event.event_type,
        event.data,
        id=event.id,
        time=attributes["time"],
        key=attributes["key"],
        extensions={EXTENSION: attributes[EXTENSION]},
    )
    headers = [
        (name, value + f"/{attributes['source']}".encode() if name == "ce_source" else value)
        for name, value in made.headers
    ]
    headers.append((SECRET_HEADER, attributes[SECRET_HEADER].encode()))
    return Sent(made.topic, made.key, made.value, headers)


def with_header(record: Sent, name: str, value: bytes | None) -> Sent:
    """The record with a header changed, added, or (None) left out."""
    others = [header for header in record.headers if header[0] != name]
    return dataclasses.replace(record, headers=others + ([] if value is None else [(name, value)]))


def _spoilt(record: Sent, event: MarkedEvent, number: int) -> Sent:
    """Broken so that whoever writes the error has the event's values at hand."""
    value, secret = record.value or b"", event.attributes["key"]
    person = next((marker for marker in event.data.values() if str(marker).isdigit()), "3273012311260001")
    named = f"{secret} lives here"  # a value in the place of a name
    structured = {
        "specversion": "1.0",
        "type": event.event_type,
        "source": f"urn:lintas:{event.system}",
        "id": event.id,
        "data": {**event.data, named: 1, str(person): 1, next(iter(event.data)): [secret]},
    }
    ways = [
        dataclasses.replace(record, value=value[: len(value) // 2]),
        dataclasses.replace(record, value=value + event.id.encode()),
        dataclasses.replace(record, value=json.dumps(event.data).encode()),
        with_header(record, "ce_source", f"urn:lintas:{secret}".encode()),
        with_header(record, "ce_time", secret.encode()),
        with_header(record, "ce_subject", secret.encode()),
        with_header(record, "ce_type", secret.encode()),
        with_header(record, f"ce_{named}", b"1"),
        dataclasses.replace(record, headers=[*record.headers, *[(f"ce_{person}", b"1")] * 2]),
        Sent(record.topic, record.key, json.dumps(structured).encode(), _STRUCTURED),
        Sent(record.topic, record.key, json.dumps({**structured, "time": secret, named: 1}).encode(), _STRUCTURED),
    ]
    return ways[number % len(ways)]


_STRUCTURED = [("content-type", b"application/cloudevents+json")]


def send(deployment: Deployment, system: str, records: Iterable[Sent]) -> list[tuple[int, int]]:
    """Produce records as a system with a stock producer; partition and offset of each."""
    errors: list[Any] = []
    places: list[tuple[int, int]] = []

    def delivered(error: Any, message: Any) -> None:
        if error is not None:
            errors.append(error)
        else:
            places.append((message.partition(), message.offset()))

    producer = Producer(deployment.librdkafka(system))
    for record in records:
        producer.produce(record.topic, record.value, record.key, headers=record.headers, on_delivery=delivered)
    assert producer.flush(30) == 0
    assert errors == []
    return places
