"""The local bus as a whole: real servers, killed and restarted."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    NewTopic,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from lintas import credentials
from lintas.errors import BusAlreadyRunning, BusNotRunning
from lintas.local import postgres
from lintas.local.bus import LocalBus
from lintas.local.state import BusState
from lintas.settings import Settings

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def own(bus: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalBus]:
    """A second bus, beside the session's, that these tests kill and restart; each leaves it running."""
    del bus
    local = LocalBus(tmp_path_factory.mktemp("own"), fast_start=True, kafka_overrides={"num.partitions": "3"})
    local.start(outlive=False)
    assert len(running_in(local.home.path)) > 3
    yield local
    with suppress(BusNotRunning):
        local.stop()
    assert running_in(local.home.path) == []
    assert not (local.home.path / "bus.json").exists()


def running_in(home: Path) -> list[psutil.Process]:
    """Every process that has to do with a home: it names it, or works in it."""
    found = psutil.process_iter(["cmdline", "cwd"])
    return [
        process
        for process in found
        if str(home) in " ".join(process.info["cmdline"] or []) + (process.info["cwd"] or "")
    ]


def settings_of(local: LocalBus) -> Settings:
    return Settings(home=local.home.path)


def sql(settings: Settings, statement: str) -> str:
    """Run a statement with PostgreSQL's own client."""
    assert settings.postgres_dsn is not None
    command = [
        str(postgres.binaries() / "psql"),
        "-X",
        "-q",
        "-A",
        "-t",
        "-c",
        statement,
        settings.postgres_dsn,
    ]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.strip()


def register(settings: Settings, subject: str) -> int:
    """Register a schema, or find it; returns its id."""
    schema = {"schema": f'{{"type": "record", "name": "{subject}", "fields": []}}'}
    answer = httpx.post(f"{settings.registry}/subjects/{subject}/versions", json=schema, timeout=10)
    return int(answer.raise_for_status().json()["id"])


class Traces:
    """Something of everything that must survive: a record, a user, a schema id, a row."""

    def __init__(self, settings: Settings) -> None:
        self.name = f"t{uuid.uuid4().hex}"
        admin = AdminClient(dict(credentials.confluent_options(settings, "admin")))
        admin.create_topics([NewTopic(self.name, 1, 1)])[self.name].result(30)
        user = UserScramCredentialUpsertion(
            self.name, ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096), self.name.encode()
        )
        admin.alter_user_scram_credentials([user])[self.name].result(30)
        producer = Producer(dict(credentials.confluent_options(settings, "admin")))
        producer.produce(self.name, b"kept")
        assert producer.flush(30) == 0
        self.schema_id = register(settings, self.name)
        sql(settings, f"CREATE TABLE {self.name} AS SELECT 42 AS answer")

    def check(self, settings: Settings) -> None:
        consumer = Consumer(dict(credentials.confluent_options(settings, "admin")) | {"group.id": self.name})
        consumer.assign([TopicPartition(self.name, 0, 0)])
        [record] = consumer.consume(1, 30)
        consumer.close()
        assert record.value() == b"kept"
        as_user = dict(credentials.confluent_options(settings, "admin"))
        as_user |= {"sasl.username": self.name, "sasl.password": self.name}
        assert AdminClient(as_user).list_topics(timeout=30).brokers
        assert register(settings, self.name) == self.schema_id
        assert sql(settings, f"SELECT answer FROM {self.name}") == "42"


def until_running(local: LocalBus, restarts: dict[str, int]) -> BusState:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = local.status()
        if {part.name: (part.phase, part.restarts) for part in found.parts} == {
            name: ("running", count) for name, count in restarts.items()
        }:
            return found
        time.sleep(0.05)
    raise AssertionError(f"not all parts came back: {local.status()}")


def pids(found: BusState) -> dict[str, int]:
    return {part.name: part.process.pid for part in found.parts if part.process}


@pytest.mark.parametrize("name", ["kafka", "registry"])
def test_servers_run_from_classes_that_are_loaded_once_for_all_buses(own: LocalBus, name: str) -> None:
    [server] = [part for part in own.status().parts if part.name == name]
    assert server.process is not None
    mapped = Path(f"/proc/{server.process.pid}/maps").read_text()
    assert [line for line in mapped.splitlines() if f"/warm/{name}-" in line and line.endswith(".aot")]


def test_two_buses_in_two_homes_run_at_once_on_ports_of_their_own(bus: Settings, own: LocalBus) -> None:
    other = settings_of(own)
    assert bus.brokers != other.brokers
    assert bus.registry != other.registry
    assert bus.postgres_dsn != other.postgres_dsn
    one, two = Traces(bus), Traces(other)
    one.check(bus)
    two.check(other)


def test_a_second_start_in_the_same_home_is_refused(own: LocalBus) -> None:
    with pytest.raises(BusAlreadyRunning, match=str(own.status().supervisor.pid)):
        LocalBus(own.home.path).start()
    assert len(own.status().parts) == 3


