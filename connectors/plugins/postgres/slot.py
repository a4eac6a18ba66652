"""A replication slot: committed changes of published tables, in the order of their commits.

It is read by looking (``pg_logical_slot_peek_binary_changes``) and moved only when told, so that whatever was not
written to the bus is there to be read again.
"""

import contextlib
import dataclasses
import time
from typing import Any, Final

import psycopg
from psycopg.sql import Identifier, Literal

from connectors.plugins.postgres.database import Connection
from connectors.plugins.postgres.pgoutput import Begin, Change, Commit, Relation, decoded
from connectors.plugins.postgres.statements import query
from connectors.runtime.contract import Progress

_LOOK_CHANGES: Final = 10_000  # after so many no further transaction is read with one look
_PORTION_BYTES: Final = 2_000_000


class SlotMoved(Exception):
    """Somebody else has moved the slot past where we are."""

    def __init__(self, to: int) -> None:
        self.to = to
        super().__init__(written(to))


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """How far a slot has been read.

    Attributes:
        done: the place in the log behind the last transaction that is done with.
        commit: of the transaction that is done with in part, the place of its commit; 0: there is none.
        changes: how many of its changes are done with.
    """

    done: int
    commit: int = 0
    changes: int = 0

    def progress(self) -> Progress:
        """As JSON."""
        return {"place": {"done": written(self.done), "commit": written(self.commit), "changes": self.changes}}

    @classmethod
    def of(cls, progress: Progress) -> "Place | None":
        """Of a progress, if it holds one."""
        if (kept := progress.get("place")) is None:
            return None
        return cls(number(kept["done"]), number(kept["commit"]), kept["changes"])


@dataclasses.dataclass(frozen=True, slots=True)
class Found:
    """A change, and where it stands: the place once it is done with, and the time of its commit."""

    relation: Relation
    change: Change = dataclasses.field(repr=False)
    place: Place
    seconds: float


class Slot:
    """One slot, as one connector reads it; ``place`` is behind what has been read."""

    def __init__(self, connection: Connection, name: str, publication: str, place: Place) -> None:
        self._connection = connection
        self._name = name
        named = Identifier(publication).as_string(connection)  # the option is a list of identifiers
        self._look_at = query("slot_peek", slot=Literal(name), publication=Literal(named))
        self.place = place
        self.quiet_until = -1  # up to this place in the log nothing more has been committed
        self.look_seconds = 0.0  # that the last look took
        self._cursor: Any = None
        self._relations: dict[int, Relation] = {}
        self._begin = Begin(0, 0)
        self._count = 0

    async def changes(self, most: int) -> list[Found] | None:
        """The changes of the next ``most`` messages or two megabytes, maybe none; None: nothing more is committed.

        What was read before is on the bus by now.

        Raises:
            SlotMoved: what was committed before that place was not seen here.
        """
        until = await self._look() if self._cursor is None else 0
        if until == self.quiet_until:
            return None
        messages = await self._fetch(most)
        if until and not messages:
            self.quiet_until = until
            return None
        return [found for message in messages if (found := self._read(message)) is not None]

    async def release(self) -> None:
        """Let the server forget the log up to where transactions are done with; only once that is on the bus.

        Both this and a look read the log from the oldest transaction on that was open lately, so that it is done once
        for each look, not for each portion.
        """
        if self._cursor is None:
            await self._connection.execute(query("slot_advance"), {"slot": self._name, "lsn": written(self.place.done)})

    async def close(self) -> None:
        """Let go of what was read ahead."""
        if self._cursor is not None:
            with contextlib.suppress(psycopg.Error):  # the session is gone, and the cursor with it
                await self._cursor.close()

    async def _look(self) -> int:
        """Have the server read what was committed since the slot's place; up to where it has looked.

        It keeps what it found for us, on disk if it is much. What is done with is released before, or a slot that was
        not moved (we died in between) would show the same again and again.
        """
        begun = time.monotonic()
        await self.release()
        end = await (await self._connection.execute(query("log_end"))).fetchone()
        until = number(end[0]) if end else 0
        if until != self.quiet_until:
            self._cursor = self._connection.cursor("log", withhold=True)
            self._relations = {}
            await self._cursor.execute(self._look_at, {"until": written(until), "changes": _LOOK_CHANGES}, binary=True)
            state = await (await self._connection.execute(query("slot_state"), {"slot": self._name})).fetchone()
            if state and number(state[1]) > self.place.done:
                raise SlotMoved(number(state[1]))
        self.look_seconds = time.monotonic() - begun
        return until

    async def _fetch(self, most: int) -> list[bytes]:
        """The next messages of the look, which is let go of at its end.

        They are asked for in growing numbers, since each may be as large as a row is.
        """
        messages: list[bytes] = []
        step = 1
        while self._cursor is not None and len(messages) < most and sum(map(len, messages)) < _PORTION_BYTES:
            step = min(2 * step, most - len(messages))
            rows = await self._cursor.fetchmany(step)
            messages += [message for (message,) in rows]
            if len(rows) < step:
                await self._cursor.close()
                self._cursor = None
        return messages

    def _read(self, message: bytes) -> Found | None:
        """The change that a message tells of, unless it was done with before."""
        read = decoded(message)
        if isinstance(read, Relation):
            self._relations[read.number] = read
        elif isinstance(read, Begin):
            self._begin, self._count = read, 0
        elif isinstance(read, Commit) and self._begin.commit >= self.place.done:
            self.place = Place(read.end)
        elif isinstance(read, Change):
            self._count += 1
            done = self._count <= self.place.changes if self._begin.commit == self.place.commit else False
            if not done and self._begin.commit >= self.place.done:
                self.place = Place(self.place.done, self._begin.commit, self._count)
                return Found(self._relations[read.relation], read, self.place, self._begin.seconds)
        return None


def number(lsn: str) -> int:
    """A place in the log as a number: ``16/B374D848`` (pg_lsn)."""
    high, low = lsn.split("/")
    return int(high, 16) << 32 | int(low, 16)


def written(place: int) -> str:
    """A place in the log as PostgreSQL writes it."""
    return f"{place >> 32:X}/{place & 0xFFFFFFFF:X}"
