"""``lintas connector pause | resume | stop | restart | delete | forget``: what people ask of connectors by name."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from lintas.cli.connector_states import of_name, states_of, system_option
from lintas.cli.output import output_option, print_json
from lintas.settings import Settings

if TYPE_CHECKING:
    from connectors.runtime.state import ConnectorsState
    from schemas.connector_configs import Record

F = TypeVar("F", bound=Callable[..., Any])


def _acting(verb: str) -> Callable[[F], click.Command]:
    """A verb that asks something of connectors by name."""

    def command(function: F) -> click.Command:
        named = click.argument("names", metavar="NAME...", nargs=-1, required=True)
        return click.command(verb)(named(system_option(output_option(function))))

    return command


@_acting("pause")
def pause(*, names: Sequence[str], system: str | None, output: str) -> None:
    """Let connectors pause; nothing is lost, they go on where they were."""
    _aim(names, system, "PAUSED", output)


@_acting("resume")
def resume(*, names: Sequence[str], system: str | None, output: str) -> None:
    """Let paused or stopped connectors run again."""
    _aim(names, system, "RUNNING", output)


@_acting("stop")
def stop(*, names: Sequence[str], system: str | None, output: str) -> None:
    """Stop connectors; only then their progress may be forgotten."""
    _aim(names, system, "STOPPED", output)


@click.command()
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@click.option("--only-failed", is_flag=True, help="leave those alone that are well")
@system_option
@output_option
def restart(*, names: Sequence[str], only_failed: bool, system: str | None, output: str) -> None:
    """Begin connectors anew, at once: a failed one need not wait for its next attempt."""
    from connectors.runtime import control

    def restarting(_: str, state: "ConnectorsState", name: str) -> list["Record"]:
        return control.restarting(state, name, only_failed=only_failed)

    _act(names, system, output, restarting, "restarts")


@_acting("delete")
def delete(*, names: Sequence[str], system: str | None, output: str) -> None:
    """Delete connectors; one that is made anew under the same name goes on where this one was."""
    from connectors.runtime import control

    _act(names, system, output, lambda _, state, name: control.deleting(state, name), "deleted")


@_acting("forget")
def forget(*, names: Sequence[str], system: str | None, output: str) -> None:
    """Forget how far stopped connectors are: resumed, they begin at the beginning.

    One that keeps that with its data (postgres-sink, parquet) is refused, and told what to do instead.
    """
    from connectors.plugins import known
    from connectors.runtime import control
    from connectors.runtime.ownership import is_owned
    from connectors.runtime.validation import by_name

    kinds = by_name(known.PLUGINS)

    def forgetting(own: str, state: "ConnectorsState", name: str) -> list["Record"]:
        return control.forgetting_progress(state, name, kinds, owned=is_owned(Settings(), own))

    _act(names, system, output, forgetting, "is at the beginning")


def _aim(names: Sequence[str], system: str | None, wanted: str, output: str) -> None:
    from connectors.runtime import control
    from connectors.runtime.state import State

    def aiming(_: str, state: "ConnectorsState", name: str) -> list["Record"]:
        return control.aiming(state, name, State(wanted))

    _act(names, system, output, aiming, f"is to be {wanted}")


def _act(
    names: Sequence[str],
    system: str | None,
    output: str,
    act: Callable[[str, "ConnectorsState", str], list["Record"]],
    told: str,
) -> None:
    """Do something with each connector, or with none if there is one that it cannot be done with."""
    from connectors.runtime.topics import write

    settings = Settings()
    states = states_of(settings, system)
    wanted = []
    for name in dict.fromkeys(names):
        own = of_name(states, name)
        wanted.append((name, own, act(own, states[own], name)))
    for _, own, records in wanted:
        write(settings, own, records)
    rows = [
        {"connector": name, "system": own, "done": told if records else "nothing to do"}
        for name, own, records in wanted
    ]
    if output == "json":
        print_json(rows)
    else:
        for row in rows:
            click.echo(f"{row['connector']} of {row['system']}: {row['done']}")


ACTS = (pause, resume, stop, restart, delete, forget)
