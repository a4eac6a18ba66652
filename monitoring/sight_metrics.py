"""What the exporter saw in one look, as metrics of the list."""

import datetime as dt
from collections import Counter
from collections.abc import Mapping
from typing import Final

from confluent_kafka.admin import ClusterMetadata

from lintas import names
from monitoring.families import Families
from monitoring.group_status import Status
from monitoring.listed import metrics
from monitoring.sight import Group, Sight, Standing
from schemas.catalogue_log import Pointer
from schemas.cluster import Partition
from schemas.model import JAKARTA, Agreement
from schemas.snapshot import Snapshot

KINDS: Final = {
    "events": names.EVENTS,
    "inbox": names.INBOX,
    "dead": names.DEAD,
    "quarantine": names.QUARANTINE,
    "audit": "audit.",
    "other": "",
}
OF_THE_ROUND: Final = (
    "lintas_exporter_last_round_timestamp_seconds",
    "lintas_exporter_round_duration_seconds",
)
ALWAYS: Final = ("lintas_exporter_up", "lintas_part_up")  # also when a look fails


def shown(sight: Sight, *, began: dt.datetime, seconds: float, min_insync: int) -> Families:
    """Every metric of the exporter but those that are told always.

    Args:
        sight: what was seen.
        began: when the round began.
        seconds: how long it took.
        min_insync: copies that must acknowledge a write.
    """
    found = Families(*(name for name, one in metrics().items() if one.program == "exporter" and name not in ALWAYS))
    found.add(OF_THE_ROUND[0], began.timestamp())
    found.add(OF_THE_ROUND[1], seconds)
    if sight.logs.current is not None:
        pointer, snapshot = sight.logs.current
        _catalogue(found, pointer)
        _agreements(found, snapshot, began)
        _set_aside(found, sight, snapshot)
        _lag(found, sight, snapshot, began)
    _lanes(found, sight)
    _status(found, names.LANES_OFFSETS_GROUP, sight.lanes)
    for name, group in sight.readers.items():
        _reader(found, name, group, began)
    for topic, letters in sight.letters.items():
        found.add("lintas_letters_waiting", letters, topic=topic)
    found.add("lintas_kafka_controllers", sight.controller)
    _kafka(found, sight.metadata, min_insync)
    _ends(found, sight.ends)
    return found


def _catalogue(found: Families, pointer: Pointer) -> None:
    found.add("lintas_catalogue_current_info", 1, digest=pointer.manifest)
    applied = dt.datetime.fromisoformat(pointer.at).timestamp()
    found.add("lintas_catalogue_applied_timestamp_seconds", applied)


def _agreements(found: Families, snapshot: Snapshot, now: dt.datetime) -> None:
    for name, published in snapshot.agreements.items():
        contract = published.contract
        found.add(
            "lintas_agreement_info",
            1,
            agreement=name,
            event_type=contract.event_type,
            provider=contract.provider,
            consumer=contract.consumer,
            channel=snapshot.channel_of(contract),
            standing=contract.standing(now).value,
        )
        found.add("lintas_agreement_ends_timestamp_seconds", _end(contract), agreement=name)


def _end(contract: Agreement) -> float:
    """The end of the last day on which an agreement is valid; of the last day that there is, too."""
    begins = dt.datetime.combine(contract.valid.until, dt.time(), JAKARTA)
    return begins.timestamp() + dt.timedelta(days=1).total_seconds()


def _set_aside(found: Families, sight: Sight, snapshot: Snapshot) -> None:
    aside = Counter(agreement for agreement, _, _ in sight.logs.status.aside)
    for name, published in snapshot.agreements.items():
        event_type = published.contract.event_type
        found.add("lintas_set_aside_partitions", aside[name], agreement=name, event_type=event_type)


def _lag(found: Families, sight: Sight, snapshot: Snapshot, now: dt.datetime) -> None:
    for name, published in snapshot.event_types.items():
        places = [(published.topic, number) for number in range(published.contract.partitions)]
        there = [sight.lanes.places[place] for place in places if place in sight.lanes.places]
        missing = sum(place in sight.ends and place not in sight.lanes.places for place in places)
        found.add("lintas_lag_events", sum(one.behind for one in there), event_type=name)
        found.add("lintas_lag_seconds", max((age(one, now) for one in there), default=0.0), event_type=name)
        found.add("lintas_positions_missing", missing, event_type=name)


def age(standing: Standing, now: dt.datetime) -> float:
    """Seconds for which the oldest record has waited; 0 if none does, or if the brokers' clock is ahead of ours."""
    if standing.written_ms is None:
        return 0.0
    return max(0.0, now.timestamp() - standing.written_ms / 1000)


def _lanes(found: Families, sight: Sight) -> None:
    found.add("lintas_workers", sight.workers)
    plan = sight.logs.plans.latest
    if plan is None:
        return
    found.add("lintas_lanes", plan.lanes)
    found.add("lintas_lanes_open", sight.logs.plans.in_force is not None)
    for report in sight.logs.status.lanes.values():
        if report.generation == plan.generation:
            found.add("lintas_lane_catalogue_info", 1, lane=str(report.lane), digest=report.catalogue)


def _reader(found: Families, name: str, group: Group, now: dt.datetime) -> None:
    found.add("lintas_group_members", group.members, group=name)
    places = group.places.values()
    if not places:  # it has never committed, as groups do that only see to it that a system runs once
        return
    labels = {"group": name, "consumer": group.consumer}
    found.add("lintas_group_lag_events", sum(one.behind for one in places), **labels)
    found.add("lintas_group_lag_seconds", max((age(one, now) for one in places), default=0.0), **labels)
    _status(found, name, group)


def _status(found: Families, name: str, group: Group) -> None:
    for status in Status:
        found.add("lintas_group_status", group.status is status, group=name, status=status.value)


def _kafka(found: Families, metadata: ClusterMetadata, min_insync: int) -> None:
    found.add("lintas_kafka_brokers", len(metadata.brokers))
    states: Counter[str] = Counter()
    topics: Counter[str] = Counter()
    for name, topic in metadata.topics.items():
        topics[_kind(name)] += 1
        if name.startswith("__"):
            continue
        for partition in topic.partitions.values():
            states["all"] += 1
            states["offline"] += partition.leader < 0
            states["under_replicated"] += len(partition.isrs) < len(partition.replicas)
            states["under_min_isr"] += len(partition.isrs) < min_insync
    for state in ("all", "under_replicated", "under_min_isr", "offline"):
        found.add("lintas_kafka_partitions", states[state], state=state)
    for kind in KINDS:
        found.add("lintas_kafka_topics", topics[kind], kind=kind)


def _ends(found: Families, ends: Mapping[Partition, int]) -> None:
    by_kind: Counter[str] = Counter()
    by_inbox: Counter[str] = Counter()
    for (topic, _), end in ends.items():
        by_kind[_kind(topic)] += end
        if topic.startswith(names.INBOX):
            by_inbox[topic.removeprefix(names.INBOX)] += end
    for kind in KINDS:
        found.add("lintas_kafka_end_offset", by_kind[kind], kind=kind)
    for consumer, end in by_inbox.items():
        found.add("lintas_inbox_end_offset", end, consumer=consumer)


def _kind(topic: str) -> str:
    return next(kind for kind, prefix in KINDS.items() if topic.startswith(prefix))
