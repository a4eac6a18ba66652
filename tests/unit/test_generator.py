"""The generated day: the same for the same seed, whole, and what it says it is when the catalogue judges it."""

import collections
import datetime as dt
from pathlib import Path

import pytest

from connectors.generator import regions
from connectors.generator.day import DERIVED, SOURCES, day
from connectors.generator.event import Disorder, Fault, GeneratedEvent
from connectors.generator.records import to_record
from lintas import names
from schemas.conditions import Condition
from schemas.load import Catalogue, load
from schemas.model import Standing
from schemas.wire import envelope, framing, json_data
from schemas.wire.codec import Codec
from schemas.wire.errors import MalformedData, MalformedEnvelope

CATALOGUE = Path(__file__).parents[2] / "schemas" / "catalogue"
DATE = dt.date(2026, 11, 24)
SCHEMA_ID = 7


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    found, problems = load(CATALOGUE)
    assert problems == []
    return found


@pytest.fixture(scope="module")
def codecs(catalogue: Catalogue) -> dict[str, Codec]:
    return {name: Codec(schema) for name, schema in catalogue.schemas.items()}


@pytest.fixture(scope="module")
def events() -> list[GeneratedEvent]:
    return list(day(1, DATE, 2_000))


def of_kind(events: list[GeneratedEvent], *kinds: Disorder) -> list[GeneratedEvent]:
    return [event for event in events if event.kind in kinds]


class Judge:
    """The conditions of every agreement in force, on generated events."""

    def __init__(self, catalogue: Catalogue, codecs: dict[str, Codec]) -> None:
        at = dt.datetime(2026, 11, 24, 3, tzinfo=dt.UTC)
        self._codecs = codecs
        self._conditions = collections.defaultdict(list)
        for agreement in catalogue.agreements.values():
            if agreement.standing(at) is Standing.IN_FORCE:
                schema = catalogue.schemas[agreement.event_type]
                when = None if agreement.when is None else Condition(agreement.when, schema)
                require = [Condition(text, schema) for text in agreement.require.values()]
                self._conditions[agreement.event_type].append((when, require))

    def consumers(self, event: GeneratedEvent) -> tuple[int, int]:
        """How many agreements ask for an event, and how many of those refuse it."""
        data = json_data.from_json(self._codecs[event.event_type], event.data)
        asked = [
            require
            for when, require in self._conditions[event.event_type]
            if when is None or when(event.attributes, data)
        ]
        refused = [require for require in asked if not all(holds(event.attributes, data) for holds in require)]
        return len(asked), len(refused)


@pytest.fixture(scope="module")
def judge(catalogue: Catalogue, codecs: dict[str, Codec]) -> Judge:
    return Judge(catalogue, codecs)


def test_the_same_seed_gives_the_same_day() -> None:
    assert list(day(5, DATE, 300)) == list(day(5, DATE, 300))


def test_another_seed_or_date_gives_another_day() -> None:
    first = {event.attributes.get("id") for event in day(5, DATE, 300)}
    assert not first & {event.attributes["id"] for event in day(6, DATE, 300) if "id" in event.attributes}


@pytest.mark.parametrize("count", [0, 1, 2, 49, 50, 99, 100, 1_000])
def test_as_many_events_are_published_as_asked(count: int) -> None:
    assert len(list(day(1, DATE, count))) == count


def test_every_event_type_and_every_disorder_and_fault_occurs() -> None:
    events = list(day(3, DATE, 200))
    in_catalogue = {path.stem for path in (CATALOGUE / "events").glob("*.avsc")}
    assert {event.event_type for event in events} == in_catalogue - set(DERIVED)
    assert {event.kind for event in events} == set(Disorder)
    assert {event.fault for event in events} - {None} == set(Fault)


def test_each_event_type_is_published_by_its_publisher_with_the_subject_of_its_contract(catalogue: Catalogue) -> None:
    for source in SOURCES:
        contract = catalogue.event_types[source.event_type]
        assert contract.publishers == [source.system]
        assert contract.subject == source.subject


