"""`lintas catalogue validate`: what it prints and how it exits."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sound_catalogue import BIRTHS, QUAKE, QUAKE_AVSC, SOUND, broken, line_of, write

from lintas.cli.main import main
from lintas.errors import BusUnavailable

Run = Callable[..., Result]


@pytest.fixture
def lintas(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LINTAS_HOME", str(tmp_path / "home"))
    return lambda *arguments: CliRunner().invoke(main, ["catalogue", *arguments])


def test_a_sound_catalogue_passes(lintas: Run, tmp_path: Path) -> None:
    result = lintas("validate", str(write(tmp_path / "catalogue", SOUND)))
    assert result.output == (
        "no problems: 3 agencies, 3 event types, 2 agreements; not compared with registered schemas\n"
    )
    assert result.exit_code == 0


def test_the_example_deployment_is_what_is_validated_by_default(lintas: Run) -> None:
    result = lintas("validate")
    assert result.exit_code == 0, result.output
    assert "no problems" in result.output


def test_every_problem_is_a_line_and_they_are_counted(lintas: Run, tmp_path: Path) -> None:
    edits = {BIRTHS: [("purpose:", "purpos:"), ("child.nik: pseudonym", "child.nik: hash")], QUAKE_AVSC: None}
    files = broken(edits)
    write(tmp_path / "catalogue", files)
    result = lintas("validate", "catalogue")
    lines = result.output.splitlines()
    assert [line.split(": ")[:2] for line in lines[:-1]] == [
        [f"catalogue/{BIRTHS}:1", "missing-field"],
        [f"catalogue/{BIRTHS}:{line_of(files[BIRTHS], 'purpos:')}", "unknown-field"],
        [f"catalogue/{BIRTHS}:{line_of(files[BIRTHS], 'hash')}", "bad-value"],
        [f"catalogue/events/{QUAKE}.yaml:1", "schema-missing"],
    ]
    assert lines[-1] == "4 problems in 2 files (3 agencies, 3 event types, 1 agreements read)"
    assert result.exit_code == 1


def test_programs_get_the_same_as_json(lintas: Run, tmp_path: Path) -> None:
    write(tmp_path / "catalogue", broken({BIRTHS: [("data.siblings", "data.sibling")]}))
    result = lintas("validate", "catalogue", "-o", "json")
    report = json.loads(result.output)
    (problem,) = report["problems"]
    assert problem["file"] == f"catalogue/{BIRTHS}"
    assert problem["rule"] == "condition"
    assert "did you mean siblings?" in problem["message"]
    assert (report["agencies"], report["event_types"], report["agreements"]) == (3, 3, 2)
    assert report["compared_with_registered_schemas"] is False
    assert result.exit_code == 1


def test_a_folder_that_is_not_there_is_misuse(lintas: Run) -> None:
    assert lintas("validate", "nowhere").exit_code == 2


def test_schemas_are_compared_with_what_a_configured_bus_has_registered(
    lintas: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "catalogue", SOUND)
    asked: list[str] = []

    def registered(*arguments: Any) -> dict[str, list[object]]:
        _, _, topics = arguments
        asked.append(topics[QUAKE])
        return {QUAKE: [{"type": "record", "name": "Quake", "namespace": "id.go.bmkg", "fields": []}]}

    monkeypatch.setattr("schemas.registry.registered_schemas", registered)
    monkeypatch.setenv("LINTAS_REGISTRY_URL", "http://127.0.0.1:1")
    result = lintas("validate", "catalogue")
    assert asked == ["events.bmkg.earthquake.measured.v1"]
    assert result.output.count("schema-incompatible: ") == 3
    assert result.exit_code == 1
    assert lintas("validate", "catalogue", "--offline").exit_code == 0


def test_a_registry_that_does_not_answer_fails_after_the_other_problems_are_told(
    lintas: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "catalogue", broken({BIRTHS: [("purpose:", "purpos:")]}))

    def silent(*_: object) -> None:
        raise BusUnavailable(part="the schema registry", address="http://127.0.0.1:1", reason="refused")

    monkeypatch.setattr("schemas.registry.registered_schemas", silent)
    monkeypatch.setenv("LINTAS_REGISTRY_URL", "http://127.0.0.1:1")
    result = lintas("validate", "catalogue")
    assert "unknown-field" in result.output
    assert "does not answer" in result.output
    assert result.exit_code == 1
