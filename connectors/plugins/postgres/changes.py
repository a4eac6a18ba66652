"""Which changes of tables become events, and what a mapping sees of a change: no I/O."""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, Literal

import psycopg
from psycopg.adapt import Transformer
from psycopg.pq import Format
from psycopg.types.json import set_json_loads
from psycopg.types.string import TextLoader
from pydantic import Field

from connectors.mapping import EventMapping, FieldProblem, Mapper, Unmappable
from connectors.plugins.postgres.database import Connection
from connectors.plugins.postgres.payload import parsed
from connectors.plugins.postgres.pgoutput import Relation, Unchanged, Value
from connectors.plugins.postgres.slot import Found

_RANGES: Final = ("int4", "int8", "num", "date", "ts", "tstz")
# Python's own values of these would mean nothing to a mapping.
_AS_TEXT: Final = ("interval", "inet", "cidr", *(f"{of}{many}range" for of in _RANGES for many in ("", "multi")))


class RowEvents(EventMapping):
    """Which changes of a table become events, and how."""

    table: str = Field(description="the table with its schema: `public.births`", pattern=r"^[^.]+\.[^.]+$")
    on: list[Literal["insert", "update", "delete"]] = Field(
        ["insert"],
        min_length=1,
        description="kinds of changes; those of updates and deletions know the row before as `old.<column>`",
    )


@dataclasses.dataclass(frozen=True, slots=True)
class TableMapping:
    """One of ``events`` with its mapper, and the number of its table, which it keeps when it is renamed."""

    events: RowEvents
    mapper: Mapper
    table: int

    def is_for(self, table: Relation, kind: str) -> bool:
        """Whether it makes events of such changes of a table."""
        return kind in self.events.on and (table.number == self.table or table.name == self.events.table)

    def unknown(self, columns: Collection[str]) -> list[str]:
        """The columns that it names and that are not among these."""
        named = self.mapper.columns
        return sorted(name for name in named if name.removeprefix("old.").split(".")[0] not in columns)

    def check(self, found: Found) -> None:
        """Keep what is not there from being taken for null: tables change while they are read.

        Raises:
            Unmappable: with all that is missing.
        """
        table = found.relation
        missing = self.unknown({name for name, _ in table.columns})
        problems = [FieldProblem(table.name, name, "column", f"has no column {name}") for name in missing]
        if found.change.kind != "insert" and not table.whole:
            problems.append(FieldProblem(table.name, "", "identity", "had no REPLICA IDENTITY FULL at this change"))
        if problems:
            raise Unmappable(problems)


class Records:
    """Reads changes as one connection's server writes them."""

    def __init__(self, connection: Connection) -> None:
        set_json_loads(lambda text: _json(text if isinstance(text, str) else bytes(text).decode()), connection)
        for kind in _AS_TEXT:
            connection.adapters.register_loader(kind, TextLoader)
        self._reading = Transformer(connection)

    def record(self, found: Found) -> Mapping[str, Any]:
        """The row's values by column, those before the change below ``old``."""
        change, columns = found.change, found.relation.columns
        old = None if change.old is None else self._values(columns, change.old)
        if change.new is None:
            return {**(old or {}), "old": old or {}}
        before = change.old or (None,) * len(columns)
        new = [had if now is Unchanged.UNCHANGED else now for now, had in zip(change.new, before, strict=True)]
        return {**self._values(columns, new), "old": old or {}}

    def _values(self, columns: Sequence[tuple[str, int]], row: Sequence[Value]) -> dict[str, Any]:
        return {
            name: self._value(oid, value) if isinstance(value, bytes) else None
            for (name, oid), value in zip(columns, row, strict=True)
        }

    def _value(self, oid: int, text: bytes) -> Any:
        """By its type's number; of types that psycopg does not know, and beyond Python's (infinite dates), the text."""
        try:
            return self._reading.get_loader(oid, Format.TEXT).load(text)
        except (psycopg.DataError, ValueError):
            return text.decode()


def _json(text: str) -> Any:
    value = parsed(text)
    if value is None and text.strip() != "null":
        raise ValueError("nested too deeply")
    return value
