"""What must exist on Kafka for a catalogue: topics, users, access rights, registry subjects. Pure."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Final, Literal, Self

from lintas import names
from lintas.settings import Settings
from schemas.snapshot import Snapshot

DAY_MS: Final = 86_400_000
MIB: Final = 1024 * 1024
FOR_EVER: Final = "-1"
AUDIT_PARTITIONS: Final = 8
WAITING_PARTITIONS: Final = 8
INBOX_RETENTION_DAYS: Final = 7
CONNECTORS_SEGMENT_BYTES: Final = 8 * MIB  # a runtime that takes over reads some of these
DEAD_RETENTION_DAYS: Final = 365  # long enough to notice, judge and redrive

Operation = str  # we grant READ, WRITE and DELETE, each of which implies DESCRIBE; others are found only
Resource = str  # TOPIC, GROUP, TRANSACTIONAL_ID
Pattern = Literal["LITERAL", "PREFIXED"]


@dataclasses.dataclass(frozen=True, slots=True)
class Topic:
    """A topic that must exist; the number of partitions is fixed when it is created."""

    name: str
    partitions: int
    config: Mapping[str, str]


@dataclasses.dataclass(frozen=True, order=True, slots=True)
class Acl:
    """A right of one principal; whatever is not allowed is refused."""

    principal: str
    operation: Operation
    resource: Resource
    name: str
    pattern: Pattern

    def __str__(self) -> str:
        """The right in words."""
        of = "every " if self.pattern == "PREFIXED" else ""
        star = "*" if self.pattern == "PREFIXED" else ""
        kind = self.resource.lower().replace("_", " ")
        return f"{self.principal} may {self.operation.lower()} {of}{kind} {self.name}{star}"


@dataclasses.dataclass(frozen=True, slots=True)
class Desired:
    """What must exist, each kind by its own name."""

    topics: Mapping[str, Topic]
    acls: frozenset[Acl]
    users: frozenset[str]
    subjects: frozenset[str]

    def __or__(self, other: Self) -> Self:
        """Both."""
        return dataclasses.replace(
            self,
            topics={**self.topics, **other.topics},
            acls=self.acls | other.acls,
            users=self.users | other.users,
            subjects=self.subjects | other.subjects,
        )


AUDIT_SUBJECT: Final = names.subject_of_topic(names.AUDIT_DECISIONS)


def system_topics(settings: Settings) -> list[Topic]:
    """The topics that a bus has before any catalogue."""
    common = _common(settings)
    compact = {**common, "cleanup.policy": "compact"}
    return [
        Topic(
            names.AUDIT_DECISIONS,
            AUDIT_PARTITIONS,
            {**common, "retention.ms": FOR_EVER, "max.message.bytes": str(4 * MIB)},
        ),
        Topic(names.AUDIT_SALTS, AUDIT_PARTITIONS, {**compact, "max.message.bytes": str(4 * MIB)}),
        Topic(names.CATALOGUE, 1, {**compact, "max.message.bytes": str(4 * MIB)}),
        Topic(names.LANES_PLANS, 1, {**common, "retention.ms": FOR_EVER}),
        Topic(names.LANES_STATUS, 1, compact),
        Topic(names.REDRIVES, 1, {**common, "retention.ms": FOR_EVER}),
        Topic(names.REPLAYS, 1, {**common, "retention.ms": FOR_EVER}),
        Topic(names.ACTS, 1, {**common, "retention.ms": FOR_EVER}),
        Topic(names.LANES_WAITING, WAITING_PARTITIONS, {**common, "retention.ms": str(DEAD_RETENTION_DAYS * DAY_MS)}),
    ]


def control_topic(settings: Settings, generation: int, lanes: int) -> Topic:
    """The topic that never holds a record: its partitions are the lanes of one generation."""
    return Topic(names.control_topic(generation, lanes), lanes, _common(settings))


def system_acls() -> frozenset[Acl]:
    """What the programs of the bus may do, and no more.

    Workers read events and letters, write what they decide, hold the lanes' ids; the gateway reads the catalogue.
    """

    def may(operation: Operation, resource: Resource, name: str, pattern: Pattern) -> Acl:
        return Acl(names.WORKER, operation, resource, name, pattern)

    return frozenset(
        {
            may("READ", "TOPIC", names.EVENTS, "PREFIXED"),
            may("READ", "TOPIC", names.DEAD, "PREFIXED"),  # to redrive
            may("READ", "TOPIC", names.QUARANTINE, "PREFIXED"),  # as well
            may("READ", "TOPIC", "lintas.lanes.", "PREFIXED"),
            *(may("READ", "TOPIC", topic, "LITERAL") for topic in (names.CATALOGUE, names.REDRIVES, names.REPLAYS)),
            may("READ", "TOPIC", names.AUDIT_DECISIONS, "LITERAL"),  # to restore lost positions
            *(
                may("WRITE", "TOPIC", prefix, "PREFIXED")
                for prefix in (names.INBOX, names.DEAD, names.QUARANTINE, "audit.", "lintas.lanes.")
            ),
            may("READ", "GROUP", "lintas.", "PREFIXED"),
            may("WRITE", "TRANSACTIONAL_ID", "lintas.lane.", "PREFIXED"),
            Acl(names.GATEWAY, "READ", "TOPIC", names.CATALOGUE, "LITERAL"),
        }
    )


def system_state(settings: Settings) -> Desired:
    """What a bus has before any catalogue."""
    return Desired(
        topics={topic.name: topic for topic in system_topics(settings)},
        acls=system_acls(),
        users=frozenset({names.WORKER, names.GATEWAY}),
        subjects=frozenset(),
    )


def desired(snapshot: Snapshot, settings: Settings) -> Desired:
    """What a catalogue asks for, the system's own included."""
    counts = snapshot.topics()
    retention_days = {
        event_type.topic: event_type.contract.retention_days for event_type in snapshot.event_types.values()
    }
    for event_type in snapshot.event_types.values():  # replays leave out what is in quarantine: it must not go earlier
        quarantine = names.quarantine_topic(event_type.contract.owner)
        longest = max(retention_days.get(quarantine, DEAD_RETENTION_DAYS), event_type.contract.retention_days)
        retention_days[quarantine] = longest
    topics = {
        name: Topic(name, partitions, _config(name, retention_days.get(name), settings))
        for name, partitions in counts.items()
    }
    acls = frozenset(_acls(snapshot))
    return system_state(settings) | Desired(
        topics=topics,
        acls=acls,
        users=frozenset(acl.principal for acl in acls),
        subjects=frozenset(_subjects(snapshot)),
    )


