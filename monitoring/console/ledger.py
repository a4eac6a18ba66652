"""The books as the console reads them: `lintas balance` all the time, and what flows beside it."""

import dataclasses
import datetime as dt
import functools
import time
from collections.abc import Mapping

from lintas.settings import Settings
from monitoring.console.traffic import Flow, Traffic
from streams.balance import Reading
from streams.books import Difference
from streams.totals import AgreementTotals, EventTypeTotals, of_agreements, of_event_types


@dataclasses.dataclass(frozen=True)
class Ledger:
    """The books as they were at the end of a round.

    Attributes:
        since: only events published since then are in them.
        differences: what does not agree.
    """

    since: dt.datetime
    event_types: Mapping[str, EventTypeTotals]
    agreements: Mapping[str, AgreementTotals]
    differences: tuple[Difference, ...]
    flow: Flow

    @functools.cached_property
    def all_events(self) -> EventTypeTotals:
        """The sum over all event types."""
        columns = [field.name for field in dataclasses.fields(EventTypeTotals)][1:]
        return EventTypeTotals("", *(sum(getattr(one, name) for one in self.event_types.values()) for name in columns))

    @functools.cached_property
    def all_deliveries(self) -> AgreementTotals:
        """The sum over all agreements."""
        columns = [field.name for field in dataclasses.fields(AgreementTotals)][2:]
        rows = self.agreements.values()
        return AgreementTotals("", "", *(sum(getattr(one, name) for one in rows) for name in columns))


class LedgerReader:
    """Reads on, round after round."""

    def __init__(self, settings: Settings, since: dt.datetime) -> None:
        """``since``: only events that were published at this moment or later are asked for."""
        self._since = since
        self._traffic = Traffic()
        self._reading = Reading(settings, since=since, beside=self._begin)
        self.progress: tuple[int, int] = (0, 0)

    def _begin(self) -> Traffic:
        self._traffic = Traffic()
        return self._traffic

    def __call__(self) -> Ledger:
        """The books after another round.

        Raises:
            BusUnavailable: Kafka does not answer; the next round makes good for it.
        """
        self._reading.round(self._tell)
        books = self._reading.books
        return Ledger(
            self._since,
            {one.event_type: one for one in of_event_types(books)},
            {one.agreement: one for one in of_agreements(books)},
            tuple(books.differences()),
            self._traffic.flow(time.time()),
        )

    def _tell(self, read: int, total: int) -> None:
        self.progress = (read, total)
