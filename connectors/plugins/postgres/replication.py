"""Publishes committed changes of tables as events, read from PostgreSQL's log (logical replication), in commit order.

For databases to which no trigger may be added. The slot is moved only behind what is on the bus; the progress there,
written in the same transaction as the events, says where to go on, within a large transaction too.
"""

import asyncio
import contextlib
import datetime as dt
from collections.abc import Sequence
from typing import Final

from psycopg.sql import Identifier
from pydantic import Field

from connectors.mapping import BadMapping, Mapper, Unmappable
from connectors.plugins.postgres.changes import Records, RowEvents, TableMapping
from connectors.plugins.postgres.database import Connection, DatabaseConfig, connected, problems_of, told
from connectors.plugins.postgres.payload import fitted
from connectors.plugins.postgres.slot import Found, Place, Slot, SlotMoved, number, written
from connectors.plugins.postgres.statements import SCHEMA_NAME, query
from connectors.runtime.context import Context
from connectors.runtime.contract import Outgoing, Portion, Progress, Refusal
from connectors.runtime.plugin import Guarantee, Plugin
from lintas.errors import ConnectorDisabled, ConnectorFailed

_WAIT_SECONDS: Final = 0.5
_LONGEST_WAIT_SECONDS: Final = 10.0
_QUIET_SECONDS: Final = 30.0  # the slot is moved this often where nothing that concerns us is committed
_REMEDY: Final = (
    "the server needs wal_level = logical, the connector's role the attribute REPLICATION and rights on the table "
    "`refused`: `lintas connector sql replication` prints what to install and says the rest."
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
        self._mappings: list[TableMapping] = []
        self._records: Records | None = None
        self._began = False  # the place at which we began is in the progress
        self._moved_at = 0.0

    async def start(self, progress: Progress) -> None:
        """Find or make the slot, and go on from the progress."""
        self._connection = connection = await connected(self._config, self._context.name)
        self._records = Records(connection)
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
            try:
                found = await slot.changes(self._config.rows)
            except SlotMoved as moved:
                raise self._moved(before, moved.to) from None
            if found is None:
                # Looking costs the database as much as others write: half of the time is left to it.
                await asyncio.sleep(min(max(_WAIT_SECONDS, slot.look_seconds), _LONGEST_WAIT_SECONDS))
                return self._quiet(slot)
            portion = await self._portion(found, slot.place)
        return portion if slot.place != before else None

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
            await connection.execute(query("wait_for_locks"), {"time": "0"})  # of every transaction that is open now
            made = await (await connection.execute(query("slot_create"), {"slot": name})).fetchone()
            await connection.execute(query("wait_for_locks"), {"time": "10s"})
            return Slot(connection, name, publication, Place(number(made[0] if made else "0/0")))
        plugin, confirmed, standing = state
        if plugin != "pgoutput" or standing == "lost":
            raise self._disabled(
                f"the replication slot {name} cannot be read: its plugin is {plugin}, its log is {standing}",
                "a slot must be of pgoutput and this connector's own; the log of a lost one was removed by "
                "max_slot_wal_keep_size: drop it, and go on as with a slot that is gone.",
            )
        if place is not None and number(confirmed) > place.done:
            raise self._moved(place, number(confirmed))
        end = await (await connection.execute(query("log_end"))).fetchone()
        if place is not None and end is not None and number(end[0]) < place.done:
            raise self._disabled(
                f"the database was set back: its log ends at {end[0]}, and is published up to {written(place.done)}",
                "find out what was committed since it was set back and publish it by other means; then delete this "
                "connector, drop its slot, and create it under another name.",
            )
        return Slot(connection, name, publication, place or Place(number(confirmed)))

    async def _check_tables(self, connection: Connection) -> None:
        found = await connection.execute(query("published_tables"), {"publication": self._config.publication})
        tables = {name: (oid, set(columns), whole) for name, oid, columns, whole in await found.fetchall()}
        problems = []
        for number_of, events in enumerate(self._config.events):
            field = f"events.{number_of}"
            try:
                mapper = Mapper(events, (await self._context.registry.event_type(events.event_type)).codec)
            except BadMapping as error:
                problems += [f"{field}.{problem}" for problem in error.problems]
                continue
            if events.table not in tables:
                problems.append(f"{field}.table: {events.table} is not in the publication {self._config.publication}")
                continue
            oid, columns, whole = tables[events.table]
            mapping = TableMapping(events, mapper, oid)
            self._mappings.append(mapping)
            problems += [f"{field}: {events.table} has no column {name}" for name in mapping.unknown(columns)]
            if not whole and set(events.on) != {"insert"}:
                problems.append(f"{field}.on: ALTER TABLE {events.table} REPLICA IDENTITY FULL is needed for this")
        if problems:
            raise ConnectorFailed(
                connector=self._context.name,
                reason=f"its settings do not fit the database: {'; '.join(problems)}",
                remedy="mend the settings, or the publication: its owner can ALTER PUBLICATION ... ADD TABLE.",
            )

    async def _portion(self, found: Sequence[Found], place: Place) -> Portion:
        """The events that changes become; what cannot be one is listed as refused."""
        events, listed = [], 0
        for one in found:
            change, table = one.change, one.relation
            meant = [mapping for mapping in self._mappings if mapping.is_for(table, change.kind)]
            for at, mapping in enumerate(meant):
                name = f"{self._identity}-{one.place.commit:x}-{one.place.changes}{f'-{at}' if at else ''}"
                origin = f"{change.kind} of {table.name} at {written(one.place.commit)}"
                try:
                    event = await self._event(one, mapping, name, origin)
                except Unmappable as error:
                    reasons = [str(problem) for problem in error.problems]
                    await self._refuse(name, mapping.events.event_type, origin, reasons)
                    listed += 1
                else:
                    events += [] if event is None else [event]
        return Portion(events, place.progress(), listed)

    async def _event(self, found: Found, mapping: TableMapping, name: str, origin: str) -> Outgoing | None:
        """The event that a change becomes by one mapping, if it is meant.

        Raises:
            Unmappable: it cannot become one.
        """
        assert self._records is not None, "started first"
        mapping.check(found)
        mapped = mapping.mapper.event(self._records.record(found))
        if mapped is None:
            return None
        codec = (await self._context.registry.event_type(mapped.event_type)).codec
        return Outgoing(
            mapped.event_type,
            fitted(codec.type, mapped.data),
            mapped.id or name,
            mapped.subject,
            mapped.time or dt.datetime.fromtimestamp(found.seconds, dt.UTC),
            mapped.key,
            origin=origin,
        )

    async def _refuse(self, event_id: str, event_type: str, origin: str, reasons: Sequence[str]) -> None:
        assert self._connection is not None, "started first"
        statement = query("replication_refuse", refused=Identifier(self._config.refused_schema, "refused"))
        row = {"id": event_id, "event_type": event_type, "origin": origin, "reason": "; ".join(reasons)}
        with self._told():
            await self._connection.execute(statement, row)

    def _moved(self, place: Place, to: int) -> ConnectorDisabled:
        return self._disabled(
            f"somebody else has moved the replication slot {self._config.slot} "
            f"from {written(place.done)} to {written(to)}",
            "give this connector a slot of its own; publish what was committed between the two places by other "
            "means, then delete the connector and create it under another name.",
        )

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
