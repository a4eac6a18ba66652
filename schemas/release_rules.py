"""The release rules there are: keep, drop, mask, pseudonym, generalise."""

import datetime as dt
import decimal
import inspect
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final, Literal, Self, cast

from pydantic import Field, NonNegativeInt, PositiveInt, StringConstraints, ValidationError, model_validator

from schemas.rules import AvroType, CannotRelease, Pseudonymise, ReleaseRule, RuleDoesNotFit
from schemas.wire.identifiers import dotted_region

_DATE_PREFIX: Final = {"year": 4, "month": 7, "day": 10}
_REGION_PREFIX: Final = {"province": 2, "regency": 5, "district": 8}
_ISO_DATE = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})([T ].*)?", re.DOTALL)
_DATES: Final = ("date", "timestamp-millis", "timestamp-micros", "timestamp-nanos")


def _kind(avro_type: AvroType) -> tuple[str, str | None]:
    """An Avro type's name and its logical type."""
    if isinstance(avro_type, str):
        return avro_type, None
    return avro_type["type"], avro_type.get("logicalType")


class Keep(ReleaseRule):
    """Release the field as it is, with all that is below it."""

    name: ClassVar[str] = "keep"

    def released_type(self, avro_type: AvroType) -> AvroType:
        """The type itself."""
        return avro_type

    def released(self, value: Any, pseudonymise: Pseudonymise) -> Any:  # noqa: ARG002  one signature for all rules
        """The value itself."""
        return value


class Drop(ReleaseRule):
    """Do not release the field: what happens to every field that is not listed. Takes a part out of a kept record."""

    name: ClassVar[str] = "drop"

    def released_type(self, avro_type: AvroType) -> AvroType:  # noqa: ARG002  one signature for all rules
        """A dropped field has no type: whoever derives a schema leaves it out before asking."""
        raise RuleDoesNotFit("a dropped field is left out")

    def released(self, value: Any, pseudonymise: Pseudonymise) -> Any:  # noqa: ARG002  one signature for all rules
        """A dropped field has no value."""
        raise CannotRelease("a dropped field is left out")


class Mask(ReleaseRule):
    """Replace a text by asterisks, keeping its last characters.

    Tells the consumer the length of the text and nothing else. Works on string fields only. Of a text that is not
    longer than ``keep_last`` nothing stays readable. An identifier (NIK, NPWP ...) becomes a plain string.
    """

    name: ClassVar[str] = "mask"
    keep_last: NonNegativeInt = Field(0, description="characters left readable at the end", examples=[4])
    with_: Annotated[str, StringConstraints(pattern=r"^[!-~]$")] = Field(
        "*", alias="with", description="the character that stands for the others, printable ASCII", examples=["x"]
    )

    def released_type(self, avro_type: AvroType) -> AvroType:
        """A plain string: a masked identifier is none."""
        if _kind(avro_type)[0] != "string":
            raise RuleDoesNotFit("mask works on string fields only")
        return "string"

    def released(self, value: Any, pseudonymise: Pseudonymise) -> Any:  # noqa: ARG002  one signature for all rules
        """The masked text."""
        text = str(value)
        masked = len(text) - self.keep_last if len(text) > self.keep_last else len(text)
        return self.with_ * masked + text[masked:]


class Pseudonym(ReleaseRule):
    """Replace a value by a keyed token: the same for the same value and consumer, unlinkable between consumers.

    The field does not matter: a NIK has one token for a consumer wherever it stands. Works on string, bytes, fixed,
    int, long and uuid fields; numbers are taken as their decimal text. Gives a string such as
    ``p1-567939c001b2a10e5cfba0a069791559``, whose number is the version of the consumer's key.
    """

    name: ClassVar[str] = "pseudonym"

    def released_type(self, avro_type: AvroType) -> AvroType:
        """A plain string."""
        kind, logical = _kind(avro_type)
        fits = kind == "string" or (kind in ("bytes", "fixed", "int", "long") and logical in (None, "uuid"))
        if not fits:
            raise RuleDoesNotFit("pseudonym works on string, bytes, fixed, int, long and uuid fields")
        return "string"

    def released(self, value: Any, pseudonymise: Pseudonymise) -> Any:
        """The token."""
        return pseudonymise(value if isinstance(value, bytes) else str(value).encode())


