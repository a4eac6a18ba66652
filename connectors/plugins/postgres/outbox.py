"""Publishes the rows of a transactional outbox, each once, in order per key.

The connector takes the rows that wait, in the order of their ids, locks them, and marks them once they are on the bus.
A row that is committed late, with a lower id than others, still waits and is taken when it appears: nothing is passed
over, as it would be behind a remembered id. If the connector dies between the bus and the mark, the progress on the
bus, written in the same transaction as the events, says which rows to mark before any is read. Locks keep a second
instance, and people, off rows that are on their way.
"""

import asyncio
import contextlib
import datetime as dt
from collections.abc import Sequence
from typing import Final

from lintas_client import UnknownEventType
from psycopg.sql import SQL, Identifier
from pydantic import Field, NonNegativeFloat, PositiveInt

from connectors.plugins.postgres.database import Connection, DatabaseConfig, connected, problems_of, told
from connectors.plugins.postgres.payload import fitted, parsed
from connectors.plugins.postgres.statements import SCHEMA_NAME, query
from connectors.runtime.context import Context
from connectors.runtime.contract import Outgoing, Portion, Progress, Refusal
from connectors.runtime.plugin import Guarantee, Plugin

_IDS: Final = "published"  # progress: the ids of the last transaction's events ...
_MENDED: Final = "mended"  # ... and how often those had been refused that had been
_WAIT_SECONDS: Final = 1.0
_TIDY_SECONDS: Final = 60.0
_DAY_SECONDS: Final = 86_400
_REMEDY: Final = (
    "install the table as `lintas connector sql outbox` prints it, in the schema that the settings name, and give the "
    "connector's role USAGE on the schema and SELECT, UPDATE, DELETE on the table."
)


class OutboxConfig(DatabaseConfig):
    """Where the outbox is, and how it is read."""

    outbox_schema: str = Field(
        "lintas", alias="schema", pattern=SCHEMA_NAME, description="schema in which outbox.sql was installed"
    )
    rows: PositiveInt = Field(1000, le=5000, description="most rows in one transaction")
    keep_days: NonNegativeFloat = Field(7, description="published rows are removed after so long; 0: at once")


class OutboxSource:
    """The rows of an outbox as events."""

    def __init__(self, config: OutboxConfig, context: Context) -> None:
        self._config, self._context = config, context
        self._connection: Connection | None = None
        self._outbox = Identifier(config.outbox_schema, "outbox")
        self._channel = f"{config.outbox_schema}.outbox"
        self._tidied = 0.0

    async def start(self, progress: Progress) -> None:
        """Mark what the last transaction has published, and listen."""
        connection = await self._connect()
        with self._told():
            await self._publish(connection, progress)
            await connection.execute(SQL("LISTEN {}").format(Identifier(self._channel)))

    async def poll(self) -> Portion | None:
        """The next waiting rows, locked until they are written."""
        connection = self._open()
        with self._told():
            await self._tidy(connection)
            await _heard(connection, 0)  # of rows that are looked for now
            if (portion := await self._claim(connection)) is None:
                await _heard(connection, _WAIT_SECONDS)
                portion = await self._claim(connection)
        return portion

    async def refused(self, refusals: Sequence[Refusal]) -> bool:
        """Mark the rows; this ends the locks of all, but whoever else would publish them has fenced us by then."""
        connection = self._open()
        statement = query("outbox_refuse", outbox=self._outbox)
        rows = [{"id": one.event.id, "reason": "; ".join(one.reasons)} for one in refusals]
        with self._told():
            async with connection.cursor() as cursor:
                await cursor.executemany(statement, rows)
            await connection.commit()
        return True

    async def written(self, portion: Portion) -> None:
        """Mark the rows, and let go of them."""
        connection = self._open()
        with self._told():
            await self._publish(connection, portion.progress)
            await connection.commit()

    async def stop(self) -> None:
        """Disconnect, which lets go of rows that were not written."""
        if self._connection is not None:
            await self._connection.close()

    async def _connect(self) -> Connection:
        self._connection = await connected(self._config, self._context.name)
        return self._connection

    def _open(self) -> Connection:
        assert self._connection is not None, "started first"
        return self._connection

    def _told(self) -> contextlib.AbstractContextManager[None]:
        return told(self._context.name, _REMEDY)

    async def _claim(self, connection: Connection) -> Portion | None:
        """Lock the next waiting rows; the transaction stays open until they are written, if there are any."""
        await connection.execute("BEGIN")
        statement = query("outbox_claim", outbox=self._outbox)
        rows = await (await connection.execute(statement, {"rows": self._config.rows})).fetchall()
        if not rows:
            await connection.commit()
            return None
        events = [await self._event(*row) for *row, _ in rows]
        mended = {event.id: row[-1] for event, row in zip(events, rows, strict=True) if row[-1]}
        return Portion(events, {_IDS: [event.id for event in events], _MENDED: mended})

    async def _event(
        self, row: int, event_id: str, event_type: str, payload: str, subject: str | None, key: str | None, time: str
    ) -> Outgoing:
        data = parsed(payload)
        with contextlib.suppress(UnknownEventType):  # told with the other refusals
            data = fitted((await self._context.registry.event_type(event_type)).codec.type, data)
        return Outgoing(event_type, data, event_id, subject, _moment(time), key, origin=f"outbox row {row}")

    async def _publish(self, connection: Connection, progress: Progress) -> None:
        ids, mended = progress.get(_IDS) or [], progress.get(_MENDED) or {}
        statement = query("outbox_publish" if self._config.keep_days else "outbox_remove", outbox=self._outbox)
        await connection.execute(statement, {"ids": ids, "refusals": [mended.get(event_id, 0) for event_id in ids]})

    async def _tidy(self, connection: Connection) -> None:
        """Remove some of the rows whose time is over, each minute until there is none: more than one look publishes."""
        now = asyncio.get_running_loop().time()
        if not self._config.keep_days or now - self._tidied < _TIDY_SECONDS:
            return
        seconds = self._config.keep_days * _DAY_SECONDS
        done = await connection.execute(query("outbox_tidy", outbox=self._outbox), {"seconds": seconds})
        if not done.rowcount:
            self._tidied = now


async def _heard(connection: Connection, seconds: float) -> None:
    """Take what NOTIFY has told; if nothing, wait for it."""
    async for _ in connection.notifies(timeout=seconds, stop_after=1):
        pass


def _moment(written: str) -> dt.datetime | str:
    """PostgreSQL also has moments before the year 1, after 9999 and infinite: those are left for the event's check."""
    try:
        return dt.datetime.fromisoformat(written)
    except ValueError:
        return written


EXAMPLE = """\
dsn_file: secrets/registry-office.dsn
"""

PLUGIN = Plugin(
    name="postgres-outbox",
    kind="source",
    summary="Publishes the rows of a transactional outbox in PostgreSQL.",
    config=OutboxConfig,
    build=OutboxSource,
    guarantee=Guarantee.EXACTLY_ONCE,
    guarantee_because="The rows of a transaction are named in the progress that Kafka commits with their events, so a "
    "crash between bus and mark repeats nothing; it rests on PostgreSQL keeping what it has committed: after a "
    "failover to an asynchronous standby rows may be published again, with the same ids.",
    example=EXAMPLE,
    check=problems_of,
)
