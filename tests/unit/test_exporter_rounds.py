"""The exporter serves what the list says, from its last complete round; where Kafka is away, it says so and goes on."""

import asyncio
import datetime as dt
import logging
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from lintas import names
from lintas.errors import BusUnavailable, CatalogueError
from lintas.settings import Settings
from monitoring import exporter
from monitoring.exporter import Exporter
from monitoring.group_status import Status
from monitoring.listed import metrics
from monitoring.sight import Group, Sight, Standing, _led, _readers
from monitoring.sight_metrics import age
from schemas.catalogue_log import Pointer
from schemas.compose import compose, numbering
from schemas.lane_plans import LanePlan, LanePlans
from schemas.load import Catalogue
from streams.slots import SetAside
from streams.status import LaneReport, LanesStatus

MADE, LOST = "events.office-x.thing.made.v1", "events.office-x.thing.lost.v1"
Samples = dict[tuple[str, ...], float]


def partition(leader: int = 1, isrs: int = 3) -> SimpleNamespace:
    return SimpleNamespace(leader=leader, isrs=list(range(isrs)), replicas=[1, 2, 3])


METADATA: Any = SimpleNamespace(
    brokers={1: "a", 2: "b"},
    topics={
        MADE: SimpleNamespace(partitions={0: partition(), 1: partition(isrs=2), 2: partition(-1, isrs=0)}),
        "inbox.users-x.statistics": SimpleNamespace(partitions={0: partition(isrs=1)}),
        "__consumer_offsets": SimpleNamespace(partitions={0: partition(isrs=1)}),
    },
)


def made_ms(seconds_ago: float) -> int:
    return round((dt.datetime.now(dt.UTC).timestamp() - seconds_ago) * 1000)


@pytest.fixture
def sight(small_catalogue: Callable[[str], Catalogue]) -> Sight:
    plans = LanePlans()
    plan = LanePlan(1, 4, "somebody", "2026-01-01T00:00:00+00:00")
    plans.add(*plan.as_record())
    plans.add(b"open/1", b"{}")
    reports = {n: LaneReport(1, n, "w", "abc", 2, "2026-01-01T00:00:00+00:00") for n in range(4)}
    aside = {("x.made", MADE, 0): SetAside(0, "full", "2026-01-01T00:00:00+00:00")}
    snapshot = compose(small_catalogue("x"), numbering())
    logs: Any = SimpleNamespace(
        plans=plans,
        status=LanesStatus(
            reports, {(next(iter(snapshot.agreements)), MADE, 0): next(iter(aside.values()))}, *4 * [{}]
        ),
        current=(Pointer("abc", None, "somebody", "2026-01-01T00:00:00.000+00:00", 1), snapshot),
    )
    lanes = Group("", {(MADE, 0): Standing(7, made_ms(90)), (MADE, 1): Standing(1, None)}, 2, Status.WARN)
    readers = {
        "users-x.statistics": Group(
            "users-x.statistics", {("inbox.users-x.statistics", 0): Standing(3, made_ms(30))}, 1, Status.OK
        ),
        "users-x.statistics.owner": Group("users-x.statistics", {}, 1, Status.OK),
    }
    ends = {(MADE, 0): 10, (MADE, 1): 5, (LOST, 0): 1, ("inbox.users-x.statistics", 0): 9, (names.REDRIVES, 0): 2}
    return Sight(METADATA, True, logs, ends, lanes, readers, {"dead.users-x.statistics": 4}, 2)


class Looker:
    """Sees what a test says, look by look."""

    def __init__(self, *looks: Any) -> None:
        self._looks = iter(looks)

    async def look(self) -> Any:
        found = next(self._looks)
        if isinstance(found, Exception):
            raise found
        return found


@pytest.fixture
def exports(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Exporter]:
    def make(*looks: Any) -> Exporter:
        monkeypatch.setattr(exporter, "Looker", lambda _: Looker(*looks))
        monkeypatch.setattr(exporter, "answering", lambda _: iter([("registry", True), ("postgres", False)]))
        return Exporter(Settings(), 5)

    return make


def shown(exports: Exporter) -> Samples:
    registry = CollectorRegistry()
    registry.register(exports)
    families = text_string_to_metric_families(generate_latest(registry).decode())
    return {
        (sample.name, *(sample.labels[label] for label in metrics()[sample.name].labels)): sample.value
        for family in families
        for sample in family.samples
    }


def test_just_the_metrics_of_the_list_are_served_each_with_a_sample(
    exports: Callable[..., Exporter], sight: Sight
) -> None:
    one = exports(sight)
    asyncio.run(one.round())
    listed = {name for name, metric in metrics().items() if metric.program == "exporter"}
    assert {name for name, *_ in shown(one)} == listed


