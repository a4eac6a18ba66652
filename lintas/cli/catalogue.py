"""``lintas catalogue validate | diff | apply``: who may see what of which event, on which basis."""

import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import schemas
from lintas.cli.output import output_option, print_json
from lintas.errors import BusUnavailable
from lintas.settings import Settings

if TYPE_CHECKING:
    from schemas.load import Catalogue, CatalogueProblem

EXAMPLE_DEPLOYMENT = Path(schemas.__path__[0]) / "catalogue"


@click.group()
def catalogue() -> None:
    """Check and apply the catalogue: agencies, event types and agreements.

    A catalogue is a folder: agencies/AGENCY.yaml, events/EVENT_TYPE.yaml with EVENT_TYPE.avsc beside it, and
    agreements/AGREEMENT.yaml.
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
    from schemas.load import load  # noqa: PLC0415  commands import what they use when they run
    from schemas.model import JAKARTA  # noqa: PLC0415  as above
    from schemas.validate import validate as problems_of  # noqa: PLC0415  as above

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
    problems = sorted({*problems, *problems_of(read, today=today, registered=registered)})
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
    from schemas.desired import topic_of  # noqa: PLC0415  commands import what they use when they run
    from schemas.registry import registered_schemas  # noqa: PLC0415  as above

    topics = {}
    for name, event_type in read.event_types.items():
        try:
            topics[name] = topic_of(read.agencies, event_type)
        except (KeyError, ValueError):
            continue  # its owner or its name is wrong, which is a problem of its own
    return registered_schemas(settings, read.event_types, topics)


def _as_json(
    directory: Path, read: "Catalogue", problems: Sequence["CatalogueProblem"], *, compared: bool
) -> dict[str, Any]:
    return {
        "catalogue": directory,
        "agencies": len(read.agencies),
        "event_types": len(read.event_types),
        "agreements": len(read.agreements),
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
    if problems:
        files = len({problem.file for problem in problems})
        return f"{len(problems)} problem{'s'[: len(problems) > 1]} in {files} file{'s'[: files > 1]} ({size} read)"
    return f"no problems: {size}" + ("" if compared else "; not compared with registered schemas")
