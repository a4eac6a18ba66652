"""The audit record of a batch: for every event what was decided for which agreement (schemas/audit.avsc).

Entries are written as Avro binary as they are decided, since every event pays for its own; a test holds them to what
fastavro reads and writes.
"""

import dataclasses
import datetime as dt
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from schemas.model import Standing
from schemas.wire import framing
from schemas.wire.codec import Codec
from schemas.wire.varint import zigzag

AUDIT_SCHEMA: Final[Mapping[str, Any]] = json.loads(
    (Path(__file__).parent.parent / "schemas" / "audit.avsc").read_text()
)
PART_BYTES: Final = 600_000  # far below audit.decisions' record limit

# As they stand in an entry behind offset and time of publication.
ROUTED, DUPLICATE, QUARANTINED, CAUGHT_UP = b"\x00", b"\x02", b"\x04", b"\x06"
NO_PROBLEM: Final = b"\x00"
NOTHING_FILTERED: Final = b"\x00"
END: Final = b"\x00"
_SOME_PROBLEM: Final = b"\x02"
_OUTCOMES: Final = {"dead": b"\x02", "waiting": b"\x04"}
_NO_PARTITION_NO_PAYLOAD: Final = b"\x01\x00"
_STANDINGS: Final = {standing: zigzag(number) for number, standing in enumerate(Standing)}


@dataclasses.dataclass(slots=True)
class PartitionDecisions:
    """What was decided about the events of one input partition, in their order; ``entries`` are Avro binary."""

    event_type: str
    topic: str
    partition: int
    agreements: Sequence[tuple[str, Standing]]
    offsets: list[int] = dataclasses.field(default_factory=list)
    entries: list[bytes] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True, slots=True)
class Decided:
    """Who decided a batch, when, and under which catalogue."""

    batch: str
    generation: int
    lane: int
    worker: str
    catalogue: str
    at: dt.datetime


def text(value: str) -> bytes:
    """A text in Avro binary."""
    binary = value.encode()
    return zigzag(len(binary)) + binary


def problem(value: str) -> bytes:
    """The ``problem`` of an entry or decision."""
    return _SOME_PROBLEM + text(value)


def filtered(bits: int, size: int) -> bytes:
    """The ``filtered`` of an entry: which of ``size`` agreements, as bits, the lowest for the first."""
    if not bits:
        return NOTHING_FILTERED
    binary = bits.to_bytes((size + 7) // 8, "little")
    return zigzag(len(binary)) + binary


def delivered(agreement: int, partition: int) -> bytes:
    """A decision that delivers, up to the commitment to the payload; ``NO_PROBLEM`` follows that."""
    return zigzag(agreement) + b"\x00" + zigzag(partition) + b"\x02"


def undelivered(agreement: int, outcome: str, reason: str) -> bytes:
    """A decision that is ``dead`` or ``waiting``."""
    return zigzag(agreement) + _OUTCOMES[outcome] + _NO_PARTITION_NO_PAYLOAD + problem(reason)


def array(items: Sequence[bytes]) -> bytes:
    """An array of items in Avro binary."""
    return array_of(len(items), items)


def array_of(count: int, parts: Sequence[bytes]) -> bytes:
    """An array of ``count`` items in Avro binary, each in one or more of the parts."""
    return b"".join((zigzag(count), *parts, END)) if count else END


def members(bits: bytes) -> list[int]:
    """The indices of a bitmap, ascending."""
    return [8 * number + bit for number, byte in enumerate(bits) for bit in range(8) if byte >> bit & 1]


class AuditWriter:
    """Puts audit records together under the schema id that the catalogue gives."""

    def __init__(self, schema_id: int) -> None:
        """``schema_id`` is the registry's id of AUDIT_SCHEMA."""
        self._frame = framing.frame(schema_id, b"")

    def records(self, decided: Decided, partitions: Sequence[PartitionDecisions]) -> list[bytes]:
        """The framed values of a batch's audit records: one, or as many as the record limit asks for."""
        parts = list(_parts(partitions))
        head = b"".join(
            (
                zigzag(decided.generation),
                zigzag(decided.lane),
                text(decided.worker),
                text(decided.catalogue),
                zigzag(int(decided.at.timestamp() * 1000)),
            )
        )
        return [
            b"".join((self._frame, text(decided.batch), zigzag(number), zigzag(len(parts)), head, array(part)))
            for number, part in enumerate(parts)
        ]


def _parts(partitions: Sequence[PartitionDecisions]) -> Iterator[list[bytes]]:
    part: list[bytes] = []
    size = 0
    for partition in partitions:
        start = 0
        for end, entry in enumerate(partition.entries, 1):
            size += len(entry)
            if size >= PART_BYTES:
                part.append(_slice(partition, start, end))
                yield part
                part, size, start = [], 0, end
        if start < len(partition.entries):
            part.append(_slice(partition, start, len(partition.entries)))
    if part:
        yield part


def _slice(partition: PartitionDecisions, start: int, end: int) -> bytes:
    agreements = [text(name) + _STANDINGS[standing] for name, standing in partition.agreements]
    return b"".join(
        (
            text(partition.event_type),
            text(partition.topic),
            zigzag(partition.partition),
            zigzag(partition.offsets[start]),
            zigzag(partition.offsets[end - 1] + 1),
            array(agreements),
            array(partition.entries[start:end]),
        )
    )


def read_records(values: Sequence[bytes]) -> Iterator[Mapping[str, Any]]:
    """Audit records as they were decided."""
    codec = Codec(AUDIT_SCHEMA)
    for value in values:
        yield codec.decode(framing.unframe(value)[1])
