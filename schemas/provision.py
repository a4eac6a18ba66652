"""Bringing the bus into the state that a catalogue asks for: look, compare, create, publish, wait, prune.

Everything is repeatable: after a kill at any point the same call ends in the same state.
"""

import dataclasses
import fcntl
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from lintas import names
from lintas.credentials import create, path_of
from lintas.errors import CatalogueError, CatalogueMoved, PositionGone
from lintas.settings import Settings
from schemas import connector_configs
from schemas.catalogue_log import CatalogueLog
from schemas.cluster import Cluster
from schemas.compose import Register, compose
from schemas.desired import Desired, desired, system_state
from schemas.differences import (
    SCHEMA,
    Change,
    Found,
    bus_changes,
    catalogue_changes,
    changed_config,
    leftover_acls,
)
from schemas.generations import ensure_lanes, latest_plan
from schemas.lane_reports import wait_for_lanes
from schemas.load import Catalogue
from schemas.model import as_json
from schemas.prune import prune as remove
from schemas.pseudonyms import KeyFiles
from schemas.publication import missing_positions, publish, read_log
from schemas.registry import BACKWARD_TRANSITIVE, Registry
from schemas.snapshot import RegisteredSchema, Snapshot

PRUNE_WAIT_SECONDS: Final = 60.0
PSEUDONYM_KEYS: Final = "pseudonym-keys"
NOT_REGISTERED: Final = 0  # the id that a schema has in a plan as long as the registry has given none
Progress = Callable[[str], None]


@dataclasses.dataclass(frozen=True, slots=True)
class Applied:
    """What an apply did."""

    digest: str
    previous: str | None  # what was in force before; the same where nothing changed
    changes: tuple[Change, ...]
    leftovers: tuple[Change, ...]  # what only --prune deletes, and what it would not delete


@dataclasses.dataclass(frozen=True, slots=True)
class _Plan:
    """A catalogue compared with the bus."""

    in_force: str | None
    snapshot: Snapshot  # with ids that are not registered yet where schemas are new
    wanted: Desired
    found: Found
    changes: tuple[Change, ...]
    connectors: Mapping[str, Mapping[str, connector_configs.Configured | None]]  # by system, what is to be written

    @property
    def new_schemas(self) -> bool:
        return any(change.kind == SCHEMA for change in self.changes)


def ensure_bus(settings: Settings) -> None:
    """Make what a bus has before any catalogue: its own topics and lanes, the workers' user and rights, keys.

    Raises:
        LanePlansBroken: nobody can tell how many lanes there are.
        BusUnavailable: Kafka does not answer.
    """
    cluster = Cluster(settings)
    wanted = system_state(settings)
    _create(settings, cluster, wanted, _found(settings, cluster, wanted, ()))
    ensure_lanes(settings, cluster)
    KeyFiles(settings.secrets / PSEUDONYM_KEYS).create(1)


def diff(settings: Settings, catalogue: Catalogue) -> list[Change]:
    """What applying a valid catalogue would do; changes nothing.

    Raises:
        BusUnavailable: Kafka or the registry does not answer.
    """
    return list(_plan(settings, catalogue).changes)


