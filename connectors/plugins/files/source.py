"""The file connector: rows of files to events, from where the last transaction ended."""

import asyncio
import dataclasses
import functools
import os
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, BinaryIO, Final, TypeVar

from connectors.mapping import Mapper
from connectors.plugins.files.folder import Folder, Seen, digests
from connectors.plugins.files.making import Making, fitting_mapper
from connectors.plugins.files.progress import Reading, forgotten, grown_from, kept_name, readings
from connectors.plugins.files.reading import rows_of
from connectors.plugins.files.rejected import SUFFIX, Rejected
from connectors.plugins.files.rows import Row, UnreadableFile
from connectors.plugins.files.settings import Files, Format
from connectors.plugins.files.stream import StreamSource
from connectors.plugins.files.threads import Threads
from connectors.runtime.context import Context
from connectors.runtime.contract import Portion, Progress, Refusal, Source
from connectors.runtime.plugin import Guarantee, Plugin
from lintas.errors import ConnectorFailed

_IDLE_SECONDS: Final = 1.0
_PORTION_BYTES: Final = 4 * 1024 * 1024
_GROWS: Final = (Format.CSV, Format.JSON_LINES)  # what more is written to makes sense of
_Done = TypeVar("_Done")


@dataclasses.dataclass(slots=True)
class _Open:
    """The file that is being read."""

    seen: Seen
    file: BinaryIO
    rows: Iterator[Row]
    rejected: Rejected
    reading: Reading
    replaces: str | None  # the key of the reading that it goes on with
    making: Making | None = None
    count: int = 0  # of rejected rows, for the log


