"""Confluent's framing of Avro values: 0x00, the schema id as 4 bytes big-endian, the Avro binary."""

import struct
from typing import Final

from .errors import MalformedFraming, Problem

_MAGIC: Final = 0
_HEADER: Final = struct.Struct(">BI")
# What other serializers put first; a publisher who sees it named knows which setting to change.
_OTHERS: Final = {
    b"{": "it looks like JSON",
    b"\xc3": "it looks like Avro's single-object encoding",
    b"\x01": "it looks like the schema id as a GUID in front of the value",
    b"O": "it looks like an Avro file",
}


def frame(schema_id: int, body: bytes) -> bytes:
    """A Kafka value that any Confluent-compatible deserializer reads."""
    return _HEADER.pack(_MAGIC, schema_id) + body


def unframe(value: bytes) -> tuple[int, bytes]:
    """The schema id and the Avro binary of a Kafka value.

    Raises:
        MalformedFraming: the value is too short or begins with another byte.
    """
    if len(value) >= _HEADER.size and value[0] == _MAGIC:
        return _HEADER.unpack_from(value)[1], value[_HEADER.size :]
    if value[:1] not in (b"", b"\x00"):
        hint = f" ({_OTHERS[value[:1]]})" if value[:1] in _OTHERS else ""
        raise MalformedFraming([Problem("", "magic-byte", f"the value does not begin with the byte 0x00{hint}")])
    raise MalformedFraming([Problem("", "too-short", f"{len(value)} bytes cannot hold 0x00 and a schema id")])
