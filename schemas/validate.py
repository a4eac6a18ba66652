"""A catalogue checked as a whole: every problem at once, with file, line and rule."""

import datetime as dt
import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from lintas import names
from schemas import paths
from schemas.compatibility import incompatibilities
from schemas.conditions import Condition, ConditionError
from schemas.envelope_release import envelope_problems, rule_for
from schemas.load import Catalogue, CatalogueProblem, Place
from schemas.model import ENVELOPE_ATTRIBUTES, Agreement, Classification, EventType
from schemas.released import ReleaseProblems, released_schema
from schemas.wire.codec import Codec
from schemas.wire.errors import InvalidSchema

RULES: Final[Mapping[str, str]] = {
    # Found when the folder is read (schemas/load.py).
    "no-folder": "the folder does not exist",
    "yaml-syntax": "a file is not YAML, or not a mapping",
    "duplicate-key": "a key stands twice in one mapping",
    "unknown-field": "a field that the model does not have",
    "missing-field": "a field that is required",
    "bad-value": "a value of the wrong type or form, an unknown release rule, a missing legal basis",
    "file-name": "a file is not called as the object in it",
    "schema-missing": "an event type without its .avsc",
    "schema-json": "an .avsc that is not JSON",
    "schema-alone": "an .avsc without its event type",
    # Found here.
    "reserved-name": f"the agency {names.RESERVED_AGENCY} is the bus itself",
    "duplicate-domain": "two agencies share a domain",
    "unknown-agency": "a reference to an agency that is not there",
    "unknown-system": "a reference to a system that is not there",
    "unknown-event-type": "a reference to an event type that is not there",
    "foreign-domain": "an event type does not begin with its owner's domain",
    "foreign-publisher": "a publisher is no system of the event type's owner",
    "foreign-provider": "an agreement's provider does not own the event type",
    "schema-invalid": "an .avsc that is not an Avro record schema",
    "schema-incompatible": "a schema that cannot read what was published before (BACKWARD_TRANSITIVE)",
    "unknown-path": "a path to a field that the schema does not have",
    "subject-type": "the subject must be a text field outside lists",
    "before-shape": "the record of values before a correction has other fields or types than the event",
    "public-personal": "an event type with personal fields is not public",
    "validity": "an agreement ends before it begins",
    "expired": "an agreement is out of date",
    "same-consumer": "two agreements give one consumer the same event type: it would receive each event twice",
    "condition": "a CEL expression does not fit the event type",
    "release": "a release does not fit the event type's schema",
    "envelope": "an envelope attribute cannot be released so",
    "personal-in-clear": "a personal field is released by keep and personal_data_in_clear does not say so",
    "personal-needless": "personal_data_in_clear names what the agreement does not release in clear",
}


def validate(
    catalogue: Catalogue, *, today: dt.date, registered: Mapping[str, Sequence[Any]] | None = None
) -> list[CatalogueProblem]:
    """Every problem of a catalogue, sorted by file and line.

    Args:
        catalogue: as ``load`` read it.
        today: agreements that ended before are out of date.
        registered: earlier schemas of each event type, oldest first, where they are known.
    """
    problems = [
        *_agencies(catalogue),
        *(
            problem
            for event_type in catalogue.event_types.values()
            for problem in _event_type(catalogue, event_type, registered or {})
        ),
        *(
            problem
            for agreement in catalogue.agreements.values()
            for problem in _agreement(catalogue, agreement, today)
        ),
        *_same_consumer(catalogue),
    ]
    return sorted(set(problems))


def _at(place: Place, path: Sequence[str | int], rule: str, message: str) -> CatalogueProblem:
    return CatalogueProblem(place.file, place.line(*path), rule, message)


