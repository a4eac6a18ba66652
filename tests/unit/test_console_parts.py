"""The parts of the console that know nothing of HTTP: traffic, what needs attention, the picture, changes, watching."""

import asyncio
import dataclasses
import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from console_bus import BIRTHS_TO_KEMENKES, bus_of, example, lanes_of, ledger_of
from console_visits import StillBus
from test_books import AGREEMENTS, World, world

from lintas.errors import BusUnavailable
from lintas.settings import Settings
from monitoring.console import ledger as ledgers
from monitoring.console.alterations import Place, alterations
from monitoring.console.attention import SOON_DAYS, Matter, matters
from monitoring.console.known import Watch
from monitoring.console.ledger import LedgerReader
from monitoring.console.picture import MOST_NODES, OTHERS, picture
from monitoring.console.stream import events
from monitoring.console.traffic import BUCKET_SECONDS, KEPT_BUCKETS, Traffic
from schemas.example import example_of
from schemas.wire import json_data
from schemas.wire.codec import Codec
from schemas.wire.identifiers import CHECKS, problem_of
from streams.balance import Beside
from streams.books import Books, Difference
from streams.totals import of_agreements, of_event_types

__all__ = ["world"]  # a fixture
NOW = 1_795_000_005


def batch(world: World, decided_s: float, *, age_s: float) -> Mapping[str, Any]:
    """An audit record whose events are decided at a moment, and were published so long before."""
    parts = [
        {**part, "events": [{**event, "published_at": round((decided_s - age_s) * 1000)} for event in part["events"]]}
        for part in world.batch["partitions"]
    ]
    return {**world.batch, "decided_at": round(decided_s * 1000), "partitions": parts}


def test_traffic_counts_what_was_delivered_in_the_last_minutes(world: World) -> None:
    traffic, books = Traffic(), Books(lambda _, __: AGREEMENTS)
    books.decide(world.batch)
    traffic.decide(batch(world, NOW - 30, age_s=0.5))
    traffic.decide(batch(world, NOW - 20, age_s=0.5))
    traffic.decide(batch(world, NOW - 400, age_s=100))  # before the window, within the chart
    flow = traffic.flow(NOW)
    once = {one.agreement: one.delivered for one in of_agreements(books) if one.delivered}
    assert once
    assert flow.delivered == {agreement: 2 * number for agreement, number in once.items()}
    assert sum(point.delivered for point in flow.points) * BUCKET_SECONDS == 3 * sum(once.values())
    assert flow.ages is not None
    assert flow.ages.p50 == pytest.approx(0.5, rel=0.06)
    assert flow.ages.p99 == pytest.approx(0.5, rel=0.06)


def test_traffic_forgets_what_is_older_than_the_chart(world: World) -> None:
    traffic = Traffic()
    traffic.decide(batch(world, NOW, age_s=1))
    traffic.decide(batch(world, NOW - KEPT_BUCKETS * BUCKET_SECONDS - 1, age_s=1))
    assert len(traffic._buckets) == 1
    traffic.decide(batch(world, NOW + KEPT_BUCKETS * BUCKET_SECONDS, age_s=1))
    assert len(traffic._buckets) == 1


def test_the_quantiles_are_those_of_all_ages(world: World) -> None:
    traffic = Traffic()
    for age in range(1, 101):
        traffic.decide(batch(world, NOW - 5, age_s=age))
    ages = traffic.flow(NOW).ages
    assert ages is not None
    assert ages.p50 == pytest.approx(50, rel=0.06)
    assert ages.p99 == pytest.approx(99, rel=0.06)


class Reading:
    """Books into which a round enters what a test says."""

    def __init__(self, world: World, make: Any) -> None:
        self.books, self._world = Books(lambda _, __: AGREEMENTS), world
        self._beside: Beside = make()

    def round(self, progress: Any) -> None:
        self.books.begin_round()
        self.books.decide(self._world.batch)
        self._beside.decide(self._world.batch)
        for record in self._world.records:
            self.books.hold(record)
        progress(1, 1)


