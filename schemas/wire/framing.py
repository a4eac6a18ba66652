"""Confluent's framing of Avro values: 0x00, the schema id as 4 bytes big-endian, the Avro binary."""

import struct

from .errors import MalformedFraming, Problem

_MAGIC = 0
_HEADER = struct.Struct(">bI")


def frame(schema_id: int, body: bytes) -> bytes:
    """A Kafka value that any Confluent-compatible deserializer reads."""
    return _HEADER.pack(_MAGIC, schema_id) + body


def unframe(value: bytes) -> tuple[int, bytes]:
    """The schema id and the Avro binary of a Kafka value.

    Raises:
        MalformedFraming: the value is too short or begins with another byte.
    """
    if len(value) < _HEADER.size:
        raise MalformedFraming([Problem("", "framing", f"a value of {len(value)} bytes cannot hold a schema id")])
    magic, schema_id = _HEADER.unpack_from(value)
    if magic != _MAGIC:
        raise MalformedFraming([Problem("", "framing", f"the value begins with byte {value[0]:#04x}, not 0x00")])
    return schema_id, value[_HEADER.size :]
