"""Configurations of connectors on the topics ``connectors.<system>``, and what a catalogue changes in them."""

import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Self

from lintas import names
from lintas.settings import Settings
from schemas.differences import Change
from schemas.model import Connector
from schemas.snapshot import Snapshot, canonical
from schemas.topic_reader import read_to_end
from schemas.topic_writer import append

CONFIG: Final = "config/"
TARGET: Final = "target/"
STATUS: Final = "status/"
FROM_CATALOGUE: Final = "catalogue"
KIND: Final = "connector"
Record = tuple[bytes, bytes | None]
# What a record raises that is not what it should be: a system may write anything to its topic, and harms itself alone.
UNREADABLE: Final = (ValueError, TypeError, KeyError, OverflowError, RecursionError)


@dataclasses.dataclass(frozen=True, slots=True)
class Configured:
    """How a connector is configured.

    Attributes:
        plugin: which kind of connector it is.
        settings: as its plugin describes them.
        origin: who configured it: ``catalogue``, ``rest`` or ``command line``.
    """

    plugin: str
    settings: Mapping[str, Any]
    origin: str

    def record(self, connector: str) -> Record:
        """Key and value on the topic."""
        return f"{CONFIG}{connector}".encode(), canonical(dataclasses.asdict(self))

    @classmethod
    def from_bytes(cls, value: bytes) -> Self:
        """Read a configuration.

        Raises:
            one of ``UNREADABLE``: it is none.
        """
        read = json.loads(value)
        canonical(read)  # a text of it may be no Unicode
        plugin, settings, origin = read["plugin"], read["settings"], read["origin"]
        if not (isinstance(plugin, str) and isinstance(settings, dict) and isinstance(origin, str)):
            raise TypeError("plugin and origin must be texts, settings an object")
        return cls(plugin, settings, origin)


def forgotten(connector: str) -> list[Record]:
    """What deletes a connector. Its progress stays: made anew under the same name, it goes on and repeats nothing."""
    return [(f"{kind}{connector}".encode(), None) for kind in (CONFIG, TARGET, STATUS)]


def configurations(records: Iterable[Record]) -> dict[str, Configured]:
    """The configurations that a topic holds, by connector; what cannot be read is as if it were not there."""
    found: dict[str, Configured] = {}
    for key, value in records:
        name = key.decode(errors="replace")
        if not name.startswith(CONFIG):
            continue
        name = name.removeprefix(CONFIG)
        found.pop(name, None)
        if value is not None:
            try:
                found[name] = Configured.from_bytes(value)
            except UNREADABLE:
                continue
    return found


def wanted_of(snapshot: Snapshot, system: str) -> dict[str, Configured]:
    """What a catalogue says of a system's connectors."""
    return {name: configured(one) for name, one in snapshot.connectors.items() if one.system == system}


def configured(connector: Connector) -> Configured:
    """A connector of the catalogue as it is configured."""
    return Configured(connector.plugin, connector.model_dump(mode="json")["config"], FROM_CATALOGUE)


def to_change(wanted: Mapping[str, Configured], found: Mapping[str, Configured]) -> dict[str, Configured | None]:
    """What must be written so that a topic says what the catalogue says; others' connectors stay. None: deleted."""
    changed: dict[str, Configured | None] = {
        name: None for name, one in found.items() if one.origin == FROM_CATALOGUE and name not in wanted
    }
    return changed | {name: one for name, one in wanted.items() if found.get(name) != one}


def changes_on_topics(
    settings: Settings, snapshot: Snapshot, in_force: Snapshot | None, topics: Iterable[str]
) -> dict[str, dict[str, Configured | None]]:
    """By system, what must change; of systems whose topic is not among ``topics`` yet, all that is wanted.

    Raises:
        BusUnavailable: Kafka does not answer.
    """
    there = set(topics)
    found = {}
    for system in sorted(snapshot.connector_systems() | (in_force.connector_systems() if in_force else set())):
        topic = names.connectors_topic(system)
        records = read_to_end(settings, names.ADMIN, topic) if topic in there else ()
        if changed := to_change(wanted_of(snapshot, system), configurations(records)):
            found[system] = changed
    return found


def described(changes: Mapping[str, Mapping[str, Configured | None]], already: Iterable[Change]) -> Iterator[Change]:
    """The changes that the catalogue's own do not show: somebody else configured a connector of the catalogue."""
    shown = {change.name for change in already if change.kind == KIND}
    for system, of_system in changes.items():
        for name in of_system:
            if name not in shown:
                yield Change("update", KIND, name, f"is configured otherwise on {names.connectors_topic(system)}")


def write(settings: Settings, changes: Mapping[str, Mapping[str, Configured | None]]) -> None:
    """Make the topics say what the catalogue says; those who run the connectors follow them.

    Raises:
        BusUnavailable: Kafka does not answer. Writing again is harmless.
    """
    for system, of_system in changes.items():
        records = [
            record
            for name, one in of_system.items()
            for record in ([one.record(name)] if one is not None else forgotten(name))
        ]
        append(settings, names.connectors_topic(system), *records)
