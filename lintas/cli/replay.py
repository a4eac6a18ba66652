"""``lintas replay``: events of the past once more, to one consumer."""

import dataclasses
import datetime as dt
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from lintas.cli.author import as_actor, author_option
from lintas.cli.catalogue_folder import require_name
from lintas.cli.moment import Moment
from lintas.cli.output import output_option, print_json, print_table
from lintas.errors import ReplayWaits
from lintas.settings import Settings
from monitoring.spans import command

if TYPE_CHECKING:
    from streams.replay_log import Replay, Request

POLL_SECONDS: Final = 1.0
_COLUMNS: Final = ("agreement", "records read", "delivered", "filtered", "not given", "state")


@click.command()
@click.argument("system")
@click.option("--from", "since", type=Moment(), help="events that were published then or later")
@click.option("--to", "until", type=Moment(), help="... and before this TIME  [default: now]")
@click.option("--type", "event_type", metavar="TYPE", help="only events of this type")
@click.option("--as-of", type=Moment(), help="give no more than the agreements of that TIME gave")
@click.option("--rate", metavar="N", type=click.FloatRange(min=1), help="at most N events a second")
@click.option("--dry-run", is_flag=True, help="only show what would become of the events")
@click.option("--wait/--no-wait", default=True, show_default=True, help="return when everything is given")
@click.option("--cancel", is_flag=True, help="end every replay of SYSTEM that goes on")
@click.option("--again", is_flag=True, help="begin anew, though just this has been replayed before")
@author_option
@output_option
@command("replay")
def replay(
    *,
    system: str,
    since: dt.datetime | None,
    until: dt.datetime | None,
    event_type: str | None,
    as_of: dt.datetime | None,
    rate: float | None,
    dry_run: bool,
    wait: bool,
    cancel: bool,
    again: bool,
    author: str,
    output: str,
) -> None:
    """Give a consumer SYSTEM events of the past once more; without --from, list its replays.

    Lanes read the events where they were published and give them to this inbox alone, in order per key, beside live
    events and slowly enough not to hold those up. Each is decided under the agreement in force now, recorded as any
    other decision, and marked: ce_replay holds the number of the replay. Repeats are given once; what is in quarantine,
    what does not concern the consumer and what cannot be given is not (no new dead letter is written). With --as-of,
    a field is given if the agreement of that time and the one of now both release it, by the same rule.

    Interrupted, or when workers die, the lanes go on. The same command again shows how far they are, or what came of
    it, and begins nothing anew without --again. A TIME is such as 2026-11-24T08:00+07:00.
    """
    from schemas.publication import read_current
    from streams import acting
    from streams import replay as replaying
    from streams.replay_progress import progress_of

    settings = Settings()
    current = read_current(settings)
    require_name("consumer system", system, [] if current is None else current[1].consumers(), "lintas agreement list")
    if event_type is not None and current is not None:
        require_name("event type", event_type, current[1].event_types, "lintas event-type list")
    if since is None or cancel:
        if any(value is not None for value in (since, until, event_type, as_of, rate)) or dry_run or again:
            raise click.UsageError(
                "--cancel goes with SYSTEM alone" if cancel else "--from is wanted: since when events are to be given"
            )
        if cancel:
            click.echo(f"{len(acting.cancel(settings, system, as_actor(author)))} replay(s) cancelled")
        else:
            _list(settings, system, output)
        return
    _check_span(since, until)
    asked = replaying.Asked(system, since, until, event_type, as_of, rate)
    if dry_run:
        _dry_run(settings, replaying.request_for(settings, asked, author=author, register=False), output)
        return
    before = None if again else replaying.same_as(settings, asked)
    one = before or acting.replay(settings, asked, as_actor(author))
    if wait:
        _watch(settings, one)
    replays = replaying.replays_of(settings)
    reached = replaying.state(settings, replays, one)
    _print(map(dataclasses.astuple, progress_of(replays, one, reached)), output)
    if not replaying.has_ended(replays, one, reached):
        click.echo(f"replay {one.number} goes on; the same command shows how far it is", err=True)
    elif before is not None:
        told = f"replay {one.number}, asked for by {one.request.author} at {one.request.at}"
        click.echo(f"{told}; --again gives the events once more", err=True)


def _check_span(since: dt.datetime, until: dt.datetime | None) -> None:
    from streams.replay_progress import Span, span_problem

    told = {
        Span.NOT_PAST: "--from is not a moment at which events were published",
        Span.BACKWARDS: "--to is not behind --from",
        Span.FUTURE: "--to is in the future: without it, everything up to now is given",
    }
    if (problem := span_problem(since, until, dt.datetime.now(dt.UTC))) is not None:
        raise click.UsageError(told[problem])


def _dry_run(settings: Settings, request: "Request", output: str) -> None:
    from streams.replay import dry_run

    with Console(stderr=True).status("reading events") as status:
        outcomes = dry_run(
            settings, request, lambda read, total: status.update(f"reading events: {read:,} of about {total:,}")
        )
    rows = [(*key, count) for key, count in sorted(outcomes.items())]
    if output == "json":
        print_json([dict(zip(("agreement", "outcome", "events"), row, strict=True)) for row in rows])
    elif not rows:
        click.echo("no events of that time")
    else:
        print_table(("agreement", "outcome now", "events"), rows)


def _watch(settings: Settings, one: "Replay") -> None:
    """Show how far a replay is, until it ends.

    Raises:
        ReplayWaits: it cannot go on for now.
    """
    from streams.replay import bounds, has_ended, obstacles, replays_of, state

    starts, ends = bounds(settings, one.request)
    columns = (
        TextColumn(f"replay {one.number}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        shown = bar.add_task("", total=None)
        while True:
            replays = replays_of(settings)
            reached = state(settings, replays, one)
            if has_ended(replays, one, reached):
                return
            if why := obstacles(settings, reached):
                raise ReplayWaits(number=one.number, reason="; ".join(why), system=one.request.system)
            total = sum(
                ends[slot[1:]] - starts[slot[1:]] if now is None else now.until - now.start
                for slot, now in reached.items()
            )
            done = sum(0 if now is None else now.next - now.start for now in reached.values())
            waits = sum(now is None for now in reached.values())
            told = f"{waits} input partition(s) not begun" if waits else ""
            bar.update(shown, total=total, completed=done, description=told)
            time.sleep(POLL_SECONDS)


def _list(settings: Settings, system: str, output: str) -> None:
    from streams.replay import replays_of
    from streams.replay_progress import progress_of
    from streams.status import status_now

    replays, reached = replays_of(settings), status_now(settings).replayed
    rows = [
        (one.number, _moment(one.request.since_ms), _moment(one.request.until_ms), *row, one.request.author)
        for one in replays.all.values()
        if one.request.system == system
        for row in map(dataclasses.astuple, progress_of(replays, one, replays.state(one, reached)))
    ]
    if rows or output == "json":
        _print(rows, output, columns=("replay", "from", "to", *_COLUMNS, "author"))
    else:
        click.echo(f"nothing has been replayed for {system}")


def _print(rows: Iterable[tuple[Any, ...]], output: str, *, columns: Sequence[str] = _COLUMNS) -> None:
    if output == "json":
        print_json([dict(zip((name.replace(" ", "_") for name in columns), row, strict=True)) for row in rows])
    else:
        print_table(columns, [["-" if value is None else value for value in row] for row in rows])


def _moment(ms: int | None) -> str:
    return "when it began" if ms is None else dt.datetime.fromtimestamp(ms / 1000, dt.UTC).isoformat()
