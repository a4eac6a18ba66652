"""A watched folder of whole messages: each file becomes its events once, then moves to ``done`` or ``refused``."""

import asyncio
import dataclasses
import hashlib
import json
import os
import stat
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from lintas_client import Problem
from pydantic import Field

from connectors.intake.message import Intake, MalformedMessage, as_json
from connectors.runtime.contract import Outgoing, Portion, Progress, Refusal, Source
from connectors.runtime.plugin import Config
from lintas.errors import ConnectorFailed

_MOST_FILES: Final = 200  # in one transaction
_MOST_BYTES: Final = 4 * 1024 * 1024
_IDLE_SECONDS: Final = 1.0
_DONE, _REFUSED = "done", "refused"
_LONGEST_NAME: Final = 200  # bytes; file systems take 255, and something is added
_OPEN: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK  # nor does it wait for the writer of a pipe


class FolderSettings(Config):
    """Where files come from."""

    folder: Path = Field(description="the watched folder; `done` and `refused` are made in it")
    settle_seconds: float = Field(
        2,
        ge=0,
        le=3600,
        description="a file is taken once it has not changed for so long; renaming into place is safer",
    )


@dataclasses.dataclass(frozen=True, slots=True)
class _File:
    """A file that has been read; its hash tells it from a later one of the same name."""

    path: Path
    sha256: str

    @property
    def mark(self) -> str:
        """What logs and events call it: its name may be a person's."""
        return f"file {self.sha256[:12]}"


class FolderSource(Source):
    """Takes files in the order of their names. What a file holds is published whole or not at all.

    Its progress is the hash of each file whose events are on the bus and that may not have moved yet: after a crash
    between transaction and move the file moves, and nothing is published again.
    """

    def __init__(self, settings: FolderSettings, intake: Intake) -> None:
        """``intake`` reads a file."""
        self._folder = settings.folder
        self._settle_seconds = settings.settle_seconds
        self._intake = intake
        self._written: dict[str, str] = {}  # files that the progress names
        self._taken: list[_File] = []  # those of the portion under way
        self._refused = 0  # files of the portion under way that could not be read

    async def start(self, progress: Progress) -> None:
        """Move what is on the bus already."""
        await self._intake.ready()
        self._written = {name: entry["sha256"] for name, entry in progress.items() if entry is not None}
        try:
            for name in (_DONE, _REFUSED):
                (self._folder / name).mkdir(exist_ok=True)
            for name, digest in self._written.items():
                if (path := self._folder / name).is_file() and _sha256(path) == digest:
                    _move(_File(path, digest), _DONE)
        except OSError as error:
            raise self._failed(error) from None

    async def poll(self) -> Portion | None:
        """The events of the next files."""
        try:
            waiting = await asyncio.to_thread(self._waiting)
            events = await self._take(waiting[:_MOST_FILES])
        except OSError as error:
            raise self._failed(error) from None
        forget = dict.fromkeys(self._written)
        self._written = {file.path.name: file.sha256 for file in self._taken}
        if forget or self._taken or self._refused:
            written = {name: {"sha256": digest} for name, digest in self._written.items()}
            return Portion(events, {**forget, **written}, set_aside=self._refused)
        if not waiting:
            await asyncio.sleep(_IDLE_SECONDS)
        return None

    async def _take(self, paths: Sequence[Path]) -> list[Outgoing]:
        """The events of files, as many as go into one transaction; the same event of a second file counts once."""
        self._taken, self._refused = [], 0
        events: dict[str, Outgoing] = {}
        size = 0
        for path in paths:
            read = await asyncio.to_thread(_read, path, self._intake.largest_bytes)
            if read is None:
                continue
            file, message = read
            made = await self._events(file, message)
            if made is None:
                self._refused += 1
                continue
            self._taken.append(file)
            for event in made:
                events.setdefault(event.id, event)
            size += len(message or b"")
            if size > _MOST_BYTES:
                break
        return [*events.values()]

    async def refused(self, refusals: Sequence[Refusal]) -> bool:  # noqa: ARG002  there are none
        """Never called: what the intake gives is ready."""
        return False

    async def written(self, portion: Portion) -> None:  # noqa: ARG002  the portion under way is the one it handed out
        """Move the files of the portion."""
        try:
            for file in self._taken:
                await asyncio.to_thread(_move, file, _DONE)
        except OSError as error:
            raise self._failed(error) from None

    async def stop(self) -> None:
        """Nothing is open."""

    def _waiting(self) -> list[Path]:
        """The files that may be taken: settled, of the suffixes, no links."""
        before = time.time() - self._settle_seconds
        found = [
            path
            for path in self._folder.iterdir()
            if path.suffix.lower() in self._intake.suffixes and not path.name.startswith(".")
        ]
        return sorted(path for path in found if _has_settled(path, before))

    async def _events(self, file: _File, message: bytes | None) -> Sequence[Outgoing] | None:
        """Its events, maybe none; None if it has been refused."""
        if message is None:
            self._refuse(file, [Problem("", "size", f"is larger than {self._intake.largest_bytes} bytes")])
            return None
        if not _is_text(file.path.name):
            self._refuse(file, [Problem("", "name", "has a name that is not UTF-8")])
            return None
        try:
            return await self._intake.events(message, file.mark)
        except MalformedMessage as error:
            self._refuse(file, error.problems)
            return None

    def _refuse(self, file: _File, problems: Sequence[Problem]) -> None:
        report = {"file": file.path.name, "sha256": file.sha256, "problems": as_json(problems)}
        target = _target(file, _REFUSED)
        listed = target.with_name(f"{target.name}.problems.json")
        listed.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
        _move(file, _REFUSED)
        told = "%s was refused: %d problem(s), listed beside it in %s, where `sha256sum *` shows which it is"
        self._intake.context.log.warning(told, file.mark, len(problems), target.parent)

    def _failed(self, error: OSError) -> ConnectorFailed:
        return ConnectorFailed(
            connector=self._intake.context.name,
            reason=f"it cannot work in {self._folder}: {error.strerror or type(error).__name__}",
            remedy="the folder must exist, and whoever runs the connector must be able to write in it.",
        )