def test_the_ledger_says_what_the_balance_says(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    reading: list[Reading] = []

    def made(*_: object, beside: Any, **__: object) -> Reading:
        reading.append(Reading(world, beside))
        return reading[0]

    monkeypatch.setattr(ledgers, "Reading", made)
    ledger = LedgerReader(Settings(), dt.datetime.fromtimestamp(0, dt.UTC))()
    books = reading[0].books
    assert list(ledger.event_types.values()) == of_event_types(books)
    assert list(ledger.agreements.values()) == of_agreements(books)
    assert list(ledger.differences) == books.differences()
    assert ledger.all_events.published == sum(one.published for one in of_event_types(books))
    assert ledger.all_deliveries.delivered == sum(one.delivered for one in of_agreements(books)) > 0


def found(kind: str, matters: list[Matter]) -> list[Matter]:
    return [matter for matter in matters if matter.kind == kind]


def test_what_is_wrong_now_comes_before_what_waits() -> None:
    bus, snapshot = bus_of(example()), example()
    ledger = dataclasses.replace(ledger_of(snapshot), differences=(Difference(BIRTHS_TO_KEMENKES, "missing", [1]),))  # type: ignore[list-item]  # only counted
    every = matters(bus.catalogue.value, ledger, lanes_of(snapshot), dt.date(2026, 11, 26))
    grades = [matter.grade for matter in every]
    assert grades == sorted(grades)
    assert found("difference", every)[0].link == f"/agreements/{BIRTHS_TO_KEMENKES}"
    assert found("aside", every)[0].about == BIRTHS_TO_KEMENKES
    assert all(matter.link.startswith("/dead-letters/") for matter in found("dead", every))
    assert all(matter.link.startswith("/quarantine/") for matter in found("quarantine", every))


@pytest.mark.parametrize(("days", "told"), [(0, True), (SOON_DAYS, True), (SOON_DAYS + 1, False), (-1, False)])
def test_an_agreement_that_is_about_to_end_is_told_of(days: int, told: bool) -> None:
    catalogue = bus_of(example()).catalogue.value
    assert catalogue is not None
    until = example().agreements[BIRTHS_TO_KEMENKES].contract.valid.until
    every = matters(catalogue, None, None, until - dt.timedelta(days=days))
    assert (BIRTHS_TO_KEMENKES in [matter.about for matter in found("ends", every)]) == told


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"workers": 0}, "no_worker"),
        ({"open": False}, "resize"),
        ({"lost": (("events.a.b.v1", 0),)}, "lane_lost"),
        ({"worker": None}, "lane_without_worker"),
        ({"behind": 10_000}, "lane_behind"),
    ],
)
def test_lanes_that_do_not_carry_are_told_of(change: dict[str, Any], kind: str) -> None:
    lanes = dataclasses.replace(lanes_of(example()), aside={})
    assert not matters(None, None, lanes, dt.date(2026, 11, 26))
    if {*change} & {"workers", "open"}:
        lanes = dataclasses.replace(lanes, **change)
    else:
        lanes = dataclasses.replace(lanes, lanes=(dataclasses.replace(lanes.lanes[0], **change), *lanes.lanes[1:]))
    assert [matter.kind for matter in matters(None, None, lanes, dt.date(2026, 11, 26))] == [kind]


def test_a_picture_of_many_agencies_draws_those_with_most_and_the_others_as_one() -> None:
    flows = {(f"p{a}", f"c{b}"): a * b for a in range(30) for b in range(30)}
    drawn = picture(flows)
    assert len(drawn.providers) == len(drawn.consumers) == MOST_NODES
    assert drawn.providers[-1].name == OTHERS
    assert sum(node.events for node in drawn.providers) == sum(band.events for band in drawn.bands)
    assert sum(band.events for band in drawn.bands) == sum(flows.values())
    assert all(node.y > 0 and node.y + node.height <= drawn.height for node in (*drawn.providers, *drawn.consumers))