def test_the_metrics_say_what_was_seen(exports: Callable[..., Exporter], sight: Sight) -> None:
    one = exports(sight)
    asyncio.run(one.round())
    found = shown(one)
    made, lost = "id.go.office-x.thing.made.v1", "id.go.office-x.thing.lost.v1"
    assert found["lintas_exporter_up",] == found["lintas_lanes_open",] == found["lintas_kafka_controllers",] == 1
    assert found["lintas_part_up", "kafka"] == found["lintas_part_up", "registry"] == 1
    assert found["lintas_part_up", "postgres"] == 0
    assert found["lintas_lag_events", made] == 8  # markers included
    assert found["lintas_lag_seconds", made] == pytest.approx(90, abs=20)  # of events only, the most of the partitions
    assert found["lintas_lag_seconds", lost] == found["lintas_positions_missing", made] == 0
    assert found["lintas_positions_missing", lost] == 1
    assert found["lintas_lanes",] == 4
    assert found["lintas_workers",] == found["lintas_kafka_brokers",] == 2
    assert found["lintas_group_lag_events", "users-x.statistics", "users-x.statistics"] == 3
    assert found["lintas_group_members", "users-x.statistics.owner"] == 1
    assert ("lintas_group_lag_events", "users-x.statistics.owner", "users-x.statistics") not in found
    assert found["lintas_group_status", names.LANES_OFFSETS_GROUP, "warn"] == 1
    assert found["lintas_group_status", names.LANES_OFFSETS_GROUP, "ok"] == 0
    assert found["lintas_inbox_end_offset", "users-x.statistics"] == 9
    assert found["lintas_letters_waiting", "dead.users-x.statistics"] == 4
    assert sum(value for key, value in found.items() if key[0] == "lintas_set_aside_partitions") == 1
    states = {state: found["lintas_kafka_partitions", state] for state in ("all", "under_replicated", "offline")}
    assert states == {"all": 4, "under_replicated": 3, "offline": 1}
    assert found["lintas_kafka_partitions", "under_min_isr"] == 1
    assert found["lintas_kafka_topics", "events"] == found["lintas_kafka_topics", "other"] == 1
    assert found["lintas_kafka_end_offset", "events"] == 16


def test_where_kafka_is_away_it_is_said_once_and_the_last_round_stays_shown(
    exports: Callable[..., Exporter], sight: Sight, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    away = BusUnavailable(part="Kafka", address="here", reason="no answer")
    one = exports(away, sight, away, away, sight)
    assert one.health.startup() == one.health.ready() == "no round is complete yet"
    asyncio.run(one.round())
    assert shown(one) == {
        ("lintas_exporter_up",): 0,
        ("lintas_part_up", "kafka"): 0,
        ("lintas_part_up", "registry"): 1,
        ("lintas_part_up", "postgres"): 0,
    }
    asyncio.run(one.round())
    before = shown(one)
    asyncio.run(one.round())
    asyncio.run(one.round())
    assert shown(one) == before | {("lintas_exporter_up",): 0, ("lintas_part_up", "kafka"): 0}
    assert one.health.ready().startswith("Kafka does not answer")
    assert one.health.startup() == one.health.live() == ""
    asyncio.run(one.round())
    assert shown(one)["lintas_exporter_up",] == 1
    assert one.health.ready() == ""
    assert [record.message.partition(":")[0] for record in caplog.records] == [
        "no round",
        "a round is complete",
        "no round",
        "a round is complete",
    ]


def test_a_broken_catalogue_is_not_laid_on_kafka(exports: Callable[..., Exporter]) -> None:
    one = exports(CatalogueError(reason="altered"))
    asyncio.run(one.round())
    assert shown(one)["lintas_exporter_up",] == 0
    assert shown(one)["lintas_part_up", "kafka"] == 1


def test_only_partitions_with_a_leader_are_asked_for_their_end() -> None:
    assert _led(METADATA) == {(MADE, 0), (MADE, 1), ("inbox.users-x.statistics", 0)}


def test_a_group_belongs_to_the_system_that_the_acls_say(small_catalogue: Callable[[str], Catalogue]) -> None:
    snapshot = compose(small_catalogue("x"), numbering())
    groups = ["users-x.statistics", "users-x.statistics.night", "users-x.statistics2", "lintas.lanes.g1", "x"]
    assert _readers(groups, snapshot) == dict.fromkeys(groups[:2], "users-x.statistics")
    assert _readers(groups, None) == {}


def test_an_age_is_never_below_zero() -> None:
    now = dt.datetime.now(dt.UTC)
    assert age(Standing(1, made_ms(-5)), now) == 0
    assert age(Standing(1, None), now) == 0
    assert age(Standing(1, made_ms(5)), now) == pytest.approx(5, abs=1)
