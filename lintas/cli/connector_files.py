"""``lintas connector create | validate FILE``: a connector as a file says."""

from pathlib import Path

import click

from lintas.cli.connector_states import states_of
from lintas.cli.output import output_option, print_json
from lintas.errors import ConnectorConflict, InvalidConnector
from lintas.settings import Settings

file_argument = click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))


@click.command()
@file_argument
@output_option
def create(*, file: Path, output: str) -> None:
    """Create a connector as a FILE says, or give it other settings.

    FILE is YAML as in a catalogue's connectors/: connector, system, plugin and config. A connector of the catalogue is
    changed there. Every problem is told at once, and then nothing is changed.
    """
    from connectors.runtime import control
    from connectors.runtime.topics import write
    from lintas.cli.connector_kinds import read_file

    wanted, problems = read_file(file)
    if wanted is None or problems:
        report = "\n".join(f"{file}:{problem.line}: {problem.rule}: {problem.message}" for problem in problems)
        raise InvalidConnector(connector=wanted.connector if wanted else file.stem, count=len(problems), report=report)
    settings = Settings()
    states = states_of(settings, None)
    if wanted.system not in states:
        raise ConnectorConflict(
            connector=wanted.connector,
            reason=f"the catalogue in force gives {wanted.system} no connectors, or its credentials are not here",
            remedy="say `connectors: true` at the system in its agency's file, and apply the catalogue.",
        )
    for other, state in states.items():
        if other != wanted.system and wanted.connector in state.configs:
            raise ConnectorConflict(
                connector=wanted.connector, reason=f"{other} has one of that name", remedy="give it another name."
            )
    state = states[wanted.system]
    existed = wanted.connector in state.configs
    config = wanted.model_dump(mode="json")["config"]
    records = control.configuring(state, wanted.connector, wanted.plugin, config, "command line")
    write(settings, wanted.system, records)
    done = "changed" if existed and records else "created" if records else "nothing to do"
    if output == "json":
        print_json({"connector": wanted.connector, "system": wanted.system, "done": done})
    else:
        click.echo(f"{wanted.connector} of {wanted.system}: {done}")


@click.command()
@file_argument
@output_option
@click.pass_context
def validate(ctx: click.Context, *, file: Path, output: str) -> None:
    """Check a FILE of a connector: every problem at once, with its line. Exit 0 if there is none, 1 if there is one."""
    from lintas.cli.connector_kinds import read_file

    _, problems = read_file(file)
    if output == "json":
        print_json([{"line": one.line, "rule": one.rule, "message": one.message} for one in problems])
    else:
        for one in problems:
            click.echo(f"{file}:{one.line}: {one.rule}: {one.message}")
        click.echo(f"{len(problems)} problem(s)" if problems else "no problems")
    ctx.exit(1 if problems else 0)
