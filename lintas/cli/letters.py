"""What ``lintas dead`` and ``lintas quarantine`` share: list, show, redrive and discard letters."""

import dataclasses
import datetime as dt
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click
from rich.console import Console

from lintas.cli.author import as_actor, author_option
from lintas.cli.catalogue_folder import require_name
from lintas.cli.moment import Moment
from lintas.cli.output import output_option, print_json, print_table
from lintas.errors import NoCatalogue
from lintas.settings import Settings

if TYPE_CHECKING:
    from schemas.snapshot import Snapshot
    from streams.letter_search import WithFate
    from streams.letters import Letter
    from streams.redrive_log import Fate

F = TypeVar("F", bound=Callable[..., Any])
FOR_EVERYBODY: Final = "everybody"
_SHOWN: Final = 20


@dataclasses.dataclass(frozen=True, slots=True)
class Kind:
    """One kind of letters.

    Attributes:
        noun: of the command line.
        what: one of them, in words.
        several: and several.
        prefix: of their topics.
        owner: whose they are, in words; in capitals the argument that names it.
        owners: the command that lists those.
        stages: where an event can have failed.
    """

    noun: str
    what: str
    several: str
    prefix: str
    owner: str
    owners: str
    stages: Sequence[str]

    def topic(self, owner: str) -> str:
        """The topic of one owner's letters."""
        return self.prefix + owner


