"""``lintas connector undelivered | redeliver``: what sinks have given up, and giving it once more."""

import datetime as dt
import time
from collections.abc import Sequence

import click

from lintas.cli.connector_states import found, system_option
from lintas.cli.output import output_option, print_json, print_table
from lintas.settings import Settings


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
                "yes" if one.asked_for else "",
            )
            for one in events
        ],
    )
    if held := waiting(state, name):
        reasons = ", ".join(f"{reason} {count}" for reason, count in held.most_common())
        click.echo(f"{held.total()} wait for another attempt: {reasons}")


@click.command()
@click.argument("name")
@click.argument("events", metavar="[PARTITION/OFFSET]...", nargs=-1)
@click.option("--all", "every", is_flag=True, help="all that it has given up")
@system_option
@output_option
def redeliver(*, name: str, events: Sequence[str], every: bool, system: str | None, output: str) -> None:
    """Have a connector give once more what it has given up, behind what it has given since.

    The connector is begun anew for it. Events that the inbox no longer holds are given up again: `lintas replay` brings
    them back.
    """
    from connectors.runtime.topics import write
    from connectors.runtime.undelivered import REDELIVER, redelivering

    if bool(events) == every:
        raise click.UsageError("name events, as `lintas connector undelivered` lists them, or say --all")
    settings = Settings()
    own, state = found(settings, name, system)
    records = redelivering(state, name, None if every else events, time.time_ns() // 1_000_000)
    write(settings, own, records)
    asked = sum(f"/{REDELIVER}".encode() in key for key, _ in records)
    if output == "json":
        print_json({"connector": name, "system": own, "events": asked})
    else:
        click.echo(f"{name} of {own}: {asked} to be given once more")


def _moment(unix_ms: int | None) -> str:
    if unix_ms is None:
        return ""
    return dt.datetime.fromtimestamp(unix_ms / 1000, dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
