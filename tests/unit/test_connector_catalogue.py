"""Connectors of a catalogue: published with it, each system's topic its own, drift told and mended."""

import dataclasses
from pathlib import Path

import pytest

import schemas
from lintas.settings import Settings
from schemas import connector_configs
from schemas.compose import compose, numbering
from schemas.connector_configs import Configured, changes_on_topics, described
from schemas.desired import Acl, desired
from schemas.differences import Change, catalogue_changes
from schemas.load import load
from schemas.model import Connector
from schemas.snapshot import Snapshot

SYSTEM, TOPIC = "dukcapil.siak", "connectors.dukcapil.siak"
BIRTHS = Connector(connector="births-out", system=SYSTEM, plugin="files", config={"folder": "/srv/births"})


@pytest.fixture(scope="module")
def without() -> Snapshot:
    catalogue, problems = load(Path(schemas.__path__[0]) / "catalogue")
    assert not problems
    return dataclasses.replace(compose(catalogue, numbering()), connectors={})


@pytest.fixture
def snapshot(without: Snapshot) -> Snapshot:
    return dataclasses.replace(without, connectors={"births-out": BIRTHS})


def test_connectors_are_published_with_the_catalogue(snapshot: Snapshot, without: Snapshot) -> None:
    assert Snapshot.from_objects(snapshot.objects()) == snapshot
    assert catalogue_changes(without, snapshot) == [Change("create", "connector", "births-out")]
    other = BIRTHS.model_copy(update={"config": {"folder": "/srv/other"}})
    changed = dataclasses.replace(snapshot, connectors={"births-out": other})
    assert catalogue_changes(snapshot, changed) == [Change("update", "connector", "births-out", "folder")]


def test_a_system_that_says_so_may_have_connectors_of_its_own(without: Snapshot) -> None:
    agency = without.agencies["dukcapil"]
    system = agency.systems["siak"].model_copy(update={"connectors": True})
    agencies = {**without.agencies, "dukcapil": agency.model_copy(update={"systems": {"siak": system}})}
    assert dataclasses.replace(without, agencies=agencies).connector_systems() == {SYSTEM}


def test_the_topic_of_connectors_is_compacted_often_and_its_system_s_alone(snapshot: Snapshot) -> None:
    wanted = desired(snapshot, Settings())
    assert wanted.topics[TOPIC].partitions == 1
    config = wanted.topics[TOPIC].config
    assert (config["cleanup.policy"], int(config["segment.bytes"])) == ("compact", 8 * 1024 * 1024)
    assert "retention.ms" not in config
    assert {acl for acl in wanted.acls if acl.name == TOPIC} == {
        Acl(SYSTEM, "READ", "TOPIC", TOPIC, "LITERAL"),
        Acl(SYSTEM, "WRITE", "TOPIC", TOPIC, "LITERAL"),
    }


def test_a_system_that_only_receives_may_still_have_transactions_of_connectors(snapshot: Snapshot) -> None:
    consumer = next(one for one in snapshot.consumers() if one not in _publishers(snapshot))
    sink = BIRTHS.model_copy(update={"system": consumer})
    wanted = desired(dataclasses.replace(snapshot, connectors={"births-out": sink}), Settings())
    assert Acl(consumer, "WRITE", "TRANSACTIONAL_ID", f"{consumer}.", "PREFIXED") in wanted.acls
    assert Acl(consumer, "READ", "GROUP", f"{consumer}.", "PREFIXED") in wanted.acls
    assert Acl(consumer, "DELETE", "GROUP", f"{consumer}.connector.", "PREFIXED") in wanted.acls


def _publishers(snapshot: Snapshot) -> set[str]:
    return {system for one in snapshot.event_types.values() for system in one.contract.publishers}


def test_what_a_catalogue_does_not_show_is_told_as_drift(
    snapshot: Snapshot, without: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    drifted = Configured("files", {"folder": "/tmp"}, "catalogue")
    monkeypatch.setattr(connector_configs, "read_to_end", lambda *_: iter([drifted.record("births-out")]))
    own = connector_configs.configured(BIRTHS)

    changes = changes_on_topics(Settings(), snapshot, snapshot, {TOPIC})
    assert changes == {SYSTEM: {"births-out": own}}
    (told,) = described(changes, catalogue_changes(snapshot, snapshot))
    assert (told.action, told.kind, told.name) == ("update", "connector", "births-out")

    created = changes_on_topics(Settings(), snapshot, without, ())
    assert created == {SYSTEM: {"births-out": own}}
    assert list(described(created, catalogue_changes(without, snapshot))) == [], "the catalogue's own change shows it"

    assert changes_on_topics(Settings(), without, snapshot, {TOPIC}) == {SYSTEM: {"births-out": None}}
