import dataclasses
import itertools
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from lintas import credentials, names
from lintas.cli.catalogue import EXAMPLE_DEPLOYMENT, catalogue
from lintas.errors import CatalogueError, CatalogueMoved, InvalidCatalogue, LanesBehind
from lintas.settings import Settings
from schemas.cluster import Cluster
from schemas.differences import Change
from schemas.load import Catalogue, load
from schemas.model import as_json
from schemas.provision import apply, diff, ensure_bus
from schemas.publication import read_current
from schemas.registry import Registry

Build = Callable[[str], Catalogue]
_numbers = itertools.count(1)


@pytest.fixture
def bus(catalogue_bus: Settings) -> Settings:
    return catalogue_bus


@pytest.fixture
def tag() -> str:
    """Part of the names of one test, since the bus is the same for all."""
    return f"t{next(_numbers)}"


@pytest.fixture
def small(small_catalogue: Build, tag: str) -> Catalogue:
    return small_catalogue(tag)


@pytest.fixture
def in_force(bus: Settings, small: Catalogue) -> Catalogue:
    apply(bus, small, author="test")
    return small


def without(catalogue: Catalogue, event_type: str) -> Catalogue:
    """The catalogue without an event type and the agreements on it."""
    return dataclasses.replace(
        catalogue,
        event_types={name: one for name, one in catalogue.event_types.items() if name != event_type},
        schemas={name: one for name, one in catalogue.schemas.items() if name != event_type},
        agreements={name: one for name, one in catalogue.agreements.items() if one.event_type != event_type},
    )


def write(catalogue: Catalogue, folder: Path) -> Path:
    """The catalogue as files."""
    for part in ("agencies", "events", "agreements"):
        (folder / part).mkdir(parents=True)
    for part, objects in (
        ("agencies", catalogue.agencies),
        ("events", catalogue.event_types),
        ("agreements", catalogue.agreements),
    ):
        for name, one in objects.items():
            (folder / part / f"{name}.yaml").write_text(yaml.safe_dump(as_json(one)))
    for name, schema in catalogue.schemas.items():
        (folder / "events" / f"{name}.avsc").write_text(json.dumps(schema))
    return folder


def producer(bus: Settings, system: str, **more: Any) -> Producer:
    return Producer({**credentials.confluent_options(bus, system), "log_level": 0, **more})


@pytest.fixture
def published(bus: Settings) -> Callable[[str, str], int | None]:
    """Publishes one record as a system; the error's code, or nothing."""

    def publish(system: str, topic: str) -> int | None:
        answers: list[int | None] = []
        client = producer(bus, system, **{"message.timeout.ms": 20_000})
        client.produce(topic, b"x", on_delivery=lambda error, _: answers.append(error.code() if error else None))
        assert client.flush(30) == 0
        return answers[0]

    return publish


def read_error(bus: Settings, system: str, topic: str) -> int | None:
    """The error's code with which a system is refused a topic, or nothing where it may read."""
    consumer = Consumer(
        {
            **credentials.confluent_options(bus, system),
            "group.id": system,
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
            "log_level": 0,
        }
    )
    try:
        consumer.subscribe([topic])
        message = consumer.poll(30)
        assert message is not None
        error = message.error()
        return None if error is None or error.code() == KafkaError._PARTITION_EOF else int(error.code())
    finally:
        consumer.close()


def positions(bus: Settings, topic: str, partitions: int) -> list[int | None]:
    found = Cluster(bus).committed(names.LANES_OFFSETS_GROUP, [(topic, number) for number in range(partitions)])
    return [found.get((topic, number)) for number in range(partitions)]


# What applying does


def test_applying_does_what_diff_said(bus: Settings, small: Catalogue) -> None:
    ensure_bus(bus)
    said = diff(bus, small)
    done = apply(bus, small, author="test").changes
    assert {(change.action, change.kind, change.name) for change in done} == {
        (change.action, change.kind, change.name) for change in said if not change.only_pruned
    }
    assert {"schema", "topic", "user", "acl", "agency", "event type", "agreement"} <= {change.kind for change in done}


