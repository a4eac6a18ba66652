"""``lintas quarantine list | show | redrive | discard``: events that no one could be given."""

from typing import Any, Final

import click

from lintas import names
from lintas.cli.letters import (
    Kind,
    choosing,
    discard_letters,
    discarding,
    list_letters,
    listing,
    redrive_letters,
    redriving,
    show_letter,
)
from lintas.cli.output import output_option
from monitoring.spans import command
from streams.letters import QUARANTINE_STAGES

QUARANTINE: Final = Kind(
    noun="quarantine",
    what="event in quarantine",
    several="events in quarantine",
    prefix=names.QUARANTINE,
    owner="publishing agency",
    owners="lintas event-type list",
    stages=QUARANTINE_STAGES,
)


@click.group()
def quarantine() -> None:
    """Look at an agency's events that no one could be given, admit them again, or discard them."""


@quarantine.command("list")
@click.argument("agency", required=False)
@choosing(QUARANTINE, agreements=False)
@listing
def list_(*, agency: str | None, **options: Any) -> None:
    """List an AGENCY's events in quarantine, or those of all: first how many there are of each cause, then each.

    Only those about which nobody has decided yet, unless --all. A TIME is such as 2026-11-24T08:00+07:00.
    """
    list_letters(QUARANTINE, agency, **options)


@quarantine.command()
@click.argument("agency")
@click.argument("letter", type=click.IntRange(0))
@output_option
def show(*, agency: str, letter: int, output: str) -> None:
    """Show one event (LETTER) in an AGENCY's quarantine: every problem, and the event if it can be read by now.

    Personal fields are masked.
    """
    show_letter(QUARANTINE, agency, letter, output=output)


@quarantine.command()
@click.argument("agency")
@click.argument("letters", metavar="[LETTER]...", type=click.IntRange(0), nargs=-1)
@choosing(QUARANTINE, agreements=False)
@redriving
@command("quarantine redrive")
def redrive(*, agency: str, letters: tuple[int, ...], **options: Any) -> None:
    """Give events out of an AGENCY's quarantine to everyone entitled to them: by LETTER, by a filter, or --all.

    For when the cause is mended: a schema is registered, a publisher is in the catalogue. The event itself is given,
    under its own id, without being published again, to every agreement in force now; the duplicate window knows it from
    then on. One that has been published again meanwhile stays where it is. Interrupted, given twice or by two at once,
    the command changes nothing about events that have been asked for. What fails again is in quarantine once more.
    """
    redrive_letters(QUARANTINE, agency, letters, **options)


@quarantine.command()
@click.argument("agency")
@click.argument("letters", metavar="[LETTER]...", type=click.IntRange(0), nargs=-1)
@choosing(QUARANTINE, agreements=False)
@discarding
@command("quarantine discard")
def discard(*, agency: str, letters: tuple[int, ...], **options: Any) -> None:
    """Decide that events in an AGENCY's quarantine are never to be given: by LETTER, by a filter, or --all.

    They stay on their topic as long as that keeps them, and `lintas quarantine list --all` shows them with the reason.
    """
    discard_letters(QUARANTINE, agency, letters, **options)
