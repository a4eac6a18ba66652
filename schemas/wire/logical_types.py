"""What logical types make of base values: decimals, dates, times, moments, UUIDs (Avro 1.12, "Logical Types")."""

import datetime as dt
import decimal
import uuid
from collections.abc import Callable
from typing import Any, Final

from .errors import Problem
from .scalars import EPOCH, EPOCH_DAY, FIRST_MOMENT, LAST_MOMENT
from .types import Scalar

_UUID_DASHES: Final = (8, 13, 18, 23)
_UUID_LENGTH: Final = 36
_MICROSECOND: Final = dt.timedelta(microseconds=1)
_DAY_US: Final = 86_400_000_000


class Unsound(ValueError):
    """A value that its logical type forbids."""

    def __init__(self, rule: str, message: str) -> None:
        self.problem = Problem("", rule, message)
        super().__init__(message)


def reader_of(of: Scalar) -> Callable[[Any], Any]:
    """What makes a logical type's value of its base value."""
    logical = of.logical or ""
    if logical == "decimal":
        return _decimal(of)
    if logical == "date":
        return _date
    if logical == "uuid":
        return _uuid
    unit = 1000 if logical.endswith("millis") else 1
    if logical.startswith("time-"):
        return _time(unit)
    return _timestamp(unit, local=logical.startswith("local-"))


def _decimal(of: Scalar) -> Callable[[bytes], decimal.Decimal]:
    limit = 10**of.precision
    longest = of.size or limit.bit_length() // 8 + 1

    def read(raw: bytes) -> decimal.Decimal:
        if not raw or len(raw) > longest:  # before a number is made of megabytes
            raise Unsound("decimal", f"has more than {of.precision} digits" if raw else "holds no number")
        unscaled = int.from_bytes(raw, "big", signed=True)
        if not -limit < unscaled < limit:
            raise Unsound("decimal", f"has more than {of.precision} digits")
        return decimal.Decimal(f"{unscaled}E-{of.scale}")

    return read


def _date(days: int) -> dt.date:
    try:
        return dt.date.fromordinal(days + EPOCH_DAY)
    except (ValueError, OverflowError):
        raise Unsound("range", "is not within the years 1 to 9999") from None


def _time(unit: int) -> Callable[[int], dt.time]:
    def read(count: int) -> dt.time:
        if not 0 <= count * unit < _DAY_US:
            raise Unsound("range", "is not within a day")
        seconds, micro = divmod(count * unit, 1_000_000)
        return dt.time(seconds // 3600, seconds // 60 % 60, seconds % 60, micro)

    return read


def _timestamp(unit: int, *, local: bool) -> Callable[[int], dt.datetime]:
    epoch = EPOCH.replace(tzinfo=None) if local else EPOCH
    first, last = FIRST_MOMENT // _MICROSECOND, LAST_MOMENT // _MICROSECOND

    def read(count: int) -> dt.datetime:
        micro = count * unit
        if not first <= micro <= last:
            raise Unsound("range", "is not within the years 1 to 9999")
        return epoch + dt.timedelta(microseconds=micro)

    return read


def _uuid(text: str) -> uuid.UUID:
    # Python's own reading is too kind: braces, no dashes, underscores.
    if len(text) == _UUID_LENGTH and all(text[at] == "-" for at in _UUID_DASHES) and "_" not in text:
        try:
            return uuid.UUID(text)
        except ValueError:
            pass
    raise Unsound("uuid", "is not a UUID")