def test_applying_again_does_nothing(bus: Settings, in_force: Catalogue) -> None:
    before = read_current(bus)
    again = apply(bus, in_force, author="somebody else")
    assert again.changes == ()
    assert again.previous == again.digest
    assert read_current(bus) == before


def test_what_is_in_force_is_what_was_applied(bus: Settings, in_force: Catalogue) -> None:
    found = read_current(bus)
    assert found is not None
    pointer, snapshot = found
    assert pointer.author == "test"
    assert snapshot.agreements.keys() == in_force.agreements.keys()
    with Registry(bus.registry) as registry:
        for event_type in snapshot.event_types.values():
            registered = registry.schema(event_type.current.id)
            assert registered["lintas.subject"] == event_type.contract.subject
            assert registered["fields"] == event_type.current.schema["fields"]


def test_every_input_partition_has_a_position_when_the_catalogue_is_in_force(
    bus: Settings, in_force: Catalogue, tag: str
) -> None:
    assert in_force
    assert positions(bus, f"events.office-{tag}.thing.made.v1", 3) == [0, 0, 0]


def test_a_position_that_lanes_have_committed_is_not_touched(bus: Settings, in_force: Catalogue, tag: str) -> None:
    topic = f"events.office-{tag}.thing.made.v1"
    commit(bus, names.LANES_OFFSETS_GROUP, topic, 0, 7)
    less = without(in_force, f"id.go.office-{tag}.thing.made.v1")
    apply(bus, less, author="test")
    apply(bus, in_force, author="test")
    assert positions(bus, topic, 3) == [7, 0, 0]


def test_an_event_type_does_not_come_back_once_its_position_is_lost(
    bus: Settings, in_force: Catalogue, tag: str, published: Callable[[str, str], int | None]
) -> None:
    topic = f"events.office-{tag}.thing.made.v1"
    for _ in range(2):
        published(f"office-{tag}.desk", topic)
    apply(bus, without(in_force, f"id.go.office-{tag}.thing.made.v1"), author="test")
    forget_positions(bus)
    with pytest.raises(CatalogueError, match="lintas lanes restore"):
        apply(bus, in_force, author="test")


def commit(bus: Settings, group: str, topic: str, partition: int, offset: int) -> None:
    consumer = Consumer({**credentials.confluent_options(bus, names.ADMIN), "group.id": group, "log_level": 0})
    consumer.commit(offsets=[TopicPartition(topic, partition, offset)], asynchronous=False)
    consumer.close()


def forget_positions(bus: Settings) -> None:
    """Lose the lanes' positions, as the broker does after some days without a commit."""
    admin = AdminClient(dict(credentials.confluent_options(bus, names.ADMIN)))
    for future in admin.delete_consumer_groups([names.LANES_OFFSETS_GROUP]).values():
        future.result(30)


def test_a_new_version_of_a_schema_keeps_the_earlier_one_readable(bus: Settings, in_force: Catalogue, tag: str) -> None:
    name = f"id.go.office-{tag}.thing.made.v1"
    newer = {
        **in_force.schemas[name],
        "fields": [*in_force.schemas[name]["fields"], {"name": "size", "type": ["null", "int"], "default": None}],
    }
    apply(bus, dataclasses.replace(in_force, schemas={**in_force.schemas, name: newer}), author="test")
    found = read_current(bus)
    assert found is not None
    schemas = found[1].event_types[name].schemas
    assert [len(one.schema["fields"]) for one in schemas] == [2, 3]
    apply(bus, in_force, author="test")  # and back: the current one stands last
    found = read_current(bus)
    assert found is not None
    assert [one.id for one in found[1].event_types[name].schemas] == [schemas[1].id, schemas[0].id]


# Refusals


def test_another_number_of_partitions_changes_nothing(bus: Settings, in_force: Catalogue, tag: str) -> None:
    name = f"id.go.office-{tag}.thing.made.v1"
    wider = in_force.event_types[name].model_copy(update={"partitions": 5, "retention_days": 1})
    changed = dataclasses.replace(in_force, event_types={**in_force.event_types, name: wider})
    before = read_current(bus)
    with pytest.raises(CatalogueError, match="has 3 partitions, the catalogue says 5"):
        apply(bus, changed, author="test")
    assert read_current(bus) == before
    topic = f"events.office-{tag}.thing.made.v1"
    assert Cluster(bus).configs([topic])[topic]["retention.ms"] == str(30 * 86_400_000)


