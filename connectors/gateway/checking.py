"""An incoming event made ready for Kafka, or every reason why it cannot be: pure."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Final

from lintas_client import MalformedEvent, Problem
from lintas_client.preparation import OWN_ATTRIBUTES, Prepared, prepare
from lintas_client.publisher import MAX_EVENT_BYTES
from lintas_client.wire import errors as wire
from lintas_client.wire import framing
from lintas_client.wire.json_event import NO_JSON
from lintas_client.wire.uris import essence

from connectors.gateway import entitlements
from connectors.gateway.incoming import AVRO, Incoming
from lintas import names
from schemas.snapshot import PublishedEventType, RegisteredSchema

NOT_ENTITLED: Final = "not-entitled"
PARTITION_KEY: Final = "partitionkey"  # CloudEvents' extension: the Kafka key, if it is not to be the subject
OVERHEAD_BYTES: Final = 200  # what Kafka adds to a record, and to the batch around it
_SCHEMA_ID: Final = re.compile(r"/schemas/ids/(\d{1,10})$", re.ASCII)
_PLAIN: Final = frozenset({"id", "subject", "time"})


def check(incoming: Incoming, system: str, mine: Mapping[str, PublishedEventType]) -> Prepared | list[Problem]:
    """The event as it will be sent, or all that is wrong with it.

    Args:
        incoming: the event as it came.
        system: who sends it.
        mine: what the system may publish.
    """
    problems = [*incoming.problems, *_source(incoming, system)]
    published = mine.get(incoming.attributes.get("type", ""))
    if published is None:
        if "type" in incoming.attributes and not any(one.path == "type" for one in problems):
            may = ", ".join(mine) or "nothing"
            problems.append(Problem("type", NOT_ENTITLED, f"is no event type that {system} may publish: it may {may}"))
        return problems
    try:
        schema, data = _payload(incoming, published)
    except wire.MalformedEvent as error:
        return problems + [_in_data(one) for one in error.problems]
    try:
        event = prepare(
            entitlements.event_type(published, schema),
            system,
            data,
            id=incoming.attributes.get("id", "missing"),
            subject=incoming.attributes.get("subject"),
            time=incoming.attributes.get("time"),
            key=incoming.attributes.get(PARTITION_KEY),
            extensions=_extensions(incoming.attributes),
        )
    except MalformedEvent as error:
        reported = {one.path for one in problems}
        return problems + [one for one in error.problems if one.path not in reported]
    size = len(event.value) + len(event.key) + sum(len(name) + len(value) + 2 for name, value in event.headers)
    if size + OVERHEAD_BYTES > MAX_EVENT_BYTES:
        problems.append(Problem("", "size", f"is larger than {MAX_EVENT_BYTES - OVERHEAD_BYTES} bytes"))
    if problems:
        return problems
    source = incoming.attributes["source"]
    return event if source == names.source_of(system) else _with_source(event, source)


def kind_of(problems: Sequence[Problem]) -> str:
    """Which kind of problem details a list of problems makes."""
    rules = {one.rule for one in problems}
    if NOT_ENTITLED in rules:
        return NOT_ENTITLED
    if "size" in rules:
        return "too-large"
    envelope_only = all(one.path != "data" and not one.path.startswith("data.") for one in problems)
    return "malformed-event" if envelope_only else "invalid-event"


def _source(incoming: Incoming, system: str) -> list[Problem]:
    """A system speaks for itself only: a lane would quarantine the event."""
    own, source = names.source_of(system), incoming.attributes.get("source")
    if source is None or source == own or source.startswith(f"{own}/"):
        return []
    return [Problem("source", NOT_ENTITLED, f"must be {own}, or continue it after a slash")]


def _with_source(event: Prepared, source: str) -> Prepared:
    headers = [(name, source.encode() if name == "ce_source" else value) for name, value in event.headers]
    return dataclasses.replace(event, headers=headers)


def _extensions(attributes: Mapping[str, str]) -> dict[str, str | bool | int]:
    return {name: value for name, value in attributes.items() if name not in OWN_ATTRIBUTES | _PLAIN}


def _payload(incoming: Incoming, published: PublishedEventType) -> tuple[RegisteredSchema, object]:
    """The schema that the payload is written as, and its value.

    JSON is natural JSON. Avro is framed as Confluent's serializers do, or plain where ``dataschema`` ends in
    ``/schemas/ids/<id>``.

    Raises:
        wire.MalformedEvent: with every problem.
    """
    named = incoming.attributes.get("dataschema")
    schema = published.current if named is None else _schema_named(named, published)
    if incoming.json_data is not NO_JSON:
        return schema, incoming.json_data
    if incoming.data is None:
        raise wire.MalformedData([Problem("", "required", "is missing: an event without data tells nobody anything")])
    if essence(incoming.attributes.get("datacontenttype", "")) != AVRO:
        raise wire.MalformedData([Problem("", "media-type", f"must be JSON, or Avro with datacontenttype {AVRO}")])
    body = incoming.data
    if named is None:
        schema_id, body = framing.unframe(incoming.data)
        schema = _schema(schema_id, published)
    return schema, entitlements.codec_of(schema).decode(body)


def _schema_named(dataschema: str, published: PublishedEventType) -> RegisteredSchema:
    found = _SCHEMA_ID.search(dataschema)
    if found is None:
        known = ", ".join(str(one.id) for one in published.schemas)
        raise wire.UnknownSchema([Problem("", "schema-id", f"dataschema must end in /schemas/ids/ and one of {known}")])
    return _schema(int(found[1]), published)


def _schema(schema_id: int, published: PublishedEventType) -> RegisteredSchema:
    for schema in published.schemas:
        if schema.id == schema_id:
            return schema
    known = ", ".join(str(one.id) for one in published.schemas)
    raise wire.UnknownSchema([Problem("", "schema-id", f"its schema id is none of the event type's: {known}")])


def _in_data(problem: Problem) -> Problem:
    return dataclasses.replace(problem, path=f"data.{problem.path}" if problem.path else "data")
