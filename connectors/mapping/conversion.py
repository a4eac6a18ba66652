"""A value as a file or service writes it, made into what a field's Avro type asks for.

What a type does not say (ranges, scales, identifiers) is left to the schema's own check.
"""

import datetime as dt
import decimal
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from connectors.mapping.declared import Origin
from connectors.mapping.problems import Unconvertible

Convert = Callable[[Any], Any]
_Moment = TypeVar("_Moment", dt.date, dt.time, dt.datetime)

_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?", re.ASCII)
_GROUPED = re.compile(r"[+-]?(\d+|\d{1,3}(\.\d{3})+)(,\d+)?", re.ASCII)
_REAL = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
_EXACT: Final = 10**15  # spreadsheets keep 15 digits: of a longer number the last ones are lost
_MOST_DIGITS: Final = 400  # of a number: to make integers of texts takes time by the square of their length
_MIDNIGHT: Final = dt.time()


def converter(resolved: Any, origin: Origin) -> Convert:
    """What makes a value that is not null into one of a resolved Avro type.

    The function raises Unconvertible where it cannot.
    """
    if isinstance(resolved, list) or resolved["type"] in ("record", "error", "array", "map", "fixed", "bytes"):
        if not isinstance(resolved, list) and resolved.get("logicalType") == "decimal":
            return lambda value: _number(value, origin)
        return lambda value: value  # natural JSON as it is; the schema's check says what does not fit
    kind, meaning = resolved["type"], resolved.get("logicalType")
    if kind in ("int", "long") and meaning is not None:
        return _moments(meaning, origin)
    if kind == "enum":
        return _enum(frozenset(resolved["symbols"]))
    makers: Mapping[str, Convert] = {
        "boolean": _boolean(origin),
        "int": lambda value: _whole(value, origin),
        "long": lambda value: _whole(value, origin),
        "float": lambda value: _real(value, origin),
        "double": lambda value: _real(value, origin),
        "string": text,
    }
    return makers.get(kind, lambda value: value)


def takes_format(resolved: Any) -> bool:
    """Whether a field of this type may say how its dates or times are written."""
    return not isinstance(resolved, list) and resolved["type"] in ("int", "long") and "logicalType" in resolved


def text(value: Any) -> str:
    """A text of a text, number, date or boolean."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        if not value.is_integer():
            return repr(_finite(value))
        if abs(value) >= _EXACT:
            raise Unconvertible(
                "precision", "is a number of more digits than a spreadsheet keeps: have it written as text"
            )
        return str(int(value))
    if isinstance(value, decimal.Decimal):
        return format(value, "f")
    if isinstance(value, bytes | list | tuple | Mapping):
        raise Unconvertible("type", "must be a text")
    return value.isoformat() if isinstance(value, dt.date | dt.time) else str(value)


def moment(value: Any, origin: Origin) -> dt.datetime:
    """A moment with its zone, of a text, or a date and time."""
    read = _datetime(value, origin.format, "a moment such as 2026-11-24T08:02:03+07:00")
    zone = read.tzinfo or origin.timezone()
    if zone is None:
        raise Unconvertible("zone", "has no offset from UTC, and the mapping gives no zone")
    try:
        read.replace(tzinfo=zone).astimezone(dt.UTC)
    except OverflowError:
        raise Unconvertible("range", "is not within the years 1 to 9999 in UTC") from None
    return read.replace(tzinfo=zone)


def _enum(symbols: frozenset[str]) -> Convert:
    known = ", ".join(sorted(symbols))

    def convert(value: Any) -> str:
        symbol = text(value)
        if symbol not in symbols:
            raise Unconvertible("enum", f"must be one of {known}; `translate` turns codes into them")
        return symbol

    return convert


def _boolean(origin: Origin) -> Convert:
    words = {word.lower(): False for word in origin.false_words} | {word.lower(): True for word in origin.true_words}
    expected = f"must be one of {', '.join(origin.true_words)} or {', '.join(origin.false_words)}"

    def convert(value: Any) -> bool:
        if isinstance(value, bool):
            return value
        word = text(value).strip().lower()
        if word not in words:
            raise Unconvertible("boolean", expected)
        return words[word]

    return convert


def _number(value: Any, origin: Origin) -> decimal.Decimal:
    if isinstance(value, decimal.Decimal) and value.is_finite():
        return value
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise Unconvertible("number", "must be a number")
    written = value.strip() if isinstance(value, str) else repr(value)
    if len(written) > _MOST_DIGITS:
        raise Unconvertible("number", f"must be a number of at most {_MOST_DIGITS} digits")
    comma = origin.decimal_mark == "," and isinstance(value, str)
    pattern = _GROUPED if comma else _NUMBER if isinstance(value, str) else _REAL
    if pattern.fullmatch(written) is None:
        mark = "a comma before decimals" if comma else "a point before decimals and nothing between thousands"
        raise Unconvertible("number", f"must be a number with {mark}")
    return decimal.Decimal(written.replace(".", "").replace(",", ".") if comma else written)


def _whole(value: Any, origin: Origin) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    number = _number(value, origin)
    if number != number.to_integral_value():
        raise Unconvertible("number", "must be a whole number")
    return int(number)


def _real(value: Any, origin: Origin) -> float:
    if isinstance(value, float):
        return _finite(value)
    if isinstance(value, str) and origin.decimal_mark == "." and _REAL.fullmatch(value.strip()):
        return _finite(float(value))
    return _finite(float(_number(value, origin)))


def _finite(number: float) -> float:
    if not math.isfinite(number):
        raise Unconvertible("number", "must be a finite number")
    return number


def _moments(meaning: str, origin: Origin) -> Convert:
    if meaning == "date":
        return lambda value: _date(value, origin.format)
    if meaning.startswith("time-"):
        return lambda value: _time(value, origin.format)
    if meaning.startswith("local-"):
        return lambda value: _local(value, origin.format)
    return lambda value: moment(value, origin)


def _date(value: Any, written: str | None) -> dt.date:
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        return value
    if isinstance(value, str) and written is None:
        return _parsed(dt.date.fromisoformat, value, "a date such as 2026-11-24")
    read = _datetime(value, written, "a date such as 2026-11-24")
    if read.time() != _MIDNIGHT:
        raise Unconvertible("date", "must be a date without a time of day")
    return read.date()


def _time(value: Any, written: str | None) -> dt.time:
    if isinstance(value, dt.time):
        return value
    if isinstance(value, str) and written is None:
        return _parsed(dt.time.fromisoformat, value, "a time such as 08:02:03")
    return _datetime(value, written, "a time such as 08:02:03").time()


def _local(value: Any, written: str | None) -> dt.datetime:
    read = _datetime(value, written, "a date and time such as 2026-11-24T08:02:03")
    if read.tzinfo is not None:
        raise Unconvertible("zone", "must be a date and time without an offset from UTC")
    return read


def _datetime(value: Any, written: str | None, expected: str) -> dt.datetime:
    if isinstance(value, dt.datetime):
        return value
    if not isinstance(value, str):
        raise Unconvertible("format", f"must be {expected}")
    if written is None:
        return _parsed(dt.datetime.fromisoformat, value, expected)
    try:
        return dt.datetime.strptime(value.strip(), written)  # noqa: DTZ007  the mapping's zone is added where one is due
    except ValueError:
        raise Unconvertible("format", f"is not written as {written}, or no such day or time exists") from None


def _parsed(parse: Callable[[str], _Moment], value: str, expected: str) -> _Moment:
    try:
        return parse(value.strip())
    except ValueError:
        raise Unconvertible("format", f"must be {expected}; `format` says how else it is written") from None
