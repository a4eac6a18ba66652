"""``lintas up | down | status | doctor``: the bus on this machine."""

import contextlib
import json
import signal
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

from lintas.errors import BusNotRunning
from lintas.settings import Settings

if TYPE_CHECKING:
    from lintas.local.artefacts import Progress
    from lintas.local.bus import LocalBus
    from lintas.local.state import BusState

_OUTPUT = click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="for whom",
)
_WORTH_A_LINE_BYTES = 5_000_000
_COLOURS = {"running": "green", "OK": "green", "failed": "red", "FAIL": "red", "stopped": "red"}


@click.command()
@click.option("-d", "--detach", is_flag=True, help="return when everything runs, and leave it running")
@click.option("--only-servers", is_flag=True, help="Kafka, registry and PostgreSQL, none of the bus's own programs")
def up(*, detach: bool, only_servers: bool) -> None:
    """Start the bus on this machine.

    Starts Apache Kafka, the schema registry, PostgreSQL and the bus's programs on loopback, with data, logs
    and secrets below LINTAS_HOME, and keeps them running. Ctrl-C stops everything. The first start downloads
    210 MB.
    """
    bus = _bus(only_servers=only_servers)
    err = Console(stderr=True)
    with downloads(err) as progress:
        bus.download(progress)
    if detach:
        with err.status("starting the bus"):
            settings = bus.start()
        _welcome(settings, bus)
        return

    spinner = err.status("starting the bus")
    spinner.start()

    def ready(settings: Settings) -> None:
        spinner.stop()
        _welcome(settings, bus)
        err.print("Ctrl-C stops it.", style="dim")

    try:
        stopped_by = bus.run(ready)
    finally:
        spinner.stop()
    err.print("the bus has stopped")
    if stopped_by == signal.SIGINT:
        raise KeyboardInterrupt


@click.command()
def down() -> None:
    """Stop the bus on this machine; data, users and schemas stay."""
    with Console(stderr=True).status("stopping the bus"):
        _bus().stop()
    click.echo("the bus has stopped")


@click.command()
@_OUTPUT
@click.pass_context
def status(ctx: click.Context, *, output: str) -> None:
    """Show what runs; exit 0 if everything does, 1 if not."""
    try:
        found = _bus().status()
    except BusNotRunning as error:
        if output == "json":
            click.echo(json.dumps({"phase": "stopped", "parts": []}))
            ctx.exit(1)
        log = _bus().home.path / "logs" / "supervisor.log"
        if log.exists() and log.stat().st_size:
            click.echo(f"why an earlier one ended may stand in {log}", err=True)
        raise error from None
    if output == "json":
        click.echo(found.model_dump_json(indent=1))
    else:
        Console().print(_parts_table(found))
        for what, where in _console(found):
            click.echo(f"{what:12}{where}")
    ctx.exit(0 if all(part.phase == "running" for part in found.parts) and found.phase == "running" else 1)


@click.command()
@_OUTPUT
@click.pass_context
def doctor(ctx: click.Context, *, output: str) -> None:
    """Check whether this machine can run the bus and how to mend what is wrong; exit 1 if it cannot."""
    from lintas.local.doctor import examine

    findings = examine(Settings().home)
    if output == "json":
        click.echo(json.dumps([finding.model_dump() for finding in findings], indent=1))
    else:
        table = Table("check", "result", "found", "how to mend it", box=None, pad_edge=False, header_style="bold")
        for finding in findings:
            table.add_row(finding.check, _coloured(finding.result), finding.found, finding.remedy)
        Console().print(table)
    ctx.exit(1 if any(finding.result == "FAIL" for finding in findings) else 0)


def _bus(*, only_servers: bool = True) -> "LocalBus":
    from lintas.local.bus import LocalBus
    from lintas.local.programs import PROGRAMS

    return LocalBus(Settings().home, programs=() if only_servers else PROGRAMS)


def _welcome(settings: Settings, bus: "LocalBus") -> None:
    console, found = Console(), bus.status()
    console.print(_parts_table(found))
    for what, where in (
        ("Kafka", settings.bootstrap_servers),
        ("registry", settings.registry_url),
        ("logs", bus.home.path / "logs"),
        ("credentials", settings.secrets),
        *_console(found),
    ):
        console.print(f"{what:12}{where}", soft_wrap=True, highlight=False)


def _console(found: "BusState") -> Iterator[tuple[str, str]]:
    """Where console and gateway are, if they run, and which file says who may log in."""
    from monitoring.console.people import people_file

    file = people_file(Settings())
    for part in found.parts:
        if part.name == "console" and part.port:
            yield "console", f"http://127.0.0.1:{part.port}"
            if file.exists():
                yield "people", str(file)
        if part.name == "gateway" and part.port:
            yield "gateway", f"http://127.0.0.1:{part.port}"


def _parts_table(found: "BusState") -> Table:
    from lintas.local.state import now

    table = Table("part", "state", "pid", "port", "up for", "restarts", box=None, pad_edge=False)
    for part in found.parts:
        table.add_row(
            part.name,
            _coloured(part.phase),
            str(part.process.pid) if part.process else "",
            str(part.port or ""),
            str(now() - part.since) if part.since else "",
            str(part.restarts),
        )
    return table


def _coloured(word: str) -> str:
    return f"[{_COLOURS.get(word, 'yellow')}]{word}[/]"


@contextlib.contextmanager
def downloads(console: Console) -> Iterator["Progress"]:
    """One progress bar for each file that is being downloaded, shown only while there are any."""
    from rich import progress as bars

    columns = (
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        bars.DownloadColumn(),
        bars.TransferSpeedColumn(),
    )
    with bars.Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as shown:

        @contextlib.contextmanager
        def one_file(name: str, size: int) -> Iterator[Callable[[int], None]]:
            if not console.is_terminal and size > _WORTH_A_LINE_BYTES:
                console.print(f"downloading {name} ({size // 1_000_000} MB)")
            task = shown.add_task(name, total=size)
            yield lambda count: shown.advance(task, count)
            shown.remove_task(task)

        yield one_file
