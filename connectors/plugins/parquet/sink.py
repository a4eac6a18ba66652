"""The Parquet sink: what an inbox holds as files for analysts, each event once."""

import datetime as dt
import functools
import json
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import pyarrow as pa
import pyarrow.parquet as pq
from aiokafka import TopicPartition
from lintas_client import Delivery
from lintas_client.wire import envelope
from lintas_client.wire.codec import Codec
from pydantic import Field, PositiveInt, field_validator

from connectors.plugins.files.threads import Threads
from connectors.plugins.parquet.arrow_types import Columns
from connectors.plugins.parquet.commit import Commits, NotOurs
from connectors.plugins.parquet.common import COMMON_METADATA, common_schema, together
from connectors.runtime.context import Context
from connectors.runtime.contract import Inbox, Progress
from connectors.runtime.plugin import Config, Guarantee, Plugin
from lintas import names
from lintas.errors import ConnectorDisabled, ConnectorFailed

_MIB: Final = 1024 * 1024
_COLUMN_BYTES: Final = 1024  # about what a column of a table takes beside its values: most tables have few rows
_FIRST_SECONDS: Final = 1.0
_Place = tuple[str, str, Columns]  # event type, day, released schema


class Parquet(Config):
    """Where the files lie and when one is complete."""

    folder: Path = Field(description="made if it is not there; one inbox and one connector have it for themselves")
    max_mib: PositiveInt = Field(64, description="mebibytes that are gathered in memory before files are written")
    max_seconds: PositiveInt = Field(
        300,
        description="how long an event may wait before it is in a file; after a start at first 1 second, then 2, 4 ...",
    )
    compression: Literal["zstd", "snappy", "gzip", "none"] = Field("zstd", description="of the files")

    @field_validator("folder")
    @classmethod
    def _is_absolute(cls, folder: Path) -> Path:
        if not folder.is_absolute():
            raise ValueError("must be an absolute path: it is looked for where the connector runs")
        return folder


