"""How every verb prints: tables for people, plain text where no one watches, JSON for programs."""

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import click
from pydantic_core import to_jsonable_python
from rich.console import Console
from rich.table import Table
from rich.text import Text

F = TypeVar("F", bound=Callable[..., Any])
Cell = str | int | float | Text | None

_GAP = "  "


def output_option(command: F) -> F:
    """Give a command ``-o table|json``, passed to it as ``output``."""
    return click.option(
        "-o",
        "--output",
        type=click.Choice(["table", "json"]),
        default="table",
        show_default=True,
        help="table for people, json for programs",
    )(command)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Cell]], *, title: str | None = None) -> None:
    """Print rows under column names; numbers to the right.

    On a terminal rich draws it and folds long cells. Elsewhere every row is one line, aligned, uncoloured and uncut,
    without the title, so that it pipes well. Cells are never read as markup; a ``Text`` brings its own style.
    """
    cells = [[_text(cell) for cell in row] for row in rows]
    to_right = [
        bool(cells) and all(row[at].justify == "right" or not row[at].plain for row in cells)
        for at in range(len(columns))
    ]
    console = Console()
    if not console.is_terminal:
        for line in _plain([list(columns), *([cell.plain for cell in row] for row in cells)], to_right):
            click.echo(line)
        return
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for name, right in zip(columns, to_right, strict=True):
        table.add_column(name, justify="right" if right else "left", header_style="bold", overflow="fold")
    for row in cells:
        table.add_row(*row)
    console.print(table)


def print_json(value: Any) -> None:
    """Print a value as JSON: models, dataclasses, dates and paths included."""
    click.echo(json.dumps(to_jsonable_python(value, by_alias=True), indent=2, ensure_ascii=False))


def _text(cell: Cell) -> Text:
    if isinstance(cell, Text):
        return cell
    number = isinstance(cell, int | float) and not isinstance(cell, bool)
    return Text("" if cell is None else str(cell), justify="right" if number else None)


def _plain(rows: Sequence[Sequence[str]], to_right: Sequence[bool]) -> Iterable[str]:
    lines = [[" ".join(cell.split("\n")) for cell in row] for row in rows]
    widths = [max(len(row[at]) for row in lines) for at in range(len(to_right))]
    for row in lines:
        padded = [
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, to_right, strict=True)
        ]
        yield _GAP.join(padded).rstrip()
