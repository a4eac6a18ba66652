"""The audit record of a batch: for every event what was decided for which agreement (schemas/audit.avsc)."""

import dataclasses
import datetime as dt
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import fastavro

from schemas.model import Standing
from schemas.wire import framing

AUDIT_SCHEMA: Final[Mapping[str, Any]] = json.loads(
    (Path(__file__).parent.parent / "schemas" / "audit.avsc").read_text()
)
PART_BYTES: Final = 600_000  # far below audit.decisions' record limit; sizes below are estimates from above
_EVENT_BYTES: Final = 64
_DECISION_BYTES: Final = 48


@dataclasses.dataclass(slots=True)
class PartitionDecisions:
    """What was decided about the events of one input partition, in their order."""

    event_type: str
    topic: str
    partition: int
    agreements: Sequence[tuple[str, Standing]]
    events: list[dict[str, Any]] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True, slots=True)
class Decided:
    """Who decided a batch, when, and under which catalogue."""

    batch: str
    generation: int
    lane: int
    worker: str
    catalogue: str
    at: dt.datetime


def event_decision(
    *,
    offset: int,
    published_ms: int,
    outcome: str,
    payload_in: bytes,
    problem: str | None = None,
    filtered: bytes = b"",
    decisions: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """One event's entry; see schemas/audit.avsc for the fields."""
    return {
        "offset": offset,
        "published_at": published_ms,
        "outcome": outcome,
        "payload_in": payload_in,
        "problem": problem,
        "filtered": filtered,
        "decisions": decisions,
    }


def bitmap(indices: Sequence[int], size: int) -> bytes:
    """The set of ``indices`` below ``size`` as a bitmap, least significant bit first; empty for the empty set."""
    if not indices:
        return b""
    bits = 0
    for index in indices:
        bits |= 1 << index
    return bits.to_bytes((size + 7) // 8, "little")


def members(bits: bytes) -> list[int]:
    """The indices that ``bitmap`` was made of, ascending."""
    return [8 * number + bit for number, byte in enumerate(bits) for bit in range(8) if byte >> bit & 1]


class AuditWriter:
    """Encodes audit records under the schema id that the catalogue gives."""

    def __init__(self, schema_id: int) -> None:
        """``schema_id`` is the registry's id of AUDIT_SCHEMA."""
        self._schema_id = schema_id
        self._schema = fastavro.parse_schema(dict(AUDIT_SCHEMA))

    def records(self, decided: Decided, partitions: Sequence[PartitionDecisions]) -> list[bytes]:
        """The framed values of a batch's audit records: one, or as many as the record limit asks for."""
        parts = list(_parts(partitions))
        return [self._encode(decided, number, len(parts), part) for number, part in enumerate(parts)]

    def _encode(self, decided: Decided, part: int, parts: int, partitions: Sequence[Mapping[str, Any]]) -> bytes:
        out = io.BytesIO()
        fastavro.schemaless_writer(
            out,
            self._schema,
            {
                "batch": decided.batch,
                "part": part,
                "parts": parts,
                "generation": decided.generation,
                "lane": decided.lane,
                "worker": decided.worker,
                "catalogue": decided.catalogue,
                "decided_at": decided.at,
                "partitions": partitions,
            },
        )
        return framing.frame(self._schema_id, out.getvalue())


def _parts(partitions: Sequence[PartitionDecisions]) -> Iterator[list[Mapping[str, Any]]]:
    part: list[Mapping[str, Any]] = []
    size = 0
    for partition in partitions:
        start = 0
        for end, event in enumerate(partition.events, 1):
            size += _EVENT_BYTES + len(event["filtered"]) + _DECISION_BYTES * len(event["decisions"])
            if size >= PART_BYTES:
                part.append(_slice(partition, start, end))
                yield part
                part, size, start = [], 0, end
        if start < len(partition.events):
            part.append(_slice(partition, start, len(partition.events)))
    if part:
        yield part


def _slice(partition: PartitionDecisions, start: int, end: int) -> Mapping[str, Any]:
    events = partition.events[start:end]
    return {
        "event_type": partition.event_type,
        "topic": partition.topic,
        "partition": partition.partition,
        "first_offset": events[0]["offset"],
        "next_offset": events[-1]["offset"] + 1,
        "agreements": [{"agreement": name, "standing": standing.value} for name, standing in partition.agreements],
        "events": events,
    }
