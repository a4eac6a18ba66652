"""``lintas catalogue validate | diff | apply``: who may see what of which event, on which basis."""

import dataclasses
import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

import schemas
from lintas import names
from lintas.cli.author import as_actor, author_option
from lintas.cli.output import output_option, print_json, print_table
from lintas.errors import BusUnavailable, InvalidCatalogue
from lintas.settings import Settings

if TYPE_CHECKING:
    from schemas.differences import Change
    from schemas.load import Catalogue, CatalogueProblem

EXAMPLE_DEPLOYMENT = Path(schemas.__path__[0]) / "catalogue"


@click.group()
def catalogue() -> None:
    """Check and apply the catalogue: agencies, event types, agreements and connectors.

    A catalogue is a folder: agencies/AGENCY.yaml, events/EVENT_TYPE.yaml with EVENT_TYPE.avsc beside it,
    agreements/AGREEMENT.yaml, and connectors/CONNECTOR.yaml.
    """


folder_argument = click.argument(
    "directory",
    metavar="[DIR]",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=EXAMPLE_DEPLOYMENT,
)


@catalogue.command()
@folder_argument
@click.option("--offline", is_flag=True, help="do not compare the schemas with those that the bus has registered")
@output_option
@click.pass_context
def validate(ctx: click.Context, *, directory: Path, offline: bool, output: str) -> None:
    """Report every problem of a catalogue at once; change nothing.

    DIR defaults to the example deployment. Each problem is one line, FILE:LINE: RULE: MESSAGE. Where a bus is
    configured (LINTAS_REGISTRY_URL, or a bus runs here), schemas are also compared with those that events have
    been published with; --offline leaves that out. Exit 0 if there is no problem, 1 if there is one.
    """
    from lintas.cli.connector_kinds import check
    from schemas.load import load
    from schemas.model import JAKARTA
    from schemas.validate import validate as problems_of

    read, problems = load(directory)
    registered: Mapping[str, Sequence[Any]] | None = None
    unreachable: BusUnavailable | None = None
    settings = Settings()
    if settings.registry_url is not None and not offline:
        try:
            registered = _registered(settings, read)
        except BusUnavailable as error:
            unreachable = error
    today = dt.datetime.now(JAKARTA).date()
    problems = sorted({*problems, *problems_of(read, today=today, registered=registered, check_connector=check)})
    if output == "json":
        print_json(_as_json(directory, read, problems, compared=registered is not None))
    else:
        for problem in problems:
            click.echo(f"{directory / problem.file}:{problem.line}: {problem.rule}: {problem.message}")
        click.echo(_summary(read, problems, compared=registered is not None))
    if unreachable is not None:
        click.echo("schemas could not be compared with the registered ones (--offline leaves that out):", err=True)
        raise unreachable
    ctx.exit(1 if problems else 0)


def _registered(settings: Settings, read: "Catalogue") -> Mapping[str, Sequence[Any]]:
    from schemas.registry import registered_schemas

    topics = {}
    for name, event_type in read.event_types.items():
        owner = read.agencies.get(event_type.owner)
        if owner is not None and name.startswith(f"{owner.domain}."):  # where not, that is a problem of its own
            topics[name] = names.events_topic(event_type.owner, owner.domain, name)
    return registered_schemas(settings, read.event_types, topics)


def _as_json(
    directory: Path, read: "Catalogue", problems: Sequence["CatalogueProblem"], *, compared: bool
) -> dict[str, Any]:
    return {
        "catalogue": directory,
        "agencies": len(read.agencies),
        "event_types": len(read.event_types),
        "agreements": len(read.agreements),
        "connectors": len(read.connectors),
        "compared_with_registered_schemas": compared,
        "problems": [
            {
                "file": directory / problem.file,
                "line": problem.line,
                "rule": problem.rule,
                "message": problem.message,
            }
            for problem in problems
        ],
    }


def _summary(read: "Catalogue", problems: Sequence["CatalogueProblem"], *, compared: bool) -> str:
    size = f"{len(read.agencies)} agencies, {len(read.event_types)} event types, {len(read.agreements)} agreements"
    if read.connectors:
        size += f", {len(read.connectors)} connectors"
    if problems:
        files = len({problem.file for problem in problems})
        return f"{len(problems)} problem{'s'[: len(problems) > 1]} in {files} file{'s'[: files > 1]} ({size} read)"
    return f"no problems: {size}" + ("" if compared else "; not compared with registered schemas")


@catalogue.command()
@folder_argument
@output_option
@click.pass_context
def diff(ctx: click.Context, *, directory: Path, output: str) -> None:
    """Show what applying a catalogue would change; change nothing.

    DIR defaults to the example deployment. Deletions of topics, users, rights and subjects need apply --prune.
    Exit 0 if there is nothing to do, 3 if there are changes, 1 if the catalogue cannot be applied.
    """
    from schemas.provision import diff as changes_of

    settings = Settings()
    changes = changes_of(settings, _checked(settings, directory))
    if output == "json":
        print_json([dataclasses.asdict(change) | {"only_pruned": change.only_pruned} for change in changes])
    elif changes:
        _print_changes(changes)
        click.echo(_count(changes))
    else:
        click.echo("nothing to do")
    refused = any(change.action == "refuse" for change in changes)
    ctx.exit(1 if refused else 3 if changes else 0)


