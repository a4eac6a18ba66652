"""Scalars to Avro binary, strictly: numbers, texts, bytes, identifiers, decimals, dates and times.

Each function takes a value, the bytes to add to and the state of the run, and returns the problems it found: none if it
wrote.
"""

import datetime as dt
import decimal
import struct
import uuid
from collections.abc import Callable, Sequence
from typing import Any, Final

from .errors import Problem
from .identifiers import CHECKS
from .types import Scalar
from .varint import zigzag

Problems = Sequence[Problem]
FINE: Final[Problems] = ()
EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
EPOCH_DAY: Final = EPOCH.toordinal()
FIRST_MOMENT: Final = dt.datetime.min.replace(tzinfo=dt.UTC) - EPOCH
LAST_MOMENT: Final = dt.datetime.max.replace(tzinfo=dt.UTC) - EPOCH
_BITS: Final = {"int": 31, "long": 63}
_FLOAT: Final = struct.Struct("<f")
_DOUBLE: Final = struct.Struct("<d")


class Run:
    """What one run of an encoder remembers: how deep it is, and what it tried in unions of records."""

    __slots__ = ("depth", "tried")

    def __init__(self) -> None:
        self.depth = 0
        self.tried: dict[tuple[int, int], tuple[Problems, bytes]] = {}


Encode = Callable[[Any, bytearray, Run], Problems]


class Unreadable:
    """Stands in a value for what could not be read, with the reasons; every encoder reports them as its own."""

    __slots__ = ("problems",)

    def __init__(self, *problems: Problem) -> None:
        self.problems = problems


def mismatch(value: Any, expected: str) -> Problems:
    """The problem of a value of the wrong type, or the problems that made it unreadable."""
    return value.problems if isinstance(value, Unreadable) else (Problem("", "type", f"must be {expected}"),)


def write_varint(out: bytearray, value: int) -> None:
    """Add a zigzag number."""
    out += zigzag(value)


def scalar(of: Scalar) -> Encode:
    """The encoder of a primitive or a fixed."""
    if of.logical in CHECKS:
        return text(of.logical)
    if of.logical == "decimal":
        return _decimal(of)
    if of.logical == "date":
        return _date
    if of.logical == "uuid":
        return _uuid
    if of.logical is not None and of.logical.startswith("time-"):
        return _time(1000 if of.logical.endswith("millis") else 1)
    if of.logical is not None:
        unit = dt.timedelta(microseconds=1000 if of.logical.endswith("millis") else 1)
        return _timestamp(unit, local=of.logical.startswith("local-"))
    return _primitive(of)


def _primitive(of: Scalar) -> Encode:
    if of.kind in _BITS:
        return _whole(of.kind)
    if of.kind in ("float", "double"):
        return _real(_FLOAT if of.kind == "float" else _DOUBLE)
    if of.kind == "fixed":
        return _fixed(of.size)
    return {"null": _null, "boolean": _boolean, "bytes": _bytes}.get(of.kind) or text(None)


def plain_scalar(of: Scalar) -> Encode:
    """Defaults are of the base type; bytes are written as text with a character for each byte."""
    if of.kind not in ("bytes", "fixed"):
        return text(of.logical) if of.kind == "string" else _primitive(of)
    encode_bytes = _primitive(of)

    def encode(value: Any, out: bytearray, run: Run) -> Problems:
        try:
            return encode_bytes(value.encode("latin-1"), out, run)
        except (AttributeError, UnicodeEncodeError):
            return mismatch(value, "bytes as text of characters up to U+00FF")

    return encode


def _null(value: Any, _out: bytearray, _run: Run) -> Problems:
    return FINE if value is None else mismatch(value, "null")


def _boolean(value: Any, out: bytearray, _run: Run) -> Problems:
    if not isinstance(value, bool):
        return mismatch(value, "true or false")
    out.append(value)
    return FINE


def _whole(kind: str) -> Encode:
    limit = 1 << _BITS[kind]

    def encode(value: Any, out: bytearray, _run: Run) -> Problems:
        if not isinstance(value, int) or isinstance(value, bool):
            return mismatch(value, "a whole number")
        if not -limit <= value < limit:
            return (Problem("", "range", f"does not fit an Avro {kind}"),)
        write_varint(out, value)
        return FINE

    return encode


