"""How ``lintas demo`` tells what it found."""

import dataclasses
import textwrap
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final

import click
from rich.console import Console
from rich.text import Text

from lintas.cli.output import Cell, print_json, print_table
from lintas.demo.example import Example, Line, Received, Recipient
from lintas.demo.report import ReceivedRow, Report

_NONE: Final = "-"
_LONGEST: Final = 30  # characters of a value on a narrow terminal: a pseudonym's
_WIDE_ENOUGH_FOR_CONSUMERS: Final = 122  # columns
_WIDE_ENOUGH_FOR_TWO: Final = 151


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
        _paragraph(explanation)
    click.echo()


def _paragraph(text: str, name: str = "") -> None:
    """Print a text, in lines as wide as the terminal; ``name`` stands before it."""
    width = _terminal_width()
    if width is None:
        click.echo(name + text)
    else:
        click.echo(textwrap.fill(text, width, initial_indent=name, subsequent_indent=" " * len(name)))


def _terminal_width() -> int | None:
    """Columns of the terminal; None where nobody watches."""
    console = Console()
    return console.width if console.is_terminal else None


def _received(report: Report, short: _Short) -> None:
    consumers = len({row.consumer for row in report.received})
    _heading(
        "Who received what",
        f"{report.published:,} events, {len(report.received)} agreements, {consumers} consumers: "
        f"{report.deliveries:,} deliveries. Filtered: by the agreement's `when`, it is not this consumer's.",
    )
    columns = ["delivered", "filtered", "dead", "waiting", "not in force"]
    width = _terminal_width()
    if width is not None and width < _WIDE_ENOUGH_FOR_CONSUMERS:
        print_table(("consumer, channel, event type", *columns), _by_consumer(report, short))
        return
    print_table(
        ("consumer", "channel", "event type", *columns),
        [(row.consumer, row.channel, short(row.event_type), *_counts(row)) for row in report.received],
    )


def _by_consumer(report: Report, short: _Short) -> Iterable[Sequence[Cell]]:
    before = ""
    for row in report.received:
        if row.consumer != before:
            yield (Text(row.consumer, style="bold"), *[Text(justify="right")] * len(_counts(row)))
            before = row.consumer
        yield (f"  {row.channel}  {short(row.event_type)}", *_counts(row))


def _counts(row: ReceivedRow) -> list[Text]:
    return [_count(number) for number in (row.delivered, row.filtered, row.dead, row.waiting, row.not_in_force)]


def _count(number: int) -> Text:
    return Text(f"{number:,}" if number else _NONE, style="" if number else "dim", justify="right")


def _example(told: Example) -> None:
    _heading(
        "One event, side by side",
        f"{told.title}: offset {told.place.offset} of {told.place.topic} [{told.place.partition}]. "
        "All people are invented.",
    )
    width = _terminal_width()
    together = width is None or width >= _WIDE_ENOUGH_FOR_TWO
    everyone = range(len(told.recipients))
    for group in [everyone] if together else [[number] for number in everyone]:
        columns = [column for number in group for column in (told.recipients[number].consumer, "rule")]
        print_table(
            ("field", "as published", *columns),
            [(line.field, _cut(line.published, width), *_cells(line, group, width)) for line in told.lines],
        )
        for number in group:
            _reason(told.recipients[number])


def _reason(recipient: Recipient) -> None:
    click.echo()
    click.echo(f"{recipient.consumer} ({recipient.channel}, agreement {recipient.agreement})")
    _paragraph(recipient.legal_basis, name="  legal basis  ")
    _paragraph(recipient.purpose, name="  purpose      ")
    click.echo()


def _cells(line: Line, group: Iterable[int], width: int | None) -> Iterable[Cell]:
    for number in group:
        received = line.received[number]
        style = _style(line, received)
        yield Text(_cut(received.value, width), style=style)
        yield Text(received.rule, style=style)


def _style(line: Line, received: Received) -> str:
    if received.value is None:
        return "red"
    return "green" if received.value == line.published else "yellow"


def _cut(value: str | None, width: int | None) -> str:
    if value is None:
        return _NONE
    if len(value) <= _LONGEST or width is None or width >= _WIDE_ENOUGH_FOR_TWO:
        return value
    return value[: _LONGEST - 1] + "…"


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
    if not report.differences:
        click.echo()
        _paragraph(
            f"For each of {len(report.received)} agreements: "
            "routed = delivered + filtered + dead + waiting + not in force."
        )
        _paragraph(
            f"{report.deliveries:,} deliveries: the audit records commit to just what the inboxes hold, "
            "nothing missing, doubled or altered."
        )
    _heading("What was meant, and what became of it")
    print_table(
        ("events meant as", "to be", "published", "became so"),
        [(row.kind, row.meant, _count(row.published), _count(row.found)) for row in report.intended],
    )
    _heading("Derived events", f"{report.derived} versions published by the vital statistics processor; the newest:")
    print_table(
        ("counted", "in the newest versions", "delivered to be counted"),
        [(row.counted, _count(row.newest_versions), _count(row.delivered)) for row in report.statistics],
    )
