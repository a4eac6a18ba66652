"""The columns of a table that holds deliveries, derived from the envelope and the released schema: no I/O."""

import dataclasses
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from lintas_client import Delivery
from lintas_client.wire import json_data
from lintas_client.wire.codec import Codec
from lintas_client.wire.moments import moment
from lintas_client.wire.types import Enum, Record, Scalar, Type, Union
from psycopg.types.json import Jsonb

_LONGEST_NAME: Final = 63  # bytes of an identifier
_SYSTEM_COLUMNS: Final = frozenset({"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"})
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
_TYPES: Final[Mapping[str, str]] = {
    "boolean": "boolean",
    "int": "integer",
    "long": "bigint",
    "float": "real",
    "double": "double precision",
    "bytes": "bytea",
    "fixed": "bytea",
    "string": "text",
    "date": "date",
    "time-millis": "time without time zone",
    "time-micros": "time without time zone",
    "timestamp-millis": "timestamp with time zone",
    "timestamp-micros": "timestamp with time zone",
    "local-timestamp-millis": "timestamp without time zone",
    "local-timestamp-micros": "timestamp without time zone",
    "uuid": "uuid",
}
_WIDER: Final[Mapping[str, frozenset[str]]] = {  # what holds every value of a type
    "integer": frozenset({"bigint", "double precision"}),
    "real": frozenset({"double precision"}),
    "uuid": frozenset({"text"}),
}
_NUMERIC = re.compile(r"numeric\((\d+),(\d+)\)")


class Unstorable(ValueError):
    """PostgreSQL cannot hold the event: {reason}."""


@dataclasses.dataclass(frozen=True, slots=True)
class Column:
    """A column, its type as PostgreSQL writes it, and what a delivery puts into it."""

    name: str
    type: str
    value: Callable[[Delivery], Any]


def _moment(text: str | None) -> Any:
    try:
        return None if text is None else moment(text)
    except ValueError:  # the year 0, which neither Python nor the calendar has
        return None


def _attribute(name: str) -> Callable[[Delivery], Any]:
    return lambda delivery: _text(delivery.event.get(name))


_OWN_COLUMN: Final = frozenset({"id", "source", "type", "subject", "time", "agreement"})
_TRANSPORT: Final = frozenset({"specversion", "datacontenttype", "dataschema"})


def _extensions(delivery: Delivery) -> Any:
    others = {name: text for name, text in delivery.event.items() if name not in _OWN_COLUMN | _TRANSPORT}
    return _jsonb(others) if others else None


ENVELOPE: Final = (
    Column("ce_id", "text", _attribute("id")),
    Column("ce_source", "text", _attribute("source")),
    Column("ce_type", "text", _attribute("type")),
    Column("ce_subject", "text", _attribute("subject")),
    Column("ce_time", "timestamp with time zone", lambda delivery: _moment(delivery.event.get("time"))),
    Column("ce_agreement", "text", _attribute("agreement")),
    Column("ce_extensions", "jsonb", _extensions),
    Column("inbox_partition", "integer", lambda delivery: delivery.partition),
    Column("inbox_offset", "bigint", lambda delivery: delivery.offset),
    Column("delivered_at", "timestamp with time zone", lambda delivery: delivery.timestamp),
)


def columns_of(codec: Codec | None, lifted: Mapping[str, str]) -> list[Column]:
    """The envelope's columns and one for each field of the payload; nested fields are in ``jsonb``.

    Args:
        codec: of the released schema; None: the event has no data.
        lifted: nested fields that have columns of their own besides, by column: ``{"child_nik": "child.nik"}``.

    Raises:
        LookupError: the schema has no such field.
    """
    found = list(ENVELOPE)
    taken = {column.name for column in found} | _SYSTEM_COLUMNS
    if codec is None:
        return found
    fields = {field.name: field.type for field in codec.type.fields} if isinstance(codec.type, Record) else {}
    paths: list[tuple[str, tuple[str, ...], Type]] = [(name, (name,), of) for name, of in fields.items()]
    paths += [(name, tuple(path.split(".")), _below(codec.type, path)) for name, path in lifted.items()]
    if not isinstance(codec.type, Record):
        paths.append(("data", (), codec.type))
    for wished, path, of in paths:
        name = _free(wished, taken)
        taken.add(name)
        sql_type = _sql_type(of)
        found.append(Column(name, sql_type, _at(path, _writer(codec, sql_type))))
    return found


