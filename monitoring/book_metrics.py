"""The books as Prometheus metrics: as they were when the last round was complete, whenever they are asked for."""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from prometheus_client import Metric
from prometheus_client.registry import Collector

from monitoring.families import Families
from monitoring.listed import metrics
from schemas.model import Standing
from streams.books import AgreementAccount, Books, Difference, EventTypeAccount
from streams.decisions import IN_FORCE

OUTCOMES = ("routed", "duplicate", "quarantined")
VERDICTS = (
    "delivered",
    "filtered",
    "dead",
    "waiting",
    *(standing.value for standing in Standing if standing != IN_FORCE),
)
REPLAY_VERDICTS = ("delivered", "filtered", "dead")
ALWAYS: Final = ("lintas_bookkeeper_up", "lintas_books_records_read_total")  # also when a round fails


class BookMetrics(Collector):
    """What a scrape is answered with; made anew by whoever keeps the books, never by a scrape.

    Attributes:
        up: whether the last round was complete.
        records: how many records have been read.
    """

    def __init__(self) -> None:
        self.up = False
        self.records = 0
        self._complete: Families | None = None

    def complete(
        self, books: Books, comparisons: Iterable[Difference], *, since: dt.datetime, began: dt.datetime, seconds: float
    ) -> None:
        """Show the books as they are after a round.

        Args:
            books: the accounts.
            comparisons: as the books have them, also where they agree.
            since: only events published since then are in the books.
            began: when the round began.
            seconds: how long it took.
        """
        found = Families(
            *(name for name, one in metrics().items() if one.program == "bookkeeper" and name not in ALWAYS)
        )
        for difference in comparisons:
            found.add("lintas_books_differences", len(difference.places), about=difference.about, kind=difference.kind)
        _event_types(found, books.event_types)
        _agreements(found, books.agreements)
        found.add("lintas_books_from_timestamp_seconds", since.timestamp())
        found.add("lintas_books_last_round_timestamp_seconds", began.timestamp())
        found.add("lintas_books_last_round_duration_seconds", seconds)
        self._complete, self.up = found, True

    def collect(self) -> Iterator[Metric]:
        """Every metric."""
        always = Families(*ALWAYS)
        always.add("lintas_bookkeeper_up", self.up)
        always.add("lintas_books_records_read_total", self.records)
        yield from always
        yield from self._complete or ()


def _event_types(found: Families, accounts: Mapping[str, EventTypeAccount]) -> None:
    for topic, account in accounts.items():
        event_type = account.event_type or topic
        found.add("lintas_books_published_events", account.events.found, event_type=event_type)
        found.add("lintas_books_in_flight_events", account.in_flight, event_type=event_type)
        for outcome in OUTCOMES:
            found.add("lintas_books_decided_events", account.outcomes[outcome], event_type=event_type, outcome=outcome)


def _agreements(found: Families, accounts: Mapping[str, AgreementAccount]) -> None:
    for name, account in accounts.items():
        labels = {"agreement": name, "event_type": account.event_type}
        found.add("lintas_books_routed_events", account.routed, **labels)
        for outcome in VERDICTS:
            found.add("lintas_books_agreement_events", account.outcomes[outcome], **labels, outcome=outcome)
        for outcome in REPLAY_VERDICTS:
            found.add("lintas_books_replayed_events", account.replayed[outcome], **labels, outcome=outcome)
