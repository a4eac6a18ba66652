"""Differences are told when they appear and when they are gone; where Kafka is away, the metrics say so."""

import datetime as dt
import logging
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from test_books import AGREEMENTS, EVENT_TYPE, FIRST, INBOX, TOPIC, World, double_delivery, inbox, world

from lintas.errors import BusUnavailable
from lintas.settings import Settings
from monitoring import bookkeeper
from monitoring.book_metrics import BookMetrics
from monitoring.bookkeeper import Bookkeeper
from streams.books import Books

__all__ = ["world"]  # a fixture
SINCE = dt.datetime.fromtimestamp(0, dt.UTC)


class Reading:
    """Books in which each round enters what a test says."""

    def __init__(self, *rounds: Callable[[Books], object]) -> None:
        self.books = Books(lambda _, __: AGREEMENTS)
        self.catalogues = SimpleNamespace(current=None)
        self.records = 0
        self._rounds = iter(rounds)

    def round(self, progress: Callable[[int, int], None]) -> None:
        self.books.begin_round()
        next(self._rounds)(self.books)
        self.records += 1
        progress(1, 1)


def away(_: Books) -> None:
    raise BusUnavailable(part="Kafka", address="here", reason="no answer")


def nothing(_: Books) -> None:
    """Nothing new."""


def shown(metrics: BookMetrics) -> dict[str, float]:
    registry = CollectorRegistry()
    registry.register(metrics)
    families = text_string_to_metric_families(generate_latest(registry).decode())
    samples = [sample for family in families for sample in family.samples]
    found = {" ".join((sample.name.removeprefix("lintas_"), *sample.labels.values())): sample for sample in samples}
    assert len(found) == len(samples)
    return {name: sample.value for name, sample in found.items()}


@pytest.fixture
def keeper(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Bookkeeper, BookMetrics]]:
    def make(*rounds: Callable[[Books], object]) -> tuple[Bookkeeper, BookMetrics]:
        monkeypatch.setattr(bookkeeper, "Reading", lambda *_, **__: Reading(*rounds))
        metrics = BookMetrics()
        return Bookkeeper(Settings(), SINCE, metrics), metrics

    return make


Make = Callable[..., tuple[Bookkeeper, BookMetrics]]


def entered(world: World) -> Callable[[Books], None]:
    def enter(books: Books) -> None:
        books.decide(world.batch)
        for record in world.records:
            books.hold(record)

    return enter


def test_the_metrics_hold_what_the_books_hold(keeper: Make, world: World) -> None:
    double_delivery(world)
    keeps, metrics = keeper(entered(world))
    keeps.round()
    found = shown(metrics)
    assert found["bookkeeper_up"] == found["books_records_read_total"] == 1
    assert found[f"books_published_events {EVENT_TYPE}"] == 5
    assert found[f"books_decided_events {EVENT_TYPE} routed"] == 3
    assert found[f"books_in_flight_events {EVENT_TYPE}"] == 0
    assert found[f"books_routed_events {FIRST} {EVENT_TYPE}"] == 3
    assert found[f"books_agreement_events {FIRST} {EVENT_TYPE} delivered"] == 2
    assert found[f"books_agreement_events {FIRST} {EVENT_TYPE} expired"] == 0
    assert found[f"books_differences {FIRST} unexplained"] == 1
    assert found[f"books_differences {FIRST} missing"] == found[f"books_differences {TOPIC} skipped"] == 0
    assert found["books_from_timestamp_seconds"] == 0
    assert found["books_last_round_timestamp_seconds"] == pytest.approx(dt.datetime.now(dt.UTC).timestamp(), abs=60)


def test_before_the_first_round_nothing_is_said_of_the_books(keeper: Make) -> None:
    _, metrics = keeper()
    assert shown(metrics) == {"bookkeeper_up": 0, "books_records_read_total": 0}


def test_where_kafka_is_away_it_is_said_once_and_the_last_round_stays_shown(
    keeper: Make, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    keeps, metrics = keeper(entered(world), away, away, nothing)
    keeps.round()
    before = shown(metrics)
    keeps.round()
    keeps.round()
    assert shown(metrics) == before | {"bookkeeper_up": 0}
    keeps.round()
    assert shown(metrics)["bookkeeper_up"] == 1
    assert [record.message.partition(":")[0] for record in caplog.records] == [
        "the books are up to date",
        "no round",
        "the books are up to date",
    ]


def test_a_difference_is_told_once_when_it_appears_and_once_when_it_is_gone(
    keeper: Make, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    late, early = inbox(FIRST, 1), inbox(FIRST, 0)
    world.records = [record for record in world.records if record not in (late, early)]
    keeps, _ = keeper(entered(world), nothing, lambda books: books.hold(late), lambda books: books.hold(early))
    for _ in range(4):
        keeps.round()
    what = f"{FIRST}: {{}} events delivered, but not in the inbox: {TOPIC} [0] {{}}"
    assert [record.message for record in caplog.records] == [
        f"difference: {what.format(2, '0-1')}",
        f"no difference any more: {what.format(1, 1)}",
        f"no difference any more: {what.format(1, 0)}",
    ]
    assert INBOX not in caplog.text  # no payload, no key, no consumer's data: places alone
