"""``lintas read``: what a system finds in its inbox."""

import asyncio
import base64
import datetime as dt
import json
import shutil
import sys
from typing import Any, Final

import click
from lintas_client import Delivery, Subscriber

from lintas.cli.as_system import connection_of, told_as_bus_errors
from lintas.cli.moment import Moment
from lintas.cli.output import output_option
from lintas.settings import Settings

_LINE: Final = "{place:>10}  {time:24}  {channel:7}  {agreement:44}  {data}"


@click.command()
@click.option("--as", "system", metavar="SYSTEM", required=True, help="whose inbox: agency.system")
@click.option(
    "--from",
    "start",
    type=Moment("beginning", "end"),
    metavar="beginning|end|TIME",
    default="beginning",
    show_default=True,
    help="where to begin",
)
@click.option("-n", "limit", metavar="N", type=click.IntRange(1), help="stop after N events")
@click.option("--follow", is_flag=True, help="wait for more at the end")
@click.option("--group", metavar="G", help="go on where group G (SYSTEM or SYSTEM.*) left off, and keep its position")
@output_option
def read(*, system: str, start: Any, limit: int | None, follow: bool, group: str | None, output: str) -> None:
    """Show the events in the inbox of a SYSTEM: what its agreements released to it.

    By default from the beginning to the current end, without disturbing anyone who reads the inbox. TIME is when the
    bus delivered, such as 2026-11-24T08:00+07:00. A TIME and a group exclude each other.

    -o json prints one event a line: "event" (CloudEvents attributes), "data" (the payload), "agreement", "channel",
    and where it lies. Without it, one short line an event. This command prints personal data if the inbox holds it.
    """
    if group is not None and isinstance(start, dt.datetime):
        raise click.UsageError("a TIME and a group exclude each other: a group begins where it left off")
    subscriber = Subscriber(
        connection_of(Settings(), system),
        group,
        remember=group is not None,
        start=start,
        follow=follow,
    )
    with told_as_bus_errors():
        asyncio.run(_read(subscriber, limit, as_json=output == "json"))


async def _read(subscriber: Subscriber, limit: int | None, *, as_json: bool) -> None:
    count = 0
    async with subscriber:
        async for delivery in subscriber:
            if as_json:
                click.echo(json.dumps(_as_json(delivery), ensure_ascii=False))
            else:
                if count == 0:
                    click.echo(_header())
                click.echo(_row(delivery))
            count += 1
            if count == limit:
                break
    if not as_json and count == 0:
        click.echo("the inbox holds no events from there on", err=True)


def _as_json(delivery: Delivery) -> dict[str, Any]:
    return {
        "event": dict(delivery.event),
        "data": delivery.natural,
        "agreement": delivery.agreement,
        "channel": delivery.channel,
        "key": None if delivery.key is None else delivery.key.decode(errors="backslashreplace"),
        "partition": delivery.partition,
        "offset": delivery.offset,
        "delivered": delivery.timestamp.isoformat(timespec="milliseconds"),
        "salt": None if delivery.salt is None else base64.b64encode(delivery.salt).decode(),
    }


def _header() -> str:
    return _LINE.format(place="place", time="time", channel="channel", agreement="agreement", data="data")


def _row(delivery: Delivery) -> str:
    line = _LINE.format(
        place=f"{delivery.partition}:{delivery.offset}",
        time=delivery.event.get("time", ""),
        channel=delivery.channel or "",
        agreement=delivery.agreement or "",
        data=json.dumps(delivery.natural, ensure_ascii=False),
    )
    # What an agency wrote must not steer the terminal of who reads it.
    safe = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in line)
    return safe[: shutil.get_terminal_size().columns] if sys.stdout.isatty() else safe
