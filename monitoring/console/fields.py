"""Fields of schemas as pages show them: what they are, whether they are personal, how they are released. Pure."""

import dataclasses

from schemas.envelope_release import rule_for
from schemas.model import ENVELOPE_ATTRIBUTES, Agreement, EventType
from schemas.paths import leaves, type_text
from schemas.released import deciding_rule
from schemas.rules import ReleaseRule
from schemas.snapshot import PublishedEventType


@dataclasses.dataclass(frozen=True, slots=True)
class FieldRow:
    """One field.

    Attributes:
        optional: it, or a record above it, may be null.
        personal: about a natural person.
        rule: the name of the rule that releases it; "" withholds it.
        settings: of the rule, as a steward writes them.
    """

    path: str
    type: str
    doc: str
    optional: bool
    personal: bool
    rule: str = ""
    settings: str = ""


def fields_of(event_type: PublishedEventType, schema: object | None = None) -> list[FieldRow]:
    """Every field of the newest schema, or of another of the event type."""
    contract = event_type.contract
    return [
        FieldRow(one.path, type_text(one.type), one.doc, one.nullable, contract.is_personal(one.path))
        for one in leaves(event_type.current.schema if schema is None else schema)
    ]


def released_fields(event_type: PublishedEventType, agreement: Agreement) -> list[FieldRow]:
    """Every field, and every attribute of the envelope about which there is something to say, with its rule."""
    rows = [
        dataclasses.replace(row, rule=name, settings=settings)
        for row in fields_of(event_type)
        for name, settings in [_written(deciding_rule(row.path, agreement.release))]
    ]
    return [*rows, *_envelope(event_type.contract, agreement)]


def _envelope(contract: EventType, agreement: Agreement) -> list[FieldRow]:
    rows = []
    for attribute in dict.fromkeys([*ENVELOPE_ATTRIBUTES, *agreement.envelope]):
        rule = rule_for(attribute, agreement, contract)
        name, settings = ("stem", "") if rule is None else _written(None if rule.name == "drop" else rule)
        rows.append(FieldRow(f"envelope.{attribute}", "string", "", True, False, name, settings))
    return rows


def _written(rule: ReleaseRule | None) -> tuple[str, str]:
    if rule is None:
        return "", ""
    written = rule.as_written()
    if isinstance(written, str):
        return written, ""
    ((name, settings),) = written.items()
    return name, ", ".join(f"{key}: {value}" for key, value in settings.items())