def test_everything_and_the_ports_survive_down_and_up(own: LocalBus) -> None:
    before = settings_of(own)
    traces = Traces(before)
    own.stop()
    assert running_in(own.home.path) == []
    with pytest.raises(BusNotRunning):
        own.stop()
    after = own.start(outlive=False)
    assert after == before
    traces.check(after)


def test_everything_survives_the_death_of_every_process(own: LocalBus) -> None:
    traces = Traces(settings_of(own))
    supervisor = psutil.Process(own.status().supervisor.pid)
    for process in (supervisor, *supervisor.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            process.kill()
    traces.check(own.start(outlive=False))


def test_what_a_killed_supervisor_leaves_is_cleaned_by_the_next_start(own: LocalBus) -> None:
    """Its parts are stopped in their tracks (SIGSTOP), so that they do not end with it."""
    found = own.status()
    for pid in pids(found).values():
        os.kill(pid, signal.SIGSTOP)
    supervisor = psutil.Process(found.supervisor.pid)
    supervisor.kill()
    supervisor.wait(10)
    before = {psutil.Process(pid) for pid in pids(found).values()}
    with pytest.raises(BusNotRunning):
        own.status()
    own.start(outlive=False)
    assert not [process for process in before if process.is_running()]
    assert len(own.status().parts) == 3


def test_parts_that_are_killed_are_restarted_with_their_data(own: LocalBus) -> None:
    traces = Traces(settings_of(own))
    before = own.status()
    for pid in pids(before).values():
        os.kill(pid, signal.SIGKILL)
    after = until_running(own, {part.name: part.restarts + 1 for part in before.parts})
    assert not set(pids(before).values()) & set(pids(after).values())
    traces.check(settings_of(own))


def test_nothing_is_open_without_a_password_and_topics_do_not_appear_by_themselves(own: LocalBus) -> None:
    settings = settings_of(own)
    options = dict(credentials.confluent_options(settings, "admin"))
    controller = json.loads(own.home.ports.read_text())["kafka_controller"]
    anonymous = {"bootstrap.servers": settings.brokers, "security.protocol": "PLAINTEXT"}
    wrong = options | {"sasl.password": "wrong"}
    at_controller = anonymous | {"bootstrap.servers": f"127.0.0.1:{controller}"}
    for refused in (anonymous, wrong, at_controller):
        with pytest.raises(KafkaException):
            AdminClient(refused).list_topics(timeout=1)
    producer = Producer(options | {"message.timeout.ms": 1500, "logger": logging.getLogger("test")})
    failures: list[object] = []
    producer.produce("absent", b"x", on_delivery=lambda error, _: failures.append(error))
    producer.flush(30)
    assert failures[0] is not None
    assert "absent" not in AdminClient(options).list_topics(timeout=30).topics

    address = urlsplit(settings.postgres_dsn or "")
    with pytest.raises(subprocess.CalledProcessError):
        sql(Settings(postgres_dsn=f"postgresql://lintas:wrong@127.0.0.1:{address.port}/lintas"), "SELECT 1")


def test_an_overridden_broker_setting_is_in_force(own: LocalBus) -> None:
    admin = AdminClient(dict(credentials.confluent_options(settings_of(own), "admin")))
    name = f"t{uuid.uuid4().hex}"
    admin.create_topics([NewTopic(name)])[name].result(30)
    assert len(admin.list_topics(name, timeout=30).topics[name].partitions) == 3


def test_secrets_are_in_their_owners_files_and_nowhere_else(own: LocalBus) -> None:
    home = own.home.path
    secrets = [file.read_text().strip() for file in (home / "secrets").iterdir() if not file.suffix]
    secrets.append(credentials.load(settings_of(own), "admin").password)
    assert len(secrets) == 4

    assert home.joinpath("secrets").stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in home.joinpath("secrets").iterdir()} == {0o600}
    assert home.joinpath("bus.json").stat().st_mode & 0o777 == 0o600

    shown = [file.read_text(errors="replace") for file in home.joinpath("logs").iterdir()]
    supervisor = psutil.Process(own.status().supervisor.pid)
    for process in (supervisor, *supervisor.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            shown += [" ".join(process.cmdline()), str(process.environ())]
    assert not [text for text in shown for secret in secrets if secret in text]


def test_a_bus_that_must_not_outlive_its_starter_ends_with_it(tmp_path: Path) -> None:
    script = (
        "import os, sys\nfrom pathlib import Path\nfrom lintas.local.bus import LocalBus\n"
        f"LocalBus(Path({str(tmp_path)!r}), fast_start=True).start(outlive=False)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=False, timeout=90)
    deadline = time.monotonic() + 30
    while (tmp_path / "supervisor.json").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    with pytest.raises(BusNotRunning):
        LocalBus(tmp_path).stop()
