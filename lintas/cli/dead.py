"""``lintas dead list | show | redrive | discard``: events that one consumer could not be given."""

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
from streams.letters import DEAD_STAGES

DEAD: Final = Kind(
    noun="dead",
    what="dead letter",
    several="dead letters",
    prefix=names.DEAD,
    owner="consumer system",
    owners="lintas agreement list",
    stages=DEAD_STAGES,
)


@click.group()
def dead() -> None:
    """Look at events that a consumer could not be given, give them again, or discard them."""


@dead.command("list")
@click.argument("system", required=False)
@choosing(DEAD, agreements=True)
@listing
def list_(*, system: str | None, **options: Any) -> None:
    """List the dead letters of a consumer SYSTEM, or of all: first how many there are of each cause, then each.

    Only letters about which nobody has decided yet, unless --all. A TIME is such as 2026-11-24T08:00+07:00.
    """
    list_letters(DEAD, system, **options)


@dead.command()
@click.argument("system")
@click.argument("letter", type=click.IntRange(0))
@output_option
def show(*, system: str, letter: int, output: str) -> None:
    """Show one dead LETTER of a consumer SYSTEM: every problem, and the event; personal fields are masked."""
    show_letter(DEAD, system, letter, output=output)


@dead.command()
@click.argument("system")
@click.argument("letters", metavar="[LETTER]...", type=click.IntRange(0), nargs=-1)
@choosing(DEAD, agreements=True)
@redriving
@command("dead redrive")
def redrive(*, system: str, letters: tuple[int, ...], **options: Any) -> None:
    """Give the events of dead letters again: by LETTER, by a filter, or --all; to this consumer SYSTEM alone.

    Each is decided under the agreement in force now, once: interrupted, given twice or by two at once, the command
    changes nothing about letters that have been asked for. What fails again is a new dead letter, with its attempt.
    """
    redrive_letters(DEAD, system, letters, **options)


@dead.command()
@click.argument("system")
@click.argument("letters", metavar="[LETTER]...", type=click.IntRange(0), nargs=-1)
@choosing(DEAD, agreements=True)
@discarding
@command("dead discard")
def discard(*, system: str, letters: tuple[int, ...], **options: Any) -> None:
    """Decide that dead letters of a consumer SYSTEM are never to be given: by LETTER, by a filter, or --all.

    They stay on their topic as long as that keeps them, and `lintas dead list --all` shows them with the reason.
    """
    discard_letters(DEAD, system, letters, **options)