def _has_settled(path: Path, before: float) -> bool:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISREG(found.st_mode) and found.st_ctime <= before  # the mtime is whatever somebody set


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:  # it stands for bytes that are not UTF-8
        return False
    return True


def _target(file: _File, to: str) -> Path:
    """Where a file goes: under its own name if that is free, a text, and short enough for what is written beside it."""
    name = file.path.name
    if not _is_text(name) or len(os.fsencode(name)) > _LONGEST_NAME:
        return file.path.parent / to / f"{file.sha256}{file.path.suffix}"
    target = file.path.parent / to / name
    return target.with_name(f"{file.path.stem}.{file.sha256[:12]}{file.path.suffix}") if target.exists() else target


def _move(file: _File, to: str) -> None:
    """Into a folder beside it.

    A file that is gone has been moved before. One that was replaced since it was read comes back and is read anew.
    """
    target = _target(file, to)
    try:
        file.path.replace(target)
    except FileNotFoundError:
        return
    if _sha256(target) != file.sha256:
        again = file.path if not file.path.exists() else file.path.with_name(f"again.{file.path.name}")
        target.replace(again)


def _read(path: Path, largest: int) -> tuple[_File, bytes | None] | None:
    """A file and what is in it, or None if that is more than a message may have; None if the file is gone.

    No link: whoever may write to the folder may not have us read elsewhere.
    """
    try:
        file = os.fdopen(os.open(path, _OPEN), "rb")
    except FileNotFoundError:
        return None
    with file:
        if os.fstat(file.fileno()).st_size > largest:
            return _File(path, hashlib.file_digest(file, "sha256").hexdigest()), None
        message = file.read()
    return _File(path, hashlib.sha256(message).hexdigest()), message


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
