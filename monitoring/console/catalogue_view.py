"""The catalogue in force as pages need it: indexed once, when it comes into force."""

import dataclasses
import threading
from collections.abc import Mapping
from typing import Any

from confluent_kafka import OFFSET_BEGINNING

from lintas import names
from lintas.settings import Settings
from schemas.catalogue_log import CatalogueLog, Pointer
from schemas.cluster import Cluster, Partition
from schemas.snapshot import PublishedAgreement, Snapshot
from schemas.topic_reader import read_from


@dataclasses.dataclass(frozen=True, slots=True)
class Catalogue:
    """The catalogue in force, and those before it.

    Attributes:
        history: the newest first.
        agreements_on: the agreements on each event type, in the order of their ids.
        released_ever: the ids of the released schemas that each agreement has had, the oldest first.
    """

    pointer: Pointer
    snapshot: Snapshot
    history: tuple[Pointer, ...]
    agreements_on: Mapping[str, tuple[PublishedAgreement, ...]]
    released_ever: Mapping[str, tuple[int, ...]]

    @classmethod
    def of(cls, log: CatalogueLog, pointer: Pointer) -> "Catalogue":
        """The catalogue of a pointer, indexed.

        Raises:
            CatalogueError: this version of the bus does not understand it.
        """
        snapshot = log.snapshot(pointer.manifest)
        on: dict[str, list[PublishedAgreement]] = {name: [] for name in snapshot.event_types}
        for _, agreement in sorted(snapshot.agreements.items()):
            on[agreement.contract.event_type].append(agreement)
        return cls(
            pointer,
            snapshot,
            tuple(log.history),
            {name: tuple(agreements) for name, agreements in on.items()},
            {name: tuple(ids) for name, ids in log.released_ever().items()},
        )


class CatalogueReader:
    """Reads on in the catalogue topic; safe to ask from several threads."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._log = CatalogueLog()
        self._read_to = 0
        self._known: Catalogue | None = None

    def __call__(self) -> Catalogue | None:
        """The catalogue in force now; None before the first.

        Raises:
            BusUnavailable: Kafka does not answer.
            CatalogueError: the topic has been altered.
        """
        place: Partition = (names.CATALOGUE, 0)
        end = Cluster(self._settings).committed_ends([place])[place]
        if end > self._read_to:
            start = self._read_to or OFFSET_BEGINNING
            read = list(read_from(self._settings, names.ADMIN, {place: start}))
            with self._lock:
                for key, value in read:
                    self._log.add(key, value)
                self._read_to = end
        with self._lock:
            pointer = self._log.current
            if pointer is not None and (self._known is None or self._known.pointer != pointer):
                self._known = Catalogue.of(self._log, pointer)
        return self._known

    def altered(self, before: str | None, after: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """The objects in which two catalogues of the history differ: see CatalogueLog.altered."""
        with self._lock:
            return self._log.altered(before, after)
