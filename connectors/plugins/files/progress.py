"""What is remembered of files: how far each has been read, by the digest of its content."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from connectors.plugins.files.rows import Position

_PREFIX: Final = "file/"
_MARK_DIGITS: Final = 12


@dataclasses.dataclass(frozen=True, slots=True)
class Reading:
    """How far one content has been read.

    Attributes:
        digest: SHA-256 of the content, hexadecimal.
        name: of the file when it was last read.
        inode, size: of the file.
        numbered: what the ids of its rows begin with where the mapping gives none: the digest that it had first.
        position: behind the last row whose event is on the bus.
        finished_ms: when its last row was behind; None while it is not.
    """

    digest: str
    name: str
    inode: int
    size: int
    numbered: str
    position: Position = dataclasses.field(default_factory=Position)
    finished_ms: int | None = None

    @property
    def key(self) -> str:
        """Its name in the progress."""
        return f"{_PREFIX}{self.digest}"

    @property
    def mark(self) -> str:
        """What logs and errors call the file: its name may be a person's."""
        return f"file {self.digest[:_MARK_DIGITS]}"

    def as_json(self) -> dict[str, Any]:
        """As it is kept."""
        return {name: value for name, value in dataclasses.asdict(self).items() if name != "digest"}


def readings(progress: Mapping[str, Any]) -> dict[str, Reading]:
    """What is remembered, by digest."""
    found = {}
    for key, kept in progress.items():
        if key.startswith(_PREFIX) and kept is not None:
            digest = key.removeprefix(_PREFIX)
            found[digest] = Reading(**{**kept, "digest": digest, "position": Position(**kept["position"])})
    return found


def kept_name(name: str) -> str:
    """A file's name as it is kept: bytes of it that are not UTF-8 as escapes."""
    return name.encode(errors="backslashreplace").decode()


def grown_from(known: Iterable[Reading], name: str, inode: int, size: int) -> list[Reading]:
    """The readings that a file may go on with, if its content begins with theirs: the largest first."""
    before = [one for one in known if 0 < one.size < size and one.inode == inode and one.name == name]
    return sorted(before, key=lambda one: one.size, reverse=True)


def forgotten(known: Mapping[str, Reading], most: int) -> Iterator[str]:
    """The digests of the files that were finished longest ago, beyond ``most``."""
    finished = [(one.finished_ms, digest) for digest, one in known.items() if one.finished_ms is not None]
    yield from (digest for _, digest in sorted(finished)[: max(0, len(finished) - most)])