class ParquetSink:
    """Gathers deliveries and writes them as files, one for each event type, day and released schema."""

    def __init__(self, settings: Parquet, context: Context) -> None:
        self._settings = settings
        self._context = context
        self._inbox = names.inbox_topic(context.system)
        self._commits = Commits(settings.folder, self._inbox)
        self._columns: dict[int, tuple[Codec, Columns]] = {}  # by the identity of the codec, which is kept with them
        self._tables: dict[_Place, list[Any]] = defaultdict(list)
        self._positions: dict[int, int] = {}
        self._bytes = 0
        self._since: float | None = None
        self._patience = _FIRST_SECONDS  # doubled each time: whenever it is killed, half of a life's work is in files
        self._threads = Threads()

    async def start(self, progress: Progress, inbox: Inbox) -> Mapping[TopicPartition, int]:  # noqa: ARG002  files say
        """Finish what a crash left, and go on behind what is in files."""
        try:
            await self._threads.run(self._commits.begin)
        except NotOurs as error:
            raise ConnectorDisabled(
                connector=self._context.name,
                reason=f"the folder {self._settings.folder} cannot be used: {error}",
                remedy="give it another folder; or restore this one from a copy, whole.",
            ) from None
        except BlockingIOError:
            raise ConnectorFailed(
                connector=self._context.name,
                reason=f"another process writes to {self._settings.folder}",
                remedy="two connectors need two folders; a process that hangs must be ended.",
            ) from None
        except OSError as error:
            raise self._failed(error) from None
        return {TopicPartition(self._inbox, number): at for number, at in self._commits.last.positions.items()}

    async def deliver(self, deliveries: Sequence[Delivery], positions: Mapping[TopicPartition, int]) -> Progress:
        """Gather deliveries; write files if they are many."""
        rows: dict[_Place, list[dict[str, Any]]] = defaultdict(list)
        for one in deliveries:
            moment = envelope.moment(one.event["time"]) if "time" in one.event else None
            day = (moment or one.timestamp).astimezone(dt.UTC).date().isoformat()
            columns = self._columns_of(one)
            rows[one.event["type"], day, columns].append(columns.row(one, moment))
        tables = {place: pa.Table.from_pylist(found, schema=place[2].schema) for place, found in rows.items()}
        for place, table in tables.items():
            self._tables[place].append(table)
            self._bytes += table.nbytes + _COLUMN_BYTES * table.num_columns
        self._positions |= {place.partition: offset for place, offset in positions.items()}
        self._since = self._since or time.monotonic()
        if self._bytes >= self._settings.max_mib * _MIB:
            await self._write()
        return await self.idle()

    async def idle(self) -> Progress:
        """Write files if something has waited for long."""
        patience = min(self._patience, self._settings.max_seconds)
        if self._since is not None and time.monotonic() - self._since >= patience:
            await self._write()
            self._patience *= 2
        return {}

    async def stop(self) -> None:
        """Write what has been gathered; what cannot be written is delivered again."""
        await self._threads.finish()
        try:
            if self._since is not None:
                await self._write()
        except ConnectorFailed as error:
            self._context.log.warning("%s", error)
        finally:
            self._commits.end()

    def _columns_of(self, delivery: Delivery) -> Columns:
        codec = delivery.codec
        if codec is None:
            raise ConnectorFailed(
                connector=self._context.name,
                reason=f"the event at {delivery.topic} [{delivery.partition}] offset {delivery.offset} has no payload",
                remedy="show this to the operator of the bus: every event type has one.",
            )
        if id(codec) not in self._columns:
            self._columns[id(codec)] = (codec, Columns(codec))
        return self._columns[id(codec)][1]

    async def _write(self) -> None:
        """Commit what has been gathered.

        Raises:
            ConnectorFailed: a disk is full or gone. What was gathered is let go: it is delivered again, or it is
                committed already, and only the next start can tell.
        """
        tables, self._tables = self._tables, defaultdict(list)
        positions, self._positions = self._positions, {}
        self._since, self._bytes = None, 0
        try:
            await self._threads.run(lambda: self._commits.make(positions, self._files(tables, positions)))
        except OSError as error:
            raise self._failed(error) from None

    def _files(
        self, tables: Mapping[_Place, Sequence[Any]], positions: Mapping[int, int]
    ) -> dict[str, Callable[[Path], None]]:
        """What writes each file, by its path below the folder."""
        number = self._commits.last.number + 1
        files: dict[str, Callable[[Path], None]] = {}
        schemas: dict[str, list[Any]] = defaultdict(list)
        told = {"lintas.inbox": self._inbox, "lintas.positions": json.dumps(positions)}
        for index, ((event_type, day, columns), parts) in enumerate(tables.items()):
            folder = f"event_type={event_type}"
            table = pa.concat_tables(parts).replace_schema_metadata(told)
            path = f"{folder}/day={day}/part-{number:08}-{index:04}.parquet"
            files[path] = functools.partial(pq.write_table, table, compression=self._settings.compression)
            schemas[folder].append(columns.schema)
        for folder, new in schemas.items():
            known = common_schema(self._settings.folder / folder / COMMON_METADATA)
            common = together([*([known] if known else []), *new])
            if known is None or not known.equals(common):
                files[f"{folder}/{COMMON_METADATA}"] = functools.partial(pq.write_metadata, common)
        return files

    def _failed(self, error: OSError) -> ConnectorFailed:
        return ConnectorFailed(
            connector=self._context.name,
            reason=f"{error.filename or self._settings.folder}: {error.strerror or error}",
            remedy="the folder must be on a disk with room, and this process must be allowed to write there.",
        )


PLUGIN = Plugin(
    name="parquet",
    kind="sink",
    summary="An inbox as Parquet files, a folder for each event type and day",
    config=Parquet,
    build=ParquetSink,
    guarantee=Guarantee.EXACTLY_ONCE,
    guarantee_because=(
        "files become visible together with the inbox positions behind them, which are kept in the folder: after a "
        "crash the sink goes on from there, and what was not committed is removed"
    ),
    example="""\
folder: /srv/lake/earthquakes
max_seconds: 60
""",
    begins_anew="name an empty folder in its settings, and resume it.",
)
