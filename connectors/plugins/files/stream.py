"""A named pipe: rows as they are written into it; what has been read is gone from there."""

import asyncio
import contextlib
import io
import os
import queue
import select
import stat
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeVar, cast

from connectors.mapping import Mapper
from connectors.plugins.files.csv_rows import CsvRows
from connectors.plugins.files.json_rows import json_rows
from connectors.plugins.files.lines import FileLines
from connectors.plugins.files.making import Making, fitting_mapper
from connectors.plugins.files.rejected import SUFFIX, Rejected
from connectors.plugins.files.rows import Row, UnreadableFile
from connectors.plugins.files.settings import Files, Format
from connectors.plugins.files.threads import Threads
from connectors.runtime.context import Context
from connectors.runtime.contract import Portion, Progress, Refusal
from lintas.errors import ConnectorFailed

_WAIT_SECONDS: Final = 0.2  # so often a thread that waits looks whether it is to stop
_IDLE_SECONDS: Final = 1.0
_Done = TypeVar("_Done")


class Pipe(io.RawIOBase):
    """The bytes of a named pipe, from its first writer's to the last writer's end; ends early when it is to stop."""

    def __init__(self, path: Path, stop: threading.Event) -> None:
        super().__init__()
        self._descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        self._stop = stop
        self._begun = False

    def readable(self) -> bool:
        """Files ask so."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Wait for bytes; 0 at the end."""
        while not self._stop.is_set():
            ready, _, _ = select.select([self._descriptor], [], [], _WAIT_SECONDS)
            if not ready:
                continue
            try:
                read = os.readv(self._descriptor, [buffer])
            except BlockingIOError:
                continue
            if read or self._begun:
                self._begun = True
                return read
            self._stop.wait(_WAIT_SECONDS)  # no writer has come yet
        return 0

    def close(self) -> None:
        """Close the pipe."""
        if not self.closed:
            os.close(self._descriptor)
        super().close()


class PipeLines(FileLines):
    """Lines of what cannot be sought in: those taken back are kept."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)
        self._kept: list[bytes] = []

    def next(self) -> bytes | None:
        """The next line with its end, cut behind LONGEST bytes; None at the end."""
        if not self._kept:
            return super().next()
        self.number += 1
        return self._kept.pop(0)

    def back(self, lines: list[bytes]) -> None:
        """Take lines back that were handed out last, to hand them out again."""
        self.number -= len(lines)
        self._kept = lines + self._kept


class StreamSource:
    """Reads a named pipe; it keeps no position, for there is none."""

    def __init__(self, settings: Files, context: Context) -> None:
        assert settings.stream is not None, "else it is a folder"
        self._path = settings.stream
        self._settings = settings
        self._context = context
        self._rejected = Rejected(self._path.with_name(f"{self._path.name}{SUFFIX}"), with_rows=settings.rejected_rows)
        self._mapper: Mapper
        self._making: Making | None = None
        self._stop = threading.Event()
        self._queue: queue.Queue[Row | Exception] = queue.Queue(settings.batch)
        self._broken: Exception | None = None  # what ended the reading, to be told behind the rows before it
        self._thread: threading.Thread | None = None
        self._threads = Threads()

    async def start(self, progress: Progress) -> None:  # noqa: ARG002  there is none
        """Check the mapping against the event type and begin to read."""
        self._mapper = await fitting_mapper(self._settings, self._context.registry, self._context.name)
        if not self._path.exists() or not stat.S_ISFIFO(self._path.stat().st_mode):
            raise self._failed(f"{self._path} is no named pipe", "`mkfifo` makes one; folders are given with `folder`.")
        self._thread = threading.Thread(target=self._read, name=f"connector {self._context.name}", daemon=True)
        self._thread.start()

    async def poll(self) -> Portion | None:
        """The events of the rows that have come."""
        return await self._in_thread(self._next)

    async def refused(self, refusals: Sequence[Refusal]) -> bool:
        """List the rows beside the pipe."""
        assert self._making is not None, "a portion has been made"
        entries = self._making.refused(refusals)
        await self._in_thread(lambda: self._rejected.add(entries))
        return True

    async def written(self, portion: Portion) -> None:  # noqa: ARG002  the last one that poll gave
        """Forget its rows."""
        self._making = None

    async def stop(self) -> None:
        """End the thread that reads, and tell what it read for nothing."""
        self._stop.set()
        await self._threads.finish()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)
        lost = self._queue.qsize() + (len(self._making.events) if self._making is not None else 0)
        if lost:
            self._context.log.warning("%d rows were read from the pipe and not published: write them again", lost)

    def _next(self) -> Portion | None:
        rows = self._rows()
        if not rows:
            return None
        self._making = Making(self._mapper, "pipe", "", rows)
        self._rejected.add(self._making.rejected)
        return Portion(self._making.events, set_aside=len(self._making.rejected))

    def _rows(self) -> list[Row]:
        if self._broken is not None:
            own = isinstance(self._broken, OSError | UnreadableFile)  # the words of others may be values
            why = self._broken if own else type(self._broken).__name__
            raise self._failed(f"what comes out of {self._path} cannot be read: {why}", "mend what writes to it.")
        rows: list[Row] = []
        with contextlib.suppress(queue.Empty):
            while len(rows) < self._settings.batch:
                row = self._queue.get(timeout=0 if rows else _IDLE_SECONDS)
                if isinstance(row, Exception):
                    self._broken = row
                    break
                rows.append(row)
        return rows

    def _read(self) -> None:
        """Read whatever writers give, one opening after the other."""
        try:
            with Pipe(self._path, self._stop):  # held open: else what a writer leaves between two openings is lost
                while not self._stop.is_set():
                    with io.BufferedReader(Pipe(self._path, self._stop)) as file:
                        for row in self._parsed(cast("BinaryIO", file)):
                            self._give(row)
        except Exception as error:  # noqa: BLE001  a thread that ends in silence would leave the connector waiting for ever
            self._give(error)

    def _parsed(self, file: BinaryIO) -> Iterator[Row]:
        lines = PipeLines(file)
        if self._settings.format is Format.JSON_LINES:
            return json_rows(lines)
        rows = CsvRows(lines, self._settings.csv, self._settings.skip, self._mapper.columns).rows()
        # A writer that comes while another is there still gives its own header.
        return (row for row in rows if row.record is None or any(name != cell for name, cell in row.record.items()))

    def _give(self, row: Row | Exception) -> None:
        while not self._stop.is_set():
            try:
                self._queue.put(row, timeout=_WAIT_SECONDS)
            except queue.Full:
                continue
            return

    async def _in_thread(self, work: Callable[[], _Done]) -> _Done:
        try:
            return await self._threads.run(work)
        except OSError as error:
            remedy = "this process must be allowed to write the list of rejected rows beside the pipe."
            raise self._failed(f"{error.filename or self._path}: {error.strerror or error}", remedy) from None

    def _failed(self, reason: str, remedy: str) -> ConnectorFailed:
        return ConnectorFailed(connector=self._context.name, reason=reason, remedy=remedy)
