"""What people do with connectors, as records of the system's topic. Pure: whoever asks writes them."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from connectors.runtime.state import ConnectorsState, State, Target
from connectors.runtime.validation import Plugins
from lintas.errors import ConnectorConflict, UnknownName
from schemas.connector_configs import FROM_CATALOGUE, Configured, Record, forgotten


def known(state: ConnectorsState, connector: str) -> Configured:
    """A connector's configuration.

    Raises:
        UnknownName: there is no such connector.
    """
    if connector not in state.configs:
        raise UnknownName(kind="connector", name=connector, suggestion="`lintas connector list` lists them.")
    return state.configs[connector]


def configuring(
    state: ConnectorsState, connector: str, plugin: str, settings: Mapping[str, Any], origin: str
) -> list[Record]:
    """Create a connector, or give it another configuration; what is so already is not written again.

    Raises:
        ConnectorConflict: it is the catalogue's, or its progress is of another kind.
    """
    now = Configured(plugin, settings, origin)
    before = state.configs.get(connector)
    if before is not None and dataclasses.replace(before, origin=origin) == now:
        return []
    if before is not None:
        not_of_catalogue(connector, before)
    kept = state.kept.get(connector)
    if kept is not None and kept.plugin != plugin:
        raise ConnectorConflict(
            connector=connector,
            reason=f"what is noted of its progress is of the kind {kept.plugin}, not {plugin}",
            remedy="use another name; or, unless that kind keeps its progress with its data, stop the connector and "
            "have that forgotten (`lintas connector forget`): it begins anew.",
        )
    return [now.record(connector)]


def deleting(state: ConnectorsState, connector: str) -> list[Record]:
    """Delete a connector; its progress stays.

    Raises:
        UnknownName: there is no such connector.
        ConnectorConflict: it is the catalogue's.
    """
    not_of_catalogue(connector, known(state, connector))
    return forgotten(connector)


def aiming(state: ConnectorsState, connector: str, wanted: State) -> list[Record]:
    """Have a connector run, pause or stop.

    Raises:
        UnknownName: there is no such connector.
    """
    known(state, connector)
    target = state.target(connector)
    return [] if target.state is wanted else [Target(wanted, target.restarts).record(connector)]


def restarting(state: ConnectorsState, connector: str, *, only_failed: bool) -> list[Record]:
    """Begin a connector anew; with ``only_failed`` not if it is well.

    Raises:
        UnknownName: there is no such connector.
        ConnectorConflict: it is paused or stopped.
    """
    known(state, connector)
    target, status = state.target(connector), state.statuses.get(connector)
    if target.state is not State.RUNNING:
        raise ConnectorConflict(
            connector=connector,
            reason=f"it is to be {target.state.value}",
            remedy="`lintas connector resume` has it run.",
        )
    if only_failed and (status is None or status.state is not State.FAILED):
        return []
    return [Target(State.RUNNING, target.restarts + 1).record(connector)]


def forgetting_progress(state: ConnectorsState, connector: str, plugins: Plugins, *, owned: bool) -> list[Record]:
    """Have a connector begin anew from the beginning when it runs again.

    Raises:
        UnknownName: there is no such connector.
        ConnectorConflict: it is not stopped, or keeps its positions with its data.
    """
    kind, kept = known(state, connector).plugin, state.kept.get(connector)
    # What another kind has noted under this name may go: it hinders this one.
    if kind in plugins and plugins[kind].begins_anew and (kept is None or kept.plugin == kind):
        raise ConnectorConflict(
            connector=connector,
            reason=f"a {kind} keeps how far it is with its data, not on the bus",
            remedy=f"to have it begin at the beginning, stop it, {plugins[kind].begins_anew}",
        )
    wanted = state.target(connector).state  # it may be to run again, and not have come so far as to say so
    if wanted is not State.STOPPED or shown(state, connector, owned=owned) is not State.STOPPED:
        raise ConnectorConflict(
            connector=connector,
            reason="its progress may be deleted only while it is STOPPED",
            remedy="`lintas connector stop` stops it.",
        )
    return list(state.forgetting(connector)) if state.has_progress(connector) else []


def shown(state: ConnectorsState, connector: str, *, owned: bool) -> State:
    """How a connector is, for people; ``owned``: some runtime runs the system's connectors."""
    target, status = state.target(connector), state.statuses.get(connector)
    if not owned:
        return State.UNASSIGNED if target.state is State.RUNNING else target.state
    if status is None:
        return State.UNASSIGNED
    if target.state is State.RUNNING and target.restarts > status.restarts:
        return State.RESTARTING
    return status.state


def not_of_catalogue(connector: str, config: Configured) -> None:
    """See that a connector is not the catalogue's.

    Raises:
        ConnectorConflict: it is.
    """
    if config.origin == FROM_CATALOGUE:
        raise ConnectorConflict(
            connector=connector,
            reason="the catalogue says what it is",
            remedy="change its file in the catalogue's connectors/ and apply that.",
        )
