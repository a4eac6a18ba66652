import dataclasses
from collections.abc import Callable

import pytest

from lintas import names
from lintas.settings import Settings
from schemas.compose import compose, numbering
from schemas.desired import Acl, Desired, control_topic, desired
from schemas.differences import Change, Found, bus_changes, catalogue_changes
from schemas.load import Catalogue
from schemas.snapshot import Snapshot

SETTINGS = Settings(lanes=4, min_insync_replicas=2)
MADE, LOST = "events.office-x.thing.made.v1", "events.office-x.thing.lost.v1"
DESK, STATISTICS, SHOP = "office-x.desk", "users-x.statistics", "users-x.shop"


@pytest.fixture
def snapshot(small_catalogue: Callable[[str], Catalogue]) -> Snapshot:
    return compose(small_catalogue("x"), numbering())


@pytest.fixture
def wanted(snapshot: Snapshot) -> Desired:
    return desired(snapshot, SETTINGS)


def as_found(wanted: Desired) -> Found:
    return Found(
        partitions={topic.name: topic.partitions for topic in wanted.topics.values()},
        configs={topic.name: {**topic.config, "segment.bytes": "1"} for topic in wanted.topics.values()},
        users=wanted.users,
        acls=wanted.acls,
        subjects=wanted.subjects,
        credentials=wanted.users,
    )


def rights_of(wanted: Desired, principal: str) -> set[tuple[str, str, str, str]]:
    return {(acl.operation, acl.resource, acl.name, acl.pattern) for acl in wanted.acls if acl.principal == principal}


def test_a_publisher_may_write_its_own_topics_and_read_its_agency_s_quarantine(wanted: Desired) -> None:
    assert rights_of(wanted, DESK) == {
        ("WRITE", "TOPIC", MADE, "LITERAL"),
        ("WRITE", "TOPIC", LOST, "LITERAL"),
        ("READ", "TOPIC", "quarantine.office-x", "LITERAL"),
        ("WRITE", "TRANSACTIONAL_ID", DESK, "LITERAL"),
        ("WRITE", "TRANSACTIONAL_ID", f"{DESK}.", "PREFIXED"),
        ("READ", "GROUP", DESK, "LITERAL"),
        ("READ", "GROUP", f"{DESK}.", "PREFIXED"),
    }


def test_a_consumer_may_read_its_own_inbox_and_nothing_else(wanted: Desired) -> None:
    assert rights_of(wanted, STATISTICS) == {
        ("READ", "TOPIC", f"inbox.{STATISTICS}", "LITERAL"),
        ("READ", "GROUP", STATISTICS, "LITERAL"),
        ("READ", "GROUP", f"{STATISTICS}.", "PREFIXED"),
    }


def test_nobody_but_the_workers_has_any_right_on_dead_letters(wanted: Desired) -> None:
    assert {acl.principal for acl in wanted.acls if acl.name.startswith(names.DEAD)} == {names.WORKER}


def test_workers_may_not_change_the_catalogue(wanted: Desired) -> None:
    writable = [acl.name for acl in wanted.acls if acl.principal == names.WORKER and acl.operation == "WRITE"]
    assert not any(names.CATALOGUE.startswith(name) for name in writable)


@pytest.mark.parametrize("topic", [names.ACTS, names.AUDIT_SALTS])
def test_workers_do_not_read_what_people_did_nor_what_opens_evidence(wanted: Desired, topic: str) -> None:
    readable = [acl for acl in wanted.acls if acl.principal == names.WORKER and acl.operation == "READ"]
    covering = [
        acl
        for acl in readable
        if acl.resource == "TOPIC" and (topic == acl.name or (acl.pattern == "PREFIXED" and topic.startswith(acl.name)))
    ]
    assert covering == []


@pytest.mark.parametrize(
    ("topic", "key", "value"),
    [
        (MADE, "message.timestamp.type", "LogAppendTime"),  # the duplicate window is a function of the broker's time
        (MADE, "retention.ms", str(30 * 86_400_000)),  # the contract's
        (MADE, "max.message.bytes", "1048576"),
        (f"inbox.{SHOP}", "message.timestamp.type", "LogAppendTime"),  # a delivery does not tell when it was published
        (f"inbox.{SHOP}", "max.message.bytes", "2097152"),
        (f"dead.{SHOP}", "message.timestamp.type", "CreateTime"),
        ("audit.decisions", "retention.ms", "-1"),
        ("audit.salts", "cleanup.policy", "compact"),
        ("lintas.catalogue", "cleanup.policy", "compact"),
        ("lintas.lanes.plans", "retention.ms", "-1"),
        ("lintas.lanes.status", "min.insync.replicas", "2"),
    ],
)
def test_topics_are_kept_as_their_purpose_asks(wanted: Desired, topic: str, key: str, value: str) -> None:
    assert wanted.topics[topic].config[key] == value


