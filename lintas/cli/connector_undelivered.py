"""``lintas connector undelivered | redeliver | discard``: what sinks have given up, and what is to become of it."""

import datetime as dt
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from lintas.cli.connector_states import found, system_option
from lintas.cli.output import output_option, print_json, print_table
from lintas.settings import Settings

BEHIND = " (behind: for an earlier event of their key)"

F = TypeVar("F", bound=Callable[..., Any])


@click.command()
@click.argument("name")
@system_option
@output_option
def undelivered(*, name: str, system: str | None, output: str) -> None:
    """List what a connector has given up: where it is in the inbox, why, and since when.

    Below it is told how many events wait for another attempt, and why the last one failed.
    """
    from connectors.runtime.undelivered import undelivered as given_up
    from connectors.runtime.undelivered import waiting

    _, state = found(Settings(), name, system)
    events = given_up(state, name)
    if output == "json":
        print_json(events)
        return
    print_table(
        ("event", "reason", "attempts", "first failed", "given up", "asked for"),
        [
            (
                one.event,
                one.reason,
                one.attempts,
                _moment(one.first_failed_ms),
                _moment(one.given_up_ms),
                one.asked_for or "",
            )
            for one in events
        ],
    )
    if held := waiting(state, name):
        reasons = ", ".join(f"{reason} {count}" for reason, count in held.most_common())
        click.echo(f"{held.total()} wait for another attempt: {reasons}{BEHIND if 'behind' in held else ''}")


def _settling(verb: str) -> Callable[[F], click.Command]:
    """A verb about events that a connector has given up."""

    def command(function: F) -> click.Command:
        every = click.option("--all", "every", is_flag=True, help="all that it has given up")
        events = click.argument("events", metavar="[PARTITION/OFFSET]...", nargs=-1)
        named = click.argument("name")
        return click.command(verb)(named(events(every(system_option(output_option(function))))))

    return command


@_settling("redeliver")
def redeliver(*, name: str, events: Sequence[str], every: bool, system: str | None, output: str) -> None:
    """Have a connector give once more what it has given up, behind what it has given since.

    The connector is begun anew for it. Events that the inbox no longer holds are given up again: `lintas replay` brings
    them back.
    """
    from connectors.runtime.undelivered import REDELIVER

    _ask(name, events, REDELIVER, "to be given once more", every=every, system=system, output=output)


@_settling("discard")
def discard(*, name: str, events: Sequence[str], every: bool, system: str | None, output: str) -> None:
    """Have a connector forget what it has given up and nobody is to be given any more.

    The connector is begun anew for it. The events stay in the inbox as long as others do.
    """
    from connectors.runtime.undelivered import DISCARD

    _ask(name, events, DISCARD, "to be forgotten", every=every, system=system, output=output)


def _ask(
    name: str, events: Sequence[str], wish: str, told: str, *, every: bool, system: str | None, output: str
) -> None:
    from connectors.runtime.topics import write
    from connectors.runtime.undelivered import asking

    if bool(events) == every:
        raise click.UsageError("name events, as `lintas connector undelivered` lists them, or say --all")
    settings = Settings()
    own, state = found(settings, name, system)
    records = asking(state, name, wish, None if every else events, time.time_ns() // 1_000_000)
    write(settings, own, records)
    asked = sum(f"/{wish}".encode() in key and value is not None for key, value in records)
    if output == "json":
        print_json({"connector": name, "system": own, "events": asked})
    else:
        click.echo(f"{name} of {own}: {asked} {told}")


def _moment(unix_ms: int | None) -> str:
    if unix_ms is None:
        return ""
    return dt.datetime.fromtimestamp(unix_ms / 1000, dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
