"""Kafka's record format v2 as bytes: lanes cut and join records instead of taking them apart.

A batch is a header of 61 bytes and its records, which may be compressed together. A record is its length, attributes,
time and offset relative to the batch, and then its *content*: key, value and headers, each with its length in front
(Kafka documentation, "Record Batch" and "Record"). Audit commitments cover contents (docs/reference/evidence.md).
"""

import functools
import struct
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import cramjam
from aiokafka.codec import gzip_decode, lz4_decode, snappy_decode, zstd_decode
from aiokafka.errors import CorruptRecordException
from aiokafka.record.util import calc_crc32c

from schemas.wire.varint import zigzag
from streams.records import InputRecord

HEADER: Final = struct.Struct(">qiibIhiqqqhii")
_LENGTH: Final = struct.Struct(">qi")
_CRC_AT: Final = 17  # the checksum of everything behind it
_SUMMED_AT: Final = 21
_VERSION: Final = 2
_CODEC_MASK, _LOG_APPEND_TIME, _TRANSACTIONAL, _CONTROL = 0x07, 0x08, 0x10, 0x20
_DECODE: Final = {0: bytes, 1: gzip_decode, 2: snappy_decode, 3: lz4_decode, 4: zstd_decode}
_LZ4: Final = 3
_LZ4_LEVEL: Final = 1  # aiokafka's 9 costs five times as much and saves nothing on such records (measured)
_LONGEST_SHIFT: Final = 63
_ABORT: Final = b"\x00\x00\x00\x00"  # version and type of an end marker's key
# Names of headers need not be UTF-8 on the wire; this way they come and go as they are.
_NAMES: Final = "surrogateescape"

LENGTHS: Final = tuple(map(zigzag, range(4096)))  # lengths as records have them


def length(size: int) -> bytes:
    """A length as records have it."""
    return LENGTHS[size] if size < len(LENGTHS) else zigzag(size)


class RawBatch:
    """One record batch as a broker sent it: its records are taken from it bit by bit.

    Attributes:
        data: the records, no longer compressed, once :meth:`open` was called.
        at: where in ``data`` the next record begins.
        left: how many records are still to be taken.
        base_offset: offset of the batch.
        from_offset: records before it were not asked for.
        next_offset: the offset behind the batch.
        append_time_ms: the broker's time of all records; None where each has its own, relative to ``first_time_ms``.
    """

    __slots__ = (
        "_compressed",
        "append_time_ms",
        "at",
        "attributes",
        "base_offset",
        "data",
        "first_time_ms",
        "from_offset",
        "left",
        "next_offset",
        "producer",
    )

    def __init__(self, raw: bytes, *, from_offset: int) -> None:
        """``raw`` is the whole batch.

        Raises:
            CorruptRecordException: it is not what was written.
        """
        (
            self.base_offset, _, _, version, crc, self.attributes, last, self.first_time_ms, max_time_ms, self.producer,
            _, _, self.left,
        ) = HEADER.unpack_from(raw)  # fmt: skip
        if version != _VERSION or calc_crc32c(memoryview(raw)[_SUMMED_AT:]) != crc:
            raise CorruptRecordException(f"the batch at offset {self.base_offset} is damaged")
        self.append_time_ms = max_time_ms if self.attributes & _LOG_APPEND_TIME else None
        self.next_offset = self.base_offset + last + 1
        self.from_offset = from_offset
        self._compressed = raw
        self.data = b""
        self.at = 0

    @property
    def is_control(self) -> bool:
        """Whether it ends a transaction instead of carrying records."""
        return bool(self.attributes & _CONTROL)

    @property
    def is_transactional(self) -> bool:
        """Whether it is part of a transaction."""
        return bool(self.attributes & _TRANSACTIONAL)

    def open(self) -> None:
        """Decompress the records, unless that is done.

        Raises:
            CorruptRecordException: they cannot be.
        """
        if self._compressed:
            decode = _DECODE.get(self.attributes & _CODEC_MASK)
            if decode is None:
                raise CorruptRecordException(f"unknown compression in the batch at offset {self.base_offset}")
            self.data = decode(self._compressed[HEADER.size :])
            self._compressed = b""

    def records(self, topic: str, partition: int, *, most: int | None = None) -> Iterator[InputRecord]:
        """The next records, all or at most so many; those before ``from_offset`` are passed over.

        Raises:
            CorruptRecordException: they are not what was written.
        """
        self.open()
        while self.left and most != 0:
            record, self.at = self.record_at(self.at, topic, partition)
            self.left -= 1
            if record.offset >= self.from_offset:
                most = None if most is None else most - 1
                yield record

    def record_at(self, at: int, topic: str, partition: int) -> tuple[InputRecord, int]:
        """The record that begins at ``at`` of the data, in full, and where the next one begins.

        Raises:
            CorruptRecordException: it is damaged.
        """
        offset, published_ms, at, end = self._place_of(at)
        key, value, headers, stop = _parts(self.data, at)
        if stop != end:
            raise CorruptRecordException(f"a record of the batch at offset {self.base_offset} is damaged")
        return InputRecord(topic, partition, offset, published_ms, key, value, headers), end

    def headers_at(self, at: int) -> tuple[int, int, int, int]:
        """Of the record that begins at ``at``: its offset, its time in ms, where its headers begin, and where it ends.

        Raises:
            CorruptRecordException: it is damaged.
        """
        offset, published_ms, at, end = self._place_of(at)
        for _ in ("key", "value"):
            size, at = _signed(self.data, at)
            at += max(0, size)
        return offset, published_ms, at, end

    def _place_of(self, at: int) -> tuple[int, int, int, int]:
        """Offset and time of a record, where its content begins and where it ends."""
        data = self.data
        size, at = _signed(data, at)
        end = at + size
        time_delta, at = _signed(data, at + 1)
        offset_delta, at = _signed(data, at)
        published_ms = self.first_time_ms + time_delta if self.append_time_ms is None else self.append_time_ms
        return self.base_offset + offset_delta, published_ms, at, end


