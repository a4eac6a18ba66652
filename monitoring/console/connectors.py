"""Systems' connectors as the console reads them and acts on them: through their topics, with the operator's rights."""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from connectors.plugins import known
from connectors.runtime import control
from connectors.runtime.ownership import owned_of
from connectors.runtime.rest.answers import kind_of
from connectors.runtime.state import ConnectorsState, State, Status
from connectors.runtime.topics import read_states, write
from connectors.runtime.validation import by_name
from lintas import names
from lintas.errors import UnknownName
from lintas.settings import Settings
from schemas.connector_configs import Configured, Record
from streams.acting import agency_of
from streams.acts import recorded
from streams.acts_log import (
    CONNECTOR_PAUSE,
    CONNECTOR_RESTART,
    CONNECTOR_RESUME,
    CONNECTOR_STOP,
    Actor,
)

AIMS: Final[Mapping[str, State]] = {
    CONNECTOR_PAUSE: State.PAUSED,
    CONNECTOR_RESUME: State.RUNNING,
    CONNECTOR_STOP: State.STOPPED,
}
ACTS: Final = (CONNECTOR_PAUSE, CONNECTOR_RESUME, CONNECTOR_RESTART, CONNECTOR_STOP)


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """One connector for people to read.

    Attributes:
        kind: source, sink or unknown.
        status: what its runtime said last.
        progress: by name, what it has noted; of a sink its place in each partition of the inbox too.
    """

    name: str
    system: str
    config: Configured
    kind: str
    state: State
    status: Status | None
    progress: Sequence[tuple[str, Any]]

    @property
    def may_be(self) -> Collection[str]:
        """The acts that make sense now."""
        if self.state is State.PAUSED:
            return (CONNECTOR_RESUME, CONNECTOR_STOP)
        if self.state is State.STOPPED:
            return (CONNECTOR_RESUME,)
        return (CONNECTOR_RESTART, CONNECTOR_PAUSE, CONNECTOR_STOP)


def rows_of(settings: Settings, systems: Collection[str]) -> list[Row]:
    """Every connector of some systems.

    Raises:
        BusUnavailable: Kafka does not answer.
    """
    states = read_states(settings, sorted(systems), principal=names.ADMIN)
    owned = owned_of(settings, (system for system, state in states.items() if state.configs), names.ADMIN)
    found = [
        _row(system, name, state, owned=system in owned) for system, state in states.items() for name in state.configs
    ]
    return sorted(found, key=lambda row: (row.name, row.system))


def act_on(settings: Settings, row: Row, act: str, actor: Actor, *, reason: str) -> bool:
    """Have a connector pause, run, stop or begin anew; whether there was anything to do. It is recorded first.

    Raises:
        UnknownName: the connector has gone, or there is no such act.
        ConnectorConflict: the act does not go with how the connector is.
        BusUnavailable: Kafka does not answer.
    """
    if act not in ACTS:
        raise UnknownName(kind="act", name=act, suggestion=f"These are: {', '.join(ACTS)}.")
    target = f"{row.name} of {row.system}"
    with recorded(settings, actor, act, target, agency=agency_of(row.system), reason=reason) as under:
        state = read_states(settings, [row.system], principal=names.ADMIN).get(row.system, ConnectorsState())
        records = _records(state, row.name, act)
        write(settings, row.system, records, principal=names.ADMIN)
        under.detail = "asked for" if records else "it was so already"
    return bool(records)


def _records(state: ConnectorsState, name: str, act: str) -> list[Record]:
    if act in AIMS:
        return control.aiming(state, name, AIMS[act])
    return control.restarting(state, name, only_failed=False)


def _row(system: str, name: str, state: ConnectorsState, *, owned: bool) -> Row:
    config, kept = state.configs[name], state.kept.get(name)
    places = [(f"inbox [{number}]", offset) for number, offset in sorted((kept.positions if kept else {}).items())]
    return Row(
        name,
        system,
        config,
        kind_of(by_name(known.PLUGINS), config.plugin),
        control.shown(state, name, owned=owned),
        state.statuses.get(name),
        [*places, *sorted(state.progress(name).items())],
    )