def test_an_invalid_catalogue_is_reported_whole_and_changes_nothing(
    bus: Settings, small: Catalogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ensure_bus(bus)
    folder = write(small, tmp_path / "catalogue")
    for file in (folder / "agreements").iterdir():
        file.write_text(file.read_text().replace("number: keep", "nummer: keep"))
    monkeypatch.setenv("LINTAS_HOME", str(bus.home))
    before = (read_current(bus), Cluster(bus).partitions(), Cluster(bus).users(), Cluster(bus).acls())
    result = CliRunner().invoke(catalogue, ["apply", str(folder)])
    assert isinstance(result.exception, InvalidCatalogue)
    assert str(result.exception).count(": release: ") == 2
    assert (read_current(bus), Cluster(bus).partitions(), Cluster(bus).users(), Cluster(bus).acls()) == before


def test_of_two_applies_at_once_one_wins_and_the_other_is_told(bus: Settings, in_force: Catalogue, tag: str) -> None:
    both_are_here = threading.Barrier(2)

    def wait_for_the_other(doing: str) -> None:
        if doing == "publishing the catalogue":
            both_are_here.wait(60)

    def one(verb: str) -> str | None:
        other = without(in_force, f"id.go.office-{tag}.thing.{verb}.v1")
        try:
            return apply(bus, other, author=verb, progress=wait_for_the_other).digest
        except CatalogueMoved:
            return None

    with ThreadPoolExecutor(2) as pool:
        digests = list(pool.map(one, ["made", "lost"]))
    assert digests.count(None) == 1
    found = read_current(bus)
    assert found is not None
    assert found[0].manifest in digests


def test_waiting_for_lanes_that_do_not_run_says_which(bus: Settings, in_force: Catalogue) -> None:
    with pytest.raises(LanesBehind, match=r"lane\(s\) 0, 1, 2, 3, 4, 5, 6, 7 of 8"):
        apply(bus, in_force, author="test", wait_seconds=0.1)


def test_waiting_ends_when_every_lane_reports_the_catalogue(bus: Settings, in_force: Catalogue) -> None:
    found = read_current(bus)
    assert found is not None
    client = producer(bus, names.WORKER)
    for lane in range(8):
        report = {
            "generation": 1,
            "lane": lane,
            "worker": "w",
            "catalogue": found[0].manifest,
            "partitions": 1,
            "at": "now",
        }
        client.produce(names.LANES_STATUS, json.dumps(report).encode(), f"lane/{lane}".encode())
    client.flush(30)
    assert apply(bus, in_force, author="test", wait_seconds=30).changes == ()


# Interruptions

KILLED = """
import os, signal, sys
from pathlib import Path
from lintas.settings import Settings
from schemas import catalogue_log, cluster, provision, publication, registry
from schemas.load import load

home, folder, place, turn = sys.argv[1:]
owner, _, name = place.rpartition(".")
target = eval(owner)
original, calls = getattr(target, name), 0

def deadly(*args, **kwargs):
    global calls
    calls += 1
    result = original(*args, **kwargs)
    if calls == int(turn):
        os.kill(os.getpid(), signal.SIGKILL)
    return result

setattr(target, name, deadly)
read, _ = load(Path(folder))
provision.apply(Settings(home=home), read, author="killed")
"""


@pytest.mark.parametrize(
    ("place", "turn"),
    [
        ("registry.Registry.register", 2),  # some schemas are registered
        ("cluster.Cluster.create_topics", 2),  # topics are there, users are not (the first call is for the bus itself)
        ("provision.create", 2),  # a credentials file is there, its user is not
        ("cluster.Cluster.create_user", 2),
        ("cluster.Cluster.create_acls", 2),
        ("publication._give_positions", 1),  # positions are given, nothing is published
        ("catalogue_log.Pointer.records", 1),  # within the transaction
    ],
)
def test_an_apply_that_was_killed_is_completed_by_the_next(
    bus: Settings, small: Catalogue, tag: str, tmp_path: Path, place: str, turn: int
) -> None:
    ensure_bus(bus)
    before = read_current(bus)
    folder = write(small, tmp_path / "catalogue")
    died = subprocess.run(
        [sys.executable, "-c", KILLED, str(bus.home), str(folder), place, str(turn)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert died.returncode == -signal.SIGKILL, died.stderr
    assert read_current(bus) == before
    done = apply(bus, small, author="test")
    assert not [change for change in diff(bus, small) if not change.only_pruned]
    found = read_current(bus)
    assert found is not None
    assert found[0].manifest == done.digest
    assert positions(bus, f"events.office-{tag}.thing.lost.v1", 3) == [0, 0, 0]
    assert read_error(bus, f"users-{tag}.shop", f"inbox.users-{tag}.shop") is None


# Users and rights


def test_a_lost_credentials_file_means_a_new_password(bus: Settings, in_force: Catalogue, tag: str) -> None:
    system = f"users-{tag}.shop"
    old = credentials.load(bus, system)
    credentials.path_of(bus, system).unlink()
    done = apply(bus, in_force, author="test")
    assert [(change.action, change.kind, change.name) for change in done.changes] == [("update", "user", system)]
    assert credentials.load(bus, system) != old
    assert read_error(bus, system, f"inbox.{system}") is None


def test_a_consumer_reads_its_own_inbox_only(bus: Settings, in_force: Catalogue, tag: str) -> None:
    assert in_force
    shop = f"users-{tag}.shop"
    assert read_error(bus, shop, f"inbox.{shop}") is None
    for topic in (
        f"inbox.users-{tag}.statistics",
        f"dead.{shop}",
        f"events.office-{tag}.thing.lost.v1",
        f"quarantine.office-{tag}",
        names.AUDIT_DECISIONS,
        names.CATALOGUE,
    ):
        assert read_error(bus, shop, topic) == KafkaError.TOPIC_AUTHORIZATION_FAILED, topic


def test_a_publisher_writes_its_own_topics_only(
    bus: Settings, in_force: Catalogue, tag: str, small_catalogue: Build, published: Callable[[str, str], int | None]
) -> None:
    assert in_force
    apply(bus, small_catalogue(f"{tag}b"), author="test")  # the first one's rights stay as long as nobody prunes
    desk = f"office-{tag}.desk"
    assert published(desk, f"events.office-{tag}.thing.made.v1") is None
    for topic in (
        f"events.office-{tag}b.thing.made.v1",  # whose name begins alike
        f"inbox.users-{tag}.shop",
        f"quarantine.office-{tag}",
        names.CATALOGUE,
    ):
        assert published(desk, topic) == KafkaError.TOPIC_AUTHORIZATION_FAILED, topic
    assert read_error(bus, desk, f"quarantine.office-{tag}") is None
    assert read_error(bus, desk, f"events.office-{tag}.thing.made.v1") == KafkaError.TOPIC_AUTHORIZATION_FAILED


@pytest.mark.parametrize(("own", "suffix"), [(True, ""), (True, ".a"), (False, "b"), (False, "-b")])
def test_a_system_s_group_begins_with_its_name(
    bus: Settings, in_force: Catalogue, tag: str, own: bool, suffix: str
) -> None:
    assert in_force
    shop = f"users-{tag}.shop"
    consumer = Consumer(
        {
            **credentials.confluent_options(bus, shop),
            "group.id": shop + suffix,
            "log_level": 0,
            "enable.partition.eof": True,
        }
    )
    consumer.subscribe([f"inbox.{shop}"])
    message = consumer.poll(30)
    consumer.close()
    assert message is not None
    code = message.error().code()
    assert code == (KafkaError._PARTITION_EOF if own else KafkaError.GROUP_AUTHORIZATION_FAILED)


@pytest.mark.parametrize("transactional_id", ["lintas.catalogue", "lintas.lane.g1.0"])
def test_no_system_can_fence_the_bus(bus: Settings, in_force: Catalogue, tag: str, transactional_id: str) -> None:
    assert in_force
    client = producer(bus, f"office-{tag}.desk", **{"transactional.id": transactional_id})
    with pytest.raises(KafkaException, match="authorization failed"):
        client.init_transactions(30)


def test_a_worker_cannot_change_the_catalogue(
    bus: Settings, in_force: Catalogue, published: Callable[[str, str], int | None]
) -> None:
    assert in_force
    assert published(names.WORKER, names.CATALOGUE) == KafkaError.TOPIC_AUTHORIZATION_FAILED
    assert read_error(bus, names.WORKER, names.CATALOGUE) is None


# Pruning


def test_pruning_deletes_what_is_left_over(bus: Settings, in_force: Catalogue, tag: str) -> None:
    less = without(in_force, f"id.go.office-{tag}.thing.lost.v1")
    shop = f"users-{tag}.shop"
    kept = apply(bus, less, author="test")
    assert {"topic", "user", "acl", "subject"} <= {change.kind for change in kept.leftovers}
    assert f"inbox.{shop}" in Cluster(bus).partitions()

    pruned = apply(bus, less, author="test", prune=True)
    assert not [change for change in diff(bus, less) if tag in change.name]
    assert Change("delete", "user", shop, "with its credentials file") in pruned.changes
    assert not credentials.path_of(bus, shop).exists()
    assert not {f"inbox.{shop}", f"events.office-{tag}.thing.lost.v1"} & Cluster(bus).partitions().keys()
    assert f"events.office-{tag}.thing.made.v1" in Cluster(bus).partitions()

    apply(bus, in_force, author="test")  # and it can come back
    assert positions(bus, f"events.office-{tag}.thing.lost.v1", 3) == [0, 0, 0]
    assert read_error(bus, shop, f"inbox.{shop}") is None


def test_pruning_keeps_a_topic_that_somebody_has_still_to_read(
    bus: Settings, in_force: Catalogue, tag: str, published: Callable[[str, str], int | None]
) -> None:
    topic = f"events.office-{tag}.thing.lost.v1"
    published(f"office-{tag}.desk", topic)
    less = without(in_force, f"id.go.office-{tag}.thing.lost.v1")
    applied = apply(bus, less, author="test", prune=True)
    stays = {(change.kind, change.name) for change in applied.leftovers}
    assert {("topic", topic), ("subject", f"{topic}-value")} <= stays
    assert topic in Cluster(bus).partitions()

    for partition in range(3):  # the lanes have read it
        commit(
            bus, names.LANES_OFFSETS_GROUP, topic, partition, Cluster(bus).ends([(topic, partition)])[topic, partition]
        )
    apply(bus, less, author="test", prune=True)
    assert topic not in Cluster(bus).partitions()


# The command line, and the example deployment


@pytest.fixture
def run(bus: Settings, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str]]:
    monkeypatch.setenv("LINTAS_HOME", str(bus.home))

    def invoke(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(catalogue, arguments, catch_exceptions=False)
        print(result.output)  # noqa: T201  shown where a test fails
        return result.exit_code, result.stdout

    return invoke


def test_the_example_deployment_is_applied_from_the_command_line(run: Callable[..., tuple[int, str]]) -> None:
    code, shown = run("diff")
    assert code == 3
    assert "create" in shown
    code, shown = run("apply", "--prune", "--author", "ani@bus")
    assert code == 0
    assert "is in force" in shown
    _, shown = run("diff", "-o", "json")  # other tests leave topics that somebody has still to read
    assert {(change["action"], change["kind"]) for change in json.loads(shown)} <= {
        ("delete", "topic"),
        ("delete", "subject"),
    }
    code, shown = run("apply")
    assert (code, shown.splitlines()[0]) == (0, "nothing to do")
    code, shown = run("history", "-o", "json")
    assert json.loads(shown)[0]["author"] == "ani@bus"
    read, problems = load(EXAMPLE_DEPLOYMENT)
    assert not problems
    assert len(read.agreements) >= 24