def _real(layout: struct.Struct) -> Encode:
    def encode(value: Any, out: bytearray, _run: Run) -> Problems:
        if not isinstance(value, float | int) or isinstance(value, bool):
            return mismatch(value, "a number")
        try:
            out += layout.pack(value)
        except (OverflowError, struct.error):
            return (Problem("", "range", f"does not fit a floating-point number of {layout.size} bytes"),)
        return FINE

    return encode


def _bytes(value: Any, out: bytearray, _run: Run) -> Problems:
    if not isinstance(value, bytes | bytearray):
        return mismatch(value, "bytes")
    write_varint(out, len(value))
    out += value
    return FINE


def _fixed(size: int) -> Encode:
    def encode(value: Any, out: bytearray, _run: Run) -> Problems:
        if not isinstance(value, bytes | bytearray):
            return mismatch(value, "bytes")
        if len(value) != size:
            return (Problem("", "size", f"must be {size} bytes"),)
        out += value
        return FINE

    return encode


def text(identifier: str | None) -> Encode:
    """The encoder of a text, which must keep the rules of ``identifier``."""
    check = None if identifier is None else CHECKS.get(identifier)

    def encode(value: Any, out: bytearray, _run: Run) -> Problems:
        if not isinstance(value, str):
            return mismatch(value, "text")
        if check is not None and (problem := check(value)) is not None:
            return (Problem("", str(identifier), problem),)
        try:
            binary = value.encode()
        except UnicodeEncodeError:
            return (Problem("", "utf-8", "holds code points that UTF-8 cannot carry"),)
        write_varint(out, len(binary))
        out += binary
        return FINE

    return encode


def _decimal(of: Scalar) -> Encode:
    def encode(value: Any, out: bytearray, run: Run) -> Problems:
        if not isinstance(value, decimal.Decimal):
            return mismatch(value, "a decimal number")
        if not value.is_finite():
            return (Problem("", "decimal", "is not a finite number"),)
        sign, digits, exponent = value.as_tuple()
        places = int(exponent) + of.scale  # a finite number's exponent is an int
        text = "".join(map(str, digits)).lstrip("0") or "0"
        if text == "0":
            places = 0
        elif places < 0:
            text, rest = text[:places] or "0", text[places:]
            if rest.strip("0"):
                return (Problem("", "decimal", f"has more than {of.scale} digits after the point"),)
            places = 0
        if len(text) + places > of.precision:
            return (Problem("", "decimal", f"has more than {of.precision} digits"),)
        unscaled = int(text) * 10**places * (-1 if sign else 1)
        if of.kind == "fixed":
            out += unscaled.to_bytes(of.size, "big", signed=True)
            return FINE
        size = (unscaled if unscaled >= 0 else ~unscaled).bit_length() // 8 + 1
        return _bytes(unscaled.to_bytes(size, "big", signed=True), out, run)

    return encode


def _date(value: Any, out: bytearray, _run: Run) -> Problems:
    if not isinstance(value, dt.date) or isinstance(value, dt.datetime):
        return mismatch(value, "a date")
    write_varint(out, value.toordinal() - EPOCH_DAY)
    return FINE


def _time(unit: int) -> Encode:
    def encode(value: Any, out: bytearray, _run: Run) -> Problems:
        if not isinstance(value, dt.time) or value.tzinfo is not None:
            return mismatch(value, "a time of day without a zone")
        seconds = value.hour * 3600 + value.minute * 60 + value.second
        write_varint(out, (seconds * 1_000_000 + value.microsecond) // unit)
        return FINE

    return encode


def _timestamp(unit: dt.timedelta, *, local: bool) -> Encode:
    """Digits below the unit are cut, as every Avro library does."""
    epoch = EPOCH.replace(tzinfo=None) if local else EPOCH
    expected = "a date and time without a zone" if local else "a moment with a time zone"

    def encode(value: Any, out: bytearray, _run: Run) -> Problems:
        if not isinstance(value, dt.datetime) or (value.utcoffset() is None) != local:
            return mismatch(value, expected)
        since = value - epoch
        # The moment must be one in UTC's years 1 to 9999 too, or no reader could hold it.
        if not FIRST_MOMENT <= since <= LAST_MOMENT:
            return (Problem("", "range", "is not within the years 1 to 9999"),)
        write_varint(out, since // unit)
        return FINE

    return encode


def _uuid(value: Any, out: bytearray, run: Run) -> Problems:
    if not isinstance(value, uuid.UUID):
        return mismatch(value, "a UUID")
    return _bytes(str(value).encode(), out, run)