def batches(message_set: bytes, aborted: Iterable[tuple[int, int]], from_offset: int) -> Iterator[RawBatch]:
    """The record batches of a fetch answer, without those of aborted transactions and without the ends of transactions.

    A batch that the broker cut at the end is left out.

    Args:
        message_set: as fetched.
        aborted: (producer, first offset) of each aborted transaction.
        from_offset: where the fetch began; the first batch may begin earlier.

    Raises:
        CorruptRecordException: a batch is damaged.
    """
    waiting = sorted(aborted, key=lambda one: one[1])
    dead: set[int] = set()
    for raw in _split(message_set):
        batch = RawBatch(raw, from_offset=from_offset)
        while waiting and waiting[0][1] <= batch.base_offset:
            dead.add(waiting.pop(0)[0])
        if batch.is_control:
            if next(iter(batch.records("", 0))).key == _ABORT:
                dead.discard(batch.producer)
        elif not (batch.is_transactional and batch.producer in dead):
            yield batch


def _split(message_set: bytes) -> Iterator[bytes]:
    at = 0
    while len(message_set) - at >= HEADER.size:
        size = _LENGTH.size + _LENGTH.unpack_from(message_set, at)[1]
        if at + size > len(message_set):
            return
        yield message_set[at : at + size]
        at += size


def last_offset(message_set: bytes) -> int | None:
    """The offset behind the last whole batch of a fetch answer; None if there is none."""
    found = None
    for raw in _split(message_set):
        base, _, _, _, _, _, last, *_ = HEADER.unpack_from(raw)
        found = base + last + 1
    return found


# Contents.


def content(key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes | None]]) -> bytes:
    """The content of a record: key, value and headers in their order."""
    parts = [*_nullable(key), *_nullable(value), length(len(headers))]
    for name, held in headers:
        parts += (_name(name), b"\x01", b"") if held is None else (_name(name), length(len(held)), held)
    return b"".join(parts)


@functools.lru_cache(1024)
def _name(name: str) -> bytes:
    """A header's name with its length in front; names repeat from record to record."""
    binary = name.encode(errors=_NAMES)
    return length(len(binary)) + binary


