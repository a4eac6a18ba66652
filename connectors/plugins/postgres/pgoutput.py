"""The messages of PostgreSQL's logical decoding plugin pgoutput, protocol version 1: no I/O.

PostgreSQL documentation, "Logical Replication Message Formats".
"""

import dataclasses
import enum
import struct
from typing import Final

_SECONDS_TO_2000: Final = 946_684_800  # PostgreSQL counts from the year 2000


class Unchanged(enum.Enum):
    """A large value that an update left as it was: the log does not repeat it."""

    UNCHANGED = "unchanged"


Value = bytes | None | Unchanged  # as PostgreSQL writes it as text


@dataclasses.dataclass(frozen=True, slots=True)
class Begin:
    """A transaction begins that has been committed.

    Attributes:
        commit: the place of its commit in the log, which no other transaction has.
        seconds: when it was committed, Unix time.
    """

    commit: int
    seconds: float


@dataclasses.dataclass(frozen=True, slots=True)
class Commit:
    """It is at its end; ``end`` is the place behind it."""

    end: int


@dataclasses.dataclass(frozen=True, slots=True)
class Relation:
    """What a table is called, its columns with the numbers of their types, and whether old rows are there whole."""

    number: int
    name: str
    columns: tuple[tuple[str, int], ...]
    whole: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Change:
    """A row that was inserted, updated or deleted."""

    relation: int
    kind: str  # insert, update, delete
    new: tuple[Value, ...] | None = dataclasses.field(repr=False)
    old: tuple[Value, ...] | None = dataclasses.field(repr=False)


Message = Begin | Commit | Relation | Change | None


def decoded(message: bytes) -> Message:
    """A message; None for kinds that say nothing about rows (types, origins, truncations)."""
    cursor = _Cursor(message)
    kind = cursor.take("c")
    if kind == b"B":
        commit, micros, _ = cursor.take_all("qqi")
        return Begin(commit, micros / 1_000_000 + _SECONDS_TO_2000)
    if kind == b"C":
        _, _, end, _ = cursor.take_all("bqqq")
        return Commit(end)
    if kind == b"R":
        return _relation(cursor)
    if kind in (b"I", b"U", b"D"):
        return _change(kind, cursor)
    return None


class _Cursor:
    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def take_all(self, layout: str) -> tuple[int, ...]:
        found: tuple[int, ...] = struct.unpack_from(f"!{layout}", self._data, self._at)
        self._at += struct.calcsize(f"!{layout}")
        return found

    def take(self, letter: str) -> bytes:
        (found,) = struct.unpack_from(letter, self._data, self._at)
        self._at += 1
        return bytes(found)

    def bytes(self, length: int) -> bytes:
        self._at += length
        return self._data[self._at - length : self._at]

    def text(self) -> str:
        end = self._data.index(b"\0", self._at)
        found = self._data[self._at : end].decode()
        self._at = end + 1
        return found


def _relation(cursor: _Cursor) -> Relation:
    (number,) = cursor.take_all("I")
    schema, table = cursor.text(), cursor.text()
    identity = cursor.take("c")
    (count,) = cursor.take_all("h")
    columns = []
    for _ in range(count):
        cursor.take_all("b")
        name = cursor.text()
        oid, _ = cursor.take_all("Ii")
        columns.append((name, oid))
    return Relation(number, f"{schema}.{table}", tuple(columns), whole=identity == b"f")


def _change(kind: bytes, cursor: _Cursor) -> Change:
    (relation,) = cursor.take_all("I")
    part = cursor.take("c")
    new = old = None
    if part in (b"O", b"K"):
        old = _row(cursor)
        part = cursor.take("c") if kind == b"U" else b""
    if part == b"N":
        new = _row(cursor)
    return Change(relation, {b"I": "insert", b"U": "update", b"D": "delete"}[kind], new, old)


def _row(cursor: _Cursor) -> tuple[Value, ...]:
    (count,) = cursor.take_all("h")
    return tuple(_value(cursor) for _ in range(count))


def _value(cursor: _Cursor) -> Value:
    kind = cursor.take("c")
    if kind == b"t":
        (length,) = cursor.take_all("i")
        return cursor.bytes(length)
    return None if kind == b"n" else Unchanged.UNCHANGED
