"""``lintas publish``: JSON lines in, every bad line reported, the good ones published."""

import asyncio
import contextlib
import json
import os
import stat
import sys
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import click
import lintas_client
from lintas_client import MalformedEvent, Problem, Publisher, Receipt

from lintas.cli.as_system import connection_of, told_as_bus_errors
from lintas.cli.event_lines import EventLine, read_line
from lintas.cli.line_reader import LINE_LIMIT, lines_of
from lintas.cli.output import output_option
from lintas.errors import PublishRefused
from lintas.settings import Settings

MOST_IN_FLIGHT: Final = 10_000  # events sent and not yet acknowledged

Advance = Callable[[int], None]


@click.command()
@click.argument("event_type", metavar="TYPE")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True), default="-")
@click.option("--as", "system", metavar="SYSTEM", required=True, help="the system that publishes: agency.system")
@click.option("--bare", is_flag=True, help="each line is the payload itself")
@output_option
def publish(*, event_type: str, file: str, system: str, bare: bool, output: str) -> None:
    """Publish events of one TYPE from FILE, or from standard input.

    One event a line:

    \b
      {"data": {...}, "id": "...", "subject": "...", "time": "2026-11-24T08:00:00+07:00", "key": "...", EXTENSION: ...}

    All but "data" may be left out: the subject is then the payload's own, the key the subject, the time now, and the
    id the SHA-256 of the type and the line. So a file published a second time repeats no event: the bus drops the
    repeats that come within its window (10,000 events of a partition and 15 minutes by default).
    Dates, moments and decimal numbers are texts. Events of one key keep their order.

    Every line that cannot be published is reported with its number and all its problems; the others are published.
    -o json prints a line for each: a receipt or problems, and last the sums. Exit 0 if all were published, else 1.
    """  # noqa: D301  \b is click's mark of a paragraph that is not refilled
    connection = connection_of(Settings(), system)
    run = _Run(event_type, bare=bare, as_json=output == "json")
    with _opened(file) as descriptor, _progress(descriptor) as (advance, say):
        run.say = say
        try:
            with told_as_bus_errors():
                asyncio.run(run.publish(connection, descriptor, advance))
        except BaseException:
            if run.line > 1:
                click.echo(f"stopped at line {run.line:,}: {run.sums()}", err=True)
            raise
    if output == "json":
        click.echo(json.dumps({"published": run.published, "rejected": run.rejected}))
    if run.rejected:
        raise PublishRefused(
            rejected=f"{run.rejected:,}",
            total=f"{run.published + run.rejected:,}",
            report="Each is reported above with its line. Remedy: mend those lines and publish them.",
        )
    if output == "table":
        click.echo(run.sums())


@dataclass
class _Run:
    """One file on its way to the bus.

    Attributes:
        line: the line read last.
        published: events that the bus acknowledged.
        rejected: lines that were reported.
    """

    event_type: str
    bare: bool
    as_json: bool
    say: Callable[[str], None] = click.echo
    line: int = 0
    published: int = 0
    rejected: int = 0
    in_flight: "deque[tuple[int, asyncio.Future[Receipt]]]" = field(default_factory=deque)

    async def publish(self, connection: lintas_client.Connection, descriptor: int, advance: Advance) -> None:
        """Publish every good line; return once all are acknowledged."""
        try:
            async with Publisher(connection) as publisher:
                async for self.line, content in lines_of(descriptor, advance):
                    await self._send(publisher, content)
                    if len(self.in_flight) > MOST_IN_FLIGHT:
                        await self._settle_first()
                while self.in_flight:
                    await self._settle_first()
        finally:
            for _, future in self.in_flight:  # something went wrong: count what arrived all the same
                self.published += future.done() and not future.cancelled() and future.exception() is None

    async def _send(self, publisher: Publisher, content: bytes | None) -> None:
        event = _too_long() if content is None else read_line(content, self.event_type, bare=self.bare)
        problems = list(event.problems)
        try:
            if not problems:
                self.in_flight.append(
                    (self.line, await publisher.send(self.event_type, event.data, **event.attributes))
                )
                return
            if event.readable:
                await publisher.check(self.event_type, event.data, **event.attributes)
        except MalformedEvent as error:
            reported = {problem.path for problem in problems if problem.path}
            problems += [problem for problem in error.problems if problem.path not in reported]
        self._reject(self.line, problems)

    async def _settle_first(self) -> None:
        line, future = self.in_flight[0]
        try:
            receipt = await future
        except MalformedEvent as error:
            self._reject(line, error.problems)
        else:
            self.published += 1
            if self.as_json:
                where = {"topic": receipt.topic, "partition": receipt.partition, "offset": receipt.offset}
                click.echo(json.dumps({"line": line, "id": receipt.id, **where}))
        self.in_flight.popleft()

    def _reject(self, line: int, problems: "tuple[Problem, ...] | list[Problem]") -> None:
        self.rejected += 1
        if self.as_json:
            found = [{"path": found.path, "rule": found.rule, "message": found.message} for found in problems]
            click.echo(json.dumps({"line": line, "problems": found}))
        else:
            self.say("\n".join(f"line {line}: {problem} [{problem.rule}]" for problem in problems))

    def sums(self) -> str:
        """What became of the lines so far."""
        refused = f", {self.rejected:,} rejected" if self.rejected else ""
        return f"{self.published:,} event{'' if self.published == 1 else 's'} of {self.event_type} published{refused}"


def _too_long() -> EventLine:
    problem = Problem("", "size", f"is longer than {LINE_LIMIT >> 20} MiB")
    return EventLine(problems=(problem,), readable=False)


@contextlib.contextmanager
def _opened(file: str) -> Iterator[int]:
    if file == "-":
        yield sys.stdin.fileno()
        return
    descriptor = os.open(file, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _progress(descriptor: int) -> Iterator[tuple[Advance, Callable[[str], None]]]:
    """A bar on stderr where a person watches; and how to print beside it."""
    if not sys.stderr.isatty():
        yield (lambda _: None), lambda text: click.echo(text, err=True)
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    about = os.fstat(descriptor)
    columns: tuple[Any, ...] = (TextColumn("publishing"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=about.st_size if stat.S_ISREG(about.st_mode) else None)
        yield (
            lambda count: bar.advance(task, count),
            lambda text: bar.console.print(text, markup=False, highlight=False, soft_wrap=True),
        )
