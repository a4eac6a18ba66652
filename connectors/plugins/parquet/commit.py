"""Files and positions that become real together, whatever dies and whenever.

New files are written below ``_lintas/pending``. Then ``_lintas/commit.json`` is replaced, which says the inbox
positions behind them and where each belongs: that is the moment. Then they are moved there; a start moves what a crash
left.
"""

import dataclasses
import fcntl
import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final

_OWN: Final = "_lintas"  # readers of data sets pass over names with an underscore


@dataclasses.dataclass(frozen=True, slots=True)
class Commit:
    """What has been written so far.

    Attributes:
        inbox: whose events the folder holds.
        number: of commits, from 1; 0 before the first.
        positions: the next offset of each partition of the inbox.
        files: of the last commit, by their names while they were pending.
    """

    inbox: str
    number: int = 0
    positions: Mapping[int, int] = dataclasses.field(default_factory=dict)
    files: Mapping[str, str] = dataclasses.field(default_factory=dict)


class NotOurs(ValueError):
    """The folder cannot be written to; the text says why."""


class Commits:
    """The commits of one folder, which one process at a time may make: it holds a lock there."""

    def __init__(self, folder: Path, inbox: str) -> None:
        self._folder = folder
        self._inbox = inbox
        self._own = folder / _OWN
        self._pending = self._own / "pending"
        self.last = Commit(inbox)
        self._lock: BinaryIO | None = None

    def begin(self) -> None:
        """Find the last commit, finish it, and remove what was never committed.

        Raises:
            NotOurs: the folder holds another inbox, or files without positions.
            BlockingIOError: another process writes there.
            OSError: the folder cannot be read or written.
        """
        self._own.mkdir(parents=True, exist_ok=True)
        self._lock = (self._own / "lock").open("wb")
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the kernel lets go of it when the process dies
        self.last = self._read()
        self._finish()
        shutil.rmtree(self._pending, ignore_errors=True)
        self._pending.mkdir()

    def end(self) -> None:
        """Let others write there; once again is fine."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def make(self, positions: Mapping[int, int], files: Mapping[str, Callable[[Path], None]]) -> None:
        """Commit files, each by the path below the folder that it is to have and what writes it.

        Raises:
            OSError: a disk is full or gone; nothing has been committed, or all is with the next `begin`.
        """
        pending, number = {}, self.last.number + 1
        for index, (path, write) in enumerate(files.items()):
            # Its own: what a dead attempt left is not taken for the last commit's. No reader's `**/*.parquet` finds it.
            name = f"{number}-{index}.pending"
            write(self._pending / name)
            _to_disk(self._pending / name)
            pending[name] = path
        _to_disk(self._pending)
        made = Commit(self._inbox, number, {**self.last.positions, **positions}, pending)
        new = self._own / "commit.new"
        new.write_text(json.dumps(dataclasses.asdict(made), indent=1))
        _to_disk(new)
        new.replace(self._own / "commit.json")
        _to_disk(self._own)
        self.last = made
        self._finish()

    def _read(self) -> Commit:
        try:
            kept: dict[str, Any] = json.loads((self._own / "commit.json").read_text())
        except FileNotFoundError:
            if any(self._folder.glob("event_type=*/*/*.parquet")):
                raise NotOurs(
                    f"it holds Parquet files, but {_OWN}/commit.json, which says up to where, is gone"
                ) from None
            return Commit(self._inbox)
        except ValueError:
            raise NotOurs(f"{_OWN}/commit.json is not what was written there") from None
        found = Commit(**{**kept, "positions": {int(one): offset for one, offset in kept["positions"].items()}})
        if found.inbox != self._inbox:
            raise NotOurs(f"it holds the inbox {found.inbox}")
        return found

    def _finish(self) -> None:
        changed: set[Path] = set()
        for name, path in self.last.files.items():
            target = self._folder / path
            if (self._pending / name).exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                (self._pending / name).replace(target)
                changed |= {target.parent, target.parent.parent}
        for folder in changed:  # the next commit forgets where these files were: after it, a lost move is a lost file
            _to_disk(folder)


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
