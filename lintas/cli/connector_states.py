"""What the topics of systems say of their connectors, for verbs that end soon."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from lintas.errors import ConnectorConflict, UnknownName
from lintas.settings import Settings

if TYPE_CHECKING:
    from connectors.runtime.state import ConnectorsState

system_option = click.option(
    "--system", metavar="SYSTEM", help="whose connectors; of every system with credentials here if not given"
)


def states_of(settings: Settings, system: str | None) -> "dict[str, ConnectorsState]":
    """What the topic of a system says, or those of every system whose credentials are here.

    Raises:
        BusUnavailable: Kafka does not answer.
        MissingCredentials: the system has none here.
    """
    from connectors.runtime.runtime import with_credentials
    from connectors.runtime.topics import read_states

    return read_states(settings, [system] if system else with_credentials(settings))


def found(settings: Settings, name: str, system: str | None) -> "tuple[str, ConnectorsState]":
    """The system of a connector, and what its topic says.

    Raises:
        UnknownName, ConnectorConflict, BusUnavailable, MissingCredentials: as above and below.
    """
    states = states_of(settings, system)
    own = of_name(states, name)
    return own, states[own]


def of_name(states: "Mapping[str, ConnectorsState]", name: str) -> str:
    """The one system that has a connector.

    Raises:
        UnknownName: none has.
        ConnectorConflict: several have.
    """
    having = [own for own, state in states.items() if name in state.configs]
    if not having:
        raise UnknownName(kind="connector", name=name, suggestion="`lintas connector list` lists them.")
    if len(having) > 1:
        raise ConnectorConflict(
            connector=name, reason=f"{' and '.join(having)} each have one", remedy="say which with --system."
        )
    return having[0]
