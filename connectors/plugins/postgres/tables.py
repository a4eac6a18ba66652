"""The tables of a sink: made, widened and filled as released schemas say."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Final

from lintas_client import Delivery
from lintas_client.wire.codec import Codec
from psycopg.sql import SQL, Composed, Identifier
from pydantic import Field

from connectors.plugins.postgres.columns import Column, Unstorable, alterations, columns_of, table_name
from connectors.plugins.postgres.database import Connection
from connectors.plugins.postgres.statements import query
from connectors.runtime.plugin import Config
from lintas.errors import ConnectorFailed

EVENT_KEY: Final = ("ce_source", "ce_id")
_LONGEST_KEY: Final = 1000  # bytes of one column: an index of PostgreSQL holds 2,704 in all


class TableConfig(Config):
    """How the events of one agreement are kept, where not as everybody's."""

    table: str | None = Field(None, min_length=1, description="its table; default: the agreement's name")
    columns: dict[str, str] = Field(
        default_factory=dict,
        description="nested fields that get columns of their own: `child_nik: child.nik`",
        examples=[{"child_nik": "child.nik"}],
    )
    key: list[str] = Field(
        default_factory=list,
        description="columns by which a row is found and replaced; default: the event's source and id, a row an event",
        examples=[["child_nik"]],
    )
    newest_by: str | None = Field(
        "ce_time",
        description="with a key: a row is not replaced by one that is older by this column; null: the last to arrive",
    )


@dataclasses.dataclass(frozen=True, slots=True)
class Table:
    """Where deliveries of one agreement and schema go."""

    name: Identifier
    columns: Sequence[Column]
    key: Sequence[str]
    upsert: Composed

    def row(self, delivery: Delivery) -> list[Any]:
        """The values of a delivery.

        Raises:
            Unstorable: PostgreSQL cannot hold it in this table.
        """
        values = [column.value(delivery) for column in self.columns]
        for column, value in zip(self.columns, values, strict=True):
            if column.name in self.key:
                _check_key(column, value)
        return values


@dataclasses.dataclass(frozen=True, slots=True)
class Tables:
    """Makes the tables of a sink."""

    connector: str
    system: str
    schema: str
    configured: Mapping[str, TableConfig]

    def name_of(self, agreement: str) -> str:
        """The name of an agreement's table."""
        config = self.configured.get(agreement)
        return (config and config.table) or table_name(agreement, self.system)

    async def table(self, connection: Connection, agreement: str, codec: Codec | None) -> Table:
        """The table of an agreement, made or altered so that it holds what the schema says.

        Raises:
            ConnectorFailed: the settings name fields that are not released, or a column has another type.
            psycopg.Error: PostgreSQL does not let us.
        """
        config = self.configured.get(agreement, TableConfig())
        name = Identifier(self.schema, self.name_of(agreement))
        try:
            columns = columns_of(codec, config.columns)
        except LookupError as error:
            raise self._failed(
                f"the settings of {agreement} make a column of {error.args[0]}, which its schema does not have",
                "name fields that the agreement releases: `lintas agreement show` lists them.",
            ) from None
        key = config.key or EVENT_KEY
        newest = config.newest_by if config.key else None
        if missing := {*key, *([newest] if newest else [])} - {column.name for column in columns}:
            raise self._failed(
                f"the settings of {agreement} name columns that its table does not have: {', '.join(sorted(missing))}",
                f"choose of {', '.join(column.name for column in columns)}, or give nested fields their own columns.",
            )
        await self._make(connection, name, agreement, columns, key)
        return Table(name, columns, key, _upsert(name, columns, key, newest))

    async def _make(
        self, connection: Connection, name: Identifier, agreement: str, columns: list[Column], key: Sequence[str]
    ) -> None:
        quoted = name.as_string(connection)
        found = await connection.execute(query("table_columns"), {"table": quoted})
        existing: dict[str, str] = dict(await found.fetchall())
        if not existing:
            await connection.execute(
                SQL("CREATE TABLE {} ({}, PRIMARY KEY ({}))").format(
                    name, SQL(", ").join([_definition(column) for column in columns]), _names(key)
                )
            )
            comment = f"Events of Lintas, as {agreement} releases them; written by {self.connector}"
            await connection.execute(SQL("COMMENT ON TABLE {} IS {}").format(name, comment))
            return
        needed = alterations(existing, columns)
        if needed.impossible:
            told = "; ".join(f"{column.name} is {has}, not {column.type}" for column, has in needed.impossible)
            raise self._failed(
                f"columns of {quoted} have types that cannot hold what {agreement} releases: {told}",
                f"rename those columns, or the table ({quoted}); the connector then makes new ones beside them.",
            )
        steps = [SQL("ADD COLUMN {}").format(_definition(column)) for column in needed.added]
        steps += [
            SQL("ALTER COLUMN {} TYPE {}").format(Identifier(column.name), _type(column)) for column in needed.widened
        ]
        if steps:
            await connection.execute(SQL("ALTER TABLE {} {}").format(name, SQL(", ").join(steps)))

    def _failed(self, reason: str, remedy: str) -> ConnectorFailed:
        return ConnectorFailed(connector=self.connector, reason=reason, remedy=remedy)


def _check_key(column: Column, value: Any) -> None:
    if value is None:
        raise Unstorable(f"the key column {column.name} is null")
    if isinstance(value, str) and len(value.encode()) > _LONGEST_KEY:
        raise Unstorable(f"the key column {column.name} is longer than {_LONGEST_KEY} bytes")


def _definition(column: Column) -> Composed:
    """Columns may be null whatever the schema says today: agreements change, rows stay."""
    return SQL("{} {}").format(Identifier(column.name), _type(column))


def _type(column: Column) -> SQL:
    return SQL(column.type)  # one of a few words of our own, with numbers


def _names(columns: Sequence[str]) -> Composed:
    return SQL(", ").join([Identifier(name) for name in columns])


def _upsert(table: Identifier, columns: Sequence[Column], key: Sequence[str], newest: str | None) -> Composed:
    names = [column.name for column in columns]
    others = [SQL("{0} = EXCLUDED.{0}").format(Identifier(name)) for name in names if name not in key]
    statement = SQL("INSERT INTO {} AS kept ({}) VALUES ({}) ON CONFLICT ({}) DO UPDATE SET {}").format(
        table,
        _names(names),
        SQL(", ").join([SQL("%s")] * len(names)),
        _names(key),
        SQL(", ").join(others),
    )
    if newest is None:
        return statement
    return statement + SQL(" WHERE EXCLUDED.{0} >= kept.{0} OR kept.{0} IS NULL OR EXCLUDED.{0} IS NULL").format(
        Identifier(newest)
    )
