"""The bus as the pages see it: what was last read of it. No page waits for Kafka."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from lintas.settings import Settings
from monitoring.console.catalogue_view import Catalogue, CatalogueReader
from monitoring.console.known import Known, Watch
from monitoring.console.ledger import Ledger, LedgerReader
from monitoring.console.samples import Sample, samples_of
from schemas.snapshot import Snapshot
from streams.overview import Overview, overview

CATALOGUE_SECONDS: Final = 5.0
LANES_SECONDS: Final = 5.0
LEDGER_SECONDS: Final = 3.0


class Bus(Protocol):
    """What pages may ask of the bus. What is a property is there at once; methods are asked in threads."""

    @property
    def catalogue(self) -> Known[Catalogue | None]:
        """The catalogue in force; read as None before the first."""

    @property
    def lanes(self) -> Known[Overview]:
        """Who runs which lane."""

    @property
    def ledger(self) -> Known[Ledger]:
        """The books, and what flows."""

    @property
    def progress(self) -> tuple[int, int]:
        """How many records the books have read in the round under way, of how many."""

    @property
    def version(self) -> int:
        """Another number once anything has been read anew."""

    def altered(self, before: str | None, after: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """The objects in which two catalogues of the history differ, by their whole digests; see CatalogueLog."""

    def samples(self, snapshot: Snapshot, event_type: str) -> Sequence[Sample]:
        """The newest events of an event type.

        Raises:
            BusUnavailable: Kafka does not answer.
        """


class LiveBus:
    """A running bus, watched by threads."""

    def __init__(self, settings: Settings, since: dt.datetime) -> None:
        """Nothing is read before :meth:`start`; ``since``: the books are about events published since then."""
        self._settings = settings
        self._version = 0
        self._catalogues = CatalogueReader(settings)
        self._books = LedgerReader(settings, since)
        self._catalogue = Watch("the catalogue", self._catalogues, CATALOGUE_SECONDS, self._changed)
        self._lanes = Watch("the lanes", lambda: overview(settings), LANES_SECONDS, self._changed)
        self._ledger = Watch("the books", self._books, LEDGER_SECONDS, self._changed)
        self._watches: Sequence[Watch[Catalogue | None] | Watch[Overview] | Watch[Ledger]] = (
            self._catalogue,
            self._lanes,
            self._ledger,
        )

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
    def ledger(self) -> Known[Ledger]:
        """See Bus."""
        return self._ledger.known

    @property
    def progress(self) -> tuple[int, int]:
        """See Bus."""
        return self._books.progress

    @property
    def version(self) -> int:
        """See Bus."""
        return self._version

    def altered(self, before: str | None, after: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """See Bus."""
        return self._catalogues.altered(before, after)

    def samples(self, snapshot: Snapshot, event_type: str) -> Sequence[Sample]:
        """See Bus."""
        return samples_of(self._settings, snapshot, event_type)

    def _changed(self) -> None:
        self._version += 1