@catalogue.command()
@folder_argument
@click.option("--prune", is_flag=True, help="also delete topics, users, rights and subjects that are left over")
@click.option("--wait/--no-wait", default=False, show_default=True, help="return when every lane runs the catalogue")
@click.option("--timeout", type=click.FloatRange(min=0), default=60.0, show_default=True, help="seconds to wait")
@author_option
@output_option
def apply(*, directory: Path, prune: bool, wait: bool, timeout: float, author: str, output: str) -> None:
    """Put a catalogue in force: schemas, topics, users, rights, then the catalogue itself.

    DIR defaults to the example deployment. The bus adds its own canary (docs/how-to/watch-the-bus.md), which no system
    of an agency can be given. A catalogue with a problem changes nothing. Applying again does what is
    left to do, after an interruption too. What a catalogue drops (an agreement, an event type) loses its effect at
    once; what that leaves over on Kafka is deleted by --prune only, and a topic never as long as it holds events
    that nobody has read. Passwords of new users are written to the folder of secrets.
    """
    from schemas.provision import apply as bring_about
    from schemas.provision import ensure_bus
    from streams.acts import recorded
    from streams.acts_log import APPLY

    settings = Settings()
    console = Console(stderr=True)
    with console.status("reading the catalogue") as status:
        read = _checked(settings, directory)
        ensure_bus(settings)  # the log of acts is the first that is needed
        with recorded(settings, as_actor(author), APPLY, "catalogue, with --prune" if prune else "catalogue") as under:
            applied = bring_about(
                settings,
                read,
                author=author,
                prune=prune,
                wait_seconds=timeout if wait else None,
                progress=status.update,
            )
            under.detail = f"catalogue {applied.digest[:12]}, {len(applied.changes)} change(s)"
    if output == "json":
        print_json(applied)
        return
    if applied.changes:
        print_table(("kind", "created", "updated", "deleted"), _totals(applied.changes))
        for change in applied.changes:
            if change.kind == "user" and change.action == "update":
                click.echo(f"{change.name}: {change.detail}")
    else:
        click.echo("nothing to do")
    for change in applied.leftovers:
        if change.action == "refuse":
            click.echo(f"{change.kind} {change.name} {change.detail}")
    if left := sum(change.only_pruned for change in applied.leftovers):
        click.echo(f"{left} left over on the bus: `lintas catalogue diff` shows them, `apply --prune` deletes them")
    click.echo(f"catalogue {applied.digest[:12]} is in force")


@catalogue.command()
@output_option
def history(*, output: str) -> None:
    """List every catalogue that was in force, the newest first."""
    from schemas.publication import read_log

    pointers = read_log(Settings()).history
    if output == "json":
        print_json(pointers)
        return
    print_table(
        ("number", "catalogue", "applied at", "by", "after"),
        [
            (pointer.number, pointer.manifest[:12], pointer.at, pointer.author, (pointer.previous or "")[:12])
            for pointer in pointers
        ],
    )


def _checked(settings: Settings, directory: Path) -> "Catalogue":
    """A catalogue without problems, compared with the schemas that the bus has registered, and the bus's own part."""
    from lintas.cli.connector_kinds import check
    from schemas.bus_catalogue import with_bus
    from schemas.load import load
    from schemas.model import JAKARTA
    from schemas.validate import validate as problems_of

    read, problems = load(directory)
    today = dt.datetime.now(JAKARTA).date()
    registered = _registered(settings, read)
    problems = sorted({*problems, *problems_of(read, today=today, registered=registered, check_connector=check)})
    if problems:
        report = "\n".join(
            f"{directory / problem.file}:{problem.line}: {problem.rule}: {problem.message}" for problem in problems
        )
        raise InvalidCatalogue(count=len(problems), report=report)
    return with_bus(read)


def _print_changes(changes: Sequence["Change"]) -> None:
    order = ("refuse", "create", "update", "delete")
    print_table(
        ("change", "kind", "name", "detail"),
        [
            (
                "delete (--prune)" if change.only_pruned else change.action,
                change.kind,
                change.name,
                change.detail,
            )
            for change in sorted(changes, key=lambda change: (order.index(change.action), change.kind, change.name))
        ],
    )


def _count(changes: Sequence["Change"]) -> str:
    counted = Counter(change.action for change in changes)
    return ", ".join(
        f"{counted[action]} to {action}" for action in ("create", "update", "delete", "refuse") if counted[action]
    )


def _totals(changes: Sequence["Change"]) -> list[tuple[str, int, int, int]]:
    counted = Counter((change.kind, change.action) for change in changes)
    return [
        (kind, counted[kind, "create"], counted[kind, "update"], counted[kind, "delete"])
        for kind in sorted({change.kind for change in changes})
    ]
