"""Salted commitments: what lets a delivery be proven later without the log telling anything by itself.

Each batch has one random seed, kept in ``audit.salts``. From it follow, one way, a seed for each event, and from that a
salt for the payload in and one for each payload out. A recipient gets its own salt only (header ``lintas-salt``), which
opens the commitment to what it received and nothing else. Erasing one event replaces the batch's seed by the event
seeds of the others.
"""

import hmac
import secrets
import struct
from collections.abc import Sequence

from lintas import names

SALT_BYTES = 32
Headers = Sequence[tuple[str, bytes | None]]


def new_seed() -> bytes:
    """A batch's seed."""
    return secrets.token_bytes(SALT_BYTES)


def event_seed(seed: bytes, topic: str, partition: int, offset: int) -> bytes:
    """The seed of one event of the batch, by where it was published."""
    return _derive(seed, f"event\0{topic}\0{partition}\0{offset}".encode())


def salt_in(event: bytes) -> bytes:
    """The salt of the commitment to an event as published."""
    return _derive(event, b"in")


def salt_out(event: bytes, agreement: str) -> bytes:
    """The salt of the commitment to what one agreement delivered of an event."""
    return _derive(event, b"out\0" + agreement.encode())


def commitment(salt: bytes, key: bytes | None, headers: Headers, value: bytes | None) -> bytes:
    """HMAC-SHA256 over a record as it travels: key, headers in their order without ``lintas-salt``, value.

    Each part is preceded by its length as 4 bytes, big-endian; an absent one by FF FF FF FF. The number of headers
    stands before them. (docs/reference/evidence.md)
    """
    kept = [(name, value) for name, value in headers if name != names.HEADER_SALT]
    parts = [b"lintas.record.v1", _part(key), struct.pack(">I", len(kept))]
    for name, content in kept:
        parts.append(_part(name.encode()))
        parts.append(_part(content))
    parts.append(_part(value))
    return hmac.digest(salt, b"".join(parts), "sha256")


def _part(value: bytes | None) -> bytes:
    return b"\xff\xff\xff\xff" if value is None else struct.pack(">I", len(value)) + value


def _derive(key: bytes, label: bytes) -> bytes:
    return hmac.digest(key, b"lintas.salt.v1\0" + label, "sha256")
