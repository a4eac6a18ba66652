"""What can be wrong with an event type: its owner, its publishers, its schema and the paths into it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from schemas import paths
from schemas.compatibility import incompatibilities
from schemas.load import Catalogue, CatalogueProblem, Place
from schemas.model import Classification, EventType
from schemas.suggestions import did_you_mean
from schemas.wire.codec import Codec
from schemas.wire.errors import InvalidSchema


def is_usable(schema: Any) -> bool:
    """Whether a parsed .avsc is the schema of an event."""
    return not list(_schema_faults(schema))


def event_type_problems(
    catalogue: Catalogue, event_type: EventType, earlier: Sequence[Any]
) -> Iterator[CatalogueProblem]:
    """Every problem of one event type; ``earlier`` are the schemas it was published with, oldest first."""
    name = event_type.event_type
    place = catalogue.place("event-type", name)
    yield from _owner(catalogue, event_type, place)
    if event_type.personal_fields and event_type.classification is not Classification.PERSONAL:
        message = f"an event type with personal fields is classified personal, not {event_type.classification}"
        yield place.problem(("classification",), "classification", message)
    if name not in catalogue.schemas:
        return
    schema, schema_place = catalogue.schemas[name], catalogue.place("schema", name)
    faults = list(_schema_faults(schema))
    yield from (schema_place.problem((), "schema-invalid", fault) for fault in faults)
    if faults:
        return
    yield from _paths(event_type, {field.path: field for field in paths.fields(schema)}, place)
    for reason in incompatibilities(schema, earlier):
        where = paths.declaration(schema, reason.partition(": ")[0])
        yield schema_place.problem(where, "schema-incompatible", reason)


def _schema_faults(schema: Any) -> Iterator[str]:
    if not isinstance(schema, Mapping) or schema.get("type") != "record":
        yield "the schema of an event must be a record"
        return
    try:
        Codec(schema)
    except InvalidSchema as error:
        yield str(error)


def _owner(catalogue: Catalogue, event_type: EventType, place: Place) -> Iterator[CatalogueProblem]:
    owner = catalogue.agencies.get(event_type.owner)
    if owner is None and catalogue.is_unread("agency", event_type.owner):
        return
    if owner is None:
        message = f"there is no agency {event_type.owner}{did_you_mean(event_type.owner, catalogue.agencies)}"
        yield place.problem(("owner",), "unknown-agency", message)
    elif not event_type.event_type.startswith(f"{owner.domain}."):
        message = f"must begin with {owner.domain}., the domain of {event_type.owner}"
        yield place.problem(("event_type",), "foreign-domain", message)
    systems = systems_of(catalogue)
    for index, publisher in enumerate(event_type.publishers):
        if publisher not in systems:
            message = f"there is no system {publisher}{did_you_mean(publisher, systems)}"
            yield place.problem(("publishers", index), "unknown-system", message)
        elif publisher.partition(".")[0] != event_type.owner:
            message = f"{publisher} is no system of the owner {event_type.owner}"
            yield place.problem(("publishers", index), "foreign-publisher", message)


def _paths(event_type: EventType, known: Mapping[str, paths.Field], place: Place) -> Iterator[CatalogueProblem]:
    for index, path in enumerate(event_type.personal_fields):
        if path not in known:
            yield place.problem(("personal_fields", index), "unknown-path", _no_field(path, known))
    if event_type.subject is not None:
        subject = known.get(event_type.subject)
        if subject is None:
            yield place.problem(("subject",), "unknown-path", _no_field(event_type.subject, known))
        elif subject.in_collection or not _is_text(subject.type):
            message = f"{subject.path} must be a text field (string or enum) outside lists and maps"
            yield place.problem(("subject",), "subject-type", message)
    if event_type.before is not None:
        yield from _before(event_type.before, known, place)


def _before(before: str, known: Mapping[str, paths.Field], place: Place) -> Iterator[CatalogueProblem]:
    """`when` is asked of the values before as if they were the event's: each must be what the event has there."""
    record = known.get(before)
    if record is None or "." in before:
        top_level = [path for path in known if "." not in path]
        yield place.problem(("before",), "unknown-path", _no_field(before, top_level, "top-level field"))
    elif isinstance(record.type, list) or record.type["type"] != "record":
        yield place.problem(("before",), "before-shape", f"{before} must be a record")
    else:
        for inside in (known[f"{before}.{field['name']}"] for field in record.type["fields"]):
            after = known.get(inside.path.removeprefix(f"{before}."))
            if after is None:
                message = f"{inside.path} is no top-level field of the event"
            elif _shapes(known, after.path) != _shapes(known, inside.path):
                message = f"{inside.path} has another type than {after.path}"
            elif inside.nullable and not (after.nullable or record.nullable):
                message = f"{inside.path} may be null, but {after.path} may not"
            else:
                continue
            yield place.problem(("before",), "before-shape", message)


def _shapes(known: Mapping[str, paths.Field], top: str) -> dict[str, object]:
    """What a field and all that is below it look like, by the path from it."""
    return {path.removeprefix(top): _shape(field.type) for path, field in known.items() if paths.covers(top, path)}


def _shape(resolved: Any) -> object:
    if isinstance(resolved, list):
        return [branch if isinstance(branch, str) else _shape(branch) for branch in resolved]
    kind = resolved["type"]
    if kind in ("record", "enum", "fixed"):
        return kind, resolved["name"]
    return kind if kind in ("array", "map") else resolved


def _is_text(resolved: Any) -> bool:
    if isinstance(resolved, list):
        return False
    # A uuid is read as such, not as its text.
    return resolved["type"] in ("string", "enum") and resolved.get("logicalType") != "uuid"


def _no_field(path: str, known: Mapping[str, Any] | Sequence[str], kind: str = "field") -> str:
    return f"there is no {kind} {path}{did_you_mean(path, known)}"


def systems_of(catalogue: Catalogue) -> set[str]:
    """The id of every system."""
    return {f"{name}.{system}" for name, agency in catalogue.agencies.items() for system in agency.systems}