def apply(
    settings: Settings,
    catalogue: Catalogue,
    *,
    author: str,
    prune: bool = False,
    wait_seconds: float | None = None,
    progress: Progress = lambda _: None,
) -> Applied:
    """Put a valid catalogue in force.

    Args:
        settings: of the bus.
        catalogue: must have passed validation.
        author: who answers for it; kept in the history.
        prune: also delete what is left over on Kafka and in the registry, once all lanes have switched.
        wait_seconds: wait so long for every lane to report the catalogue; ``None`` does not wait.
        progress: told what is being done.

    Raises:
        CatalogueError: something that must not change would; nothing was changed.
        CatalogueMoved: somebody else applied a catalogue meanwhile.
        LanesBehind: the catalogue is in force, but lanes do not report it.
        BusUnavailable: Kafka or the registry does not answer. Applying again is harmless.
    """
    progress("comparing the catalogue with the bus")
    ensure_bus(settings)
    plan = _plan(settings, catalogue)
    if refused := [change for change in plan.changes if change.action == "refuse"]:
        raise CatalogueError(
            reason="nothing was changed; "
            + "; ".join(f"{change.kind} {change.name} {change.detail}" for change in refused)
        )
    snapshot = plan.snapshot
    if plan.new_schemas:
        progress("registering schemas")
        with Registry.of(settings) as registry:
            snapshot = compose(catalogue, _registering(registry))
    cluster = Cluster(settings)
    progress("creating topics, users and rights")
    _create(settings, cluster, plan.wanted, plan.found)
    _create_keys(settings, snapshot)
    if snapshot.digest != plan.in_force:
        progress("publishing the catalogue")
        publish(settings, snapshot, author=author, expected=plan.in_force)
    connector_configs.write(settings, plan.connectors)
    done = [change for change in plan.changes if not change.only_pruned]
    leftovers = [change for change in plan.changes if change.only_pruned]
    if prune and leftovers and wait_seconds is None and cluster.members(latest_plan(settings).group):
        wait_seconds = PRUNE_WAIT_SECONDS  # lanes that have not switched still write to what would be deleted
    if wait_seconds is not None:
        progress("waiting for the lanes")
        wait_for_lanes(settings, snapshot.digest, wait_seconds)
    if prune and leftovers:
        progress("deleting what is left over")
        _still_in_force(settings, snapshot.digest)
        stay = remove(settings, cluster, leftovers, leftover_acls(plan.wanted, plan.found))
        kept = {(change.kind, change.name) for change in stay}
        done += [change for change in leftovers if (change.kind, change.name) not in kept]
        leftovers = stay
    return Applied(snapshot.digest, plan.in_force, tuple(done), tuple(leftovers))


def _plan(settings: Settings, catalogue: Catalogue) -> _Plan:
    log = read_log(settings)
    in_force = log.current.manifest if log.current else None
    schemas: list[Change] = []
    with Registry.of(settings) as registry:
        subjects = registry.subjects()
        snapshot = compose(catalogue, _looking_up(registry, set(subjects), schemas))
    wanted = desired(snapshot, settings)
    cluster = Cluster(settings)
    found = _found(settings, cluster, wanted, subjects)
    before = log.snapshot(in_force) if in_force else None
    own = catalogue_changes(before, snapshot)
    connectors = connector_configs.changes_on_topics(settings, snapshot, before, found.partitions)
    changes = [
        *schemas,
        *bus_changes(wanted, found),
        *own,
        *connector_configs.described(connectors, own),
        *_lost_positions(cluster, log, snapshot, found),
        *_late_backfills(log, snapshot),
    ]
    return _Plan(in_force, snapshot, wanted, found, tuple(changes), connectors)


def _found(settings: Settings, cluster: Cluster, wanted: Desired, subjects: Iterable[str]) -> Found:
    partitions = cluster.partitions()
    return Found(
        partitions=partitions,
        configs=cluster.configs(name for name in wanted.topics if name in partitions),
        users=cluster.users(),
        acls=cluster.acls(),
        subjects=set(subjects),
        credentials={user for user in wanted.users if path_of(settings, user).exists()},
    )


def _lost_positions(cluster: Cluster, log: CatalogueLog, snapshot: Snapshot, found: Found) -> Iterable[Change]:
    """Event types that come back after the lanes' position in them was lost."""
    existing = dataclasses.replace(
        snapshot,
        event_types={
            name: event_type
            for name, event_type in snapshot.event_types.items()
            if found.partitions.get(event_type.topic) == event_type.contract.partitions
        },
    )
    try:
        missing_positions(cluster, log, existing)
    except PositionGone as error:
        yield Change("refuse", "position", f"{error.details['topic']} [{error.details['partition']}]", str(error))


