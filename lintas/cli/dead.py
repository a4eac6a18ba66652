"""``lintas dead list | show | redrive | discard``: events that one consumer could not be given."""

import datetime as dt
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click
from rich.console import Console

from lintas.cli.author import author_option
from lintas.cli.catalogue_folder import require_name
from lintas.cli.moment import Moment
from lintas.cli.output import output_option, print_json, print_table
from lintas.errors import NoCatalogue, UnknownName
from lintas.settings import Settings

if TYPE_CHECKING:
    from schemas.snapshot import Snapshot
    from streams.dead import Choice
    from streams.letters import Letter
    from streams.redrives import Fate

F = TypeVar("F", bound=Callable[..., Any])
MASKED: Final = "***"
_SHOWN: Final = 20
_TELLS_NOBODY: Final = (
    "specversion",
    "type",
    "time",
    "datacontenttype",
)  # the rest of an envelope may tell of a person


@click.group()
def dead() -> None:
    """Look at events that a consumer could not be given, give them again, or discard them."""


def _choosing(command: F) -> F:
    """Give a command the options that choose letters; they are the ``options`` of ``_chosen``."""
    options = [
        click.option("--agreement", metavar="ID", help="only letters of this agreement"),
        click.option("--type", "event_type", metavar="TYPE", help="only events of this type"),
        click.option(
            "--stage", type=click.Choice(["when", "require", "release", "event", "crash"]), help="where it failed"
        ),
        click.option("--from", "since", type=Moment(), help="only what was decided at this TIME or later"),
        click.option("--to", "until", type=Moment(), help="only what was decided before"),
        click.option("--where", metavar="CEL", help="only events that meet this, such as 'data.province == \"32\"'"),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@dead.command("list")
@click.argument("system", required=False)
@_choosing
@click.option("--all", "every", is_flag=True, help="also letters that were redriven or discarded")
@click.option(
    "-n", "limit", metavar="N", type=click.IntRange(0), default=_SHOWN, show_default=True, help="letters shown"
)
@output_option
def list_(*, system: str | None, every: bool, limit: int, output: str, **options: Any) -> None:
    """List the dead letters of a consumer SYSTEM, or of all: first how many there are of each cause, then each.

    Only letters about which nobody has decided yet, unless --all. A TIME is such as 2026-11-24T08:00+07:00.
    """
    from streams.dead import systems_with_letters

    settings = Settings()
    systems = systems_with_letters(settings)
    if system is not None:
        require_name("consumer system", system, systems, "lintas agreement list")
        systems = [system]
    found = [(one, *pair) for one in systems for pair in _chosen(settings, one, every=every, **options)]
    if output == "json":
        print_json([{"system": one, **_as_json(letter), **_fate(fate)} for one, letter, fate in found])
        return
    causes = Counter((one, letter.agreement, letter.stage, letter.rule, _told(fate)) for one, letter, fate in found)
    if not causes:
        click.echo("no dead letters")
        return
    print_table(
        ("letters", "system", "agreement", "stage", "rule", "fate"),
        [(count, *cause) for cause, count in sorted(causes.items(), key=lambda one: -one[1])],
    )
    if limit:
        click.echo()
        print_table(
            ("system", "letter", "agreement", "stage", "rule", "published as", "decided", "attempt"),
            [
                (
                    one,
                    letter.offset,
                    letter.agreement,
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


@dead.command()
@click.argument("system")
@click.argument("letter", type=click.IntRange(0))
@output_option
def show(*, system: str, letter: int, output: str) -> None:
    """Show one dead LETTER of a consumer SYSTEM: every problem, and the event; personal fields are masked."""
    settings = Settings()
    ((found, fate),) = _named(settings, system, (letter,))
    told = {**_as_json(found), "problems": found.problems, **_fate(fate), "event": _masked(settings, found)}
    if output == "json":
        print_json(told)
        return
    print_table(
        ("letter", str(letter)),
        [(name, value) for name, value in told.items() if name not in ("letter", "problems", "event")],
    )
    click.echo()
    print_table(
        ("where", "rule", "what"), [(one["path"] or "-", one["rule"], one["message"]) for one in found.problems]
    )
    click.echo()
    event = told["event"]
    if event is None:
        click.echo("the event cannot be read with the catalogue in force")
    else:
        print_json(event)


@dead.command()
@click.argument("system")
@click.argument("letters", metavar="[LETTER]...", type=click.IntRange(0), nargs=-1)
@_choosing
@click.option("--all", "every", is_flag=True, help="every letter of this consumer that is open")
@click.option("--dry-run", is_flag=True, help="only show what would become of them now")
@click.option("--wait/--no-wait", default=True, show_default=True, help="return when they are given")
@click.option("--timeout", type=click.FloatRange(min=0), default=300.0, show_default=True, help="seconds to wait")
@author_option
@output_option
def redrive(
    *,
    system: str,
    letters: tuple[int, ...],
    every: bool,
    dry_run: bool,
    wait: bool,
    timeout: float,
    author: str,
    output: str,
    **options: Any,
) -> None:
    """Give the events of dead letters again: by LETTER, by a filter, or --all; to this consumer SYSTEM alone.

    Each is decided under the agreement in force now, once: interrupted, given twice or by two at once, the command
    changes nothing about letters that have been asked for. What fails again is a new dead letter, with its attempt.
    """
    from streams.dead import attempt, wait_until_redriven
    from streams.dead import redrive as ask

    settings = Settings()
    chosen = _to_handle(settings, system, letters, every=every, **options)
    expected = attempt(settings, _snapshot(settings), chosen)
    can_be_given = [letter for letter in chosen if not _stays(expected, letter)]
    rows = [(agreement, outcome, count) for (agreement, outcome), count in sorted(expected.items())]
    if output == "table":
        print_table(("agreement", "outcome now", "letters"), rows)
    else:
        print_json([dict(zip(("agreement", "outcome", "letters"), row, strict=True)) for row in rows])
    if dry_run:
        return
    if can_be_given:
        ask(settings, can_be_given, author=author)
    if wait:  # also for what an earlier call asked for
        with Console(stderr=True).status("redriving") as status:
            wait_until_redriven(
                settings, system, timeout, lambda left: status.update(f"redriving: {left:,} letters to go")
            )
    done = "redriven" if wait else "to be redriven"
    click.echo(f"{len(can_be_given):,} letters {done}; what fails again is in `lintas dead list {system}`", err=True)


@dead.command()
@click.argument("system")
@click.argument("letters", metavar="[LETTER]...", type=click.IntRange(0), nargs=-1)
@_choosing
@click.option("--all", "every", is_flag=True, help="every letter of this consumer that is open")
@click.option("--reason", required=True, help="why they are never to be given, kept for ever")
@author_option
def discard(*, system: str, letters: tuple[int, ...], every: bool, reason: str, author: str, **options: Any) -> None:
    """Decide that dead letters of a consumer SYSTEM are never to be given: by LETTER, by a filter, or --all.

    They stay on their topic as long as that keeps them, and `lintas dead list --all` shows them with the reason.
    """
    from streams.dead import discard as note

    settings = Settings()
    chosen = _to_handle(settings, system, letters, every=every, **options)
    note(settings, chosen, author=author, reason=reason)
    click.echo(f"{len(chosen):,} letters discarded")


def _chosen(
    settings: Settings,
    system: str,
    *,
    every: bool,
    letters: Sequence[int] = (),
    where: str | None,
    **options: Any,
) -> list[tuple["Letter", "Fate | None"]]:
    """Letters with what was decided about them; only those about which nothing was, unless ``every``."""
    from schemas.conditions import ConditionError
    from streams.dead import fates, letters_of
    from streams.dead import where as meeting

    redrives = fates(settings)
    found: Any = letters_of(settings, system, _choice(settings, letters, **options))
    if where is not None:
        try:
            found = list(meeting(settings, _snapshot(settings), where, found))
        except ConditionError as error:
            raise click.UsageError(f"--where: {error} (--type chooses one event type)") from error
    with_fates = ((letter, redrives.fate(letter.topic, letter.offset)) for letter in found)
    return [(letter, fate) for letter, fate in with_fates if every or fate is None]


def _choice(
    settings: Settings,
    letters: Sequence[int],
    *,
    agreement: str | None,
    event_type: str | None,
    stage: str | None,
    since: dt.datetime | None,
    until: dt.datetime | None,
) -> "Choice":
    from streams.dead import Choice

    topic = None
    if event_type is not None:
        published = _snapshot(settings).event_types.get(event_type)
        if published is None:
            raise UnknownName(kind="event type", name=event_type, suggestion="`lintas event-type list` lists them.")
        topic = published.topic
    return Choice(frozenset(letters) if letters else None, agreement, topic, stage, since, until)


def _named(settings: Settings, system: str, letters: Sequence[int]) -> list[tuple["Letter", "Fate | None"]]:
    """Letters by their numbers.

    Raises:
        UnknownName: one of them is not there.
    """
    nothing = dict.fromkeys(("agreement", "event_type", "stage", "since", "until", "where"))
    found = _chosen(settings, system, every=True, letters=letters, **nothing)
    missing = set(letters) - {letter.offset for letter, _ in found}
    if missing:
        raise UnknownName(
            kind=f"dead letter of {system}",
            name=", ".join(map(str, sorted(missing))),
            suggestion=f"`lintas dead list {system} --all` lists them.",
        )
    return found


def _to_handle(
    settings: Settings, system: str, letters: Sequence[int], *, every: bool, **options: Any
) -> list["Letter"]:
    """The open letters that a command is meant for; misuse if it does not say which."""
    if not letters and not every and all(value is None for value in options.values()):
        raise click.UsageError("name LETTERs, a filter, or --all")
    if letters:
        _named(settings, system, letters)
    return [letter for letter, _ in _chosen(settings, system, every=False, letters=letters, **options)]


def _snapshot(settings: Settings) -> "Snapshot":
    from schemas.publication import read_current

    current = read_current(settings)
    if current is None:
        raise NoCatalogue
    return current[1]


def _stays(expected: Counter[tuple[str, str]], letter: "Letter") -> bool:
    return any(agreement == letter.agreement and outcome.startswith("stays") for agreement, outcome in expected)


def _masked(settings: Settings, letter: "Letter") -> dict[str, Any] | None:
    """The event with its personal fields masked; None if it cannot be read."""
    from lintas.cli.catalogue_folder import is_personal
    from schemas.pseudonyms import PseudonymKeys
    from schemas.wire import json_data
    from schemas.wire.codec import Codec
    from schemas.wire.errors import MalformedEvent
    from streams.decide import EventTypePlan

    snapshot = _snapshot(settings)
    published = next((one for one in snapshot.event_types.values() if one.topic == letter.event.topic), None)
    if published is None:
        return None
    plan = EventTypePlan(snapshot, published, PseudonymKeys.load(settings.secrets / "pseudonym-keys"))
    try:
        event = plan.read(letter.event)
    except MalformedEvent:
        return None
    contract = published.contract

    def mask(value: Any, paths: Sequence[str]) -> Any:
        """``paths``: of a record's field, and of a map's value, since the two look alike."""
        if any(is_personal(contract, path) for path in paths):
            return None if value is None else MASKED
        if isinstance(value, dict):
            return {
                name: mask(one, [below for path in paths for below in _below(path, name)])
                for name, one in value.items()
            }
        if isinstance(value, list):
            return [mask(one, [f"{path}[]" for path in paths]) for one in value]
        return value

    attributes = {
        name: value if name in _TELLS_NOBODY or not contract.personal_fields else MASKED
        for name, value in event.envelope.attributes.items()
    }
    data = json_data.to_json(Codec(published.current.schema), event.data)
    return {"attributes": attributes, "data": {name: mask(value, [name]) for name, value in data.items()}}


def _below(path: str, name: str) -> tuple[str, str]:
    return f"{path}.{name}", f"{path}{{}}"


def _as_json(letter: "Letter") -> dict[str, Any]:
    return {
        "letter": letter.offset,
        "agreement": letter.agreement,
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
