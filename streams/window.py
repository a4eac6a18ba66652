"""The duplicate window: what makes a publisher's repeat of (source, id) harmless."""

import base64
import collections
import hashlib
import zlib
from typing import Final

_FORMAT: Final = "m1"


def identity(source: str, event_id: str) -> bytes:
    """What two publications of one event share."""
    return hashlib.blake2b(f"{len(source)}:{source}{event_id}".encode(), digest_size=16).digest()


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
        self._ms = int(seconds * 1000)
        self._seen: dict[bytes, tuple[int, int]] = {}
        self._order: collections.deque[tuple[int, bytes]] = collections.deque()
        self._malformed: dict[int, None] = {}  # ordered

    def is_repeat(self, offset: int, timestamp_ms: int, event: bytes) -> bool:
        """Add a well-formed event and say whether it repeats one of the window; offsets must grow."""
        self._forget_before(offset - self._records)
        before = self._seen.get(event)
        self._seen[event] = (offset, timestamp_ms)
        self._order.append((offset, event))
        return before is not None and offset - before[0] <= self._records and timestamp_ms - before[1] <= self._ms

    def add_malformed(self, offset: int) -> None:
        """Note a malformed record."""
        self._malformed[offset] = None

    def is_malformed(self, offset: int) -> bool:
        """Whether the record at ``offset`` was noted as malformed."""
        return offset in self._malformed

    def metadata(self, position: int) -> str:
        """The malformed offsets within reach of ``position``, for the commit's metadata (under 4,096 characters)."""
        first = position - self._records
        self._malformed = {offset: None for offset in self._malformed if offset >= first}
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

    def _forget_before(self, offset: int) -> None:
        while self._order and self._order[0][0] < offset:
            old, event = self._order.popleft()
            if self._seen[event][0] == old:
                del self._seen[event]
