"""The books as Prometheus metrics: as they were when the last round was complete, whenever they are asked for."""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

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


class BookMetrics(Collector):
    """What a scrape is answered with; made anew by whoever keeps the books, never by a scrape.

    Attributes:
        up: whether the last round was complete.
        records: how many records have been read.
    """

    def __init__(self) -> None:
        self.up = False
        self.records = 0
        self._complete: Sequence[Metric] = ()

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
        self._complete = (
            _differences(comparisons),
            *_of_event_types(books.event_types),
            *_of_agreements(books.agreements),
            _gauge("books_from_timestamp_seconds", "Only events published since then are in the books.", since),
            _gauge("books_last_round_timestamp_seconds", "When the last complete round began.", began),
            _gauge("books_last_round_duration_seconds", "How long the last complete round took.", seconds),
        )
        self.up = True

    def collect(self) -> Iterator[Metric]:
        """Every metric."""
        yield _gauge("bookkeeper_up", "1 if the last round was complete, 0 if it failed or none is yet.", self.up)
        yield CounterMetricFamily(
            "lintas_books_records_read", "Records that were read, of every topic.", value=self.records
        )
        yield from self._complete


def _differences(comparisons: Iterable[Difference]) -> Metric:
    found = GaugeMetricFamily(
        "lintas_books_differences",
        "Places at which the books do not agree, by topic or agreement and by what is wrong there.",
        labels=("about", "kind"),
    )
    for difference in comparisons:
        found.add_metric((difference.about, difference.kind), len(difference.places))
    return found


def _of_event_types(accounts: Mapping[str, EventTypeAccount]) -> Iterator[Metric]:
    published = GaugeMetricFamily(
        "lintas_books_published_events", "Events that were published.", labels=("event_type",)
    )
    decided = GaugeMetricFamily(
        "lintas_books_decided_events", "Events that were decided, by outcome.", labels=("event_type", "outcome")
    )
    in_flight = GaugeMetricFamily(
        "lintas_books_in_flight_events", "Published events that no lane has come to yet.", labels=("event_type",)
    )
    for topic, account in accounts.items():
        event_type = account.event_type or topic
        published.add_metric((event_type,), account.events.found)
        in_flight.add_metric((event_type,), account.in_flight)
        for outcome in OUTCOMES:
            decided.add_metric((event_type, outcome), account.outcomes[outcome])
    return iter((published, decided, in_flight))


def _of_agreements(accounts: Mapping[str, AgreementAccount]) -> Iterator[Metric]:
    routed = GaugeMetricFamily(
        "lintas_books_routed_events", "Events that were routed under the agreement.", labels=("agreement", "event_type")
    )
    decided = GaugeMetricFamily(
        "lintas_books_agreement_events",
        "Events that were routed under the agreement, by what became of them.",
        labels=("agreement", "event_type", "outcome"),
    )
    replayed = GaugeMetricFamily(
        "lintas_books_replayed_events",
        "Events that were decided once more for a replay, by what became of them.",
        labels=("agreement", "event_type", "outcome"),
    )
    for name, account in accounts.items():
        routed.add_metric((name, account.event_type), account.routed)
        for outcome in VERDICTS:
            decided.add_metric((name, account.event_type, outcome), account.outcomes[outcome])
        for outcome in REPLAY_VERDICTS:
            replayed.add_metric((name, account.event_type, outcome), account.replayed[outcome])
    return iter((routed, decided, replayed))


def _gauge(name: str, help_text: str, value: float | dt.datetime) -> Metric:
    number = value.timestamp() if isinstance(value, dt.datetime) else value
    return GaugeMetricFamily(f"lintas_{name}", help_text, value=number)
