"""`when` and `require`: CEL expressions, type-checked against the event's schema, over ``event.*`` and ``data.*``.

Fields are declared one by one under their dotted names, so that CEL's own checker refuses unknown names and wrong types
with line and column. CEL's nullable types cannot be evaluated in this binding: an expression is checked with them and
evaluated with what may be null declared as dynamic. Inside lists and maps, dates are texts and field
names are not checked.
"""

import datetime as dt
import decimal
import re
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final

from cel_expr_python import cel

from schemas import paths
from schemas.avro_tree import Names
from schemas.wire import envelope

_ATTRIBUTES: Final = ("id", "source", "type", "specversion")  # always there
_OPTIONAL_ATTRIBUTES: Final = ("subject", "dataschema", "datacontenttype")
_WRAPPERS: Final = {
    "STRING": "google.protobuf.StringValue",
    "INT": "google.protobuf.Int64Value",
    "BOOL": "google.protobuf.BoolValue",
    "DOUBLE": "google.protobuf.DoubleValue",
    "BYTES": "google.protobuf.BytesValue",
}
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
_WORD = re.compile(r"\b(?:data|event)(?:\.[A-Za-z_][A-Za-z0-9_]*)+")
_STRING = re.compile(r"'''.*?'''|\"\"\".*?\"\"\"|'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"", re.DOTALL)
_PLACE = re.compile(r"ERROR: <input>:(\d+):(\d+): (.*)")


class ConditionError(ValueError):
    """A CEL expression that does not fit the event type.

    Attributes:
        line, column: where in the expression, from 1.
        message: what is wrong.
    """

    def __init__(self, line: int, column: int, message: str) -> None:
        super().__init__(f"{line}:{column}: {message}")
        self.line = line
        self.column = column
        self.message = message


class ConditionFailed(ValueError):
    """A CEL expression that could not be computed for an event; the text holds no values."""


class Condition:
    """One expression, compiled for one schema."""

    def __init__(self, expression: str, schema: Any) -> None:
        """Check and compile an expression.

        Raises:
            ConditionError: it does not compile against the schema, or is not true or false.
        """
        self._expression = expression
        checked, self._types, self._readers = _declare(expression, schema)
        _refuse_decimals(expression, schema)
        try:
            result = cel.NewEnv(variables=checked).compile(expression).return_type()
        except RuntimeError as error:
            raise _explained(str(error), expression) from None
        if result not in (cel.Type.BOOL, cel.Type.DYN):
            raise ConditionError(1, 1, f"must be true or false, but is {str(result).lower()}")
        self._timestamps = [name for name, kind in self._types.items() if kind == cel.Type.TIMESTAMP]
        self._programs: dict[frozenset[str], Any] = {}  # by the timestamps that are null

    def __call__(self, attributes: Mapping[str, str], data: Mapping[str, Any]) -> bool:
        """Whether the condition holds for an event.

        Raises:
            ConditionFailed: CEL met an error, such as a comparison with null.
        """
        variables = {name: read(attributes, data) for name, read in self._readers.items()}
        nulls = frozenset(name for name in self._timestamps if variables[name] is None)
        program = self._programs.get(nulls) or self._compiled(nulls)
        result = program.eval(data=variables)
        if result.type() == cel.Type.BOOL:
            return bool(result.value())
        # CEL's text repeats values: only its kind is passed on.
        kind = (
            str(result.value()).partition(":")[0].strip('"')
            if result.type() == cel.Type.ERROR
            else "not a boolean"
        )
        raise ConditionFailed(f"the condition could not be computed ({kind})")

    def _compiled(self, nulls: frozenset[str]) -> Any:
        types = {name: cel.Type.DYN if name in nulls else kind for name, kind in self._types.items()}
        try:
            program = self._programs[nulls] = cel.NewEnv(variables=types).compile(self._expression)
        except RuntimeError:
            raise ConditionFailed("the condition could not be computed (not for these nulls)") from None
        return program


Reader = Callable[[Mapping[str, str], Mapping[str, Any]], Any]


def _declare(expression: str, schema: Any) -> tuple[dict[str, Any], dict[str, Any], dict[str, Reader]]:
    """Variables as they are checked, their types where not null, and how each is read; only those that are named."""
    declared: dict[str, tuple[Any, bool, Reader]] = {}
    for name in _ATTRIBUTES:
        declared[f"event.{name}"] = (cel.Type.STRING, False, _attribute(name))
    for name in _OPTIONAL_ATTRIBUTES:
        declared[f"event.{name}"] = (cel.Type.STRING, True, _attribute(name))
    declared["event.time"] = (cel.Type.TIMESTAMP, True, _time)
    for word in _words(expression):
        if word.startswith("event.") and word.count(".") == 1:
            declared.setdefault(word, (cel.Type.STRING, True, _attribute(word.removeprefix("event."))))
    names = Names(schema)
    for field in paths.fields(schema):
        if not field.in_collection and (found := _cel_type(names, field)) is not None:
            declared[f"data.{field.path}"] = (found, field.nullable, _field(field.path.split(".")))
    mentioned = _words(expression)
    used = {
        name: what
        for name, what in declared.items()
        if any(word == name or word.startswith(name + ".") for word in mentioned)
    }
    checked = {name: _wrapped(kind) if null else kind for name, (kind, null, _) in used.items()}
    # Of what may be null only timestamps need their type: the binding takes no datetime as dynamic.
    types = {
        name: cel.Type.DYN if null and kind != cel.Type.TIMESTAMP else kind
        for name, (kind, null, _) in used.items()
    }
    return checked, types, {name: reader for name, (_, _, reader) in used.items()}


def _words(expression: str) -> set[str]:
    return set(_WORD.findall(_STRING.sub('""', expression)))


def _cel_type(names: Names, field: paths.Field) -> Any | None:
    """How a field is declared; None for what CEL cannot see here."""
    if isinstance(field.type, list):
        return cel.Type.DYN
    kind, meaning = field.type["type"], field.type.get("logicalType")
    if meaning == "decimal":
        return None
    if meaning in ("date", "timestamp-millis", "timestamp-micros"):
        return cel.Type.TIMESTAMP
    if kind in ("record", "error"):
        return cel.Type.DYN if field.nullable else None
    if kind == "array":
        items = names.resolve(field.type["items"])
        return cel.Type.List(
            _SCALARS.get(items["type"], cel.Type.DYN) if isinstance(items, Mapping) else cel.Type.DYN
        )
    if kind == "map":
        return cel.Type.Map(cel.Type.STRING, cel.Type.DYN)
    return _SCALARS.get(kind, cel.Type.DYN)


def _wrapped(kind: Any) -> Any:
    wrapper = _WRAPPERS.get(str(kind))
    return kind if wrapper is None else cel.Type(wrapper)


def _refuse_decimals(expression: str, schema: Any) -> None:
    for field in paths.fields(schema):
        if not isinstance(field.type, list) and field.type.get("logicalType") == "decimal":
            for word in _words(expression):
                if word == f"data.{field.path}":
                    raise ConditionError(
                        1,
                        expression.index(word) + 1,
                        f"{field.path} is a decimal, which CEL cannot compare exactly; use an integer field",
                    )


def _explained(text: str, expression: str) -> ConditionError:
    match = _PLACE.search(text)
    if match is None:
        return ConditionError(1, 1, text.splitlines()[0].removeprefix("INVALID_ARGUMENT: "))
    message = (
        match[3]
        .removesuffix(" (in container '')")
        .removesuffix(" [INVALID_ARGUMENT]")
        .replace(" (in container '')", "")
    )
    if "has(" in expression and "has" in message:
        message += "; has() is not available, compare with null instead"
    return ConditionError(int(match[1]), int(match[2]), message)


def _attribute(name: str) -> Reader:
    return lambda attributes, _: attributes.get(name)


def _time(attributes: Mapping[str, str], _: Mapping[str, Any]) -> dt.datetime | None:
    return envelope.moment(attributes["time"]) if "time" in attributes else None


def _field(steps: list[str]) -> Reader:
    def read(_: Mapping[str, str], data: Mapping[str, Any]) -> Any:
        value: Any = data
        for step in steps:
            if value is None:
                return None
            value = value[step]
        return _seen(value)

    return read


def _seen(value: Any) -> Any:
    """A value as CEL takes it: a date is its midnight in UTC."""
    if isinstance(value, dt.datetime):
        return value
    if isinstance(value, dt.date):
        return dt.datetime(value.year, value.month, value.day, tzinfo=dt.UTC)
    if isinstance(value, (list, Mapping)):
        return _inside(value)
    return value


def _inside(value: Any) -> Any:
    if isinstance(value, list):
        return [_inside(item) for item in value]
    if isinstance(value, Mapping):
        return {name: _inside(item) for name, item in value.items()}
    if isinstance(value, (dt.date, dt.time)):
        return value.isoformat()
    if isinstance(value, (decimal.Decimal, uuid.UUID)):
        return str(value)
    return value