def test_the_control_topic_has_a_partition_for_each_lane() -> None:
    topic = control_topic(SETTINGS, generation=2, lanes=12)
    assert (topic.name, topic.partitions) == ("lintas.lanes.control.g2.n12", 12)


def test_nothing_changes_where_everything_is_as_it_should_be(wanted: Desired) -> None:
    assert bus_changes(wanted, as_found(wanted)) == []


def test_everything_is_created_on_an_empty_bus(wanted: Desired) -> None:
    changes = bus_changes(wanted, Found({}, {}, (), (), (), ()))
    assert {change.action for change in changes} == {"create"}
    assert len(changes) == len(wanted.topics) + len(wanted.users) + len(wanted.acls)


def test_another_number_of_partitions_is_refused(wanted: Desired) -> None:
    found = as_found(wanted)
    found = dataclasses.replace(found, partitions={**found.partitions, MADE: 2})
    (change,) = bus_changes(wanted, found)
    assert (change.action, change.name) == ("refuse", MADE)
    assert "has 2 partitions, the catalogue says 3" in change.detail


def test_lanes_are_no_leftovers_of_a_catalogue(wanted: Desired) -> None:
    found = as_found(wanted)
    found = dataclasses.replace(found, partitions={**found.partitions, names.control_topic(2, 8): 8})
    assert bus_changes(wanted, found) == []


def test_a_changed_setting_is_mended(wanted: Desired) -> None:
    found = as_found(wanted)
    found = dataclasses.replace(found, configs={**found.configs, MADE: {**found.configs[MADE], "retention.ms": "1"}})
    assert bus_changes(wanted, found) == [Change("update", "topic", MADE, "retention.ms 1 to 2592000000")]


def test_a_user_without_credentials_file_gets_a_new_password(wanted: Desired) -> None:
    found = dataclasses.replace(as_found(wanted), credentials=wanted.users - {SHOP})
    (change,) = bus_changes(wanted, found)
    assert (change.action, change.kind, change.name) == ("update", "user", SHOP)


def test_what_no_catalogue_asks_for_is_deleted_by_pruning_only(wanted: Desired) -> None:
    found = as_found(wanted)
    found = dataclasses.replace(
        found,
        partitions={**found.partitions, "inbox.gone.one": 1},
        users={*found.users, "gone.one"},
        acls={*found.acls, Acl("gone.one", "READ", "TOPIC", "inbox.gone.one", "LITERAL")},
        subjects={*found.subjects, "inbox.gone.one-a"},
    )
    changes = bus_changes(wanted, found)
    assert [change.kind for change in changes] == ["acl", "subject", "topic", "user"]
    assert all(change.only_pruned for change in changes)


def test_what_is_not_the_bus_s_own_is_left_alone(wanted: Desired) -> None:
    found = as_found(wanted)
    found = dataclasses.replace(
        found,
        partitions={**found.partitions, "__consumer_offsets": 5, "somebody.else": 1},
        users={*found.users, "admin", "prometheus", "lintas.notary"},
        acls={*found.acls, Acl("prometheus", "DESCRIBE", "TOPIC", "events.", "PREFIXED")},
        subjects={*found.subjects, "other-value"},
    )
    assert bus_changes(wanted, found) == []


def test_what_the_catalogue_drops_goes_without_pruning(snapshot: Snapshot) -> None:
    fewer = dataclasses.replace(snapshot, agreements={})
    changes = catalogue_changes(snapshot, fewer)
    assert {(change.action, change.kind, change.only_pruned) for change in changes} == {("delete", "agreement", False)}


def test_a_changed_contract_names_its_changed_fields(snapshot: Snapshot) -> None:
    name, old = next(iter(snapshot.agreements.items()))
    new = dataclasses.replace(
        old, contract=old.contract.model_copy(update={"suspended": True, "purpose": "another purpose"})
    )
    changed = dataclasses.replace(snapshot, agreements={**snapshot.agreements, name: new})
    assert catalogue_changes(snapshot, changed) == [Change("update", "agreement", name, "purpose, suspended")]
