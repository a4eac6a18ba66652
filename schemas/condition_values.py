"""What an event's values are to CEL: the variable that a name stands for, its type, and how it is read."""

import datetime as dt
import decimal
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from cel_expr_python import cel

from schemas.avro_tree import Names, nullable
from schemas.condition_types import DURATIONS, REQUIRED_ATTRIBUTES, TIMESTAMPS
from schemas.wire import envelope

_SCALARS: Final[Mapping[str, Any]] = {
    "boolean": cel.Type.BOOL,
    "int": cel.Type.INT,
    "long": cel.Type.INT,
    "float": cel.Type.DOUBLE,
    "double": cel.Type.DOUBLE,
    "string": cel.Type.STRING,
    "enum": cel.Type.STRING,
    "bytes": cel.Type.BYTES,
    "fixed": cel.Type.BYTES,
}
_MOMENTS: Final = (cel.Type.TIMESTAMP, cel.Type.DURATION)
_EPOCH_DAY: Final = dt.date(1970, 1, 1)

Reader = Callable[[Mapping[str, str], Mapping[str, Any]], Any]


class Variable:
    """How one name is given to CEL: its type, and how an event's value is read."""

    def __init__(self, kind: Any, read: Reader, *, may_be_null: bool) -> None:
        # The binding takes no datetime as dynamic: such a type stays, and null gets a program of its own.
        self.needs_type = may_be_null and _holds_moment(kind)
        self.type = cel.Type.DYN if may_be_null and not self.needs_type else kind
        self.read = read


def variable(schema: Any, steps: tuple[str, ...]) -> tuple[str, Variable]:
    """The variable that a name stands for: its steps up to a list or map, where CEL itself goes on."""
    if steps[0] == "event":
        name = steps[1]
        if name == "time":
            return "event.time", Variable(cel.Type.TIMESTAMP, _time, may_be_null=True)
        return f"event.{name}", Variable(
            cel.Type.STRING, lambda attributes, _: attributes.get(name), may_be_null=name not in REQUIRED_ATTRIBUTES
        )
    names = Names(schema)
    kind, namespace, may_be_null = names.resolve(schema), "", False
    path: list[str] = []
    for step in steps[1:]:
        if isinstance(kind, list) or kind["type"] not in ("record", "error"):
            break
        namespace = names.namespace_of(kind, namespace)
        field = next(field for field in kind["fields"] if field["name"] == step)
        other, null = nullable(names.resolve(field["type"], namespace))
        kind = names.resolve(other, namespace)
        may_be_null = may_be_null or null
        path.append(step)
    declared = _declared(names, kind, namespace)
    return ".".join(("data", *path)), Variable(declared, _field(path, _holds_moment(declared)), may_be_null=may_be_null)


def _declared(names: Names, resolved: Any, namespace: str) -> Any:
    """The CEL type of a value that is not null."""
    if isinstance(resolved, list):
        return cel.Type.DYN
    kind, meaning = resolved["type"], resolved.get("logicalType")
    if kind == "array":
        item = names.resolve(resolved["items"], namespace)
        nested = isinstance(item, list) or item["type"] in ("array", "map")
        return cel.Type.List(cel.Type.DYN if nested else _declared(names, item, namespace))
    if kind == "map":
        return cel.Type.Map(cel.Type.STRING, cel.Type.DYN)
    if kind in ("int", "long") and meaning in TIMESTAMPS | DURATIONS:
        return cel.Type.TIMESTAMP if meaning in TIMESTAMPS else cel.Type.DURATION
    return cel.Type.DYN if meaning == "decimal" else _SCALARS.get(kind, cel.Type.DYN)


def _holds_moment(kind: Any) -> bool:
    return any(kind == moment or kind == cel.Type.List(moment) for moment in _MOMENTS)


def _time(attributes: Mapping[str, str], _: Mapping[str, Any]) -> dt.datetime | None:
    return envelope.moment(attributes["time"]) if "time" in attributes else None


def _field(path: Sequence[str], is_moment: bool) -> Reader:
    seen = _moment if is_moment else _plain

    def read(_: Mapping[str, str], data: Mapping[str, Any]) -> Any:
        value: Any = data
        for step in path:
            if value is None:
                return None
            value = value[step]
        return seen(value)

    return read


def _moment(value: Any) -> Any:
    """A date as its midnight in UTC, a time as the duration since midnight; lists of them likewise."""
    if isinstance(value, list):
        return [_moment(item) for item in value]
    if isinstance(value, dt.datetime):
        return value if value.tzinfo is not None else value.replace(tzinfo=dt.UTC)
    if isinstance(value, dt.date):
        return dt.datetime(value.year, value.month, value.day, tzinfo=dt.UTC)
    if isinstance(value, dt.time):
        return dt.datetime.combine(_EPOCH_DAY, value) - dt.datetime.combine(_EPOCH_DAY, dt.time())
    return value


def _plain(value: Any) -> Any:
    """A value as CEL takes it anywhere."""
    if isinstance(value, (str, int, float, bytes, type(None))):
        return value
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, (dt.date, dt.time)):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return f"{value.normalize():f}"
    assert isinstance(value, uuid.UUID), "fastavro gives no other class"
    return str(value)
