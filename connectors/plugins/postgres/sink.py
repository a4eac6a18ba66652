"""Keeps a system's inbox in tables, a table an agreement, each event once.

Rows and the positions up to them are one transaction of PostgreSQL. Each transaction locks the connector's row in
``lintas_sinks`` and goes on only under the generation that it began with, so that two instances never write in turn.
A database that is restored from a backup goes back with its positions, and is given the rest again.
"""

import contextlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from aiokafka import TopicPartition
from lintas_client import Delivery
from lintas_client.wire.codec import Codec
from psycopg import errors
from psycopg.sql import Identifier
from pydantic import Field

from connectors.entitled import AgreementSetting
from connectors.plugins.postgres.columns import Unstorable
from connectors.plugins.postgres.database import Connection, DatabaseConfig, connected, problems_of, told
from connectors.plugins.postgres.statements import SCHEMA_NAME, installation, query
from connectors.plugins.postgres.tables import Table, TableConfig, Tables
from connectors.runtime.context import Context
from connectors.runtime.contract import Inbox, Progress
from connectors.runtime.plugin import Guarantee, Plugin
from lintas.errors import ConnectorFailed

_REMEDY: Final = (
    "make the schema that the settings name and give the connector's role USAGE and CREATE on it; or install what "
    "`lintas connector sql sink` prints and give it SELECT, INSERT, UPDATE on every table there. A key that the "
    "settings name needs a unique index."
)
_UNSTORABLE: Final[Mapping[type[Exception], str]] = {
    errors.UntranslatableCharacter: "a text holds characters that the database's encoding does not have",
    errors.ProgramLimitExceeded: "it is larger than an index or a row of the table can hold",
}


class SinkConfig(DatabaseConfig):
    """Where the tables are, and what is kept otherwise than a row an event."""

    tables_schema: str = Field(
        "inbox", alias="schema", pattern=SCHEMA_NAME, description="schema of the tables; made if it may be"
    )
    agreements: dict[AgreementSetting, TableConfig] = Field(
        default_factory=dict, description="how events of an agreement are kept, by its id, where not a row an event"
    )