def _free(wished: str, taken: set[str]) -> str:
    """A name that fits and that no other column has; the same for the same schema."""
    name = wished
    if len(name.encode()) > _LONGEST_NAME:
        name = f"{wished[: _LONGEST_NAME - 9]}_{hashlib.sha256(wished.encode()).hexdigest()[:8]}"
    while name in taken:
        name += "_"
    return name


def table_name(agreement: str, system: str) -> str:
    """The table of an agreement: its id without the consumer's, with underscores."""
    return _free(agreement.removeprefix(f"{system}.").replace("-", "_").replace(".", "_"), set())


def _below(of: Type, path: str) -> Type:
    for name in path.split("."):
        record = _sole(of)
        fields = {field.name: field.type for field in record.fields} if isinstance(record, Record) else {}
        if name not in fields:
            raise LookupError(path)
        of = fields[name]
    return of


def _sole(of: Type) -> Type:
    """What a nullable type holds if not null."""
    if isinstance(of, Union) and (other := of.nullable()) is not None:
        return other[1]
    return of


def _sql_type(of: Type) -> str:
    of = _sole(of)
    if isinstance(of, Enum):
        return "text"
    if not isinstance(of, Scalar) or of.kind == "null":
        return "jsonb"
    if of.logical == "decimal":
        return f"numeric({of.precision},{of.scale})"
    return _TYPES.get(of.logical or of.kind, "text")  # identifiers (nik, npwp, region-code) are texts


def _at(path: tuple[str, ...], write: Callable[[Any], Any]) -> Callable[[Delivery], Any]:
    def value(delivery: Delivery) -> Any:
        found = delivery.data
        for name in path:
            found = found.get(name) if isinstance(found, Mapping) else None
        return None if found is None else write(found)

    return value


def _writer(codec: Codec, sql_type: str) -> Callable[[Any], Any]:
    if sql_type == "jsonb":
        return lambda value: _jsonb(json_data.to_json(codec, value))
    return _text if sql_type == "text" else lambda value: value


def _text(value: Any) -> Any:
    if isinstance(value, str) and "\0" in value:
        raise Unstorable("a text holds the character NUL")
    return value


def _jsonb(value: Any) -> Jsonb:
    text = json.dumps(value, ensure_ascii=True)
    if _NUL.search(text):
        raise Unstorable("a text holds the character NUL")
    return Jsonb(text, dumps=lambda written: written)


@dataclasses.dataclass(frozen=True, slots=True)
class Alterations:
    """What must be done so that a table holds some columns."""

    added: list[Column]
    widened: list[Column]
    impossible: list[tuple[Column, str]]  # with the type that the table has


def alterations(existing: Mapping[str, str], wanted: list[Column]) -> Alterations:
    """What a table lacks.

    Columns are added, and widened where every value stays as it is (integer to bigint, more digits of a numeric). A
    column that is wider than need be is left alone; so is one that no event fills any more.
    """
    done = Alterations([], [], [])
    for column in wanted:
        has = existing.get(column.name)
        if has is None:
            done.added.append(column)
        elif _holds(column.type, has):
            continue
        elif _holds(has, column.type):
            done.widened.append(column)
        else:
            done.impossible.append((column, has))
    return done


def _holds(narrow: str, wide: str) -> bool:
    """Whether a column of type ``wide`` takes every value of ``narrow`` as it is."""
    if narrow == wide or wide in _WIDER.get(narrow, ()):
        return True
    of, into = _NUMERIC.fullmatch(narrow), _NUMERIC.fullmatch(wide)
    if of is None or into is None:
        return bool(of) and wide == "numeric"
    digits, scale, more, finer = int(of[1]), int(of[2]), int(into[1]), int(into[2])
    return finer >= scale and more - finer >= digits - scale
