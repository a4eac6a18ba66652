"""How ``lintas demo`` tells what it found."""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final

import click
from rich.console import Console
from rich.text import Text

from lintas.cli.output import Cell, print_json, print_table
from lintas.demo.example import Example, Line, Received
from lintas.demo.report import Report

_NONE: Final = "-"
_LONGEST: Final = 24


def show_json(report: Report, about: dict[str, Any]) -> None:
    """Print everything for programs; ``about`` says which day, bus and catalogue."""
    print_json({**about, **dataclasses.asdict(report)})


def show(report: Report) -> None:
    """Print everything for people."""
    short = _Short(row.event_type for row in report.event_types)
    _received(report, short)
    if report.example is not None:
        _example(report.example)
    _refused(report, short)
    _sums(report, short)


class _Short:
    """Names of event types without owner and version, where that tells them apart."""

    def __init__(self, event_types: Iterable[str]) -> None:
        self._names = {name: ".".join(name.split(".")[-3:-1]) for name in event_types}
        self._counts = Counter(self._names.values())

    def __call__(self, event_type: str) -> str:
        short = self._names.get(event_type, event_type)
        return short if self._counts[short] == 1 else event_type


def _heading(text: str, explanation: str = "") -> None:
    click.echo()
    click.echo(click.style(text, bold=True))
    if explanation:
        click.echo(explanation)
    click.echo()


def _received(report: Report, short: _Short) -> None:
    consumers = len({row.consumer for row in report.received})
    _heading(
        "Who received what",
        f"{report.published:,} events, {len(report.received)} agreements, {consumers} consumers: "
        f"{report.deliveries:,} deliveries. Filtered: the agreement's `when` says that it is not this consumer's.",
    )
    rows: list[Sequence[Cell]] = []
    before = ""
    for row in report.received:
        new = row.consumer != before
        before = row.consumer
        counts = (row.delivered, row.filtered, row.dead, row.waiting, row.not_in_force)
        rows.append((row.consumer if new else "", row.channel, short(row.event_type), *map(_count, counts)))
    columns = ["consumer", "channel", "event type", "delivered", "filtered", "dead", "waiting", "not in force"]
    if not any(row.not_in_force for row in report.received):
        columns.pop()
        rows = [row[:-1] for row in rows]
    print_table(columns, rows)


def _count(number: int) -> Text:
    return Text(f"{number:,}" if number else _NONE, style="" if number else "dim", justify="right")


def _example(told: Example) -> None:
    first, second = told.recipients
    _heading(
        "One event, side by side",
        f"{told.title}: offset {told.place.offset} of {told.place.topic} [{told.place.partition}]. "
        "All people are invented.",
    )
    narrow = Console().is_terminal
    print_table(
        ("field", "as published", first.consumer, "rule", second.consumer, "rule"),
        [(line.field, _cut(line.published, narrow=narrow), *_cells(line, narrow=narrow)) for line in told.lines],
    )
    for recipient in told.recipients:
        click.echo()
        click.echo(f"{recipient.consumer} ({recipient.channel}, agreement {recipient.agreement})")
        click.echo(f"  legal basis  {recipient.legal_basis}")
        click.echo(f"  purpose      {recipient.purpose}")


def _cells(line: Line, *, narrow: bool) -> Iterable[Cell]:
    for received in line.received:
        style = _style(line, received)
        yield Text(_cut(received.value, narrow=narrow), style=style)
        yield Text(received.rule, style=style)


def _style(line: Line, received: Received) -> str:
    if received.value is None:
        return "red"
    return "green" if received.value == line.published else "yellow"


def _cut(value: str | None, *, narrow: bool) -> str:
    if value is None:
        return _NONE
    return value if len(value) <= _LONGEST or not narrow else value[: _LONGEST - 1] + "…"


def _refused(report: Report, short: _Short) -> None:
    _heading("In quarantine: events that no one can be given")
    print_table(
        ("stage", "rule", "what the generator had broken", "event types", "events"),
        [(row.stage, row.rule, row.fault, row.event_types, row.events) for row in report.quarantined],
    )
    _heading("Dead letters: events that one consumer could not be given; all others were")
    print_table(
        ("consumer", "event type", "stage", "rule", "events"),
        [(row.consumer, short(row.event_type), row.stage, row.rule, row.events) for row in report.dead],
    )


def _sums(report: Report, short: _Short) -> None:
    _heading("The counts add up", "published = routed + repeats + quarantined, by event type:")
    rows = [
        (short(row.event_type), row.published, row.routed, row.duplicate, row.quarantined) for row in report.event_types
    ]
    total = ("all", *(sum(column) for column in list(zip(*rows, strict=True))[1:]))
    print_table(
        ("event type", "published", "routed", "repeats", "quarantined"),
        [(name, *map(_count, counts)) for name, *counts in [*rows, total]],
    )
    _heading("What was meant, and what became of it")
    print_table(
        ("events meant as", "to be", "published", "became so"),
        [(row.kind, row.meant, row.published, row.found) for row in report.intended],
    )
    _heading("Derived events", f"{report.derived} versions published by the vital statistics processor; the newest:")
    print_table(
        ("counted", "in the newest versions", "delivered to be counted"),
        [(row.counted, row.newest_versions, row.delivered) for row in report.statistics],
    )
