"""Salted commitments: what lets a delivery be proven later without the log telling anything by itself.

Each batch has one random seed, kept in ``audit.salts``. From it follow, one way, the salts of each input partition: one
for every event and one for every delivery, in the order of the audit entries. A recipient gets its own salt only
(header ``lintas-salt``), which opens the commitment to what it received and nothing else. Erasing one event replaces
the batch's seed by the salts of the others.
"""

import hashlib
import itertools
import secrets
from collections.abc import Iterator, Sequence
from typing import Final

from lintas import names
from streams.record_format import content

SALT_BYTES: Final = 32
LABEL: Final = b"lintas.record.v1"
SALTS_IN: Final = b"lintas.salts.in.v1"  # of the events of a partition, in their order
SALTS_OUT: Final = b"lintas.salts.out.v1"  # of the deliveries of a partition, in their order
_AT_ONCE: Final = 64  # salts that are derived together

Headers = Sequence[tuple[str, bytes | None]]


def new_seed() -> bytes:
    """A batch's seed."""
    return secrets.token_bytes(SALT_BYTES)


def salts(seed: bytes, of: bytes, topic: str, partition: int) -> Iterator[bytes]:
    """The salts of one input partition in a batch, without end; ``of`` is SALTS_IN or SALTS_OUT.

    Salt ``k`` is bytes 32 j to 32 j + 31, with j = k mod 64, of SHAKE-256(label, seed, k div 64 as 4 bytes big-endian,
    partition as 4 bytes big-endian, topic).
    """
    place = partition.to_bytes(4, "big") + topic.encode()

    def block(number: int) -> list[bytes]:
        derived = hashlib.shake_256(of + seed + number.to_bytes(4, "big") + place).digest(SALT_BYTES * _AT_ONCE)
        return [derived[start : start + SALT_BYTES] for start in range(0, SALT_BYTES * _AT_ONCE, SALT_BYTES)]

    return itertools.chain.from_iterable(map(block, itertools.count()))  # in C: every event pays for it


def commitment(salt: bytes, key: bytes | None, headers: Headers, value: bytes | None) -> bytes:
    """The commitment to a record as it travels: key, value and headers in their order, ``lintas-salt`` emptied."""
    emptied = [(name, b"" if name == names.HEADER_SALT else value) for name, value in headers]
    return commitment_to(salt, content(key, value, emptied))


def commitment_to(salt: bytes, record: bytes) -> bytes:
    """SHA-256 over label, salt and the record's content as Kafka's record format v2 writes it."""
    return hashlib.sha256(LABEL + salt + record).digest()
