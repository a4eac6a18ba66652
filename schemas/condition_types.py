"""An event type's schema as CEL's checker sees it: message types, made from the Avro schema.

CEL checks selections at any depth, also inside lists, against message types; so a schema is written as a protobuf
descriptor. Nothing is ever encoded with it.
"""

import re
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, duration_pb2, struct_pb2, timestamp_pb2, wrappers_pb2

from schemas.avro_tree import Names, full_name, nullable

TIMESTAMPS: Final = frozenset(
    {"date", "timestamp-millis", "timestamp-micros", "local-timestamp-millis", "local-timestamp-micros"}
)
DURATIONS: Final = frozenset({"time-millis", "time-micros"})  # since midnight
REQUIRED_ATTRIBUTES: Final = frozenset({"id", "source", "type", "specversion"})

_PACKAGE: Final = "conditions"
_DECIMAL: Final = "Decimal"
_SIMPLE: Final = {
    "boolean": "BOOL",
    "int": "INT64",
    "long": "INT64",
    "float": "DOUBLE",
    "double": "DOUBLE",
    "string": "STRING",
    "enum": "STRING",
    "bytes": "BYTES",
    "fixed": "BYTES",
}
_WRAPPERS: Final = {
    "BOOL": "BoolValue",
    "INT64": "Int64Value",
    "DOUBLE": "DoubleValue",
    "STRING": "StringValue",
    "BYTES": "BytesValue",
}
_WELL_KNOWN: Final = (duration_pb2, struct_pb2, timestamp_pb2, wrappers_pb2)
_Field = descriptor_pb2.FieldDescriptorProto


class _Where(Enum):
    """Where a record stands decides what its fields look like."""

    PLAIN = "Plain"
    BELOW_NULLABLE = "Optional"  # each field may be null, with the record above it
    IN_COLLECTION = "Item"  # the binding takes no dates inside lists and maps: they are texts


