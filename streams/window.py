"""The duplicate window: what makes a publisher's repeat of (source, id) harmless."""

import base64
import hashlib
import zlib
from typing import Final

_FORMAT: Final = "m1"
_LONGEST: Final = 120  # bytes of an identity that is kept as it is


def identity(source: bytes, event_id: bytes) -> bytes:
    """What two publications of one event share; no attribute holds the byte between the two."""
    whole = source + b"\0" + event_id
    return whole if len(whole) <= _LONGEST else hashlib.blake2b(whole, digest_size=16).digest()


class DuplicateWindow:
    """What one input partition held lately: a pure function of the partition, without a store.

    An event is a repeat if a well-formed event with the same identity stands at most ``records`` offsets and at most
    ``seconds`` before it. Time is the broker's (``LogAppendTime``), so a window read again gives the same answers.
    Malformed records are not in the window: a repaired event may come again under its own id. Which records were
    malformed was judged by the catalogue of that time, so their offsets travel with the committed position
    (``metadata``) instead of being judged anew.
    """

    def __init__(self, *, records: int, seconds: float) -> None:
        self._records = records
        self._most = records + records // 2 + 1  # those out of reach are forgotten together
        self._ms = int(seconds * 1000)
        self._seen: dict[bytes, tuple[int, int]] = {}  # offset and time by identity
        self._malformed: dict[int, None] = {}  # ordered

    def is_repeat(self, offset: int, timestamp_ms: int, event: bytes) -> bool:
        """Add a well-formed event and say whether it repeats one of the window; offsets must grow."""
        seen = self._seen
        before = seen.get(event)
        seen[event] = (offset, timestamp_ms)
        if len(seen) > self._most:
            first = offset - self._records
            self._seen = {known: place for known, place in seen.items() if place[0] >= first}
        return before is not None and offset - before[0] <= self._records and timestamp_ms - before[1] <= self._ms

    def add_malformed(self, offset: int) -> None:
        """Note a malformed record."""
        self._malformed[offset] = None

    def readmit(self, offset: int, timestamp_ms: int, event: bytes) -> bool:
        """Add an event that was malformed when its turn came, and say whether it stands near it once more."""
        self._malformed.pop(offset, None)
        other = self._seen.get(event)
        if other is None or other[0] < offset:
            self._seen[event] = (offset, timestamp_ms)
        return (
            other is not None and abs(offset - other[0]) <= self._records and abs(timestamp_ms - other[1]) <= self._ms
        )

    def is_malformed(self, offset: int) -> bool:
        """Whether the record at ``offset`` was noted as malformed."""
        return offset in self._malformed

    def metadata(self, position: int) -> str:
        """The malformed offsets within reach of ``position``, for the commit's metadata (under 4,096 characters)."""
        first = position - self._records
        self._malformed = {offset: None for offset in self._malformed if first <= offset < position}
        if not self._malformed:
            return ""
        bits = 0
        for offset in self._malformed:
            bits |= 1 << (offset - first)
        packed = zlib.compress(bits.to_bytes((self._records + 7) // 8, "little"), 9)
        return f"{_FORMAT}:{self._records}:{base64.b85encode(packed).decode()}"

    def restore(self, metadata: str, position: int) -> None:
        """Take up the malformed offsets that ``metadata`` gave at ``position``.

        Raises:
            ValueError: the metadata is not of this format.
        """
        self._malformed.clear()
        metadata = metadata.rstrip("\0")  # confluent-kafka commits the closing NUL of its C string too
        if not metadata:
            return
        version, records, packed = metadata.split(":", 2)
        if version != _FORMAT:
            raise ValueError("the metadata of the committed position is of an unknown format")
        bits = int.from_bytes(zlib.decompress(base64.b85decode(packed)), "little")
        first = position - int(records)
        while bits:
            low = bits & -bits
            self._malformed[first + low.bit_length() - 1] = None
            bits ^= low
