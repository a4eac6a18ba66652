"""Released schemas as Arrow has them: Avro's types to Arrow's, and values to what Arrow takes.

Records are structs, maps are maps, decimals are decimals, moments have their zone. What Parquet has no type for (unions
of several types, records that hold themselves or nothing, decimals of more than 76 digits) is natural JSON as text.
"""

import functools
import json
from collections.abc import Callable, Mapping
from typing import Any, Final

import pyarrow as pa
from lintas_client import Delivery
from lintas_client.wire import json_data
from lintas_client.wire.codec import Codec

from schemas.avro_tree import Names, nullable

Convert = Callable[[Any], Any]

_PLAIN: Final[Mapping[str, Any]] = {
    "boolean": pa.bool_(),
    "int": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "string": pa.string(),
    "bytes": pa.binary(),
    "enum": pa.string(),
    "null": pa.null(),
}
_LOGICAL: Final[Mapping[str, Any]] = {
    "date": pa.date32(),
    "time-millis": pa.time32("ms"),
    "time-micros": pa.time64("us"),
    "timestamp-millis": pa.timestamp("ms", tz="UTC"),
    "timestamp-micros": pa.timestamp("us", tz="UTC"),
    "local-timestamp-millis": pa.timestamp("ms"),
    "local-timestamp-micros": pa.timestamp("us"),
}
_MOST_DIGITS: Final = 38  # of a 128-bit decimal
_MOST_DIGITS_OF_256: Final = 76
# What stands beside the payload in each row; CloudEvents' attributes have the names that they have as headers.
ENVELOPE: Final[Mapping[str, Any]] = {
    "ce_id": pa.string(),
    "ce_source": pa.string(),
    "ce_subject": pa.string(),
    "ce_time": pa.timestamp("us", tz="UTC"),
    "agreement": pa.string(),
    "channel": pa.string(),
    "delivered_at": pa.timestamp("ms", tz="UTC"),
    "inbox_partition": pa.int32(),
    "inbox_offset": pa.int64(),
}
_TAKEN: Final = frozenset({*ENVELOPE, "event_type", "day"})


class Columns:
    """The columns of one released schema.

    Attributes:
        schema: Arrow's, the envelope first; a field of the payload whose name is taken, with or without ``_``
            behind it, has one ``_`` more.
    """

    def __init__(self, codec: Codec) -> None:
        making = _Making(codec)
        record = making.names.resolve(codec.schema)
        namespace = making.names.namespace_of(record, "")
        self._parts: list[tuple[str, str, Convert | None]] = []
        fields = [pa.field(name, kind) for name, kind in ENVELOPE.items()]
        for field in record["fields"]:
            name = field["name"]
            column = f"{name}_" if name.rstrip("_") in _TAKEN else name
            kind, convert = making.of(field["type"], namespace, (id(record),))
            fields.append(pa.field(column, kind))
            self._parts.append((column, name, convert))
        self.schema = pa.schema(fields)

    def row(self, delivery: Delivery, time: Any) -> dict[str, Any]:
        """A delivery as a row; ``time`` is its ``ce_time`` as a moment, if it has one."""
        event = delivery.event
        row = {
            "ce_id": event["id"],
            "ce_source": event["source"],
            "ce_subject": event.get("subject"),
            "ce_time": time,
            "agreement": delivery.agreement,
            "channel": delivery.channel,
            "delivered_at": delivery.timestamp,
            "inbox_partition": delivery.partition,
            "inbox_offset": delivery.offset,
        }
        data = delivery.data or {}
        for column, name, convert in self._parts:
            value = data.get(name)
            row[column] = value if convert is None or value is None else convert(value)
        return row


class _Making:
    """Makes the Arrow types of one schema."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self.names = Names(codec.schema)

    def of(self, node: Any, namespace: str, within: tuple[int, ...]) -> tuple[Any, Convert | None]:
        """The Arrow type of an Avro type, and what makes its values; None where they are taken as they are.

        ``within`` are the records around it, by identity.
        """
        other, _ = nullable(self.names.resolve(node, namespace))
        resolved = self.names.resolve(other, namespace)
        if isinstance(resolved, list) or id(resolved) in within:
            return pa.string(), self._as_text
        kind, meaning = resolved["type"], resolved.get("logicalType")
        if kind in ("record", "error"):
            return self._struct(resolved, namespace, within)
        if kind == "array":
            item, convert = self.of(resolved["items"], namespace, within)
            return pa.list_(item), None if convert is None else functools.partial(_each, convert)
        if kind == "map":
            value, convert = self.of(resolved["values"], namespace, within)
            return pa.map_(pa.string(), value), functools.partial(_entries, convert)
        return _scalar(resolved, kind, meaning)

    def _struct(self, record: Any, namespace: str, within: tuple[int, ...]) -> tuple[Any, Convert | None]:
        inner = self.names.namespace_of(record, namespace)
        parts = {field["name"]: self.of(field["type"], inner, (*within, id(record))) for field in record["fields"]}
        if not parts:
            return pa.string(), self._as_text
        converts = {name: convert for name, (_, convert) in parts.items() if convert is not None}
        kind = pa.struct([pa.field(name, kind) for name, (kind, _) in parts.items()])
        return kind, functools.partial(_members, converts) if converts else None

    def _as_text(self, value: Any) -> str:
        return json.dumps(json_data.to_json(self._codec, value), ensure_ascii=False, sort_keys=True)


def _scalar(resolved: Mapping[str, Any], kind: str, meaning: str | None) -> tuple[Any, Convert | None]:
    if meaning == "decimal":
        digits = resolved["precision"]
        if digits > _MOST_DIGITS_OF_256:
            return pa.string(), "{:f}".format
        make = pa.decimal128 if digits <= _MOST_DIGITS else pa.decimal256
        return make(digits, resolved.get("scale", 0)), None
    if meaning == "uuid":
        return pa.string(), str
    if kind == "fixed":
        return pa.binary(resolved["size"]), None
    return _LOGICAL.get(meaning or "", _PLAIN[kind]), None


def _each(convert: Convert, values: Any) -> list[Any]:
    return [None if value is None else convert(value) for value in values]


def _entries(convert: Convert | None, entries: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [(key, value if convert is None or value is None else convert(value)) for key, value in entries.items()]


def _members(converts: Mapping[str, Convert], value: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: converts[name](item) if name in converts and item is not None else item for name, item in value.items()
    }
