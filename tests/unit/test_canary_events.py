"""What arrives at the canary is held to what its agreement promises."""

import datetime as dt
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from lintas import names
from monitoring.canary_events import ALTERED, OUT_OF_ORDER, PERCHES, REPEATED, CanaryEvents
from monitoring.canary_metrics import CanaryMetrics
from monitoring.listed import metrics

SENT = dt.datetime(2026, 11, 26, 1, 2, 3, tzinfo=dt.UTC)
LISTED = {name for name, metric in metrics().items() if metric.program == "canary"}
READ = SENT + dt.timedelta(seconds=0.25)


def released(events: CanaryEvents, sequence: int, **other: Any) -> dict[str, Any]:
    sent = events.payload(sequence, SENT)
    del sent["withhold_me"]
    return {**sent, "mask_me": "******************is", **other}


@pytest.fixture
def events() -> CanaryEvents:
    return CanaryEvents("this run")


def test_an_event_that_arrives_as_agreed_is_well_and_has_an_age(events: CanaryEvents) -> None:
    arrival = events.judge(names.CANARY, released(events, 1), READ)
    assert arrival is not None
    assert (arrival.sequence, arrival.seconds, arrival.first, arrival.problems) == (1, 0.25, True, ())


@pytest.mark.parametrize(
    "other",
    [
        {"mask_me": "nobody may read this"},
        {"withhold_me": "this must never arrive"},  # it was not released
        {"perch": "perch-7"},
        {"sent_at": None},
    ],
)
def test_what_the_agreement_does_not_release_so_is_altered(events: CanaryEvents, other: dict[str, Any]) -> None:
    arrival = events.judge(names.CANARY, released(events, 1, **other), READ)
    assert arrival is not None
    assert arrival.problems == (ALTERED,)


def test_another_agreement_is_altered(events: CanaryEvents) -> None:
    arrival = events.judge("another", released(events, 1), READ)
    assert arrival is not None
    assert arrival.problems == (ALTERED,)


@pytest.mark.parametrize("data", [None, {}, {"run": "this run"}, {"sequence": "1"}, b"{"])
def test_what_is_no_canary_event_is_altered_and_not_counted_as_one(events: CanaryEvents, data: Any) -> None:
    arrival = events.judge(names.CANARY, data, READ)
    assert arrival is not None
    assert (arrival.first, arrival.problems) == (False, (ALTERED,))


def test_events_of_other_processes_are_not_ours(events: CanaryEvents) -> None:
    assert events.judge(names.CANARY, released(CanaryEvents("an earlier run"), 1), READ) is None


def test_an_event_that_comes_again_is_repeated_and_counted_once(events: CanaryEvents) -> None:
    arrivals = [events.judge(names.CANARY, released(events, 1), READ) for _ in range(2)]
    assert [one and (one.first, one.problems) for one in arrivals] == [(True, ()), (False, (REPEATED,))]


def test_order_is_promised_for_each_key(events: CanaryEvents) -> None:
    numbers = (2, 1, 2 + 2 * PERCHES, 2 + PERCHES, 2 + 3 * PERCHES)
    arrivals = [events.judge(names.CANARY, released(events, number), READ) for number in numbers]
    assert [one and one.problems for one in arrivals] == [(), (), (), (OUT_OF_ORDER,), ()]


def test_a_clock_that_was_set_back_makes_no_negative_age(events: CanaryEvents) -> None:
    arrival = events.judge(names.CANARY, released(events, 1), SENT - dt.timedelta(seconds=1))
    assert arrival is not None
    assert arrival.seconds == 0


def test_just_the_metrics_of_the_list_are_served(events: CanaryEvents) -> None:
    registry = CollectorRegistry()
    counts = CanaryMetrics(registry)
    assert served(registry) == LISTED - {"lintas_canary_last_received_timestamp_seconds"}  # nothing has arrived
    counts.connected(yes=True)
    counts.sent()
    for sequence in (2, 2, 1):
        arrival = events.judge(names.CANARY, released(events, sequence), READ)
        assert arrival is not None
        counts.arrived(arrival)
    assert served(registry) == LISTED
    assert registry.get_sample_value("lintas_canary_sent_total") == 1
    assert registry.get_sample_value("lintas_canary_received_total") == 2
    assert registry.get_sample_value("lintas_canary_round_trip_seconds_count") == 2
    assert registry.get_sample_value("lintas_canary_wrong_total", {"problem": REPEATED}) == 1


def served(registry: CollectorRegistry) -> set[str]:
    families = text_string_to_metric_families(generate_latest(registry).decode())
    return {family.name + "_total" * (family.type == "counter") for family in families}
