"""Deleting what no catalogue asks for any more, but nothing that somebody may still have to read."""

from collections.abc import Collection

from lintas import names
from lintas.credentials import path_of
from lintas.settings import Settings
from schemas.cluster import Cluster, Partition
from schemas.desired import Acl
from schemas.differences import SUBJECT, TOPIC, USER, Change
from schemas.registry import Registry
from schemas.topic_reader import read_from


def prune(settings: Settings, cluster: Cluster, leftovers: Collection[Change], acls: Collection[Acl]) -> list[Change]:
    """Delete what is left over; returns what stays, and why.

    A topic stays as long as it holds a record that nobody has read, and its schemas with it.

    Raises:
        BusUnavailable: Kafka or the registry does not answer. Pruning again is harmless.
    """
    cluster.delete_acls(acls)
    for change in leftovers:
        if change.kind == USER:
            cluster.delete_user(change.name)
            path_of(settings, change.name).unlink(missing_ok=True)
    kept: dict[tuple[str, str], str] = {}
    for change in leftovers:
        if change.kind == TOPIC and _holds_unread(settings, cluster, change.name):
            is_log = change.name.startswith(names.CONNECTORS)
            why = "it holds how far connectors are" if is_log else "it holds events that nobody has read"
            kept[TOPIC, change.name] = f"stays: {why}"
            subject = names.subject_of_topic(change.name)
            if any(change.kind == SUBJECT and change.name == subject for change in leftovers):
                kept[SUBJECT, subject] = "stays: its topic does"
    cluster.delete_topics(
        change.name for change in leftovers if change.kind == TOPIC and (TOPIC, change.name) not in kept
    )
    with Registry.of(settings) as registry:
        for change in leftovers:
            if change.kind == SUBJECT and (SUBJECT, change.name) not in kept:
                registry.delete_subject(change.name)
    return [Change("refuse", kind, name, reason) for (kind, name), reason in sorted(kept.items())]


def _holds_unread(settings: Settings, cluster: Cluster, topic: str) -> bool:
    """Whether a topic holds a record that its readers have not committed.

    Dead letters and quarantine have no reader whose word would do: they stay until somebody has emptied them.
    """
    partitions: list[Partition] = [(topic, number) for number in range(cluster.partitions().get(topic, 0))]
    positions = cluster.beginnings(partitions)
    for group in _readers(cluster, topic):
        for partition, offset in cluster.committed(group, partitions).items():
            positions[partition] = max(positions[partition], offset)
    ends = cluster.ends(partitions)
    # what lies between may still be nothing but the markers of transactions
    unread = {partition: offset for partition, offset in positions.items() if offset < ends[partition]}
    return bool(unread) and next(read_from(settings, names.ADMIN, unread), None) is not None


def _readers(cluster: Cluster, topic: str) -> list[str]:
    if topic.startswith(names.EVENTS):
        return [names.LANES_OFFSETS_GROUP]
    if topic.startswith(names.INBOX):
        system = topic.removeprefix(names.INBOX)
        return [group for group in cluster.groups() if group == system or group.startswith(f"{system}.")]
    return []
