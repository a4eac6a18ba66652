"""``lintas connector logs``: what a runtime has logged of one connector."""

import json
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import click

from lintas.cli.output import output_option
from lintas.errors import UnknownName
from lintas.local.home import Home
from lintas.settings import Settings

PROGRAM = "connector"
WAIT_SECONDS = 0.5


@click.command()
@click.argument("name")
@click.option("-n", "--lines", type=click.IntRange(min=0), default=50, show_default=True, help="how many of the last")
@click.option("--follow", is_flag=True, help="go on with what is logged from now on; Ctrl-C ends it")
@click.option(
    "--file",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
    help="log of a runtime in JSON lines, - for standard input; that of the local bus if not given",
)
@output_option
def logs(*, name: str, lines: int, follow: bool, file: Path | None, output: str) -> None:
    """Show what a runtime has logged of the connector NAME.

    The log of the local bus, or any that is given: in production a program's log is its standard error, and whoever
    keeps that finds a connector's lines by their field `connector`.
    Each runtime has its own: `lintas connector show NAME` says which worker runs it.
    """
    path = file or Home(Settings().home).log(PROGRAM)
    if str(path) == "-":
        _print(_of(name, click.get_binary_stream("stdin")), output, lines)
        return
    if not path.exists():
        raise UnknownName(
            kind="log", name=str(path), suggestion="No runtime has run on a bus here; --file names the log of another."
        )
    with path.open("rb") as log:
        _print(_of(name, new_lines(log) if follow else log), output, lines)
        while follow:
            time.sleep(WAIT_SECONDS)
            _print(_of(name, new_lines(log)), output, None)


def new_lines(log: BinaryIO) -> Iterator[bytes]:
    """What was written since, in whole lines; of a log that was emptied meanwhile, from its beginning."""
    if os.fstat(log.fileno()).st_size < log.tell():
        log.seek(0)
    while (line := log.readline()).endswith(b"\n"):
        yield line
    log.seek(-len(line), os.SEEK_CUR)  # the rest of it is still to come


def _of(name: str, log: Iterable[bytes]) -> Iterator[dict[str, object]]:
    """The lines of a connector."""
    for text in log:
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if isinstance(line, dict) and line.get("connector") == name:
            yield line


def _print(found: Iterator[dict[str, object]], output: str, most: int | None) -> None:
    lines = list(found)
    for line in lines if most is None else lines[len(lines) - min(most, len(lines)) :]:
        if output == "json":
            click.echo(json.dumps(line, ensure_ascii=False))
        else:
            click.echo(f"{line.get('time')} {str(line.get('level')).upper()} {line.get('message')}")
