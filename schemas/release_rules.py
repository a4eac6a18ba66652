"""The release rules there are: keep, drop, mask, pseudonym, generalise."""

import datetime as dt
import decimal
import re
from collections.abc import Mapping
from typing import Any, ClassVar, Final, Literal, Self, cast

from pydantic import Field, NonNegativeInt, PositiveInt, ValidationError, model_validator

from schemas.rules import AvroType, CannotRelease, Pseudonymise, ReleaseRule, RuleDoesNotFit

_DATE_PREFIX: Final = {"year": 4, "month": 7, "day": 10}
_REGION_PARTS: Final = {"province": 2, "regency": 4, "district": 6}
_ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ].*)?")


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
    """Do not release the field: what happens to every field that is not listed; takes a part out of a kept record."""

    name: ClassVar[str] = "drop"

    def released_type(self, avro_type: AvroType) -> AvroType:  # noqa: ARG002  one signature for all rules
        """A dropped field has no type: whoever derives a schema leaves it out before asking."""
        raise RuleDoesNotFit("a dropped field is left out")

    def released(self, value: Any, pseudonymise: Pseudonymise) -> Any:  # noqa: ARG002  one signature for all rules
        """A dropped field has no value."""
        raise CannotRelease("a dropped field is left out")


class Mask(ReleaseRule):
    """Replace a text by asterisks, keeping its last characters.

    Tells the consumer the length of the text and nothing else. Works on string fields only. A text that is not longer
    than ``keep_last`` is masked whole.
    """

    name: ClassVar[str] = "mask"
    keep_last: NonNegativeInt = Field(0, description="characters left readable at the end", examples=[4])

    def released_type(self, avro_type: AvroType) -> AvroType:
        """A plain string: a masked identifier is none."""
        if _kind(avro_type)[0] != "string":
            raise RuleDoesNotFit("mask works on string fields only")
        return "string"

    def released(self, value: Any, pseudonymise: Pseudonymise) -> Any:  # noqa: ARG002  one signature for all rules
        """The masked text."""
        text = str(value)
        kept = self.keep_last if len(text) > self.keep_last else 0
        return "*" * (len(text) - kept) + text[len(text) - kept :]


class Pseudonym(ReleaseRule):
    """Replace a value by a keyed token: the same for the same value and consumer, unlinkable between consumers."""

    name: ClassVar[str] = "pseudonym"

    def released_type(self, avro_type: AvroType) -> AvroType:
        """A plain string."""
        kind, logical = _kind(avro_type)
        if kind not in ("string", "bytes", "fixed", "int", "long") or logical == "decimal":
            raise RuleDoesNotFit("pseudonym works on string, bytes, fixed, int and long fields")
        return "string"

    def released(self, value: Any, pseudonymise: Pseudonymise) -> Any:
        """The token; numbers, dates and moments are taken as their text."""
        return pseudonymise(value if isinstance(value, bytes) else str(value).encode())


class Generalise(ReleaseRule):
    """Make a value coarser: a date to its month or year, a region to its province, a number to a band."""

    name: ClassVar[str] = "generalise"
    to: Literal["year", "month", "day", "province", "regency", "district"] | None = Field(
        None, description="what is left of a date (year, month, day) or a region code", examples=["month"]
    )
    band: PositiveInt | None = Field(
        None, description="width of a number's band: 10 gives 20..29", examples=[10]
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.to is None) == (self.band is None):
            raise ValueError("generalise takes either `to` or `band`")
        return self

    def released_type(self, avro_type: AvroType) -> AvroType:
        """A plain string."""
        kind, logical = _kind(avro_type)
        if self.band is not None:
            fits = logical in (None, "decimal") and (
                kind in ("int", "long", "float", "double") or logical == "decimal"
            )
            if not fits:
                raise RuleDoesNotFit("generalise by band works on numbers")
        elif self.to in _DATE_PREFIX:
            if not (
                logical == "date"
                or str(logical).startswith("timestamp-")
                or (kind == "string" and logical is None)
            ):
                raise RuleDoesNotFit(
                    f"generalise to {self.to} works on dates, timestamps and texts that hold a date"
                )
        elif logical != "region-code":
            raise RuleDoesNotFit(f"generalise to {self.to} works on region codes (logical type region-code)")
        return "string"

    def released(self, value: Any, pseudonymise: Pseudonymise) -> Any:  # noqa: ARG002  one signature for all rules
        """The coarser value as text."""
        if self.band is not None:
            return _band(value, self.band)
        if self.to in _DATE_PREFIX:
            return _date_text(value)[: _DATE_PREFIX[self.to]]
        digits = str(value).replace(".", "")[: _REGION_PARTS[cast("str", self.to)]]
        return ".".join(digits[at : at + 2] for at in range(0, len(digits), 2))


def _band(value: Any, width: int) -> str:
    number = decimal.Decimal(str(value))
    if not number.is_finite():
        raise CannotRelease("generalise: not a finite number")
    low = int((number / width).to_integral_value(decimal.ROUND_FLOOR)) * width
    return f"{low}..{low + width - 1}"


def _date_text(value: Any) -> str:
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).date().isoformat()
    if isinstance(value, dt.date):
        return value.isoformat()
    if not _ISO_DATE.fullmatch(str(value)):
        raise CannotRelease("generalise: the text is not an ISO 8601 date")
    return str(value)


RULES: Final[Mapping[str, type[ReleaseRule]]] = {
    rule.name: rule for rule in (Keep, Drop, Mask, Pseudonym, Generalise)
}


def parse_rule(value: object) -> ReleaseRule:
    """A rule as a steward writes it: ``keep``, or ``{mask: {keep_last: 4}}``.

    Raises:
        ValueError: no such rule, or its settings are wrong; the text says which there are.
    """
    if isinstance(value, ReleaseRule):
        return value
    if isinstance(value, str):
        name, settings = value, {}
    elif isinstance(value, Mapping) and len(value) == 1:
        ((name, settings),) = value.items()
    else:
        raise ValueError(f"a release rule is one of {', '.join(RULES)}, or one of them with settings")
    rule = RULES.get(name) if isinstance(name, str) else None
    if rule is None:
        raise ValueError(f"there is no release rule {name!r}; there are {', '.join(RULES)}")
    try:
        return rule.model_validate(settings or {})
    except ValidationError as error:
        reasons = "; ".join(
            f"{'.'.join(map(str, part['loc'])) or name}: {part['msg']}" for part in error.errors()
        )
        raise ValueError(f"{name}: {reasons}") from None
