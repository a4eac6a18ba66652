"""What a worker counts is what its audit records say, and what the written list names."""

import dataclasses
import random
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Mapping, Sequence

import pytest
from day_records import AT, day_records, example_plans, mutated
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from raw_batches import raw_batch

from monitoring.listed import metrics
from monitoring.worker_health import STUCK_SECONDS, WorkerWatch
from monitoring.worker_metrics import AGE, DECISIONS, EVENTS, WorkerMetrics
from streams import audit
from streams.batch import Batch
from streams.decide import EventTypePlan, Plans
from streams.decisions import decided_in
from streams.records import InputRecord
from streams.slots import SetAside, Slot
from streams.tally import times_set
from streams.window import DuplicateWindow

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture(scope="module")
def plans() -> Plans:
    return example_plans()


@pytest.fixture(scope="module")
def inputs(plans: Plans) -> Mapping[str, Sequence[InputRecord]]:
    """A day with repeats and much that is odd."""
    chance = random.Random(5)
    return {
        topic: [mutated(one, chance) if chance.random() < 0.2 else one for one in records]
        for topic, records in day_records(plans).items()
    }


def carried(
    plans: Plans, inputs: Mapping[str, Sequence[InputRecord]], aside: Mapping[Slot, SetAside] | None = None
) -> Batch:
    windows = {(topic, 0): DuplicateWindow(records=1_000, seconds=100) for topic in inputs}
    batch = Batch(plans, windows, aside or {}, at=AT)
    for topic, records in inputs.items():
        for again in (0, len(records)):  # everything is published twice
            raw = raw_batch([dataclasses.replace(one, offset=one.offset + again) for one in records])
            while raw.left:
                batch.add(topic, 0, raw, 97)
    return batch


def counted(plans: Plans, batch: Batch) -> CollectorRegistry:
    registry, watched = CollectorRegistry(), WorkerMetrics()
    registry.register(watched)
    watched.took_up(plans)
    watched.committed(plans, batch, decide_seconds=0.01, commit_seconds=0.02)
    return registry


def samples(registry: CollectorRegistry, name: str) -> Counter[tuple[str, ...]]:
    return Counter(
        {
            tuple(sample.labels.values()): int(sample.value)
            for family in registry.collect()
            for sample in family.samples
            if sample.name == name and sample.value
        }
    )


def as_audited(plans: Plans, batch: Batch) -> tuple[Counter[tuple[str, ...]], Counter[tuple[str, ...]]]:
    """Events and decisions by outcome, read from the audit records of a batch."""
    events, decisions = Counter[tuple[str, ...]](), Counter[tuple[str, ...]]()
    channels = {one.agreement.agreement: one.channel for plan in plans.by_topic.values() for one in plan.agreements}
    decided = audit.Decided(batch.id, 1, 0, "w", plans.digest, batch.at)
    for record in audit.read_records(audit.AuditWriter(1).records(decided, list(batch.decided.values()))):
        for part in record["partitions"]:
            for event in decided_in(part):
                events[event.event_type, event.outcome] += 1
                for verdict in event.verdicts:
                    key = verdict.agreement, event.event_type, channels[verdict.agreement], verdict.outcome
                    decisions[key] += 1
    return events, decisions


@pytest.mark.parametrize("by_field_span", [True, False], ids=["by field span", "reference path"])
@pytest.mark.parametrize("is_aside", [False, True], ids=["live", "some set aside"])
def test_counts_are_those_of_the_audit_records(
    plans: Plans, inputs: Mapping[str, Sequence[InputRecord]], *, by_field_span: bool, is_aside: bool
) -> None:
    if not by_field_span:
        plans = example_plans()
        for plan in plans.by_topic.values():
            plan.readings = {}
    aside = {
        (one.agreement.agreement, topic, 0): SetAside(0, "inbox: gone", "2026-11-24T00:00:00Z")
        for topic in inputs
        for one in plans.by_topic[topic].agreements[::2]
    }
    batch = carried(plans, inputs, aside if is_aside else {})
    registry = counted(plans, batch)
    events, decisions = as_audited(plans, batch)
    assert samples(registry, EVENTS) == events
    assert samples(registry, DECISIONS) == decisions
    assert {outcome for *_, outcome in decisions} >= {"delivered", "filtered", "suspended"}
    assert ("waiting" in {outcome for *_, outcome in decisions}) == is_aside
    assert {outcome for _, outcome in events} == {"routed", "duplicate", "quarantined"}
    delivered = Counter({key[:-1]: count for key, count in decisions.items() if key[-1] == "delivered"})
    assert samples(registry, f"{AGE}_count") == delivered


@given(st.dictionaries(st.integers(0, 2**70), st.integers(0, 1000)))
def test_bits_are_counted_as_one_by_one(counts: Mapping[int, int]) -> None:
    assert times_set(counts, 71) == [sum(n for bits, n in counts.items() if bits >> bit & 1) for bit in range(71)]