class PostgresSink:
    """The tables of one system's inbox."""

    def __init__(self, config: SinkConfig, context: Context) -> None:
        self._config, self._context = config, context
        self._consumer = f"{context.system}.{context.name}"
        self._connection: Connection | None = None
        self._generation = 0
        self._refused = 0
        self._tables = Tables(context.name, context.system, config.tables_schema, config.agreements)
        self._made: dict[tuple[str, Codec | None], Table] = {}

    async def start(self, progress: Progress, inbox: Inbox) -> Mapping[TopicPartition, int]:  # noqa: ARG002  both are kept with the rows
        """Take over from whoever wrote before; return the positions that stand beside the rows."""
        self._connection = connection = await connected(self._config, self._context.name)
        with self._told():
            await self._install(connection)
            begun = await connection.execute(
                query("sink_begin", sinks=self._own("sinks")), {"connector": self._consumer}
            )
            (self._generation,) = await begun.fetchone() or (0,)
            found = await connection.execute(
                query("sink_positions", positions=self._own("positions")), {"connector": self._consumer}
            )
            kept = {TopicPartition(topic, partition): offset for topic, partition, offset in await found.fetchall()}
            await self._count_refused(connection)
        return kept

    async def deliver(self, deliveries: Sequence[Delivery], positions: Mapping[TopicPartition, int]) -> Progress:
        """Write rows and positions in one transaction."""
        assert self._connection is not None, "started first"
        connection = self._connection
        with self._told():
            async with connection.transaction():
                await self._hold(connection)
                await self._write(connection, deliveries)
                await self._keep(connection, positions)
        return {}

    async def idle(self) -> Progress:
        """Nothing waits; but somebody may have seen to what was refused."""
        assert self._connection is not None, "started first"
        if self._refused:
            with self._told():
                await self._count_refused(self._connection)
        return {}

    def holding(self) -> Mapping[str, int]:
        """Events that PostgreSQL could not hold wait for a person."""
        return {"person": self._refused}

    async def stop(self) -> None:
        """Disconnect."""
        if self._connection is not None:
            await self._connection.close()

    def _told(self) -> contextlib.AbstractContextManager[None]:
        return told(self._context.name, _REMEDY)

    def _own(self, name: str) -> Identifier:
        return Identifier(self._config.tables_schema, f"lintas_{name}")

    async def _install(self, connection: Connection) -> None:
        schema = Identifier(self._config.tables_schema).as_string(connection)
        found = await connection.execute(query("sink_installed"), {"schema": schema})
        (installed,) = await found.fetchone() or (False,)
        if not installed:
            await connection.execute(installation("sink", self._config.tables_schema).encode())

    async def _hold(self, connection: Connection) -> None:
        held = await connection.execute(query("sink_hold", sinks=self._own("sinks")), {"connector": self._consumer})
        if (found := await held.fetchone()) is None or found[0] != self._generation:
            raise ConnectorFailed(
                connector=self._context.name,
                reason=f"another instance has begun to write the tables of {self._consumer}",
                remedy="none is needed if it is meant to; else stop one of the two. They never write in turn.",
            )

    async def _count_refused(self, connection: Connection) -> None:
        found = await connection.execute(
            query("sink_refused", refused=self._own("refused")), {"connector": self._consumer}
        )
        (self._refused,) = await found.fetchone() or (0,)

    async def _write(self, connection: Connection, deliveries: Sequence[Delivery]) -> None:
        """Upsert deliveries, in order in each table; list what it cannot hold."""
        for run in self._runs(deliveries):
            table = await self._table(connection, run[0])
            rows: list[tuple[Delivery, list[Any]]] = []
            for delivery in run:
                try:
                    rows.append((delivery, table.row(delivery)))
                except Unstorable as error:
                    await self._refuse(connection, delivery, str(error))
            if rows:
                await self._upsert(connection, table, rows)

    async def _upsert(self, connection: Connection, table: Table, rows: Sequence[tuple[Delivery, list[Any]]]) -> None:
        """All at once, or one by one if PostgreSQL finds any that it cannot hold."""
        try:
            async with connection.transaction(), connection.cursor() as cursor:
                await cursor.executemany(table.upsert, [row for _, row in rows])
        except tuple(_UNSTORABLE) as error:
            if len(rows) == 1:
                await self._refuse(connection, rows[0][0], _UNSTORABLE[type(error)])
                return
            for row in rows:
                await self._upsert(connection, table, [row])

    def _runs(self, deliveries: Sequence[Delivery]) -> Iterator[list[Delivery]]:
        """Deliveries of one table, agreement and schema that follow one another there."""
        by_table: dict[str, list[Delivery]] = {}
        for delivery in deliveries:
            by_table.setdefault(self._tables.name_of(delivery.agreement or ""), []).append(delivery)
        for of_table in by_table.values():
            for _, run in itertools.groupby(of_table, key=lambda delivery: (delivery.agreement, id(delivery.codec))):
                yield list(run)

    async def _table(self, connection: Connection, delivery: Delivery) -> Table:
        made = (delivery.agreement or "", delivery.codec)
        if made not in self._made:
            self._made[made] = await self._tables.table(connection, *made)
        return self._made[made]

    async def _refuse(self, connection: Connection, delivery: Delivery, reason: str) -> None:
        self._context.log.warning(
            "%s [%d] offset %d is not in its table: %s", delivery.topic, delivery.partition, delivery.offset, reason
        )
        place = {"topic": delivery.topic, "partition": delivery.partition, "offset": delivery.offset}
        what = {"agreement": delivery.agreement, "id": (delivery.event.get("id") or "").replace("\0", "")}
        done = await connection.execute(
            query("sink_refuse", refused=self._own("refused")),
            {"connector": self._consumer, "reason": reason, **place, **what},
        )
        self._refused += done.rowcount

    async def _keep(self, connection: Connection, positions: Mapping[TopicPartition, int]) -> None:
        rows = [
            {"connector": self._consumer, "topic": at.topic, "partition": at.partition, "next_offset": offset}
            for at, offset in positions.items()
        ]
        async with connection.cursor() as cursor:
            await cursor.executemany(query("sink_keep_position", positions=self._own("positions")), rows)


EXAMPLE = """\
dsn_file: secrets/child-welfare.dsn
schema: inbox
agreements:
  jabar.child-welfare.birth-registered:
    table: newborns
    columns: {child_nik: child.nik}
    key: [child_nik]
"""

PLUGIN = Plugin(
    name="postgres-sink",
    kind="sink",
    summary="Keeps the inbox in tables of PostgreSQL that follow the released schemas.",
    config=SinkConfig,
    build=PostgresSink,
    guarantee=Guarantee.EXACTLY_ONCE,
    guarantee_because="Rows and positions are one transaction of PostgreSQL, under a generation that lets one instance "
    "write at a time; a database restored from a backup is given the rest again, as far as the inbox still holds it.",
    example=EXAMPLE,
    check=problems_of,
    begins_anew="delete its rows in lintas_positions of its schema (connector = 'SYSTEM.NAME'), and resume it.",
)