def test_all_but_broken_events_encode_and_read_back(events: list[GeneratedEvent], codecs: dict[str, Codec]) -> None:
    for event in events:
        if event.kind is Disorder.BROKEN:
            continue
        codec = codecs[event.event_type]
        record = to_record(event, codec, SCHEMA_ID)
        schema_id, body = framing.unframe(record.value)
        assert schema_id == SCHEMA_ID
        assert json_data.to_json(codec, codec.decode(body)) == event.data
        read = envelope.parse(record.headers, record.value)
        assert read.attributes == event.attributes
        assert read.source == names.source_of(event.system)
        assert record.key == (read.subject or "").encode()


@pytest.mark.parametrize("fault", list(Fault))
def test_broken_events_are_broken_as_they_say(
    fault: Fault, events: list[GeneratedEvent], catalogue: Catalogue, codecs: dict[str, Codec]
) -> None:
    for event in (event for event in events if event.fault is fault):
        record = to_record(event, codecs[event.event_type], SCHEMA_ID)
        codec = codecs[event.event_type]
        schema_id, body = framing.unframe(record.value)
        if fault is Fault.MISSING_ID:
            with pytest.raises(MalformedEnvelope):
                envelope.parse(record.headers, record.value)
        elif fault in (Fault.BAD_BYTES, Fault.INVALID_NIK):
            with pytest.raises(MalformedData):
                codec.decode(body)
        elif fault is Fault.WRONG_SCHEMA_ID:
            assert schema_id != SCHEMA_ID
        elif fault is Fault.WRONG_SOURCE:
            published_by = {names.source_of(system) for system in catalogue.event_types[event.event_type].publishers}
            assert event.attributes["source"] not in published_by
        else:
            assert event.attributes["subject"] not in str(event.data)


def test_a_repeat_is_an_earlier_event_unchanged(events: list[GeneratedEvent]) -> None:
    seen: dict[str, GeneratedEvent] = {}
    for event in events:
        if event.kind is Disorder.REPEAT:
            original = seen[event.attributes["id"]]
            assert (original.attributes, original.data) == (event.attributes, event.data)
        elif event.kind is not Disorder.BROKEN:
            assert event.attributes["id"] not in seen
            seen[event.attributes["id"]] = event


def test_late_events_happened_days_ago_and_all_others_today(events: list[GeneratedEvent]) -> None:
    for event in of_kind(events, Disorder.GOOD, Disorder.LATE, Disorder.UNENTITLED):
        happened = dt.date.fromisoformat(event.attributes["time"][:10])
        assert (happened < DATE - dt.timedelta(days=1)) == (event.kind is Disorder.LATE)


def test_good_events_are_asked_for_and_refused_by_no_one(events: list[GeneratedEvent], judge: Judge) -> None:
    for event in of_kind(events, Disorder.GOOD):
        asked, refused = judge.consumers(event)
        assert asked > 0, event.event_type
        assert refused == 0, event.event_type


def test_no_agreement_asks_for_unentitled_events(events: list[GeneratedEvent], judge: Judge) -> None:
    unentitled = of_kind(events, Disorder.UNENTITLED)
    assert len({event.event_type for event in unentitled}) > 2
    assert {judge.consumers(event)[0] for event in unentitled} == {0}


def test_events_with_a_broken_requirement_are_refused_by_one_consumer(
    events: list[GeneratedEvent], judge: Judge
) -> None:
    broken = of_kind(events, Disorder.REQUIRE_BROKEN)
    assert len({event.event_type for event in broken}) > 3
    assert {judge.consumers(event)[1] for event in broken} == {1}


def test_populous_provinces_have_more_births(events: list[GeneratedEvent]) -> None:
    births = collections.Counter(
        event.data["province"] for event in events if event.event_type == "id.go.dukcapil.birth.registered.v1"
    )
    assert {province for province, _ in births.most_common(3)} == {"32", "33", "35"}


def test_there_are_38_provinces_with_districts_of_their_own() -> None:
    assert len(regions.PROVINCES) == 38
    for province, (_, districts) in regions.PROVINCES.items():
        assert all(district.startswith(f"{province}.") for district in districts)
