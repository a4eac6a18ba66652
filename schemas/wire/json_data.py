"""Natural JSON to Avro values and back: what people write, not Avro's own JSON encoding.

Dates are ``"2026-11-24"``, moments RFC 3339, decimals texts (or whole numbers), bytes base64, enums texts; a nullable
value stands as it is; of a union of several types the first branch without problems is meant.
"""

import base64
import binascii
import datetime as dt
import decimal
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final

from .checker import check
from .codec import Codec
from .envelope import is_time, moment
from .errors import MalformedData, Problem
from .types import Names, logical

_UNREADABLE: Final = object()
_MILLI: Final = 1000


def from_json(codec: Codec, value: Any) -> Any:
    """The Avro value that a JSON value means under the codec's schema.

    Raises:
        MalformedData: with every problem.
    """
    problems: list[Problem] = []
    data = _read(codec.names, codec.schema, value, "", "", problems)
    reported = {problem.path for problem in problems}

    def report(path: str, rule: str, message: str) -> None:
        if path not in reported:
            problems.append(Problem(path, rule, message))

    check(codec.names, codec.schema, data, report)
    if problems:
        raise MalformedData(problems)
    return data


def to_json(codec: Codec, data: Any) -> Any:
    """The JSON value of an Avro value; ``from_json`` of it gives the value back."""
    return _written(data)


def _written(data: Any) -> Any:
    if isinstance(data, Mapping):
        return {name: _written(value) for name, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [_written(item) for item in data]
    if isinstance(data, bytes):
        return base64.b64encode(data).decode()
    if isinstance(data, decimal.Decimal):
        return format(data, "f")
    if isinstance(data, uuid.UUID):
        return str(data)
    if isinstance(data, dt.datetime):
        spec = "microseconds" if data.microsecond % _MILLI else "milliseconds"
        return data.astimezone(dt.UTC).isoformat(timespec=spec).replace("+00:00", "Z")
    if isinstance(data, (dt.date, dt.time)):
        return data.isoformat()
    return data


def _read(names: Names, node: Any, value: Any, path: str, namespace: str, problems: list[Problem]) -> Any:
    """The value as Avro has it; what cannot be read is reported here, what can is left to the check."""
    resolved = names.resolve(node, namespace)
    if isinstance(resolved, list):
        return _read_union(names, resolved, value, path, namespace, problems)
    kind = resolved["type"]
    if kind in ("record", "error") and isinstance(value, Mapping):
        inner = names.namespace_of(resolved, namespace)
        types = {field["name"]: field["type"] for field in resolved["fields"]}
        return {
            name: _read(names, types[name], item, f"{path}.{name}" if path else name, inner, problems)
            if name in types
            else item
            for name, item in value.items()
        }
    if kind == "array" and isinstance(value, list):
        return [
            _read(names, resolved["items"], item, f"{path}[{index}]", namespace, problems)
            for index, item in enumerate(value)
        ]
    if kind == "map" and isinstance(value, Mapping):
        return {
            key: _read(names, resolved["values"], item, f"{path}{{}}", namespace, problems)
            for key, item in value.items()
        }
    return _read_scalar(resolved, value, path, problems)


def _read_union(
    names: Names, branches: list[Any], value: Any, path: str, namespace: str, problems: list[Problem]
) -> Any:
    if value is None:
        return None
    for branch in branches:
        found: list[Problem] = []
        data = _read(names, branch, value, path, namespace, found)
        check(
            names,
            branch,
            data,
            lambda *problem, to=found: to.append(Problem(*problem)),
            path=path,
            namespace=namespace,
        )
        if not found:
            return data
    others = [branch for branch in branches if names.resolve(branch, namespace) != {"type": "null"}]
    return _read(names, others[0], value, path, namespace, problems) if len(others) == 1 else value


def _read_scalar(node: Mapping[str, Any], value: Any, path: str, problems: list[Problem]) -> Any:
    meaning = logical(node)
    reader = _READERS.get((node["type"], meaning)) or _READERS.get((node["type"], None))
    if reader is None:
        return value
    try:
        read, expected = reader
        return read(value)
    except (ValueError, TypeError, decimal.InvalidOperation, OverflowError):
        problems.append(Problem(path, "type", f"must be {expected}"))
        return _UNREADABLE


def _bytes(value: Any) -> bytes:
    try:
        return base64.b64decode(_text(value), validate=True)
    except binascii.Error as error:
        raise ValueError from error


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _decimal(value: Any) -> decimal.Decimal:
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise TypeError
    return decimal.Decimal(value)


def _date(value: Any) -> dt.date:
    if len(_text(value)) != len("2026-11-24"):
        raise ValueError
    return dt.date.fromisoformat(value)


def _moment(value: Any) -> dt.datetime:
    if not is_time(_text(value)):
        raise ValueError
    return moment(value)


def _float(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError
    return float(value)


_READERS: Final[Mapping[tuple[str, str | None], tuple[Callable[[Any], Any], str]]] = {
    ("bytes", None): (_bytes, "base64 text"),
    ("fixed", None): (_bytes, "base64 text"),
    ("bytes", "decimal"): (_decimal, 'a decimal number as text, such as "12.50"'),
    ("fixed", "decimal"): (_decimal, 'a decimal number as text, such as "12.50"'),
    ("int", "date"): (_date, "a date such as 2026-11-24"),
    ("int", "time-millis"): (lambda value: dt.time.fromisoformat(_text(value)), "a time such as 08:30:00"),
    ("long", "time-micros"): (lambda value: dt.time.fromisoformat(_text(value)), "a time such as 08:30:00"),
    ("long", "timestamp-millis"): (_moment, "a moment such as 2026-11-24T01:02:03.000Z"),
    ("long", "timestamp-micros"): (_moment, "a moment such as 2026-11-24T01:02:03.000Z"),
    ("string", "uuid"): (lambda value: uuid.UUID(_text(value)), "a UUID"),
    ("float", None): (_float, "a number"),
    ("double", None): (_float, "a number"),
}