def parts_of(record: bytes) -> tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]:
    """Key, value and headers of a record's content."""
    key, value, headers, _ = _parts(record, 0)
    return key, value, headers


def _nullable(value: bytes | None) -> tuple[bytes, bytes]:
    return (b"\x01", b"") if value is None else (length(len(value)), value)


def _signed(data: bytes, at: int) -> tuple[int, int]:
    """A number; one written longer than it needs is taken too, as brokers do."""
    value = shift = 0
    while True:
        if at >= len(data) or shift > _LONGEST_SHIFT:
            raise CorruptRecordException("a number in a record is damaged")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004  the continuation bit
            return (value >> 1) ^ -(value & 1), at
        shift += 7


def _bytes(data: bytes, at: int) -> tuple[bytes | None, int]:
    size, at = _signed(data, at)
    if size < 0:
        return None, at
    if at + size > len(data):
        raise CorruptRecordException("a record goes on beyond its batch")
    return data[at : at + size], at + size


def _parts(data: bytes, at: int) -> tuple[bytes | None, bytes | None, list[tuple[str, bytes]], int]:
    key, at = _bytes(data, at)
    value, at = _bytes(data, at)
    count, at = _signed(data, at)
    headers: list[tuple[str, bytes]] = []
    for _ in range(count):
        name, at = _bytes(data, at)
        held, at = _bytes(data, at)
        # a header without a value is None here too, as aiokafka has it; whoever reads envelopes minds it
        headers.append(((name or b"").decode(errors=_NAMES), held))  # type: ignore[arg-type]
    return key, value, headers, at


class FilledBatch:
    """A record batch ready to be sent; what aiokafka's sender asks of its own ``BatchBuilder``."""

    def __init__(self, contents: Sequence[bytes]) -> None:
        """``contents`` are those of the records, in order."""
        records: list[bytes] = []
        offsets = LENGTHS if len(contents) <= len(LENGTHS) else tuple(map(zigzag, range(len(contents))))
        for held, offset in zip(contents, offsets, strict=False):
            size = len(held) + len(offset) + 2
            records += (LENGTHS[size] if size < 4096 else zigzag(size), b"\0\0", offset, held)  # noqa: PLR2004  the table's
        compressor = cramjam.lz4.Compressor(level=_LZ4_LEVEL, content_checksum=False, block_linked=False)
        compressor.compress(b"".join(records))
        self._records = bytes(compressor.finish())
        self._count = len(contents)
        self._producer = (-1, -1, -1)
        self._now_ms = int(time.time() * 1000)

    def _set_producer_state(self, producer_id: int, producer_epoch: int, base_sequence: int) -> None:
        self._producer = (producer_id, producer_epoch, base_sequence)

    def _build(self) -> bytes:
        size = HEADER.size - _LENGTH.size + len(self._records)
        header = bytearray(
            HEADER.pack(
                0, size, -1, _VERSION, 0, _LZ4 | _TRANSACTIONAL, self._count - 1, self._now_ms, self._now_ms,
                *self._producer, self._count,
            )
        )  # fmt: skip
        header += self._records
        struct.pack_into(">I", header, _CRC_AT, calc_crc32c(memoryview(header)[_SUMMED_AT:]))
        return bytes(header)

    def close(self) -> None:
        """It is closed from the beginning."""

    def closed(self) -> bool:
        """Nothing can be added."""
        return True

    def size(self) -> int:
        """Bytes on the wire."""
        return HEADER.size + len(self._records)

    def record_count(self) -> int:
        """How many records it holds."""
        return self._count


def filled_batches(contents: Sequence[bytes], limit: int) -> list[FilledBatch]:
    """Batches that hold ``contents`` in order, each below ``limit`` bytes, though one record may be larger."""
    filled, start, size = [], 0, 0
    for end, held in enumerate(contents):
        size += len(held) + 8
        if size > limit and end > start:
            filled.append(FilledBatch(contents[start:end]))
            start, size = end, len(held) + 8
    if start < len(contents):
        filled.append(FilledBatch(contents[start:]))
    return filled
