import json
import signal
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from lintas.cli import main
from lintas.cli.main import NOUNS, Nouns
from lintas.errors import BadSettings
from lintas.local.bus import LocalBus
from lintas.local.programs import PROGRAMS, Program


@pytest.fixture
def run(tmp_path: Path) -> CliRunner:
    return CliRunner(env={"LINTAS_HOME": str(tmp_path / "home")})


def test_an_error_of_the_bus_is_told_on_stderr_with_its_exit_code(
    run: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    def misuse(_: LocalBus) -> None:
        raise BadSettings(name="LINTAS_X", reason="it is not set", remedy="set it.")

    monkeypatch.setattr(LocalBus, "stop", misuse)
    result = run.invoke(main, ["down"])
    assert result.exit_code == 2
    assert "LINTAS_X cannot be used" in result.stderr
    assert result.stdout == ""


def test_ctrl_c_ends_with_130(run: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: LocalBus) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(LocalBus, "stop", interrupted)
    assert run.invoke(main, ["down"]).exit_code == 128 + signal.SIGINT


@pytest.mark.parametrize("arguments", [["nonsense"], ["up", "--nonsense"], ["status", "-o", "xml"]])
def test_misuse_ends_with_2(run: CliRunner, arguments: list[str]) -> None:
    assert run.invoke(main, arguments).exit_code == 2


def test_where_nothing_runs_status_and_down_end_with_1(run: CliRunner) -> None:
    for verb in ("status", "down"):
        result = run.invoke(main, [verb])
        assert result.exit_code == 1
        assert "No bus is running" in result.stderr


def test_status_for_programs_is_json_also_where_nothing_runs(run: CliRunner) -> None:
    result = run.invoke(main, ["status", "-o", "json"])
    assert result.exit_code == 1
    assert json.loads(result.stdout) == {"phase": "stopped", "parts": []}


@pytest.mark.parametrize("noun", NOUNS)
def test_every_noun_of_the_registry_is_a_command_with_help(noun: str) -> None:
    assert isinstance(main, Nouns)
    command = main.get_command(click.Context(main), noun)
    assert command is not None
    assert command.name == noun
    assert command.help


@pytest.mark.parametrize("program", PROGRAMS, ids=[program.name for program in PROGRAMS])
def test_every_program_that_up_runs_is_a_noun(program: Program) -> None:
    assert program.arguments[0] in NOUNS
