"""What distinguishes the bus from a catalogue: every change that applying it would make. Pure."""

import dataclasses
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final, Literal

from lintas import names
from schemas.desired import DAY_MS, Acl, Desired, Topic
from schemas.snapshot import Snapshot

Action = Literal["create", "update", "delete", "refuse"]
TOPIC, USER, ACL, SCHEMA, SUBJECT = "topic", "user", "acl", "schema", "subject"
ON_THE_BUS: Final = frozenset({TOPIC, USER, ACL, SUBJECT})
_TOPICS: Final = (names.EVENTS, names.INBOX, names.DEAD, names.QUARANTINE, names.TABLES, names.CONNECTORS)
_SYSTEM: Final = re.compile(rf"{names.AGENCY_ID.pattern}\.{names.AGENCY_ID.pattern}")


@dataclasses.dataclass(frozen=True, order=True, slots=True)
class Change:
    """One thing that applying a catalogue would do, or refuse."""

    action: Action
    kind: str
    name: str
    detail: str = ""

    @property
    def only_pruned(self) -> bool:
        """Whether it is left over and stays so until somebody prunes; what the catalogue itself drops goes at once."""
        return self.action == "delete" and self.kind in ON_THE_BUS


@dataclasses.dataclass(frozen=True, slots=True)
class Found:
    """What exists."""

    partitions: Mapping[str, int]
    configs: Mapping[str, Mapping[str, str]]
    users: Collection[str]
    acls: Collection[Acl]
    subjects: Collection[str]
    credentials: Collection[str]  # principals whose credentials file is there


def bus_changes(desired: Desired, found: Found) -> list[Change]:
    """What must change on Kafka and in the registry; schemas that are to be registered are not among it."""
    return sorted(
        [
            *_topics(desired, found),
            *_users(desired, found),
            *(Change("create", ACL, str(acl)) for acl in desired.acls - set(found.acls)),
            *(Change("delete", ACL, str(acl)) for acl in leftover_acls(desired, found)),
            *(
                Change("delete", SUBJECT, subject)
                for subject in set(found.subjects) - desired.subjects
                if subject.startswith((names.EVENTS, names.INBOX))
            ),
        ]
    )


def leftover_acls(desired: Desired, found: Found) -> set[Acl]:
    """Rights of systems and workers that the catalogue does not ask for; other principals' are not ours to judge."""
    return {acl for acl in set(found.acls) - desired.acls if acl.principal == names.WORKER or _is_system(acl.principal)}


def _topics(desired: Desired, found: Found) -> Iterator[Change]:
    for name, topic in desired.topics.items():
        if name not in found.partitions:
            yield Change("create", TOPIC, name, _shape(topic))
            continue
        # a running bus keeps the number of its own partitions whatever the settings say now
        if name.startswith(_TOPICS) and topic.partitions != found.partitions[name]:
            yield Change(
                "refuse",
                TOPIC,
                name,
                f"has {found.partitions[name]} partitions, the catalogue says {topic.partitions}; the number is fixed "
                "when a topic is created: another one would break the order of events with the same key",
            )
        if changed := changed_config(topic, found):
            was = found.configs.get(name, {})
            yield Change(
                "update",
                TOPIC,
                name,
                ", ".join(f"{key} {was.get(key, '(unset)')} to {value}" for key, value in sorted(changed.items())),
            )
    for name in set(found.partitions) - set(desired.topics):
        if name.startswith(_TOPICS):
            yield Change("delete", TOPIC, name, "with all that it holds")


def changed_config(topic: Topic, found: Found) -> dict[str, str]:
    """The settings of a topic that are not as they should be; settings that we do not name are not ours to judge."""
    was = found.configs.get(topic.name, {})
    return {key: value for key, value in topic.config.items() if was.get(key) != value}


def _shape(topic: Topic) -> str:
    kept = "compacted"
    if topic.config.get("cleanup.policy") == "delete":
        retention_ms = int(topic.config.get("retention.ms", "-1"))
        kept = "kept for ever" if retention_ms < 0 else f"kept {retention_ms // DAY_MS} days"
    return f"{topic.partitions} partition{'' if topic.partitions == 1 else 's'}, {kept}"


def _users(desired: Desired, found: Found) -> Iterator[Change]:
    for user in desired.users:
        if user not in found.users:
            yield Change("create", USER, user)
        elif user not in found.credentials:
            yield Change("update", USER, user, "a new password, since its credentials file is gone")
    for user in set(found.users) - desired.users:
        if _is_system(user):
            yield Change("delete", USER, user, "with its credentials file")


def _is_system(principal: str) -> bool:
    return bool(_SYSTEM.fullmatch(principal)) and not principal.startswith(f"{names.RESERVED_AGENCY}.")


def catalogue_changes(in_force: Snapshot | None, wanted: Snapshot) -> list[Change]:
    """What changes in the catalogue itself. What it drops loses its effect at once, pruned or not."""
    return object_changes(in_force.objects() if in_force else {}, wanted.objects())


def object_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change]:
    """Likewise, of the published objects of both by their names; those that are the same may be left out."""
    changes = []
    for full_name in {*old, *new}:
        kind, _, name = full_name.partition("/")
        kind = kind.replace("-", " ")
        if full_name not in old:
            changes.append(Change("create", kind, name))
        elif full_name not in new:
            changes.append(Change("delete", kind, name))
        elif old[full_name] != new[full_name]:
            changes.append(Change("update", kind, name, _fields(old[full_name], new[full_name])))
    return sorted(changes)


def _fields(old: Mapping[str, object], new: Mapping[str, object]) -> str:
    """Which fields of an object differ, those of its contract by their own names."""
    parts: set[str] = set()
    for field in {*old, *new}:
        was, now = old.get(field), new.get(field)
        if was == now:
            continue
        if isinstance(was, dict) and isinstance(now, dict) and field in {"contract", "systems", "config"}:
            parts.update(key for key in {*was, *now} if was.get(key) != now.get(key))
        else:
            parts.add("released schema" if field == "released" else field)
    return ", ".join(sorted(parts))
