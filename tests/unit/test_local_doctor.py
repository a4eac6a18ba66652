import json
import socket
from pathlib import Path

import pytest
from click.testing import CliRunner

from lintas.cli import main
from lintas.errors import LocalBusError
from lintas.local import doctor, jre, ports
from lintas.local.artefacts import Artefact, Cache
from lintas.local.doctor import Finding
from lintas.local.home import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.of(tmp_path)


@pytest.fixture
def _cached(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache needs 300 MB of hashing: its check is tested on its own."""
    monkeypatch.setattr(doctor, "_cache", lambda _: [])


@pytest.mark.usefixtures("_cached")
def test_every_check_has_a_result_and_every_problem_a_remedy(home: Home) -> None:
    findings = doctor.examine(home.path)
    assert len({finding.check for finding in findings}) == len(findings) >= 11
    assert all(finding.remedy for finding in findings if finding.result != "OK")


@pytest.mark.usefixtures("_cached")
@pytest.mark.parametrize(("result", "code"), [("OK", 0), ("WARN", 0), ("FAIL", 1)])
def test_the_exit_code_is_1_if_something_fails(monkeypatch: pytest.MonkeyPatch, result: str, code: int) -> None:
    finding = Finding.model_validate({"check": "x", "result": result, "found": "y", "remedy": "z"})
    monkeypatch.setattr(doctor, "examine", lambda _: [finding])
    for output in ("table", "json"):
        answer = CliRunner().invoke(main, ["doctor", "-o", output])
        assert answer.exit_code == code
        assert result in answer.stdout
    assert json.loads(answer.stdout) == [finding.model_dump()]


def test_a_home_that_cannot_be_written_fails(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert doctor._home(Home(tmp_path / "file")).result == "FAIL"


def test_a_full_disk_fails(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000})())
    assert doctor._disk("disk", home.path, 2).result == "FAIL"


def test_a_clock_that_is_behind_the_files_fails(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 0.0)
    assert doctor._clock(home).result == "FAIL"


def test_a_java_that_cannot_be_used_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> Path:
        raise LocalBusError(reason="there is no Java", remedy="reinstall it.")

    monkeypatch.setattr(jre, "java", missing)
    assert doctor._java().result == "FAIL"


def test_a_taken_port_is_told(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as server:
        server.bind((ports.LOOPBACK, 0))
        server.listen()
        port = server.getsockname()[1]
        monkeypatch.setattr(ports.Ports, "all", lambda _: (port,))
        assert str(port) in doctor._ports(home).found


@pytest.mark.parametrize("reachable", [True, False])
def test_the_network_is_tried_only_if_something_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, reachable: bool
) -> None:
    def fetch(artefact: Artefact, folder: Path, progress: object) -> Path:
        del artefact, progress
        if not reachable:
            raise ConnectionError
        return folder

    monkeypatch.setattr(doctor, "_reachable", lambda tried=doctor._reachable: tried(fetch))
    cache, network = doctor._cache(Cache(tmp_path))
    assert cache.result == "WARN"
    assert "93 of 93 files missing, 0 changed" in cache.found
    assert network.result == ("OK" if reachable else "FAIL")

    monkeypatch.setattr(Cache, "missing", lambda *_, **__: [])
    [cache] = doctor._cache(Cache(tmp_path))
    assert cache.result == "OK"
