"""Keeping the books of a running bus: a round every few seconds, and what has changed since the one before."""

import datetime as dt
import logging
import time
from collections import defaultdict
from collections.abc import Iterable
from typing import NoReturn

from lintas.errors import BusUnavailable
from lintas.settings import Settings
from monitoring.book_metrics import BookMetrics
from monitoring.endpoints import Health, Pulse
from schemas.catalogue_log import Pointer
from schemas.snapshot import Snapshot
from streams.balance import Reading
from streams.books import Difference
from streams.decisions import Place

log = logging.getLogger(__name__)

STUCK_SECONDS = 120.0  # records are counted all the time, and Kafka is given up on sooner


class Bookkeeper:
    """Reads on, shows the books as metrics, and tells of each difference when it appears and when it is gone.

    It keeps nothing: started again, it reads the same records and finds the same.

    Attributes:
        health: whether it comes on, and whether the last round was complete.
    """

    def __init__(self, settings: Settings, since: dt.datetime, metrics: BookMetrics) -> None:
        """``since``: only events that were published at this moment or later are its concern."""
        self._reading = Reading(settings, since=since)
        self._since, self._metrics = since, metrics
        self._in_force: tuple[Pointer, Snapshot] | None = None
        self._told: dict[tuple[str, str], set[Place]] = defaultdict(set)
        self._unavailable = ""
        self._begun = False
        self._pulse = Pulse("the bookkeeper's reading", STUCK_SECONDS)
        self.health = Health(self._pulse.check, self._ready, self._startup)

    def _ready(self) -> str:
        if self._metrics.up:
            return ""
        return self._unavailable or "the first round is under way"

    def _startup(self) -> str:
        return "" if self._begun else self._ready()

    def run(self, every_seconds: float) -> NoReturn:
        """A round every so many seconds, for ever.

        Raises:
            LintasError: something is wrong that waiting does not mend.
        """
        while True:
            began = time.monotonic()
            self.round()
            while (left := began + every_seconds - time.monotonic()) > 0:
                time.sleep(min(left, STUCK_SECONDS / 4))
                self._pulse.beat()

    def round(self) -> None:
        """One round; where Kafka is away, none."""
        began, clock = dt.datetime.now(dt.UTC), time.monotonic()
        try:
            self._reading.round(lambda *_: self._count())
        except BusUnavailable as error:
            self._metrics.up = False
            what, *_ = str(error).splitlines()
            if what != self._unavailable:
                log.warning("no round: %s The next one makes good for it.", what)
            self._unavailable = what
            return
        finally:
            self._count()
        self._unavailable = ""
        self._open_accounts()
        comparisons = list(self._reading.books.comparisons())
        seconds = time.monotonic() - clock
        if not self._metrics.up:
            log.info("the books are up to date: %d records read", self._reading.records)
        self._metrics.complete(self._reading.books, comparisons, since=self._since, began=began, seconds=seconds)
        self._begun = True
        self._tell(comparisons)

    def _count(self) -> None:
        self._pulse.beat()
        self._metrics.records = self._reading.records

    def _open_accounts(self) -> None:
        """Have accounts of whatever the catalogue in force names, so that there are zeros to be seen."""
        catalogues = self._reading.catalogues
        if catalogues.current is None:
            return
        if self._in_force is None or self._in_force[0] != catalogues.current:
            self._in_force = catalogues.current, catalogues.snapshot(catalogues.current.manifest)
        _, snapshot = self._in_force
        self._reading.books.open_accounts(
            {event_type.topic: name for name, event_type in snapshot.event_types.items()},
            {name: agreement.contract.event_type for name, agreement in snapshot.agreements.items()},
        )

    def _tell(self, comparisons: Iterable[Difference]) -> None:
        """Log the places that are new, and those that are no difference any more."""
        for difference in comparisons:
            about, kind = difference.about, difference.kind
            now, before = set(difference.places), self._told[about, kind]
            if appeared := now - before:
                log.error("difference: %s", Difference(about, kind, sorted(appeared)))
            if gone := before - now:
                log.warning("no difference any more: %s", Difference(about, kind, sorted(gone)))
            self._told[about, kind] = now
