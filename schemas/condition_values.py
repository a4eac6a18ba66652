"""What an event's values are to CEL: the variable that a name stands for, its type, and how it is read."""

import datetime as dt
import decimal
import uuid
from collections.abc import Callable, Mapping
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

Convert = Callable[[Any], Any]


class Variable:
    """How one name is given to CEL: its type, and how an event's value is read.

    Attributes:
        steps: the name, ``("data", "child", "nik")`` or ``("event", "type")``; a list or a map is its last step.
        declared: the CEL type of its values that are not null.
        may_be_null: whether a value may be null, or absent with a record above it.
        needs_type: null needs a program of its own.
        type: the CEL type in programs.
        convert: makes the value that CEL takes of the value that fastavro has, or of the text of an attribute; null
            stays null. None where it is the same value.
    """

    def __init__(self, steps: tuple[str, ...], kind: Any, convert: Convert | None, *, may_be_null: bool) -> None:
        self.steps = steps
        self.declared = kind
        self.may_be_null = may_be_null
        # The binding takes no datetime as dynamic: such a type stays, and null gets a program of its own.
        self.needs_type = may_be_null and _holds_moment(kind)
        self.type = cel.Type.DYN if may_be_null and not self.needs_type else kind
        self.convert = convert

    @property
    def name(self) -> str:
        """The variable's name in CEL."""
        return ".".join(self.steps)

    @property
    def is_dynamic(self) -> bool:
        """Whether CEL is told no type: it then takes every value."""
        return bool(self.type == cel.Type.DYN)

    def read(self, attributes: Mapping[str, str], data: Mapping[str, Any]) -> Any:
        """The value of an event, as CEL takes it."""
        root, *path = self.steps
        value: Any
        if root == "event":
            value = attributes.get(path[0])
        else:
            value = data
            for step in path:
                if value is None:
                    return None
                value = value[step]
        return value if self.convert is None else self.convert(value)


def variable(schema: Any, steps: tuple[str, ...]) -> Variable:
    """The variable that a name stands for: its steps up to a list or map, where CEL itself goes on."""
    if steps[0] == "event":
        name = steps[1]
        if name == "time":
            return Variable(("event", name), cel.Type.TIMESTAMP, _time, may_be_null=True)
        return Variable(("event", name), cel.Type.STRING, None, may_be_null=name not in REQUIRED_ATTRIBUTES)
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
    return Variable(("data", *path), declared, _convert(names, kind, namespace, declared), may_be_null=may_be_null)


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


def _convert(names: Names, resolved: Any, namespace: str, declared: Any) -> Convert | None:
    """What makes the value that CEL takes, None for texts, numbers and the like, and lists of them."""
    if _holds_moment(declared):
        return _moment
    if isinstance(resolved, Mapping) and resolved["type"] == "array":
        item, _ = nullable(names.resolve(resolved["items"], namespace))
        resolved = names.resolve(item, namespace)
    is_same = isinstance(resolved, Mapping) and resolved["type"] in _SCALARS and "logicalType" not in resolved
    return None if is_same else _plain


def _time(text: str | None) -> dt.datetime | None:
    return None if text is None else envelope.moment(text)


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