def _unknown(kind: str, name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"there is no {kind} {name}" + (f"; did you mean {close[0]}?" if close else "")


def _agencies(catalogue: Catalogue) -> Iterator[CatalogueProblem]:
    owners: dict[str, str] = {}
    for name, agency in catalogue.agencies.items():
        place = catalogue.place("agency", name)
        if name == names.RESERVED_AGENCY:
            yield _at(place, ("agency",), "reserved-name", f"{name} is the bus itself; choose another name")
        other = owners.setdefault(agency.domain, name)
        if other != name:
            yield _at(place, ("domain",), "duplicate-domain", f"{agency.domain} is the domain of {other} already")


def _systems(catalogue: Catalogue) -> set[str]:
    return {f"{name}.{system}" for name, agency in catalogue.agencies.items() for system in agency.systems}


def _event_type(
    catalogue: Catalogue, event_type: EventType, registered: Mapping[str, Sequence[Any]]
) -> Iterator[CatalogueProblem]:
    place = catalogue.place("event-type", event_type.event_type)
    owner = catalogue.agencies.get(event_type.owner)
    if owner is None:
        yield _at(place, ("owner",), "unknown-agency", _unknown("agency", event_type.owner, catalogue.agencies))
    elif not event_type.event_type.startswith(owner.domain + "."):
        yield _at(
            place,
            ("event_type",),
            "foreign-domain",
            f"must begin with {owner.domain}., the domain of {event_type.owner}",
        )
    systems = _systems(catalogue)
    for index, publisher in enumerate(event_type.publishers):
        if publisher not in systems:
            yield _at(place, ("publishers", index), "unknown-system", _unknown("system", publisher, systems))
        elif publisher.partition(".")[0] != event_type.owner:
            yield _at(
                place,
                ("publishers", index),
                "foreign-publisher",
                f"{publisher} is no system of the owner {event_type.owner}",
            )
    if event_type.classification is Classification.PUBLIC and event_type.personal_fields:
        yield _at(
            place,
            ("personal_fields",),
            "public-personal",
            "an event type with personal fields cannot be public",
        )
    if (schema := catalogue.schemas.get(event_type.event_type)) is not None:
        yield from _schema(place, event_type, schema, registered.get(event_type.event_type, ()))


def _schema(place: Place, event_type: EventType, schema: Any, earlier: Sequence[Any]) -> Iterator[CatalogueProblem]:
    file = place.file.with_suffix(".avsc")
    try:
        Codec(schema)
    except InvalidSchema as error:
        yield CatalogueProblem(file, 1, "schema-invalid", str(error))
        return
    if not isinstance(schema, Mapping) or schema.get("type") != "record":
        yield CatalogueProblem(file, 1, "schema-invalid", "the schema of an event must be a record")
        return
    known = {field.path: field for field in paths.fields(schema)}
    for index, path in enumerate(event_type.personal_fields):
        if path not in known:
            yield _at(place, ("personal_fields", index), "unknown-path", _unknown("field", path, known))
    if event_type.subject is not None:
        subject = known.get(event_type.subject)
        if subject is None:
            yield _at(place, ("subject",), "unknown-path", _unknown("field", event_type.subject, known))
        elif subject.in_collection or isinstance(subject.type, list) or subject.type["type"] not in ("string", "enum"):
            yield _at(place, ("subject",), "subject-type", f"{subject.path} must be a text field outside lists")
    if event_type.before is not None:
        yield from _before(place, event_type.before, known)
    for reason in incompatibilities(schema, earlier):
        yield CatalogueProblem(file, 1, "schema-incompatible", reason)


def _before(place: Place, before: str, known: Mapping[str, paths.Field]) -> Iterator[CatalogueProblem]:
    record = known.get(before)
    if record is None or "." in before:
        yield _at(place, ("before",), "unknown-path", _unknown("top-level field", before, known))
        return
    if isinstance(record.type, list) or record.type["type"] != "record":
        yield _at(place, ("before",), "before-shape", f"{before} must be a record")
        return
    for field in record.type["fields"]:
        name = field["name"]
        inside = known[f"{before}.{name}"]
        if name not in known or _shape(known[name]) != _shape(inside):
            yield _at(
                place,
                ("before",),
                "before-shape",
                f"{before}.{name} must be a top-level field of the event, with the same type",
            )


def _shape(field: paths.Field) -> object:
    if isinstance(field.type, Mapping):
        return field.type.get("name", field.type["type"]), field.type.get("logicalType")
    return str(field.type)


def _agreement(catalogue: Catalogue, agreement: Agreement, today: dt.date) -> Iterator[CatalogueProblem]:
    place = catalogue.place("agreement", agreement.agreement)
    systems = _systems(catalogue)
    if agreement.provider not in catalogue.agencies:
        yield _at(place, ("provider",), "unknown-agency", _unknown("agency", agreement.provider, catalogue.agencies))
    if agreement.consumer not in systems:
        yield _at(place, ("consumer",), "unknown-system", _unknown("system", agreement.consumer, systems))
    if agreement.valid.until < agreement.valid.from_:
        yield _at(
            place,
            ("valid",),
            "validity",
            f"ends on {agreement.valid.until}, before it begins on {agreement.valid.from_}",
        )
    elif agreement.valid.until < today:
        yield _at(place, ("valid", "until"), "expired", f"ended on {agreement.valid.until}: renew it or take it out")
    for attribute, message in envelope_problems(agreement):
        yield _at(place, ("envelope", attribute), "envelope", f"{attribute} {message}")
    event_type = catalogue.event_types.get(agreement.event_type)
    if event_type is None:
        yield _at(
            place,
            ("event_type",),
            "unknown-event-type",
            _unknown("event type", agreement.event_type, catalogue.event_types),
        )
        return
    if event_type.owner != agreement.provider:
        yield _at(place, ("provider",), "foreign-provider", f"{event_type.event_type} belongs to {event_type.owner}")
    schema = catalogue.schemas.get(agreement.event_type)
    try:
        Codec(schema)
    except InvalidSchema:
        return  # reported with the event type
    yield from _conditions(place, agreement, schema)
    yield from _release(place, agreement, schema)
    yield from _in_clear(place, agreement, event_type, schema)


def _conditions(place: Place, agreement: Agreement, schema: Any) -> Iterator[CatalogueProblem]:
    written: list[tuple[tuple[str, ...], str]] = [(("require", name), text) for name, text in agreement.require.items()]
    if agreement.when is not None:
        written.append((("when",), agreement.when))
    for path, text in written:
        try:
            Condition(text, schema)
        except ConditionError as error:
            yield _at(place, path, "condition", f"{'.'.join(path)}, column {error.column}: {error.message}")


def _release(place: Place, agreement: Agreement, schema: Any) -> Iterator[CatalogueProblem]:
    try:
        released_schema(schema, agreement.release, name="Released", namespace="lintas")
    except ReleaseProblems as error:
        for path, message in error.problems:
            yield _at(place, ("release", path), "release", f"{path}: {message}" if path else message)


def _in_clear(place: Place, agreement: Agreement, event_type: EventType, schema: Any) -> Iterator[CatalogueProblem]:
    said = set(agreement.personal_data_in_clear)
    clear = set(_clear_personal_fields(agreement, event_type, schema))
    if event_type.classification is Classification.PERSONAL:
        for attribute in ENVELOPE_ATTRIBUTES:
            rule = rule_for(attribute, agreement, event_type.classification)
            if rule is not None and rule.name == "keep":
                clear.add(f"envelope.{attribute}")
    for path in sorted(clear):
        if not any(path == entry or paths.covers(entry, path) for entry in said):
            head, _, attribute = path.partition(".")
            where = ("envelope", attribute) if head == "envelope" else ("release", path)
            yield _at(
                place,
                where,
                "personal-in-clear",
                f"{path} is personal and released by keep: name it in personal_data_in_clear, or choose another rule",
            )
    for index, entry in enumerate(agreement.personal_data_in_clear):
        if not any(path == entry or paths.covers(entry, path) for path in clear):
            yield _at(
                place,
                ("personal_data_in_clear", index),
                "personal-needless",
                f"{entry} is not released in clear",
            )


def _clear_personal_fields(agreement: Agreement, event_type: EventType, schema: Any) -> Iterator[str]:
    """The personal fields without fields below them that `keep` releases."""
    every = [field.path for field in paths.fields(schema)]
    for path in every:
        if any(other != path and paths.covers(path, other) for other in every):
            continue  # what is below it decides
        if not any(paths.covers(personal, path) for personal in event_type.personal_fields):
            continue
        deciding = [rule for rule in agreement.release if paths.covers(rule, path)]
        if deciding and agreement.release[max(deciding, key=len)].name == "keep":
            yield path


def _same_consumer(catalogue: Catalogue) -> Iterator[CatalogueProblem]:
    first: dict[tuple[str, str], str] = {}
    for name, agreement in sorted(catalogue.agreements.items()):
        other = first.setdefault((agreement.consumer, agreement.event_type), name)
        if other != name:
            yield _at(
                catalogue.place("agreement", name),
                ("consumer",),
                "same-consumer",
                f"{other} gives {agreement.consumer} this event type already",
            )