def choosing(kind: Kind, *, agreements: bool) -> Callable[[F], F]:
    """Give a command the options that choose letters; they are the ``options`` of the functions below."""
    options = [
        *([click.option("--agreement", metavar="ID", help="only letters of this agreement")] if agreements else []),
        click.option("--type", "event_type", metavar="TYPE", help="only events of this type"),
        click.option("--stage", type=click.Choice(kind.stages), help="where it failed"),
        click.option("--from", "since", type=Moment(), help="only what was decided at this TIME or later"),
        click.option("--to", "until", type=Moment(), help="only what was decided before"),
        click.option("--where", metavar="CEL", help="only events that meet this, such as 'data.province == \"32\"'"),
    ]

    def give(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return give


def listing(command: F) -> F:
    """Give a command the other options of ``list``."""
    for option in (
        output_option,
        click.option(
            "-n", "limit", metavar="N", type=click.IntRange(0), default=_SHOWN, show_default=True, help="letters shown"
        ),
        click.option("--all", "every", is_flag=True, help="also letters that were redriven or discarded"),
    ):
        command = option(command)
    return command


def redriving(command: F) -> F:
    """Give a command the other options of ``redrive``."""
    for option in (
        output_option,
        author_option,
        click.option(
            "--timeout", type=click.FloatRange(min=0), default=300.0, show_default=True, help="seconds to wait"
        ),
        click.option("--wait/--no-wait", default=True, show_default=True, help="return when they are given"),
        click.option("--dry-run", is_flag=True, help="only show what would become of them now"),
        click.option("--all", "every", is_flag=True, help="every letter that is open"),
    ):
        command = option(command)
    return command


def discarding(command: F) -> F:
    """Give a command the other options of ``discard``."""
    for option in (
        author_option,
        click.option("--reason", required=True, help="why they are never to be given, kept for ever"),
        click.option("--all", "every", is_flag=True, help="every letter that is open"),
    ):
        command = option(command)
    return command


def list_letters(kind: Kind, owner: str | None, *, every: bool, limit: int, output: str, **options: Any) -> None:
    """Print how many letters there are of each cause, then each."""
    from streams.redrive import owners

    settings = Settings()
    whose = owners(settings, kind.prefix)
    if owner is not None:
        require_name(kind.owner, owner, whose, kind.owners)
        whose = [owner]
    found = [(one, *pair) for one in whose for pair in _chosen(settings, kind, one, every=every, **options)]
    if output == "json":
        print_json([{"owner": one, **_as_json(letter), **_fate(fate)} for one, letter, fate in found])
        return
    causes = Counter((one, _for_whom(letter), letter.stage, letter.rule, _told(fate)) for one, letter, fate in found)
    if not causes:
        click.echo(f"no {kind.several}")
        return
    print_table(
        ("letters", "of", "agreement", "stage", "rule", "fate"),
        [(count, *cause) for cause, count in sorted(causes.items(), key=lambda one: -one[1])],
    )
    if limit:
        click.echo()
        print_table(
            ("of", "letter", "agreement", "stage", "rule", "published as", "decided", "attempt"),
            [
                (
                    one,
                    letter.offset,
                    _for_whom(letter),
                    letter.stage,
                    letter.rule,
                    _place(letter),
                    _time(letter),
                    letter.attempt,
                )
                for one, letter, _ in found[:limit]
            ],
        )
        if len(found) > limit:
            click.echo(f"and {len(found) - limit:,} more (-n shows more)", err=True)


def show_letter(kind: Kind, owner: str, number: int, *, output: str) -> None:
    """Print one letter with its event, masked."""
    from streams.letter_search import letters_by_number
    from streams.masked import EventViewer

    settings = Settings()
    ((found, fate),) = letters_by_number(settings, kind.topic(owner), (number,))
    event = EventViewer(settings, _snapshot(settings))(found.event)
    told = {**_as_json(found), "problems": found.problems, **_fate(fate), "event": event}
    if output == "json":
        print_json(told)
        return
    print_table(
        ("letter", str(number)),
        [(name, value) for name, value in told.items() if name not in ("letter", "problems", "event")],
    )
    click.echo()
    print_table(
        ("where", "rule", "what"), [(one["path"] or "-", one["rule"], one["message"]) for one in found.problems]
    )
    click.echo()
    if event is None:
        click.echo("the event cannot be read with the catalogue in force")
    else:
        print_json(event)


def redrive_letters(
    kind: Kind,
    owner: str,
    letters: Sequence[int],
    *,
    every: bool,
    dry_run: bool,
    wait: bool,
    timeout: float,
    author: str,
    output: str,
    **options: Any,
) -> None:
    """Print what would become of letters, and ask for it."""
    from streams import acting
    from streams.redrive import attempt, outcomes_of, wait_until_redriven

    settings = Settings()
    snapshot = _snapshot(settings)
    attempts = attempt(settings, snapshot, _to_handle(settings, kind, owner, letters, every=every, **options))
    rows = [(whom or FOR_EVERYBODY, outcome, count) for (whom, outcome), count in sorted(outcomes_of(attempts).items())]
    if output == "table":
        print_table(("agreement", "outcome now", "letters"), rows)
    else:
        print_json([dict(zip(("agreement", "outcome", "letters"), row, strict=True)) for row in rows])
    if dry_run:
        return
    given = acting.redrive(settings, attempts, as_actor(author))
    if wait:  # also for what an earlier call asked for
        with Console(stderr=True).status("redriving") as status:
            wait_until_redriven(
                settings,
                snapshot,
                kind.topic(owner),
                timeout,
                lambda left: status.update(f"redriving: {left:,} letters to go"),
            )
    done = "redriven" if wait else "to be redriven"
    again = f"`lintas {kind.noun} list {owner}`"
    click.echo(f"{given:,} letter(s) {done}; what fails again is in {again}", err=True)


def discard_letters(
    kind: Kind, owner: str, letters: Sequence[int], *, every: bool, reason: str, author: str, **options: Any
) -> None:
    """Note that letters are never to be given."""
    from streams.acting import discard

    settings = Settings()
    chosen = _to_handle(settings, kind, owner, letters, every=every, **options)
    discarded = discard(settings, chosen, as_actor(author), reason=reason)
    click.echo(f"{discarded:,} letter(s) discarded")


def _chosen(
    settings: Settings,
    kind: Kind,
    owner: str,
    *,
    every: bool,
    letters: Sequence[int] = (),
    where: str | None,
    event_type: str | None,
    **options: Any,
) -> list["WithFate"]:
    """Letters with what was decided about them; only those about which nothing was, unless ``every``."""
    from schemas.conditions import ConditionError
    from streams.letter_search import Search, event_topic, search
    from streams.redrive import Choice

    snapshot = None if where is None and event_type is None else _snapshot(settings)
    topic = None if snapshot is None or event_type is None else event_topic(snapshot, event_type)
    choice = Choice(offsets=frozenset(letters) if letters else None, topic=topic, **options)
    try:
        return search(settings, snapshot, kind.topic(owner), Search(choice, where, every=every))
    except ConditionError as error:
        raise click.UsageError(f"--where: {error} (--type chooses one event type)") from error


def _to_handle(
    settings: Settings, kind: Kind, owner: str, letters: Sequence[int], *, every: bool, **options: Any
) -> list["Letter"]:
    """The open letters that a command is meant for; misuse if it does not say which."""
    from streams.letter_search import letters_by_number
    from streams.redrive import owners

    if not letters and not every and all(value is None for value in options.values()):
        raise click.UsageError("name LETTERs, a filter, or --all")
    require_name(kind.owner, owner, owners(settings, kind.prefix), kind.owners)
    if letters:
        letters_by_number(settings, kind.topic(owner), letters)
    return [letter for letter, _ in _chosen(settings, kind, owner, every=False, letters=letters, **options)]


def _snapshot(settings: Settings) -> "Snapshot":
    from schemas.publication import read_current

    current = read_current(settings)
    if current is None:
        raise NoCatalogue
    return current[1]


def _as_json(letter: "Letter") -> dict[str, Any]:
    return {
        "letter": letter.offset,
        "agreement": _for_whom(letter),
        "stage": letter.stage,
        "rule": letter.rule,
        "published_as": _place(letter),
        "published": dt.datetime.fromtimestamp(letter.event.timestamp_ms / 1000, dt.UTC).isoformat(
            timespec="milliseconds"
        ),
        "decided": _time(letter),
        "catalogue": letter.catalogue,
        "attempt": letter.attempt,
    }


def _for_whom(letter: "Letter") -> str:
    """The agreement that it was for."""
    return letter.agreement or FOR_EVERYBODY


def _fate(fate: "Fate | None") -> dict[str, Any]:
    """What was decided about a letter, by whom and why."""
    if fate is None:
        return {"fate": None}
    return {"fate": fate.kind, "by": fate.author, "at": fate.at, "reason": fate.reason}


def _told(fate: "Fate | None") -> str:
    if fate is None:
        return "open"
    return f"{fate.kind}: {fate.reason}" if fate.reason else fate.kind


def _place(letter: "Letter") -> str:
    return f"{letter.event.topic} [{letter.event.partition}] {letter.event.offset}"


def _time(letter: "Letter") -> str:
    return letter.at.isoformat(timespec="seconds")
