"""A catalogue checked as a whole: every problem at once, with file, line and rule."""

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from lintas import names
from schemas.check_agreement import agreement_problems
from schemas.check_event_type import event_type_problems, is_usable, systems_of
from schemas.load import Catalogue, CatalogueProblem
from schemas.model import Connector
from schemas.suggestions import did_you_mean

RULES: Final[Mapping[str, str]] = {
    # Found when the folder is read (schemas/load.py, schemas/marked.py).
    "no-folder": "the folder holds no catalogue",
    "stray-file": "a file or folder that nobody reads",
    "unreadable": "a file that cannot be opened",
    "yaml-syntax": "a file is not YAML, not a mapping, or uses aliases",
    "duplicate-key": "a key stands twice in one mapping",
    "unknown-field": "a field that the model does not have",
    "missing-field": "a field that is required, such as the legal basis",
    "bad-value": "a value of the wrong type or form, or an unknown release rule",
    "file-name": "a file is not called as the object in it",
    "schema-missing": "an event type without its .avsc",
    "schema-json": "an .avsc that is not JSON",
    "schema-alone": "an .avsc without its event type",
    # Agencies and event types (schemas/check_event_type.py).
    "reserved-name": f"the agency {names.RESERVED_AGENCY} and all that begins with {names.RESERVED_AGENCY}. "
    "is the bus itself",
    "duplicate-domain": "two agencies share a domain",
    "unknown-agency": "a reference to an agency that is not there",
    "unknown-system": "a reference to a system that is not there",
    "unknown-event-type": "a reference to an event type that is not there",
    "foreign-domain": "an event type does not begin with its owner's domain",
    "foreign-publisher": "a publisher is no system of the event type's owner",
    "schema-invalid": "an .avsc that is not an Avro record schema",
    "schema-incompatible": "a schema that cannot read what was published before (BACKWARD_TRANSITIVE)",
    "unknown-path": "a path to a field that the schema does not have",
    "subject-type": "the subject must be a text field outside lists",
    "before-shape": "the record of values before a correction has other fields or types than the event",
    "classification": "an event type with personal fields is not classified personal",
    # Agreements (schemas/check_agreement.py, schemas/check_clear.py).
    "bus-event-type": "an agreement gives somebody the bus's own events, such as its canary's",
    "foreign-provider": "an agreement's provider does not own the event type",
    "validity": "an agreement ends before it begins",
    "expired": "an agreement is out of date",
    "same-consumer": "two agreements give one consumer the same event type: it would receive each event twice",
    "condition": "a CEL expression does not fit the event type",
    "release": "a release does not fit the event type's schema",
    "envelope": "an envelope attribute cannot be released so",
    "personal-in-clear": "a personal field is released by keep and personal_data_in_clear does not say so",
    "personal-needless": "personal_data_in_clear names what the agreement does not release in clear",
    # Connectors, besides unknown-system.
    "connector": "a connector's kind is not known, or its settings do not fit it",
}
# Problems of a connector's kind and settings in a catalogue, as (path in the object, message): the packages above know
# the kinds.
CheckConnector = Callable[[Connector, Catalogue], Sequence[tuple[tuple[str | int, ...], str]]]


def validate(
    catalogue: Catalogue,
    *,
    today: dt.date,
    registered: Mapping[str, Sequence[Any]] | None = None,
    check_connector: CheckConnector = lambda *_: (),
) -> list[CatalogueProblem]:
    """Every problem of a catalogue besides those of reading it, sorted by file and line.

    Args:
        catalogue: as ``load`` read it; what it could not read is not reported again.
        today: agreements that ended before are out of date.
        registered: earlier schemas of each event type, oldest first, where they are known.
        check_connector: whether a connector's kind and settings are right.
    """
    earlier = registered or {}
    usable = {name: schema for name, schema in catalogue.schemas.items() if is_usable(schema)}
    return sorted(
        {
            *_agencies(catalogue),
            *(
                problem
                for name, event_type in catalogue.event_types.items()
                for problem in event_type_problems(catalogue, event_type, earlier.get(name, ()))
            ),
            *(
                problem
                for agreement in catalogue.agreements.values()
                for problem in agreement_problems(catalogue, agreement, usable.get(agreement.event_type), today)
            ),
            *_same_consumer(catalogue),
            *_connectors(catalogue, check_connector),
        }
    )


def _agencies(catalogue: Catalogue) -> Iterator[CatalogueProblem]:
    owners: dict[str, str] = {}
    for name, agency in catalogue.agencies.items():
        place = catalogue.place("agency", name)
        if name == names.RESERVED_AGENCY:
            yield place.problem(("agency",), "reserved-name", f"{name} is the bus itself: choose another name")
        if names.is_bus_name(agency.domain):
            yield place.problem(
                ("domain",), "reserved-name", f"{agency.domain} is the bus's own: choose another domain"
            )
        other = owners.setdefault(agency.domain, name)
        if other != name:
            yield place.problem(("domain",), "duplicate-domain", f"{agency.domain} is the domain of {other} already")


def _connectors(catalogue: Catalogue, check: CheckConnector) -> Iterator[CatalogueProblem]:
    systems = systems_of(catalogue)
    for name, connector in catalogue.connectors.items():
        place = catalogue.place("connector", name)
        agency = connector.system.partition(".")[0]
        if connector.system not in systems and not catalogue.is_unread("agency", agency):
            message = f"there is no system {connector.system}{did_you_mean(connector.system, systems)}"
            yield place.problem(("system",), "unknown-system", message)
        yield from (place.problem(path, "connector", message) for path, message in check(connector, catalogue))


def _same_consumer(catalogue: Catalogue) -> Iterator[CatalogueProblem]:
    first: dict[tuple[str, str], str] = {}
    for name, agreement in sorted(catalogue.agreements.items()):
        other = first.setdefault((agreement.consumer, agreement.event_type), name)
        if other != name:
            place = catalogue.place("agreement", name)
            message = f"{other} gives {agreement.consumer} this event type already"
            yield place.problem(("consumer",), "same-consumer", message)