def _late_backfills(log: CatalogueLog, snapshot: Snapshot) -> Iterator[Change]:
    """Agreements that ask for their past though they were there before: they would get events twice."""
    for name, agreement in snapshot.agreements.items():
        wanted = as_json(agreement.contract).get("backfill")
        if wanted is not None and any(form["contract"].get("backfill") != wanted for form in log.agreements_ever(name)):
            why = "was there before without this backfill, and would get events twice: `lintas replay` gives them"
            yield Change("refuse", "agreement", name, why)


def _looking_up(registry: Registry, subjects: set[str], changes: list[Change]) -> Register:
    """Finds schemas in the registry and notes those that are not there; registers nothing."""

    def look_up(subject: str, schema: Any) -> Sequence[RegisteredSchema]:
        schema_id = registry.lookup(subject, schema) if subject in subjects else None
        if schema_id is None:
            changes.append(Change("update" if subject in subjects else "create", SCHEMA, subject))
            schema_id = NOT_REGISTERED
        return _with_earlier(registry, subject, RegisteredSchema(schema_id, schema), known=subject in subjects)

    return look_up


def _registering(registry: Registry) -> Register:
    def register(subject: str, schema: Any) -> Sequence[RegisteredSchema]:
        registered = RegisteredSchema(registry.register(subject, schema), schema)
        if subject.startswith(names.EVENTS):
            registry.set_compatibility(subject, BACKWARD_TRANSITIVE)
        return _with_earlier(registry, subject, registered, known=True)

    return register


def _with_earlier(
    registry: Registry, subject: str, current: RegisteredSchema, *, known: bool
) -> list[RegisteredSchema]:
    """Every schema that events on a topic may have been written with, the current one last."""
    if not known or not subject.startswith(names.EVENTS):
        return [current]
    return [*(version for version in registry.versions(subject) if version.id != current.id), current]


def _create(settings: Settings, cluster: Cluster, wanted: Desired, found: Found) -> None:
    """Create what is missing and mend what differs; delete nothing."""
    missing = [topic for name, topic in wanted.topics.items() if name not in found.partitions]
    if raced := cluster.create_topics(missing):
        partitions = cluster.partitions()
        for topic in missing:
            if topic.name in raced and partitions.get(topic.name) != topic.partitions:
                raise CatalogueError(
                    reason=f"somebody else just created {topic.name} with {partitions.get(topic.name)} partitions"
                )
    for name, topic in wanted.topics.items():
        if name in found.partitions and (changed := changed_config(topic, found)):
            cluster.set_config(name, changed)
    if any(user not in found.users or user not in found.credentials for user in wanted.users):
        _create_users(settings, cluster, wanted.users)
    cluster.create_acls(sorted(wanted.acls - set(found.acls)))


def _create_users(settings: Settings, cluster: Cluster, users: Collection[str]) -> None:
    """Let users log in whose password is in their file; one apply at a time, or file and Kafka could differ."""
    settings.secrets.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (settings.secrets / ".users.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        known = cluster.users()
        for user in sorted(users):
            if user in known and path_of(settings, user).exists():
                continue
            if user in known:  # before its new file: killed in between, we would take the old password for the new
                cluster.delete_user(user)
            cluster.create_user(create(settings, user))


def _create_keys(settings: Settings, snapshot: Snapshot) -> None:
    keys = KeyFiles(settings.secrets / PSEUDONYM_KEYS)
    for agency in snapshot.agencies.values():
        for system in agency.systems.values():
            keys.create(system.pseudonym_key)


def _still_in_force(settings: Settings, digest: str) -> None:
    """Another catalogue may need what this one does not."""
    current = read_log(settings).current
    if current is None or current.manifest != digest:
        raise CatalogueMoved(found=current.manifest if current else "none", expected=digest)