class Generalise(ReleaseRule):
    """Make a value coarser: a date to its month or year, a region to its province, a number to its band.

    A moment counts for its day in UTC; a text counts for the date with which it begins. A region code gives the dotted
    code of the wider area, or itself if it names no smaller one. Bands begin at multiples of their width: with 10, all
    from 20 up to but without 30 (29.9 too) is ``20..29``, and all from -10 up to but without 0 is ``-10..-1``.
    """

    name: ClassVar[str] = "generalise"
    to: Literal["year", "month", "day", "province", "regency", "district"] | None = Field(
        None,
        description="what is left of a date (year, month, day) or a region code (province, regency, district)",
        examples=["month"],
    )
    band: PositiveInt | None = Field(None, description="width of a number's band, instead of `to`", examples=[10])

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.to is None) == (self.band is None):
            raise ValueError("takes either `to` or `band`")
        return self

    def released_type(self, avro_type: AvroType) -> AvroType:
        """A plain string."""
        kind, logical = _kind(avro_type)
        if self.band is not None:
            if not (logical == "decimal" or (kind in ("int", "long", "float", "double") and logical is None)):
                raise RuleDoesNotFit("generalise by band works on numbers only")
        elif self.to in _DATE_PREFIX:
            if not (logical in _DATES or (kind == "string" and logical is None)):
                raise RuleDoesNotFit(f"generalise to {self.to} works on dates, timestamps and texts that hold a date")
        elif not (kind == "string" and logical in (None, "region-code")):
            raise RuleDoesNotFit(f"generalise to {self.to} works on region codes only")
        return "string"

    def released(self, value: Any, pseudonymise: Pseudonymise) -> Any:  # noqa: ARG002  one signature for all rules
        """The coarser value as text."""
        if self.band is not None:
            return _band(value, self.band)
        if self.to in _DATE_PREFIX:
            return _date(value).isoformat()[: _DATE_PREFIX[self.to]]
        try:
            return dotted_region(str(value))[: _REGION_PREFIX[cast("str", self.to)]]
        except ValueError:
            raise CannotRelease("generalise: the text is not a region code") from None


def _band(value: float | decimal.Decimal, width: int) -> str:
    try:
        low = math.floor(value) // width * width  # whole numbers throughout, so exact for decimals too
        return f"{low}..{low + width - 1}"
    except (ValueError, OverflowError):
        raise CannotRelease("generalise: the number is not finite, or too long to be written") from None


def _date(value: Any) -> dt.date:
    if isinstance(value, dt.datetime):
        try:
            return value.astimezone(dt.UTC).date()
        except OverflowError:
            raise CannotRelease("generalise: the moment is outside the years 1 to 9999") from None
    if isinstance(value, dt.date):
        return value
    match = _ISO_DATE.fullmatch(str(value))
    try:
        return dt.date.fromisoformat(match[1] if match else "")
    except ValueError:
        raise CannotRelease("generalise: the text does not begin with an ISO 8601 date") from None


RULES: Final[Mapping[str, type[ReleaseRule]]] = {rule.name: rule for rule in (Keep, Drop, Mask, Pseudonym, Generalise)}


def parse_rule(value: object) -> ReleaseRule:
    """A rule as a steward writes it: ``keep``, or ``{mask: {keep_last: 4}}``.

    Raises:
        ValueError: no such rule, or its settings are wrong; the text says which there are.
    """
    if isinstance(value, ReleaseRule):
        return value
    name, settings = (value, None) if not isinstance(value, Mapping) else next(iter(value.items()), (None, None))
    rule = RULES.get(name) if isinstance(name, str) else None
    if rule is None or (isinstance(value, Mapping) and len(value) > 1):
        raise ValueError(
            f"a release rule is one of {', '.join(RULES)}, alone or with settings, as in mask: {{keep_last: 4}}"
        )
    try:
        return rule.model_validate({} if settings is None else settings)
    except ValidationError as error:
        known = ", ".join(field.alias or key for key, field in rule.model_fields.items())
        reasons = "; ".join(
            ".".join(map(str, part["loc"])) + (": " if part["loc"] else "") + part["msg"].removeprefix("Value error, ")
            for part in error.errors()
        )
        raise ValueError(f"{name}: {reasons} (settings: {known or 'none'})") from None


@dataclass(frozen=True, slots=True)
class RuleSetting:
    """One setting of a rule, for people."""

    name: str
    description: str
    default: Any
    example: Any


@dataclass(frozen=True, slots=True)
class RuleReference:
    """What a rule says of itself: the reference pages and ``lintas agreement`` are made of it."""

    name: str
    summary: str
    details: str
    settings: tuple[RuleSetting, ...]


def reference() -> Iterator[RuleReference]:
    """Every rule, as it describes itself."""
    for rule in RULES.values():
        summary, _, details = inspect.cleandoc(rule.__doc__ or "").partition("\n\n")
        settings = tuple(
            RuleSetting(field.alias or name, field.description or "", field.default, (field.examples or [None])[0])
            for name, field in rule.model_fields.items()
        )
        yield RuleReference(rule.name, summary, details, settings)
