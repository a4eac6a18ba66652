"""The watched folder: which file is next, what it is known by, and where it goes when it has been read."""

import contextlib
import dataclasses
import fnmatch
import hashlib
import os
import stat
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import BinaryIO, Final

from connectors.plugins.files.rejected import SUFFIX
from connectors.plugins.files.settings import Files, Order

UNFINISHED: Final = (".tmp", ".part", ".partial", ".filepart", ".crdownload", "~")  # as programs name what they write
_BLOCK: Final = 1024 * 1024
_OPEN: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK  # nor does it wait for the writer of a pipe


@dataclasses.dataclass(frozen=True, slots=True)
class Seen:
    """A file as it lies in the folder; equal as long as nobody has touched it."""

    name: str = dataclasses.field(repr=False)
    device: int
    inode: int
    size: int
    modified_ns: int

    @classmethod
    def of(cls, name: str, found: os.stat_result) -> "Seen":
        """A file of this name and status."""
        return cls(name, found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


class Folder:
    """Looks into the folder; everything here may be done twice."""

    def __init__(self, path: Path, settings: Files) -> None:
        self.path = path
        self._settings = settings

    def waiting(self) -> list[Seen]:
        """The files that may be read: settled, of the pattern, no links, first one first.

        Raises:
            OSError: the folder cannot be looked into.
        """
        by_name = sorted(self._files(), key=lambda seen: seen.name)
        return sorted(by_name, key=lambda seen: seen.modified_ns) if self._settings.order is Order.MODIFIED else by_name

    def open(self, seen: Seen) -> BinaryIO | None:
        """The file, if it is there and no link: whoever may write here may not read elsewhere with our rights.

        Raises:
            OSError: it may not be read.
        """
        try:
            return os.fdopen(os.open(self.path / seen.name, _OPEN), "rb")
        except FileNotFoundError:
            return None
        except OSError as error:
            which = f"the file that `find {self.path} -inum {seen.inode}` shows"
            raise OSError(error.errno, f"{error.strerror}: {which}") from None

    def is_untouched(self, seen: Seen) -> bool:
        """Whether the file still lies there as it was."""
        try:
            return Seen.of(seen.name, (self.path / seen.name).lstat()) == seen
        except FileNotFoundError:
            return False

    def put_away(self, name: str) -> str:
        """Move a file that was read, and the list of its rejected rows before it; return its name there.

        If a file of its name is there already, it gets a number.
        """
        done = self.path / self._settings.done
        done.mkdir(exist_ok=True)
        source, target, number = self.path / name, done / name, 1
        while target.exists():
            number += 1
            target = done / f"{source.stem}-{number}{source.suffix}"
        with contextlib.suppress(FileNotFoundError):
            (self.path / f"{name}{SUFFIX}").rename(done / f"{target.name}{SUFFIX}")
        source.rename(target)
        return target.name

    def _files(self) -> Iterator[Seen]:
        settings, now = self._settings, time.time()
        for entry in os.scandir(self.path):
            name = entry.name
            if name.startswith(".") or name.endswith((SUFFIX, *UNFINISHED)):
                continue
            if not fnmatch.fnmatchcase(name, settings.pattern) or settings.format_of(name) is None:
                continue
            try:
                found = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            # What changes a file changes its ctime; the mtime is whatever somebody set, maybe next year.
            if stat.S_ISREG(found.st_mode) and now - found.st_ctime >= settings.settle_seconds:
                yield Seen.of(name, found)


def digests(file: BinaryIO, sizes: Collection[int]) -> tuple[str, dict[int, str]]:
    """The SHA-256 of a file and of its first ``sizes`` bytes each, in one reading; from where it stands."""
    hashed, behind, found = hashlib.sha256(), 0, dict[int, str]()
    ends = sorted(sizes)
    while True:
        end = next((end for end in ends if end > behind), None)
        block = file.read(_BLOCK if end is None else min(_BLOCK, end - behind))
        if not block:
            return hashed.hexdigest(), found
        hashed.update(block)
        behind += len(block)
        if behind in ends:
            found[behind] = hashed.hexdigest()
