"""What the catalogue topic holds, record by record: objects by digest, and the chain of pointers. Pure."""

import dataclasses
import datetime as dt
import hashlib
import json
from collections.abc import Iterator
from typing import Any, Final, Self

from lintas.errors import CatalogueError, UnknownName
from schemas.snapshot import Snapshot, canonical

OBJECT: Final = "object/"
APPLIED: Final = "applied/"  # every pointer under its number, so that history outlives compaction
CURRENT: Final = "current"


@dataclasses.dataclass(frozen=True, slots=True)
class Pointer:
    """Which catalogue came into force, after which, by whom and when."""

    manifest: str  # digest
    previous: str | None  # digest
    author: str
    at: str  # ISO 8601, UTC
    number: int  # 1 for the first

    def records(self) -> list[tuple[bytes, bytes]]:
        """Keys and values on the catalogue topic; the last one puts the catalogue in force."""
        value = canonical(dataclasses.asdict(self))
        return [(f"{APPLIED}{self.number}".encode(), value), (CURRENT.encode(), value)]

    @classmethod
    def from_bytes(cls, value: bytes) -> Self:
        """Read a pointer.

        Raises:
            CatalogueError: it is not one.
        """
        try:
            return cls(**json.loads(value))
        except (ValueError, TypeError) as error:
            raise CatalogueError(reason="a pointer on the catalogue topic cannot be read") from error


class CatalogueLog:
    """The catalogue topic as read so far. Every object is held to its digest, every pointer to the one before."""

    def __init__(self) -> None:
        self._objects: dict[str, bytes] = {}
        self._pointers: dict[int, Pointer] = {}
        self._current: Pointer | None = None

    @property
    def current(self) -> Pointer | None:
        """The catalogue in force."""
        return self._current

    @property
    def history(self) -> list[Pointer]:
        """Every catalogue that was in force, the newest first."""
        return [pointer for _, pointer in sorted(self._pointers.items(), reverse=True)]

    def add(self, key: bytes, value: bytes | None) -> None:
        """Take in the next record; records read again, as after a reconnection, change nothing.

        Raises:
            CatalogueError: an object is not what its digest says, or the chain of pointers is broken.
        """
        text = key.decode(errors="replace")
        if value is None:
            raise CatalogueError(reason=f"{text} was deleted from the catalogue topic")
        if text.startswith(OBJECT):
            digest = text.removeprefix(OBJECT)
            if hashlib.sha256(value).hexdigest() != digest:
                raise CatalogueError(reason=f"the object {digest} on the catalogue topic has been altered")
            self._objects[digest] = value
        elif text == CURRENT or text.startswith(APPLIED):
            self._point(Pointer.from_bytes(value), in_force=text == CURRENT)

    def _point(self, pointer: Pointer, *, in_force: bool) -> None:
        known = self._pointers.setdefault(pointer.number, pointer)
        before = self._pointers.get(pointer.number - 1)
        if known != pointer or (before is not None and before.manifest != pointer.previous):
            raise CatalogueError(
                reason=f"catalogue {pointer.manifest} (number {pointer.number}) does not continue the one before it"
            )
        if in_force and (self._current is None or pointer.number > self._current.number):
            for digest in (pointer.manifest, pointer.previous):
                if digest is not None:
                    self._object(digest)
            self._current = pointer

    def new_records(self, snapshot: Snapshot) -> Iterator[tuple[bytes, bytes]]:
        """Keys and values of a catalogue's objects that the topic does not hold yet, the manifest last."""
        for value in (*snapshot.objects().values(), snapshot.manifest):
            data = canonical(value)
            digest = hashlib.sha256(data).hexdigest()
            if digest not in self._objects:
                yield f"{OBJECT}{digest}".encode(), data

    def snapshot(self, manifest: str) -> Snapshot:
        """The catalogue that a manifest's digest stands for.

        Raises:
            CatalogueError: an object is missing, or this version of the bus does not understand one.
        """
        names_of = self._object(manifest)
        try:
            return Snapshot.from_objects({name: self._object(digest) for name, digest in names_of.items()})
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise CatalogueError(
                reason=f"this version of the bus does not understand catalogue {manifest} ({type(error).__name__})"
            ) from error

    def pointer(self, digest: str) -> Pointer:
        """The newest time that a catalogue came into force; the beginning of its digest is enough.

        Raises:
            UnknownName: none or several catalogues begin so.
        """
        found = [pointer for pointer in self.history if pointer.manifest.startswith(digest)]
        if not digest or len({pointer.manifest for pointer in found}) != 1:
            problem = "Several catalogues begin so." if found else "It was never applied here."
            raise UnknownName(
                kind="catalogue",
                name=digest or "(nothing)",
                suggestion=f"{problem} See `lintas catalogue history`.",
            )
        return found[0]

    def at(self, moment: dt.datetime) -> Pointer | None:
        """The catalogue that was in force at a moment; None before the first."""
        return next((pointer for pointer in self.history if dt.datetime.fromisoformat(pointer.at) <= moment), None)

    def agreements_ever(self, agreement: str) -> Iterator[Any]:
        """Every form that an agreement ever had, as it was published."""
        name = f"agreement/{agreement}"
        digests = {self._object(pointer.manifest).get(name) for pointer in self._pointers.values()}
        return (self._object(digest) for digest in digests if digest is not None)

    def altered(self, before: str | None, after: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """The objects of two catalogues, named by their digests, that differ; by name, of each those that it has.

        Raises:
            CatalogueError: an object is missing.
        """
        manifests = [self._object(before) if before else {}, self._object(after)]
        same = {name for name, digest in manifests[0].items() if manifests[1].get(name) == digest}
        old, new = (
            {name: self._object(digest) for name, digest in manifest.items() if name not in same}
            for manifest in manifests
        )
        return old, new

    def released_ever(self) -> dict[str, list[int]]:
        """The ids of the released schemas that each agreement ever had, the oldest first."""
        ids: dict[str, int] = {}  # by the digest of an agreement
        found: dict[str, list[int]] = {}
        for _, pointer in sorted(self._pointers.items()):
            for name, digest in self._object(pointer.manifest).items():
                if name.startswith("agreement/"):
                    if digest not in ids:
                        ids[digest] = self._object(digest)["released"]["id"]
                    known = found.setdefault(name.removeprefix("agreement/"), [])
                    if ids[digest] not in known:
                        known.append(ids[digest])
        return found

    def topics_ever(self) -> set[str]:
        """The topic of every event type that any catalogue ever held."""
        return set().union(*(self._topics(pointer.manifest) for pointer in self._pointers.values()))

    def topics_in_force(self) -> set[str]:
        """The topic of every event type of the catalogue in force."""
        return self._topics(self._current.manifest) if self._current else set()

    def _topics(self, manifest: str) -> set[str]:
        return {
            str(self._object(digest)["topic"])
            for name, digest in self._object(manifest).items()
            if name.startswith("event-type/")
        }

    def _object(self, digest: str) -> Any:
        if digest not in self._objects:
            raise CatalogueError(reason=f"the object {digest} is missing from the catalogue topic")
        return json.loads(self._objects[digest])