def test_the_width_of_a_band_is_the_number_of_events() -> None:
    widths = {band.consumer: band.width for band in picture({("a", "x"): 100, ("a", "y"): 50, ("a", "z"): 0}).bands}
    assert widths["x"] == pytest.approx(2 * widths["y"])
    assert 0 < widths["z"] < widths["y"]


def test_alterations_name_the_places_that_differ() -> None:
    old = {"agreement/a": {"contract": {"purpose": "one", "release": {"x": "keep"}}}}
    new = {"agreement/a": {"contract": {"purpose": "two", "release": {"x": "keep", "y": "mask"}}}, "agency/b": {}}
    created, altered = alterations(old, new)
    assert (created.change.action, created.change.name, created.places) == ("create", "b", ())
    assert altered.places == (Place("purpose", "one", "two"), Place("release.y", None, "mask"))


def test_fields_of_schemas_are_told_apart_by_name() -> None:
    fields = [{"name": name, "type": "string"} for name in "ab"]
    old = {"event-type/t": {"schemas": [{"id": 1, "schema": {"fields": fields}}]}}
    new = {"event-type/t": {"schemas": [{"id": 1, "schema": {"fields": [{"name": "c", "type": "int"}, *fields]}}]}}
    (altered,) = alterations(old, new)
    assert [place.path for place in altered.places] == ["schemas[1].schema.fields[c]"]


def test_what_was_known_stays_while_reading_fails() -> None:
    answers: Iterator[int | Exception] = iter(
        [1, BusUnavailable(part="Kafka", address="here", reason="no"), RuntimeError("Siti"), 2]
    )

    def read() -> int:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    told: list[int] = []
    watch = Watch("it", read, 1, lambda: told.append(1))
    watch.once()
    first = watch.known
    watch.once()
    failing = watch.known
    assert (failing.value, failing.read_at) == (1, first.read_at)
    assert failing.problem == "Kafka does not answer at here: no."
    watch.once()
    assert "RuntimeError" in watch.known.problem
    assert "Siti" not in watch.known.problem
    assert watch.known.failing_since == failing.failing_since
    watch.once()
    assert (watch.known.value, watch.known.problem, watch.known.failing_since) == (2, "", None)
    assert len(told) == 4


class Sessions:
    def __init__(self) -> None:
        self.open = True

    def is_open(self, _: object) -> bool:
        return self.open


@dataclasses.dataclass
class Console:
    bus: StillBus
    sessions: Sessions
    stopped: bool = False

    def stopping(self) -> bool:
        return self.stopped


@dataclasses.dataclass
class Visit:
    console: Console
    session: object = None


async def test_a_stream_sends_a_part_when_it_has_changed_and_ends_with_the_session(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("monitoring.console.stream.LOOK_SECONDS", 0.001)
    bus, sessions, shown = StillBus(), Sessions(), {"a": "1\n2", "b": "same"}
    visit = Visit(Console(bus, sessions))
    lines = events(visit, shown.items)  # type: ignore[arg-type]  # what it needs of a visit
    assert await anext(lines) == "retry: 3000\n\n"
    assert await anext(lines) == "event: a\ndata: 1\ndata: 2\n\n"
    assert await anext(lines) == "event: b\ndata: same\n\n"
    shown["a"] = "3"
    bus.version += 1
    async with asyncio.timeout(5):
        assert await anext(lines) == "event: a\ndata: 3\n\n"
        sessions.open = False
        assert [line async for line in lines] == []


@pytest.mark.parametrize("name", sorted(example().event_types))
def test_an_example_payload_can_be_read_as_what_it_is_an_example_of(name: str) -> None:
    schema = example().event_types[name].current.schema
    assert json_data.from_json(Codec(schema), example_of(schema))


@pytest.mark.parametrize("logical_type", CHECKS)
def test_an_example_of_an_identifier_is_one(logical_type: str) -> None:
    value = example_of({"type": "string", "logicalType": logical_type})
    assert problem_of(logical_type, value) is None