class MessageTypes:
    """The message types of one schema.

    Attributes:
        pool: protobuf's descriptor pool, for CEL's environment.
        data, event: the message types of the variables ``data`` and ``event``.
    """

    def __init__(self, schema: Any, attributes: Iterable[str]) -> None:
        """``attributes`` are the CloudEvents attributes that may be named besides the required ones."""
        self._names = Names(schema)
        self._file = descriptor_pb2.FileDescriptorProto(
            name=f"{_PACKAGE}.proto",
            package=_PACKAGE,
            syntax="proto2",
            dependency=[module.DESCRIPTOR.name for module in _WELL_KNOWN],
        )
        self._messages: dict[tuple[int, _Where], str] = {}
        self._fields: dict[str, list[str]] = {}
        self._titles: dict[str, str] = {}
        self._message(_DECIMAL, "decimal")
        self.event = self._event(attributes)
        self.data = f"{_PACKAGE}.{self._record(self._names.resolve(schema), '', _Where.PLAIN)}"
        self.pool = descriptor_pool.DescriptorPool()
        for module in _WELL_KNOWN:
            well_known = descriptor_pb2.FileDescriptorProto()
            module.DESCRIPTOR.CopyToProto(well_known)
            self.pool.Add(well_known)
        self.pool.Add(self._file)

    def fields_of(self, message: str) -> list[str]:
        """The fields of a message type, by the full name that CEL's errors have."""
        return self._fields.get(message.removeprefix(f"{_PACKAGE}."), [])

    def titled(self, text: str) -> str:
        """A text of CEL with the names that the schema gives its types."""
        return re.sub(rf"{_PACKAGE}\.(\w+)", lambda match: self._titles.get(match[1], match[1]), text)

    def _event(self, attributes: Iterable[str]) -> str:
        name, message = self._message("Event", "event")
        for attribute in sorted(REQUIRED_ATTRIBUTES):
            self._add(name, message, attribute, "STRING")
        self._add(name, message, "time", ".google.protobuf.Timestamp")
        for attribute in sorted(set(attributes) - REQUIRED_ATTRIBUTES - {"time"}):
            self._add(name, message, attribute, ".google.protobuf.StringValue")
        return f"{_PACKAGE}.{name}"

    def _message(self, name: str, title: str) -> tuple[str, descriptor_pb2.DescriptorProto]:
        message = self._file.message_type.add(name=name)
        message.options.deprecated_legacy_json_field_conflicts = True  # `a_b` beside `aB` is fine in Avro
        self._titles[name], self._fields[name] = title, []
        return name, message

    def _add(
        self,
        name: str,
        message: descriptor_pb2.DescriptorProto,
        field: str,
        kind: str,
        *,
        repeated: bool = False,
    ) -> None:
        self._fields[name].append(field)
        added = message.field.add(
            name=field,
            number=len(message.field) + 1,
            label=_Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL,
        )
        if kind.startswith("."):
            added.type, added.type_name = _Field.TYPE_MESSAGE, kind
        else:
            added.type = _Field.Type.Value(f"TYPE_{kind}")

    def _record(self, record: Mapping[str, Any], namespace: str, where: _Where) -> str:
        """The message type of a record at such a place, made when it is met first."""
        if (known := self._messages.get((id(record), where))) is not None:
            return known
        simple = full_name(record, namespace).rpartition(".")[2]
        name, message = self._message(f"{where.value}{len(self._messages)}", simple)
        self._messages[id(record), where] = name
        inner = self._names.namespace_of(record, namespace)
        for field in record["fields"]:
            kind, repeated = self._kind(field["type"], inner, where)
            self._add(name, message, field["name"], kind, repeated=repeated)
        return name

    def _kind(self, node: Any, namespace: str, where: _Where) -> tuple[str, bool]:
        """The protobuf type of an Avro type, and whether it is repeated."""
        other, may_be_null = nullable(self._names.resolve(node, namespace))
        resolved = self._names.resolve(other, namespace)
        may_be_null = may_be_null or where is _Where.BELOW_NULLABLE
        if isinstance(resolved, list) or resolved["type"] == "null":
            return ".google.protobuf.Value", False
        kind = resolved["type"]
        if kind in ("record", "error"):
            below = _Where.BELOW_NULLABLE if may_be_null and where is _Where.PLAIN else where
            return f".{_PACKAGE}.{self._record(resolved, namespace, below)}", False
        if kind == "map":
            return ".google.protobuf.Struct", False
        if kind == "array":
            return self._list(resolved["items"], namespace, where, may_be_null=may_be_null)
        return _scalar(resolved, may_be_null=may_be_null, dates_as_text=where is _Where.IN_COLLECTION), False

    def _list(self, items: Any, namespace: str, where: _Where, *, may_be_null: bool) -> tuple[str, bool]:
        """A list; what may be null is no list to CEL's checker, so its items are not checked."""
        if may_be_null:
            return ".google.protobuf.Value", False
        other, null_items = nullable(self._names.resolve(items, namespace))
        resolved = self._names.resolve(other, namespace)
        if isinstance(resolved, list) or resolved["type"] in ("array", "map", "null"):
            return ".google.protobuf.Value", True
        if resolved["type"] in ("record", "error"):
            return f".{_PACKAGE}.{self._record(resolved, namespace, _Where.IN_COLLECTION)}", True
        as_text = where is _Where.IN_COLLECTION or null_items
        return _scalar(resolved, may_be_null=null_items, dates_as_text=as_text), True


def is_decimal(resolved: Any) -> bool:
    """Whether a resolved type is a decimal."""
    return isinstance(resolved, Mapping) and resolved.get("logicalType") == "decimal"


def _scalar(resolved: Mapping[str, Any], *, may_be_null: bool, dates_as_text: bool) -> str:
    meaning = resolved.get("logicalType")
    if is_decimal(resolved):
        return f".{_PACKAGE}.{_DECIMAL}"
    kind = _SIMPLE[resolved["type"]]
    if kind == "INT64" and meaning in TIMESTAMPS | DURATIONS:
        if not dates_as_text:
            return f".google.protobuf.{'Timestamp' if meaning in TIMESTAMPS else 'Duration'}"
        kind = "STRING"
    return f".google.protobuf.{_WRAPPERS[kind]}" if may_be_null else kind
