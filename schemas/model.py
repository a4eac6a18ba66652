"""The catalogue's words as strict models: agencies, systems, event types, agreements (DESIGN section 2).

Models hold what a steward writes; they know nothing of files, registries or Kafka.
"""

import datetime as dt
import enum
from typing import Annotated, Any

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PositiveInt,
    SerializeAsAny,
    StringConstraints,
)

from lintas import names
from schemas.paths import covers
from schemas.release_rules import parse_rule
from schemas.rules import ReleaseRule

# Agreements are made under Indonesian law: a day begins and ends in Jakarta.
JAKARTA = dt.timezone(dt.timedelta(hours=7), "WIB")

AgencyId = Annotated[str, StringConstraints(pattern=f"^{names.AGENCY_ID.pattern}$", max_length=40)]
SystemName = AgencyId
SystemId = Annotated[
    str, StringConstraints(pattern=rf"^{names.AGENCY_ID.pattern}\.{names.AGENCY_ID.pattern}$", max_length=80)
]
EventTypeName = Annotated[str, StringConstraints(pattern=f"^{names.EVENT_TYPE.pattern}$", max_length=120)]
AgreementId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*([.-][a-z0-9]+)*$", max_length=120)]
ConnectorName = Annotated[str, StringConstraints(pattern=f"^{names.AGENCY_ID.pattern}$", max_length=80)]
# A path into the payload: `child.nik`, `children[].name` for a field of a list's items, `scores{}` for a map's values.
FieldPath = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*(\[\]|\{\})?(\.[A-Za-z_][A-Za-z0-9_]*(\[\]|\{\})?)*$"),
]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=3)]
Rule = Annotated[SerializeAsAny[ReleaseRule], BeforeValidator(parse_rule)]

# What may be released of an envelope besides extension attributes; `key` is the Kafka key.
ENVELOPE_ATTRIBUTES = ("id", "source", "subject", "time", "key")


class Strict(BaseModel):
    """No unknown fields, no changes after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Kind(enum.StrEnum):
    """Whom a system belongs to; the letter is its end of a channel."""

    GOVERNMENT = "government"
    BUSINESS = "business"
    CITIZEN = "citizen"
    EMPLOYEE = "employee"

    @property
    def letter(self) -> str:
        """The letter in a channel's name (G2B: government to business)."""
        return self.value[0].upper()


class Classification(enum.StrEnum):
    """How an event type must be treated."""

    PUBLIC = "public"  # may be known to all
    INTERNAL = "internal"  # about offices and businesses, not for all
    PERSONAL = "personal"  # about natural persons (UU 27/2022)


class System(Strict):
    """A program of an agency with an identity of its own."""

    name: Text
    kind: Kind
    inbox_partitions: PositiveInt = Field(4, description="fixed when the inbox is created")
    pseudonym_key: PositiveInt = Field(1, description="version of the key for this consumer's pseudonyms")
    connectors: bool = Field(
        False, description="it may have connectors that are not in the catalogue (`lintas connector create`, REST)"
    )
    tables: list[SystemName] = Field(
        default_factory=list,
        description="tables that it keeps on the bus: each has a changelog with the partitions of the inbox",
    )


class Connector(Strict):
    """Joins a system to something that does not speak Kafka: a database, a folder, a web service."""

    connector: ConnectorName
    system: SystemId = Field(description="whose events it publishes, or whose inbox it reads")
    plugin: AgencyId = Field(description="which kind of connector it is: `lintas connector plugins` lists them")
    summary: Text | None = None
    config: dict[str, Any] = Field(default_factory=dict, description="its settings; secrets are named by file")


class Agency(Strict):
    """An organisation: a ministry, an office, a business, an association of citizens."""

    agency: AgencyId
    name: Text
    domain: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]*(\.[a-z][a-z0-9-]*)+$")] = Field(
        description="reverse-DNS prefix of the event types it owns"
    )
    systems: dict[SystemName, System] = Field(default_factory=dict)


class EventType(Strict):
    """The contract of an event type; its Avro schema lies beside it as ``<event type>.avsc``."""

    event_type: EventTypeName
    owner: AgencyId
    title: Text
    summary: Text
    publishers: list[SystemId] = Field(min_length=1)
    classification: Classification
    subject: FieldPath | None = Field(None, description="the field that ce_subject repeats: whom or what it is about")
    personal_fields: list[FieldPath] = Field(default_factory=list, description="each with all that is below it")
    before: FieldPath | None = Field(None, description="for corrections: the record that holds the values before")
    partitions: PositiveInt = Field(4, description="fixed when the topic is created")
    retention_days: PositiveInt = 30

    def is_personal(self, path: str) -> bool:
        """Whether a field is about a natural person."""
        return any(covers(personal, path) for personal in self.personal_fields)


class Validity(Strict):
    """The days on which an agreement is in force, both included, in Jakarta's time."""

    from_: dt.date = Field(alias="from")
    until: dt.date


class Backfill(Strict):
    """What an agreement gets of the time before it came into force, before it goes on with what is published then."""

    from_: AwareDatetime = Field(alias="from", description="events published at this moment or later; with a time zone")


class Standing(enum.StrEnum):
    """Whether an agreement is in force at a moment."""

    IN_FORCE = "in_force"
    NOT_YET = "not_yet"
    EXPIRED = "expired"
    SUSPENDED = "suspended"


class Agreement(Strict):
    """What one consumer system may see of one event type, on which basis, until when."""

    agreement: AgreementId
    provider: AgencyId
    consumer: SystemId
    event_type: EventTypeName
    legal_basis: Text
    purpose: Text
    valid: Validity
    suspended: bool = False
    backfill: Backfill | None = Field(None, description="what of the past it gets first, once")
    when: str | None = Field(None, description="CEL; false: not mine, no copy, one bit in the audit record")
    require: dict[str, str] = Field(
        default_factory=dict, description="CEL by name; false: mine but broken, dead letter"
    )
    release: dict[FieldPath, Rule] = Field(min_length=1, description="what is not listed is not released")
    envelope: dict[str, Rule] = Field(
        default_factory=dict,
        description=f"{', '.join(ENVELOPE_ATTRIBUTES)} or an extension attribute: its rule",
    )
    personal_data_in_clear: list[str] = Field(
        default_factory=list,
        description="personal fields (or envelope.<attribute>) that `keep` releases knowingly",
    )
    pseudonym_domain: str | None = Field(
        None, description="narrows pseudonyms: they match only within the same domain of this consumer"
    )

    def standing(self, at: dt.datetime) -> Standing:
        """Whether the agreement is in force at ``at`` (a moment with a time zone)."""
        today = at.astimezone(JAKARTA).date()
        if self.suspended:
            return Standing.SUSPENDED
        if today < self.valid.from_:
            return Standing.NOT_YET
        if today > self.valid.until:
            return Standing.EXPIRED
        return Standing.IN_FORCE


def channel(provider: Kind, consumer: Kind) -> str:
    """The channel of a delivery, as SPBE names them: G2G, G2B, G2C, G2E, B2G ..."""
    return f"{provider.letter}2{consumer.letter}"


def as_json(model: BaseModel) -> dict[str, Any]:
    """A model as it is published: JSON values, aliases as a steward writes them, defaults left out."""
    return model.model_dump(mode="json", by_alias=True, exclude_defaults=True)
