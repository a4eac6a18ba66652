"""The bus as the pages see it: what was last read of it. No page waits for Kafka."""

import dataclasses
import threading
from typing import Final, Protocol

from confluent_kafka import OFFSET_BEGINNING

from lintas import names
from lintas.settings import Settings
from monitoring.console.known import Known, Watch
from schemas.catalogue_log import CatalogueLog, Pointer
from schemas.cluster import Cluster, Partition
from schemas.snapshot import Snapshot
from schemas.topic_reader import read_from
from streams.overview import Overview, overview

CATALOGUE_SECONDS: Final = 5.0
LANES_SECONDS: Final = 5.0


@dataclasses.dataclass(frozen=True, slots=True)
class Catalogue:
    """The catalogue in force, and those before it.

    Attributes:
        history: the newest first.
    """

    pointer: Pointer
    snapshot: Snapshot
    history: tuple[Pointer, ...]


class Bus(Protocol):
    """What pages may ask of the bus; every answer is there at once."""

    @property
    def catalogue(self) -> Known[Catalogue | None]:
        """The catalogue in force; its value's value is None before the first."""

    @property
    def lanes(self) -> Known[Overview]:
        """Who runs which lane."""

    @property
    def version(self) -> int:
        """Another number once anything has been read anew."""

    def snapshot(self, manifest: str) -> Snapshot:
        """A catalogue of the history, by its whole digest.

        Raises:
            CatalogueError: this version of the bus does not understand it.
        """


class CatalogueReader:
    """Reads on in the catalogue topic."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._log = CatalogueLog()
        self._read_to = 0
        self._known: Catalogue | None = None

    def __call__(self) -> Catalogue | None:
        """The catalogue in force now.

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
                snapshot = self._log.snapshot(pointer.manifest)
                self._known = Catalogue(pointer, snapshot, tuple(self._log.history))
        return self._known

    def snapshot(self, manifest: str) -> Snapshot:
        """See Bus.snapshot."""
        with self._lock:
            return self._log.snapshot(manifest)


class LiveBus:
    """A running bus, watched by threads."""

    def __init__(self, settings: Settings) -> None:
        """Nothing is read before :meth:`start`."""
        self._version = 0
        self._catalogues = CatalogueReader(settings)
        self._catalogue = Watch("the catalogue", self._catalogues, CATALOGUE_SECONDS, self._changed)
        self._lanes = Watch("the lanes", lambda: overview(settings), LANES_SECONDS, self._changed)
        self._watches = (self._catalogue, self._lanes)

    def start(self) -> None:
        """Begin to watch."""
        for watch in self._watches:
            watch.start()

    def stop(self) -> None:
        """Watch no more."""
        for watch in self._watches:
            watch.stop()

    @property
    def catalogue(self) -> Known[Catalogue | None]:
        """See Bus."""
        return self._catalogue.known

    @property
    def lanes(self) -> Known[Overview]:
        """See Bus."""
        return self._lanes.known

    @property
    def version(self) -> int:
        """See Bus."""
        return self._version

    def snapshot(self, manifest: str) -> Snapshot:
        """See Bus."""
        return self._catalogues.snapshot(manifest)

    def _changed(self) -> None:
        self._version += 1
