"""What a lane writes in one transaction: the batch's outputs, and the bus's own records of it. Pure."""

import json
from collections.abc import Iterable, Mapping, MutableMapping

from lintas import names
from schemas.desired import AUDIT_PARTITIONS
from streams import waiting
from streams.audit import AuditWriter, Decided
from streams.batch import Batch
from streams.record_format import content
from streams.slots import Partition


def contents_of(
    batch: Batch, decided: Decided, audit_schema: int, status: Iterable[tuple[bytes, bytes | None]]
) -> Mapping[Partition, list[bytes]]:
    """The contents of the records to write, by output partition, in order.

    Args:
        batch: what was decided; its outputs go first.
        decided: by which lane.
        audit_schema: the registry's id of the audit record's schema.
        status: keys and values for the status topic.
    """
    place = decided.lane % AUDIT_PARTITIONS
    key = f"lane-{decided.lane}".encode()
    audit = AuditWriter(audit_schema).records(decided, list(batch.decided.values()))
    seed = json.dumps({"seed": batch.seed.hex()}).encode()
    contents: MutableMapping[Partition, list[bytes]] = {
        **batch.outputs,
        (names.AUDIT_DECISIONS, place): [content(key, value, []) for value in audit],
        (names.AUDIT_SALTS, place): [content(batch.id.encode(), seed, [])] if audit else [],
        (names.LANES_STATUS, 0): [content(key, value, []) for key, value in status],
    }
    for slot, offsets in batch.waiting().items():
        record = content(waiting.key_of(slot), waiting.as_value(offsets), [])
        contents.setdefault(waiting.place_of(slot), []).append(record)
    return {to: records for to, records in contents.items() if records}
