"""A catalogue on disk made into a snapshot: schema ids given, released schemas derived."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from lintas import names
from schemas.load import Catalogue
from schemas.model import Agreement
from schemas.registered_form import registered_form
from schemas.released import released_schema
from schemas.snapshot import PublishedAgreement, PublishedEventType, RegisteredSchema, Snapshot

AUDIT_SCHEMA: Final[Mapping[str, Any]] = json.loads((Path(__file__).parent / "audit.avsc").read_text())

# Registers a schema under a subject; every schema of the subject, oldest first, the one asked for last.
Register = Callable[[str, Any], Sequence[RegisteredSchema]]


def compose(catalogue: Catalogue, register: Register) -> Snapshot:
    """The snapshot that a valid catalogue stands for; ``register`` gives schemas their ids."""
    event_types = {}
    for name, contract in catalogue.event_types.items():
        topic = names.events_topic(contract.owner, catalogue.agencies[contract.owner].domain, name)
        schema = registered_form(contract, topic, catalogue.schemas[name])
        versions = register(names.subject_of_topic(topic), schema)
        event_types[name] = PublishedEventType(contract, topic, tuple(versions))
    agreements = {}
    for name, agreement in catalogue.agreements.items():
        derived = derived_schema(agreement, catalogue.schemas[agreement.event_type])
        versions = register(names.released_subject(agreement.consumer, name), derived)
        agreements[name] = PublishedAgreement(agreement, versions[-1])
    audit = register(names.subject_of_topic(names.AUDIT_DECISIONS), AUDIT_SCHEMA)[-1]
    return Snapshot(dict(catalogue.agencies), event_types, agreements, audit, dict(catalogue.connectors))


def numbering() -> Register:
    """Ids without a registry, for tests of agreements: each schema gets the next number."""
    known: dict[str, RegisteredSchema] = {}

    def register(subject: str, schema: Any) -> Sequence[RegisteredSchema]:
        return (known.setdefault(subject, RegisteredSchema(len(known) + 1, schema)),)

    return register


def derived_schema(agreement: Agreement, source: Any) -> Any:
    """The schema of what an agreement releases of events written as ``source``.

    Raises:
        ReleaseProblems: the release does not fit it.
    """
    namespace = "lintas.released." + agreement.agreement.replace("-", "_")  # Avro takes no dashes
    return released_schema(source, agreement.release, name="Released", namespace=namespace)