def _acls(snapshot: Snapshot) -> Iterator[Acl]:
    """Least privilege. No system may read `dead.*`: a dead letter holds fields that were not released."""
    topics = snapshot.topics()
    publishers: set[str] = set()
    for event_type in snapshot.event_types.values():
        for system in event_type.contract.publishers:
            publishers.add(system)
            yield Acl(system, "WRITE", "TOPIC", event_type.topic, "LITERAL")
    for system in publishers:
        quarantine = names.quarantine_topic(system.partition(".")[0])
        if quarantine in topics:
            yield Acl(system, "READ", "TOPIC", quarantine, "LITERAL")
        yield from _own_names(system, "WRITE", "TRANSACTIONAL_ID")
    for system in snapshot.consumers():
        yield Acl(system, "READ", "TOPIC", names.inbox_topic(system), "LITERAL")
    for system, changelogs in snapshot.tables().items():
        for changelog in changelogs:
            yield Acl(system, "READ", "TOPIC", changelog, "LITERAL")
            yield Acl(system, "WRITE", "TOPIC", changelog, "LITERAL")
    connected = snapshot.connector_systems()
    for system in connected:
        topic = names.connectors_topic(system)
        yield Acl(system, "READ", "TOPIC", topic, "LITERAL")
        yield Acl(system, "WRITE", "TOPIC", topic, "LITERAL")
        yield from _own_names(system, "WRITE", "TRANSACTIONAL_ID")
        yield Acl(system, "DELETE", "GROUP", names.connector_id(system, ""), "PREFIXED")
    for system in publishers | snapshot.consumers() | connected:
        yield from _own_names(system, "READ", "GROUP")


def _own_names(system: str, operation: Operation, resource: Resource) -> Iterator[Acl]:
    """The system's own id and whatever begins with it and a dot: `bps.a` must not reach what is `bps.ab`'s."""
    yield Acl(system, operation, resource, system, "LITERAL")
    yield Acl(system, operation, resource, f"{system}.", "PREFIXED")


def _subjects(snapshot: Snapshot) -> Iterator[str]:
    yield AUDIT_SUBJECT
    for event_type in snapshot.event_types.values():
        yield names.subject_of_topic(event_type.topic)
    for agreement in snapshot.agreements.values():
        yield names.released_subject(agreement.contract.consumer, agreement.contract.agreement)


def _config(topic: str, retention_days: int | None, settings: Settings) -> dict[str, str]:
    """How a catalogue's topic is kept.

    The broker's clock stamps events, since the duplicate window and evidence rely on it, and deliveries, which
    must not tell when the source wrote.
    """
    if topic.startswith(names.TABLES):  # the newest record of every key, for ever
        return {**_common(settings), "cleanup.policy": "compact"}
    if topic.startswith(names.CONNECTORS):  # likewise; every transaction of a connector adds to it, so compacted often
        return {**_common(settings), "cleanup.policy": "compact", "segment.bytes": str(CONNECTORS_SEGMENT_BYTES)}
    if topic.startswith(names.EVENTS):
        days, size, clock = retention_days or INBOX_RETENTION_DAYS, MIB, "LogAppendTime"
    elif topic.startswith(names.INBOX):
        days, size, clock = INBOX_RETENTION_DAYS, 2 * MIB, "LogAppendTime"
    else:
        days, size, clock = retention_days or DEAD_RETENTION_DAYS, 2 * MIB, "CreateTime"
    return {
        **_common(settings),
        "retention.ms": str(days * DAY_MS),
        "max.message.bytes": str(size),
        "message.timestamp.type": clock,
    }


def _common(settings: Settings) -> dict[str, str]:
    return {
        "cleanup.policy": "delete",
        "compression.type": "producer",
        "min.insync.replicas": str(settings.min_insync_replicas),
    }