def openmetrics(registry: CollectorRegistry) -> str:
    text: bytes = generate_openmetrics(registry)  # type: ignore[no-untyped-call]  # prometheus_client has no types there
    return text.decode()


def public(plans: Plans) -> EventTypePlan:
    return next(plan for plan in plans.by_topic.values() if "earthquake" in plan.topic)


def test_ages_fall_into_their_buckets_and_carry_a_trace(plans: Plans) -> None:
    plan = public(plans)
    record = day_records(plans)[plan.topic][0]
    now_ms = round(time.time() * 1000)
    trace = ("ce_traceparent", f"00-{TRACE_ID}-b7ad6b7169203331-01".encode())
    records = [
        dataclasses.replace(
            record,
            offset=number,
            timestamp_ms=now_ms - age_ms,
            headers=[
                *((name, b"e%d" % number if name == "ce_id" else value) for name, value in record.headers),
                trace,
            ],
        )
        for number, age_ms in enumerate((40_000, 40_000, 700))
    ]
    batch = Batch(plans, {(plan.topic, 0): DuplicateWindow(records=9, seconds=999)}, {}, at=AT)
    raw = raw_batch(records)
    while raw.left:
        batch.add(plan.topic, 0, raw, 10)
    registry = counted(plans, batch)
    to = next(one for one in plan.agreements if one.agreement.when is None)
    name = to.agreement.agreement
    buckets = {labels[3]: n for labels, n in samples(registry, f"{AGE}_bucket").items() if labels[0] == name}
    given_to = samples(registry, f"{AGE}_count")[name, plan.event_type, to.channel]
    assert given_to == 3
    assert buckets == {"1.0": 1, "2.5": 1, "5.0": 1, "10.0": 1, "30.0": 1, "60.0": 3, "300.0": 3, "1800.0": 3,
                       "7200.0": 3, "+Inf": 3}  # fmt: skip
    assert f'# {{trace_id="{TRACE_ID}"}}' in openmetrics(registry)


def test_events_about_persons_give_no_trace_away(plans: Plans) -> None:
    topic, records = next((topic, held) for topic, held in day_records(plans).items() if "birth.registered" in topic)
    trace = ("ce_traceparent", f"00-{TRACE_ID}-b7ad6b7169203331-01".encode())
    traced = [dataclasses.replace(one, headers=[*one.headers, trace]) for one in records]
    registry = counted(plans, carried(plans, {topic: traced}))
    assert samples(registry, f"{AGE}_count")
    assert TRACE_ID not in openmetrics(registry)


def watched_worker(plans: Plans, batch: Batch) -> tuple[WorkerWatch, CollectorRegistry]:
    registry, watch = CollectorRegistry(), WorkerWatch()
    registry.register(watch)
    watch.took_up(plans)
    watch.assigned({0, 1, 2})
    for lane in (0, 1):
        watch.owned(lane)
        watch.running(lane)
    watch.committed(plans, batch, decide_seconds=0.01, commit_seconds=0.02)
    return watch, registry


def test_all_that_the_list_says_of_workers_is_served_and_nothing_else(
    plans: Plans, inputs: Mapping[str, Sequence[InputRecord]]
) -> None:
    _, registry = watched_worker(plans, carried(plans, inputs))
    listed = {one.name: one for one in metrics().values() if one.program == "worker"}
    served = {
        family.name + ("_total" if family.type == "counter" else ""): family.samples for family in registry.collect()
    }
    assert set(served) == set(listed)
    for name, found in served.items():
        for sample in found:
            assert set(sample.labels) - {"le"} == set(listed[name].labels), name


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is in Debian's package prometheus")
def test_prometheus_has_nothing_to_find_fault_with(plans: Plans, inputs: Mapping[str, Sequence[InputRecord]]) -> None:
    _, registry = watched_worker(plans, carried(plans, inputs))
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=generate_latest(registry), capture_output=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_a_worker_is_ready_when_all_its_lanes_run(plans: Plans, monkeypatch: pytest.MonkeyPatch) -> None:
    watch = WorkerWatch()
    assert watch.health.startup() == "it has not joined the workers' group yet: no catalogue, no Kafka"
    assert watch.health.ready()
    watch.took_up(plans)
    watch.assigned({0, 1})
    assert watch.health.startup() == ""
    watch.running(0)
    assert watch.health.ready() == "lanes 1 are being taken over"
    watch.running(1)
    assert watch.health.ready() == ""
    watch.let_go(1)
    watch.stopped(1)
    assert watch.health.ready() == "lanes 1 wait for a person: the log says why"
    watch.owned(1)
    watch.running(1)
    assert watch.health.ready() == watch.health.live() == ""
    later = time.monotonic() + STUCK_SECONDS + 5
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert watch.health.live() == "the worker's loop has not come round for 35 s"
    watch.beat()
    assert watch.health.live() == ""
