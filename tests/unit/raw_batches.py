"""Record batches as a broker sends them, made of single records."""

from collections.abc import Sequence

from aiokafka.record.util import calc_crc32c

from schemas.wire.varint import zigzag
from streams.record_format import HEADER, RawBatch, content
from streams.records import InputRecord

SUMMED_AT = 21


def raw_batch(records: Sequence[InputRecord], *, from_offset: int = 0) -> RawBatch:
    """A batch with the records' own offsets and the times of their publishers."""
    return RawBatch(batch_bytes(records), from_offset=from_offset)


def batch_bytes(records: Sequence[InputRecord], *, attributes: int = 0, producer: int = -1) -> bytes:
    first, last = records[0], records[-1]
    body = b""
    for record in records:
        held = b"".join(
            (
                b"\0",
                zigzag(record.timestamp_ms - first.timestamp_ms),
                zigzag(record.offset - first.offset),
                content(record.key, record.value, record.headers),
            )
        )
        body += zigzag(len(held)) + held
    packed = bytearray(
        HEADER.pack(
            first.offset, HEADER.size - 12 + len(body), 0, 2, 0, attributes, last.offset - first.offset,
            first.timestamp_ms, max(record.timestamp_ms for record in records), producer, 0, 0, len(records),
        )
        + body
    )  # fmt: skip
    packed[17:21] = calc_crc32c(bytes(packed[SUMMED_AT:])).to_bytes(4, "big")
    return bytes(packed)
