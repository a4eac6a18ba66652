"""What one system may publish and receive, by the catalogue in force: pure."""

import datetime as dt
from collections.abc import Iterator
from typing import Any

from lintas_client.registry import EventType
from lintas_client.wire.codec import Codec

from lintas import names
from schemas.example import example_of
from schemas.model import as_json
from schemas.snapshot import PublishedAgreement, PublishedEventType, RegisteredSchema, Snapshot


def may_publish(snapshot: Snapshot, system: str) -> dict[str, PublishedEventType]:
    """The event types that a system may publish, by name."""
    return {name: one for name, one in sorted(snapshot.event_types.items()) if system in one.contract.publishers}


def receives(snapshot: Snapshot, system: str) -> list[PublishedAgreement]:
    """The agreements that name a system as consumer."""
    return [one for _, one in sorted(snapshot.agreements.items()) if one.contract.consumer == system]


def event_type(published: PublishedEventType, schema: RegisteredSchema) -> EventType:
    """An event type as lintas_client has it, written as one of its schemas."""
    return EventType(
        published.contract.event_type, published.topic, published.contract.subject, schema.id, codec_of(schema)
    )


_compiled: dict[int, tuple[Any, Codec]] = {}  # by schema id, which never changes its meaning on one bus


def codec_of(schema: RegisteredSchema) -> Codec:
    """The schema, compiled once."""
    known = _compiled.get(schema.id)
    if known is None or (known[0] is not schema.schema and known[0] != schema.schema):
        known = _compiled[schema.id] = (schema.schema, Codec(schema.schema))
    return known[1]


def shown_event_type(published: PublishedEventType, system: str) -> dict[str, Any]:
    """An event type for who publishes it, with an event to begin with."""
    contract = published.contract
    return {
        "event_type": contract.event_type,
        "title": contract.title,
        "summary": contract.summary,
        "owner": contract.owner,
        "classification": contract.classification.value,
        "subject": contract.subject,
        "schema_id": published.current.id,
        "schema": published.current.schema,
        "example": {
            "specversion": "1.0",
            "id": "a-number-of-your-own-records",
            "source": names.source_of(system),
            "type": contract.event_type,
            "datacontenttype": "application/json",
            "data": example_of(published.current.schema),
        },
    }


def shown_agreements(snapshot: Snapshot, system: str, at: dt.datetime) -> Iterator[dict[str, Any]]:
    """The agreements under which a system receives, each with what a delivery looks like."""
    for published in receives(snapshot, system):
        contract = published.contract
        yield {
            **as_json(contract),
            "standing": contract.standing(at).value,
            "channel": snapshot.channel_of(contract),
            "released_schema": published.released.schema,
            "example": {
                "specversion": "1.0",
                "type": contract.event_type,
                "agreement": contract.agreement,
                "datacontenttype": "application/json",
                "data": example_of(published.released.schema),
            },
        }
