"""What people write: which column, constant or expression each field of an event comes from."""

import datetime as dt
import re
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from connectors.entitled import EventTypeSetting
from connectors.mapping.computed import Computed

_KINDS: Final = ("column", "value", "cel", "digest")
_ZONE = re.compile(r"([+-])([01]\d):([0-5]\d)", re.ASCII)


class Origin(BaseModel):
    """Where one value comes from: exactly one of ``column``, ``value``, ``cel`` and ``digest``.

    A text alone stands for a column: ``latitude: lat`` is ``latitude: {column: lat}``. The field's Avro type says what
    the value is made into; the other settings say how it is written where that is not plain.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    column: str | list[str] | None = Field(
        None,
        description="name of the column, or the way through nested records (`name.0.family`); of a list, the texts are "
        "joined with a blank, as a date and a time in two columns",
    )
    value: Any = Field(None, description="a constant")
    cel: str | None = Field(
        None, description="a CEL expression over `record`, with the extensions for strings and optional values"
    )
    digest: list[str] | None = Field(
        None,
        min_length=1,
        description="32 hexadecimal digits made of these columns: a name that is always the same for the same values",
    )
    default: Any = Field(None, description="taken where the column is empty or missing, or the expression gives null")
    format: str | None = Field(
        None, description="how dates and times are written, in Python's letters: `%d/%m/%Y`; default: ISO 8601"
    )
    zone: str | None = Field(
        None, description="offset from UTC of moments that are written without one: `+07:00`, `Z`; there is no default"
    )
    decimal_mark: Literal[".", ","] = Field(
        ".", description="with `,`, points group thousands: `1.234.567,89` is 1234567.89"
    )
    true_words: list[str] = Field(["true", "1"], description="texts that mean true, in any case")
    false_words: list[str] = Field(["false", "0"], description="texts that mean false, in any case")
    translate: dict[str, Any] = Field(
        default_factory=dict,
        description="what texts of the column mean, as codes: `L: MALE`; others are refused where this is given",
    )

    @model_validator(mode="before")
    @classmethod
    def _column_alone(cls, written: Any) -> Any:
        return {"column": written} if isinstance(written, str) else written

    @model_validator(mode="after")
    def _exactly_one(self) -> "Origin":
        named = [kind for kind in _KINDS if kind in self.model_fields_set]
        if len(named) != 1:
            raise ValueError(f"needs exactly one of {', '.join(_KINDS)}; here {' and '.join(named) or 'none is'} given")
        return self

    @field_validator("cel")
    @classmethod
    def _compiles(cls, expression: str | None) -> str | None:
        if expression is not None:
            Computed(expression)
        return expression

    @field_validator("zone")
    @classmethod
    def _offset(cls, zone: str | None) -> str | None:
        if zone not in (None, "Z") and _ZONE.fullmatch(zone) is None:
            raise ValueError("must be Z or an offset from UTC: WIB is +07:00, WITA +08:00, WIT +09:00")
        return zone

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it names, none if it is a constant or an expression."""
        column = [self.column] if isinstance(self.column, str) else self.column
        return tuple(column or self.digest or ())

    def timezone(self) -> dt.timezone | None:
        """The zone of moments that are written without one."""
        if self.zone is None or self.zone == "Z":
            return dt.UTC if self.zone else None
        match = _ZONE.fullmatch(self.zone)
        assert match is not None, "the validator has seen it"
        offset = dt.timedelta(hours=int(match[2]), minutes=int(match[3]))
        return dt.timezone(-offset if match[1] == "-" else offset)


class EventMapping(BaseModel):
    """How a record becomes an event of one type."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    event_type: EventTypeSetting = Field(description="what the events are, by name and version")
    when: str | None = Field(
        None, description="a CEL expression over `record`; records for which it is false are passed over in silence"
    )
    data: dict[str, Origin] = Field(
        min_length=1, description="fields of the payload, dotted where they are nested (`child.nik`), and their origins"
    )
    id: Origin | None = Field(None, description="of the event; must be the same when the same record is read again")
    subject: Origin | None = Field(None, description="default: the event type's subject field")
    time: Origin | None = Field(None, description="when it happened; default: when it is published")
    key: Origin | None = Field(None, description="events of one key stay in order; default: the subject, else the id")
    empty: list[str] = Field([""], description="texts that mean that nothing is there, blanks around them aside")

    @field_validator("when")
    @classmethod
    def _is_condition(cls, expression: str | None) -> str | None:
        if expression is not None and not Computed(expression).may_be_boolean:
            raise ValueError("must be true or false")
        return expression

    def attributes(self) -> dict[str, Origin]:
        """The origins of the event's own attributes that are given."""
        given = {"id": self.id, "subject": self.subject, "time": self.time, "key": self.key}
        return {name: origin for name, origin in given.items() if origin is not None}
