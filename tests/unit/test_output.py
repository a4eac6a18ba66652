"""What verbs print: aligned text for pipes, JSON for programs, tables for people."""

import dataclasses
import datetime as dt
import enum
import io
import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from pydantic import BaseModel, Field
from rich.console import Console
from rich.text import Text

from lintas.cli import output
from lintas.cli.output import output_option, print_json, print_table


def test_off_a_terminal_a_row_is_one_line_aligned_uncut_and_uncoloured(capsys: pytest.CaptureFixture[str]) -> None:
    long = "x" * 300
    print_table(
        ("name", "events", "detail"),
        [("bps.vital", 7, "children[].name\nand more"), (Text("bmkg", style="red"), 12_000, long), ("kpu", None, "")],
        title="who",
    )
    assert capsys.readouterr().out.splitlines() == [
        "name       events  detail",
        "bps.vital       7  children[].name and more",
        f"bmkg        12000  {long}",
        "kpu",
    ]


def test_a_table_without_rows_still_names_its_columns(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("name", "events"), [])
    assert capsys.readouterr().out == "name  events\n"


def test_on_a_terminal_nothing_of_a_cell_is_lost_or_read_as_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(output, "Console", lambda: Console(file=screen, force_terminal=True, width=30))
    print_table(("name", "detail"), [("[red]a[/red]", "y" * 40)], title="who")
    assert "who" in screen.getvalue()
    assert "[red]a[/red]" in screen.getvalue()
    assert screen.getvalue().count("y") == 40


class Colour(enum.StrEnum):
    RED = "red"


class Model(BaseModel):
    from_: dt.date = Field(alias="from")


@dataclasses.dataclass
class Plain:
    path: Path
    models: list[Model]
    colour: Colour


def test_json_holds_models_dataclasses_dates_and_paths(capsys: pytest.CaptureFixture[str]) -> None:
    print_json(Plain(Path("a/b"), [Model(**{"from": dt.date(2026, 1, 2)})], Colour.RED))
    assert json.loads(capsys.readouterr().out) == {
        "path": "a/b",
        "models": [{"from": "2026-01-02"}],
        "colour": "red",
    }


@pytest.mark.parametrize(
    ("arguments", "code", "printed"), [([], 0, "table"), (["-o", "json"], 0, "json"), (["-o", "xml"], 2, "xml")]
)
def test_a_verb_prints_a_table_unless_json_is_asked_for(arguments: list[str], code: int, printed: str) -> None:
    @click.command()
    @output_option
    def verb(output: str) -> None:
        click.echo(output)

    result = CliRunner().invoke(verb, arguments)
    assert result.exit_code == code
    assert printed in result.output
