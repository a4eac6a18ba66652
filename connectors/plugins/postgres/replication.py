"""Publishes committed changes of tables as events, read from PostgreSQL's log (logical replication), in commit order.

For databases to which no trigger may be added. The slot is moved only behind what is on the bus; the progress there,
written in the same transaction as the events, says where to go on, within a large transaction too.
"""

import asyncio
import contextlib
import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import psycopg
from psycopg.adapt import Transformer
from psycopg.pq import Format
from psycopg.sql import Identifier
from psycopg.types.json import set_json_loads
from pydantic import Field

from connectors.mapping import BadMapping, EventMapping, Mapper, Unmappable
from connectors.plugins.postgres.database import Connection, DatabaseConfig, connected, problems_of, told
from connectors.plugins.postgres.payload import fitted, parsed
from connectors.plugins.postgres.pgoutput import Unchanged, Value
from connectors.plugins.postgres.slot import Found, Place, Slot, number, written
from connectors.plugins.postgres.statements import SCHEMA_NAME, query
from connectors.runtime.context import Context
from connectors.runtime.contract import Outgoing, Portion, Progress, Refusal
from connectors.runtime.plugin import Guarantee, Plugin
from lintas.errors import ConnectorDisabled, ConnectorFailed

_WAIT_SECONDS: Final = 0.5
_QUIET_SECONDS: Final = 30.0  # the slot is moved this often where nothing that concerns us is committed
_REMEDY: Final = (
    "the server needs wal_level = logical, the connector's role the attribute REPLICATION and rights on the table "
    "`refused`: `lintas connector sql replication` prints what to install and says the rest."
)


class RowEvents(EventMapping):
    """Which changes of a table become events, and how."""

    table: str = Field(description="the table with its schema: `public.births`", pattern=r"^[^.]+\.[^.]+$")
    on: list[Literal["insert", "update", "delete"]] = Field(
        ["insert"],
        min_length=1,
        description="kinds of changes; those of updates and deletions know the row before as `old.<column>`",
    )


class ReplicationConfig(DatabaseConfig):
    """Which changes are read, and what becomes of them."""

    publication: str = Field("lintas", description="the publication that names the tables; its owner makes it")
    slot: str = Field("lintas", pattern=r"^[a-z0-9_]{1,63}$", description="replication slot, of this connector alone")
    refused_schema: str = Field(
        "lintas", alias="schema", pattern=SCHEMA_NAME, description="schema in which replication.sql was installed"
    )
    rows: int = Field(1000, ge=1, le=5000, description="most changes in one transaction of the bus")
    events: list[RowEvents] = Field(min_length=1, description="changes of tables, and the events that they become")


