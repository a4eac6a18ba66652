"""Who watches connectors, and what they are told. Connectors and tasks count nothing: ``monitoring`` does."""

import dataclasses
from collections.abc import Mapping
from typing import Final, Protocol

from connectors.runtime.state import State


@dataclasses.dataclass(frozen=True, slots=True)
class Who:
    """A connector as it is watched; ``kind`` is source, sink, or empty where there is no such plugin."""

    system: str
    connector: str
    plugin: str
    kind: str


class ConnectorObserver(Protocol):
    """Told by the runtime what connectors do, in its event loop: an answer must take no time."""

    def beat(self) -> None:
        """The runtime's loop has come round."""

    def reached(self, system: str, problem: str) -> None:
        """A system's topic can be read, or why not; "" if it can, or if the system has none."""

    def owned(self, system: str, *, owner: bool | None) -> None:
        """This runtime runs a system's connectors from here on, or does not; None: the system has none."""

    def became(self, who: Who, state: State) -> None:
        """A connector has come into a state."""

    def forgotten(self, system: str, connector: str) -> None:
        """A connector has been deleted, or is run by another from here on."""

    def failed(self, who: Who) -> None:
        """A connector has failed; it is begun anew after a pause, or when a person says so."""

    def published(self, who: Who, event_type: str, events: int) -> None:
        """Events of a source are committed."""

    def refused(self, who: Who, events: int) -> None:
        """The bus would not take events of a source, or it could make none of what it read."""

    def delivered(self, who: Who, events: int, seconds: float) -> None:
        """A sink has taken deliveries and its positions are committed; ``seconds`` is how long it took them."""

    def committed(self, who: Who) -> None:
        """A transaction of the connector is committed."""

    def holds(self, who: Who, events: Mapping[str, int]) -> None:
        """How many events a sink keeps back, by what they wait for."""


class _Nobody:
    """Watches nothing."""

    def beat(self) -> None: ...
    def reached(self, system: str, problem: str) -> None: ...
    def owned(self, system: str, *, owner: bool | None) -> None: ...
    def became(self, who: Who, state: State) -> None: ...
    def forgotten(self, system: str, connector: str) -> None: ...
    def failed(self, who: Who) -> None: ...
    def published(self, who: Who, event_type: str, events: int) -> None: ...
    def refused(self, who: Who, events: int) -> None: ...
    def delivered(self, who: Who, events: int, seconds: float) -> None: ...
    def committed(self, who: Who) -> None: ...
    def holds(self, who: Who, events: Mapping[str, int]) -> None: ...


UNWATCHED: Final[ConnectorObserver] = _Nobody()