class FolderSource:
    """Reads one file of a folder after the other; a file is what its content is."""

    def __init__(self, settings: Files, context: Context) -> None:
        assert settings.folder is not None, "else it is a stream"
        self._settings = settings
        self._context = context
        self._folder = Folder(settings.folder, settings)
        self._known: dict[str, Reading] = {}
        self._mapper: Mapper
        self._now: _Open | None = None
        self._threads = Threads()

    async def start(self, progress: Progress) -> None:
        """Check the mapping against the event type, and remember what was read."""
        self._mapper = await fitting_mapper(self._settings, self._context.registry, self._context.name)
        self._known = readings(progress)
        await self._in_thread(self._folder.waiting)

    async def poll(self) -> Portion | None:
        """The events of the next rows, None if no file waits."""
        if self._now is None:
            await self._in_thread(self._open_next)
        now = self._now
        if now is None:
            await asyncio.sleep(_IDLE_SECONDS)
            return None
        portion = await self._in_thread(functools.partial(self._next, now))
        if portion is None:
            self._context.log.warning("%s changed while it was read; it is looked at anew", now.reading.mark)
            self._close()
        return portion

    async def refused(self, refusals: Sequence[Refusal]) -> bool:
        """List the rows beside the file."""
        now = self._now
        assert now is not None, "a portion has been made"
        assert now.making is not None, "a portion has been made"
        entries = now.making.refused(refusals)
        await self._in_thread(lambda: self._reject(now, entries))
        return True

    async def written(self, portion: Portion) -> None:  # noqa: ARG002  the last one that poll gave
        """Move the file if it has been read to its end."""
        now = self._now
        if now is not None and now.reading.finished_ms is not None:
            self._close()
            await self._in_thread(lambda: self._put_away(now.seen))
            rows = now.reading.position.records
            self._context.log.info("%s has been read: %d rows, %d rejected", now.reading.mark, rows, now.count)

    async def stop(self) -> None:
        """Close the file once nothing reads in it."""
        await self._threads.finish()
        self._close()

    def _open_next(self) -> None:
        """Open the next file, if one waits; put away those that were read before."""
        for seen in self._folder.waiting():
            file = self._folder.open(seen)
            if file is None:
                continue
            try:
                self._now = self._opened(seen, file)
            finally:
                if self._now is None:
                    file.close()
            if self._now is not None:
                return

    def _opened(self, seen: Seen, file: BinaryIO) -> _Open | None:
        grows = self._settings.format_of(seen.name) in _GROWS
        name = kept_name(seen.name)
        before = grown_from(self._known.values(), name, seen.inode, seen.size) if grows else []
        digest, heads = digests(file, {one.size for one in before})
        if not self._folder.is_untouched(seen):
            return None
        reading = self._known.get(digest)
        if reading is not None and reading.finished_ms is not None:
            self._context.log.info("%s has been read before; it is put away", reading.mark)
            self._put_away(seen)
            return None
        replaces = None
        if reading is None and (old := next((one for one in before if heads[one.size] == one.digest), None)):
            reading, replaces = dataclasses.replace(old, finished_ms=None), old.key
        reading = reading or Reading(digest, name, seen.inode, seen.size, numbered=digest[:32])
        reading = dataclasses.replace(reading, digest=digest, name=name, inode=seen.inode, size=seen.size)
        file.seek(0)
        try:
            rows = rows_of(file, seen.name, self._settings, self._mapper.columns, reading.position)
        except UnreadableFile as error:
            raise self._unreadable(reading, error) from None
        rejected = Rejected(self._folder.path / f"{seen.name}{SUFFIX}", with_rows=self._settings.rejected_rows)
        rejected.cut_back(reading.position.records)
        return _Open(seen, file, rows, rejected, reading, replaces)

    def _next(self, now: _Open) -> Portion | None:
        """The next portion; None if the file has changed meanwhile."""
        try:
            rows, is_end = self._rows(now)
        except UnreadableFile as error:
            raise self._unreadable(now.reading, error) from None
        return self._portion(now, rows, is_end=is_end) if self._is_as_it_was(now) else None

    def _rows(self, now: _Open) -> tuple[list[Row], bool]:
        """The rows of the next portion, and whether they are the last ones."""
        rows: list[Row] = []
        end = now.reading.position.offset + _PORTION_BYTES
        for row in now.rows:
            rows.append(row)
            if len(rows) == self._settings.batch or row.after.offset > end:
                return rows, False
        return rows, True

    def _portion(self, now: _Open, rows: list[Row], *, is_end: bool) -> Portion:
        now.making = Making(self._mapper, now.reading.mark, now.reading.numbered, rows)
        self._reject(now, now.making.rejected)
        now.reading = dataclasses.replace(
            now.reading,
            position=rows[-1].after if rows else now.reading.position,
            finished_ms=time.time_ns() // 1_000_000 if is_end else None,
        )
        progress: dict[str, Any] = {}
        if now.replaces is not None:
            progress[now.replaces] = None
            self._known = {digest: one for digest, one in self._known.items() if one.key != now.replaces}
            now.replaces = None
        self._known[now.reading.digest] = now.reading
        for digest in [*forgotten(self._known, self._settings.remember)]:
            progress[self._known.pop(digest).key] = None
        progress[now.reading.key] = now.reading.as_json()
        return Portion(now.making.events, progress, set_aside=len(now.making.rejected))

    def _reject(self, now: _Open, entries: Sequence[Any]) -> None:
        now.rejected.add(entries)
        now.count += len(entries)

    @staticmethod
    def _is_as_it_was(now: _Open) -> bool:
        return Seen.of(now.seen.name, os.fstat(now.file.fileno())) == now.seen

    def _put_away(self, seen: Seen) -> None:
        if self._folder.is_untouched(seen):
            self._folder.put_away(seen.name)

    def _close(self) -> None:
        if self._now is not None:
            self._now.file.close()
        self._now = None

    def _unreadable(self, reading: Reading, error: UnreadableFile) -> ConnectorFailed:
        return ConnectorFailed(
            connector=self._context.name,
            reason=f"the {reading.mark} cannot be read: {error}",
            remedy="mend or remove it (`sha256sum *` shows which it is) or mend the settings; the files after it wait.",
        )

    async def _in_thread(self, work: Callable[[], _Done]) -> _Done:
        """Do what waits for a disk.

        Raises:
            ConnectorFailed: folder or file cannot be used.
        """
        try:
            return await self._threads.run(work)
        except OSError as error:
            raise ConnectorFailed(
                connector=self._context.name,
                reason=f"it cannot work in {self._folder.path}: {error.strerror or type(error).__name__}",
                remedy="the folder must exist, this process must be allowed to read and rename its files and to write "
                "beside them, and `done` must be on the same disk.",
            ) from None


def _build(settings: Files, context: Context) -> Source:
    return FolderSource(settings, context) if settings.stream is None else StreamSource(settings, context)


PLUGIN = Plugin(
    name="files",
    kind="source",
    summary="A folder of CSV, JSON Lines, Parquet or Excel files, row by row to events of one type",
    config=Files,
    build=_build,
    guarantee=Guarantee.EXACTLY_ONCE,
    guarantee_because=(
        "a file is known by its content, and how far it has been read is written in one transaction with the events of "
        "its rows; a named pipe cannot be read again: there, what was read and not yet written when the connector was "
        "stopped or died must be written again by its writer, and is dropped by its id if it came twice (at least once)"
    ),
    example="""\
folder: /srv/bmkg/catalogue
pattern: "*.csv"
csv: {delimiter: ";"}
mapping:
  event_type: id.go.bmkg.earthquake.measured.v1
  id: {digest: [tgl, ot, lat, lon, depth, mag, remark]}
  time: {column: [tgl, ot], format: "%d/%m/%Y %H:%M:%S.%f", zone: Z}
  data:
    event_id: {digest: [tgl, ot, lat, lon, depth, mag, remark]}
    origin_time: {column: [tgl, ot], format: "%d/%m/%Y %H:%M:%S.%f", zone: Z}
    latitude: lat
    longitude: lon
    depth_km: depth
    magnitude: mag
    magnitude_tenths: {cel: "int(double(record.mag) * 10.0 + 0.5)"}
    region: remark
""",
)