class ReplicationSource:
    """Changes of tables as events."""

    def __init__(self, config: ReplicationConfig, context: Context) -> None:
        self._config, self._context = config, context
        self._connection: Connection | None = None
        self._slot: Slot | None = None
        self._identity = ""
        self._mappers: list[tuple[RowEvents, Mapper]] = []
        self._began = False  # the place at which we began is in the progress
        self._moved_at = 0.0

    async def start(self, progress: Progress) -> None:
        """Find or make the slot, and go on from the progress."""
        self._connection = connection = await connected(self._config, self._context.name)
        set_json_loads(lambda text: parsed(text if isinstance(text, str) else bytes(text).decode()), connection)
        with self._told():
            await self._check_tables(connection)
            self._slot = await self._find_slot(connection, Place.of(progress))
            found = await (await connection.execute(query("server_identity"))).fetchone()
        self._identity = found[0] if found else ""
        self._began = bool(progress)

    async def poll(self) -> Portion | None:
        """The next changes that become events, or a place further on."""
        slot = self._open()
        if not self._began:
            self._began = True
            return Portion((), slot.place.progress())
        with self._told():
            before = slot.place
            if (found := await slot.changes(self._config.rows)) is None:
                await asyncio.sleep(_WAIT_SECONDS)
                found = await slot.changes(self._config.rows)
            if found is None:
                return self._quiet(slot)
            events = [event for change in found for event in await self._events(change)]
        return Portion(events, slot.place.progress()) if slot.place != before else None

    async def refused(self, refusals: Sequence[Refusal]) -> bool:
        """List them in the table ``refused``."""
        for one in refusals:
            await self._refuse(one.event.id, one.event.event_type, one.event.origin, one.reasons)
        return True

    async def written(self, portion: Portion) -> None:  # noqa: ARG002  the slot knows how far it was read
        """Let the server forget what is on the bus."""
        with self._told():
            await self._open().release()
        self._moved_at = asyncio.get_running_loop().time()

    async def stop(self) -> None:
        """Disconnect."""
        if self._slot is not None:
            await self._slot.close()
        if self._connection is not None:
            await self._connection.close()

    def _told(self) -> contextlib.AbstractContextManager[None]:
        return told(self._context.name, _REMEDY)

    def _open(self) -> Slot:
        assert self._slot is not None, "started first"
        return self._slot

    def _quiet(self, slot: Slot) -> Portion | None:
        """A place behind what does not concern us, so that the server need not keep its log."""
        now = asyncio.get_running_loop().time()
        if slot.quiet_until <= slot.place.done or now - self._moved_at < _QUIET_SECONDS:
            return None
        slot.place = Place(slot.quiet_until)
        return Portion((), slot.place.progress())

    async def _find_slot(self, connection: Connection, place: Place | None) -> Slot:
        name, publication = self._config.slot, self._config.publication
        state = await (await connection.execute(query("slot_state"), {"slot": name})).fetchone()
        if state is None and place is not None:
            raise self._disabled(
                f"the replication slot {name} is gone, and with it whatever was committed since {written(place.done)}",
                "find out who dropped it, or whether a standby without it took over. Publish what was missed by other "
                "means, then delete this connector and create it under another name: it begins with a new slot.",
            )
        if state is None:
            made = await (await connection.execute(query("slot_create"), {"slot": name})).fetchone()
            return Slot(connection, name, publication, Place(number(made[0] if made else "0/0")))
        plugin, confirmed, standing = state
        if plugin != "pgoutput" or standing == "lost":
            raise self._disabled(
                f"the replication slot {name} cannot be read: its plugin is {plugin}, its log is {standing}",
                "a slot must be of pgoutput and this connector's own; the log of a lost one was removed by "
                "max_slot_wal_keep_size: drop it, and go on as with a slot that is gone.",
            )
        if place is not None and number(confirmed) > place.done:
            raise self._disabled(
                f"somebody else has moved the replication slot {name} from {written(place.done)} to {confirmed}",
                "give this connector a slot of its own; publish what was committed between the two places by other "
                "means, then delete the connector and create it under another name.",
            )
        return Slot(connection, name, publication, place or Place(number(confirmed)))

    async def _check_tables(self, connection: Connection) -> None:
        found = await connection.execute(query("published_tables"), {"publication": self._config.publication})
        tables = {name: (set(columns), whole) for name, columns, whole in await found.fetchall()}
        problems = []
        for number_of, events in enumerate(self._config.events):
            field = f"events.{number_of}"
            try:
                mapper = Mapper(events, (await self._context.registry.event_type(events.event_type)).codec)
            except BadMapping as error:
                problems += [f"{field}.{problem}" for problem in error.problems]
                continue
            self._mappers.append((events, mapper))
            if events.table not in tables:
                problems.append(f"{field}.table: {events.table} is not in the publication {self._config.publication}")
                continue
            columns, whole = tables[events.table]
            unknown = {name for name in mapper.columns if name.removeprefix("old.").split(".")[0] not in columns}
            problems += [f"{field}: {events.table} has no column {name}" for name in sorted(unknown)]
            if not whole and set(events.on) != {"insert"}:
                problems.append(f"{field}.on: ALTER TABLE {events.table} REPLICA IDENTITY FULL is needed for this")
        if problems:
            raise ConnectorFailed(
                connector=self._context.name,
                reason=f"its settings do not fit the database: {'; '.join(problems)}",
                remedy="mend the settings, or the publication: its owner can ALTER PUBLICATION ... ADD TABLE.",
            )

    async def _events(self, found: Found) -> list[Outgoing]:
        """The events that a change becomes; what cannot be one is listed as refused."""
        events = []
        meant = [
            (of, mapper)
            for of, mapper in self._mappers
            if of.table == found.relation.name and found.change.kind in of.on
        ]
        for at, (mapping, mapper) in enumerate(meant):
            place = f"{self._identity}-{found.place.commit:x}-{found.place.changes}"
            event_id = f"{place}-{at}" if at else place
            origin = f"{found.change.kind} of {found.relation.name} at {written(found.place.commit)}"
            try:
                mapped = mapper.event(self._record(found))
            except Unmappable as error:
                reasons = [str(problem) for problem in error.problems]
                await self._refuse(event_id, mapping.event_type, origin, reasons)
                continue
            except (psycopg.DataError, ValueError):
                await self._refuse(
                    event_id, mapping.event_type, origin, ["a value is out of any range that events have"]
                )
                continue
            if mapped is not None:
                codec = (await self._context.registry.event_type(mapped.event_type)).codec
                events.append(
                    Outgoing(
                        mapped.event_type,
                        fitted(codec.type, mapped.data),
                        mapped.id or event_id,
                        mapped.subject,
                        mapped.time or dt.datetime.fromtimestamp(found.seconds, dt.UTC),
                        mapped.key,
                        origin=origin,
                    )
                )
        return events

    def _record(self, found: Found) -> Mapping[str, Any]:
        """The row's values by column, those before the change below ``old``."""
        change, columns = found.change, found.relation.columns
        old = None if change.old is None else self._values(columns, change.old)
        if change.new is None:
            return {**(old or {}), "old": old or {}}
        before = change.old or (None,) * len(columns)
        new = [had if now is Unchanged.UNCHANGED else now for now, had in zip(change.new, before, strict=True)]
        return {**self._values(columns, new), "old": old or {}}

    def _values(self, columns: Sequence[tuple[str, int]], row: Sequence[Value]) -> dict[str, Any]:
        """Texts of the log as Python values, by their types' numbers; of types that psycopg does not know, as texts."""
        reading = Transformer(self._connection)
        return {
            name: reading.get_loader(oid, Format.TEXT).load(value) if isinstance(value, bytes) else None
            for (name, oid), value in zip(columns, row, strict=True)
        }

    async def _refuse(self, event_id: str, event_type: str, origin: str, reasons: Sequence[str]) -> None:
        assert self._connection is not None, "started first"
        statement = query("replication_refuse", refused=Identifier(self._config.refused_schema, "refused"))
        row = {"id": event_id, "event_type": event_type, "origin": origin, "reason": "; ".join(reasons)}
        with self._told():
            await self._connection.execute(statement, row)

    def _disabled(self, reason: str, remedy: str) -> ConnectorDisabled:
        return ConnectorDisabled(connector=self._context.name, reason=reason, remedy=remedy)


EXAMPLE = """\
dsn_file: secrets/registry-office.dsn
publication: lintas
events:
  - table: public.quakes
    event_type: id.go.bmkg.earthquake.measured.v1
    data:
      event_id: code
      origin_time: measured_at
      latitude: lat
      longitude: lon
      depth_km: depth
      magnitude: magnitude
      magnitude_tenths: {cel: "int(double(record.magnitude) * 10.0 + 0.5)"}
      region: region
"""

PLUGIN = Plugin(
    name="postgres-replication",
    kind="source",
    summary="Publishes committed changes of PostgreSQL's tables, read from its log.",
    config=ReplicationConfig,
    build=ReplicationSource,
    guarantee=Guarantee.EXACTLY_ONCE,
    guarantee_because="Where to go on in the log is committed by Kafka with the events, and the slot moves behind it; "
    "it rests on the slot, and stops for a person where that is gone.",
    example=EXAMPLE,
    check=problems_of,
)
