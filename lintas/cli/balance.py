"""``lintas balance``: whether what went in equals what came out."""

import dataclasses
import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from lintas.cli.moment import Moment
from lintas.cli.output import output_option, print_json, print_table
from lintas.settings import Settings

if TYPE_CHECKING:
    from streams.books import Difference

DIFFERENT = 3
_EVENT_TYPE = ("event type", "published", "routed", "duplicate", "quarantined", "in flight")
_AGREEMENT = (
    "agreement",
    "event type",
    "routed",
    "delivered",
    "filtered",
    "dead",
    "waiting",
    "not in force",
    "replayed",
)


@click.command()
@click.option("--from", "since", type=Moment(), help="only events that were published then or later")
@click.option("--to", "until", type=Moment(), help="only events that were published before")
@output_option
@click.pass_context
def balance(ctx: click.Context, *, since: dt.datetime | None, until: dt.datetime | None, output: str) -> None:
    """Compare what was published with what was decided and what lies in the topics, event by event.

    Reads events, inboxes, dead letters, quarantine and the audit log; no counter in memory has a say. For every event
    type: published = routed + duplicate + quarantined + in flight. For every agreement: routed = delivered + filtered +
    dead + waiting + not in force; what was replayed comes on top. Each event that was delivered is in the inbox just as
    the audit log says, each dead one is a dead letter. Whatever is missing, there twice, changed, or undecided though
    later events are not, is named by topic, partition and offset. What retention has deleted is not missed. May be run
    at any time, while events flow; a TIME is such as 2026-11-24T08:00+07:00.

    Exit 0 the books balance, 3 there are differences.
    """
    from streams.balance import balance as read_books
    from streams.totals import of_agreements, of_event_types

    console = Console(stderr=True)
    with console.status("reading the books") as status:
        books = read_books(
            Settings(),
            since=since,
            until=until,
            progress=lambda read, total: status.update(f"reading the books: {read:,} of about {total:,} records"),
        )
    differences = books.differences()
    event_types = list(map(dataclasses.astuple, of_event_types(books)))
    agreements = list(map(dataclasses.astuple, of_agreements(books)))
    if output == "json":
        print_json(
            {
                "event_types": [dict(zip(map(_key, _EVENT_TYPE), row, strict=True)) for row in event_types],
                "agreements": [dict(zip(map(_key, _AGREEMENT), row, strict=True)) for row in agreements],
                "differences": list(map(_as_json, differences)),
            }
        )
    else:
        print_table(_EVENT_TYPE, event_types)
        click.echo()
        print_table(_AGREEMENT, agreements)
        click.echo()
        for difference in differences:
            click.echo(f"{click.style('difference:', fg='red', bold=True)} {difference}")
        if not differences:
            click.echo(f"{click.style('the books balance', fg='green', bold=True)}: {_sum(event_types)}")
    ctx.exit(DIFFERENT if differences else 0)


def _sum(event_types: Sequence[Sequence[Any]]) -> str:
    published, *decided, in_flight = (sum(row[at] for row in event_types) for at in range(1, len(_EVENT_TYPE)))
    return f"{published:,} events published, {sum(decided):,} decided, {in_flight:,} in flight"


def _key(column: str) -> str:
    return column.replace(" ", "_")


def _as_json(difference: "Difference") -> dict[str, Any]:
    return {
        "about": difference.about,
        "kind": difference.kind,
        "what": difference.what,
        "places": [place._asdict() for place in difference.places],
    }
