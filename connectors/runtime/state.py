"""What the topic ``connectors.<system>`` says: what a system's connectors are to do, do, and how far they are. Pure."""

import dataclasses
import datetime as dt
import enum
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Self

from schemas.connector_configs import CONFIG, STATUS, TARGET, UNREADABLE, Configured, Record
from schemas.snapshot import canonical

PROGRESS: Final = "progress/"
OWNER: Final = b"owner"  # who runs the system's connectors; also a mark behind which nothing older is to come


class State(enum.StrEnum):
    """How a connector is, in Kafka Connect's words."""

    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    STOPPED = "STOPPED"  # as paused, and its progress may be forgotten
    FAILED = "FAILED"  # it is begun anew by itself, later and later
    UNASSIGNED = "UNASSIGNED"  # no runtime runs it
    RESTARTING = "RESTARTING"  # somebody has asked for it


@dataclasses.dataclass(frozen=True, slots=True)
class Target:
    """What people want of a connector.

    Attributes:
        state: RUNNING, PAUSED or STOPPED.
        restarts: each higher number begins it anew.
    """

    state: State = State.RUNNING
    restarts: int = 0

    def record(self, connector: str) -> Record:
        """Key and value on the topic."""
        return f"{TARGET}{connector}".encode(), canonical(dataclasses.asdict(self))


@dataclasses.dataclass(frozen=True, slots=True)
class Status:
    """How a connector is.

    Attributes:
        state: never RESTARTING.
        since: when it came into this state, ISO 8601.
        worker: the runtime that says so.
        trace: of a failure; without values of events.
        restarts: the target's number that it was begun with.
        config: digest of the configuration that it was begun with.
        disabled: FAILED, and not begun anew by itself: a person restarts it or changes its settings.
    """

    state: State
    since: str
    worker: str
    trace: str | None = None
    restarts: int = 0
    config: str = ""
    disabled: bool = False

    def record(self, connector: str) -> Record:
        """Key and value on the topic."""
        return f"{STATUS}{connector}".encode(), canonical(dataclasses.asdict(self))


@dataclasses.dataclass(frozen=True, slots=True)
class Kept:
    """What the runtime itself keeps of a connector's progress.

    Attributes:
        plugin: whose progress it is: another kind cannot go on with it.
        positions: of a sink, the next offset of each partition of the inbox.
        topics: that a source has written to.
    """

    plugin: str
    positions: Mapping[int, int] = dataclasses.field(default_factory=dict)
    topics: tuple[str, ...] = ()

    def record(self, connector: str) -> Record:
        """Key and value on the topic."""
        return f"{PROGRESS}{connector}".encode(), canonical(dataclasses.asdict(self))

    @classmethod
    def of(cls, read: Mapping[str, Any]) -> Self:
        """Read from JSON, where keys are texts."""
        positions = {int(number): int(offset) for number, offset in dict(read["positions"]).items()}
        return cls(str(read["plugin"]), positions, tuple(map(str, read["topics"])))


def progress_records(connector: str, progress: Mapping[str, Any]) -> list[Record]:
    """A connector's own progress as records; None forgets a name.

    Raises:
        TypeError, ValueError: a value is not JSON.
    """
    return [
        (f"{PROGRESS}{connector}/{name}".encode(), None if value is None else canonical(value))
        for name, value in progress.items()
    ]


class ConnectorsState:
    """The topic as read so far."""

    def __init__(self) -> None:
        self.configs: dict[str, Configured] = {}
        self.targets: dict[str, Target] = {}
        self.statuses: dict[str, Status] = {}
        self.kept: dict[str, Kept] = {}
        self.owner: str | None = None
        self._progress: dict[str, dict[str, Any]] = {}

    def copy(self) -> "ConnectorsState":
        """This, as it is now."""
        copied = ConnectorsState()
        copied.configs, copied.targets = dict(self.configs), dict(self.targets)
        copied.statuses, copied.kept, copied.owner = dict(self.statuses), dict(self.kept), self.owner
        copied._progress = {name: dict(own) for name, own in self._progress.items()}
        return copied

    def target(self, connector: str) -> Target:
        """What is wanted of a connector; to run, if nobody said."""
        return self.targets.get(connector, Target())

    def progress(self, connector: str) -> Mapping[str, Any]:
        """What a connector has noted itself, by name."""
        return dict(self._progress.get(connector, {}))

    def has_progress(self, connector: str) -> bool:
        """Whether anything is noted of how far a connector is."""
        return connector in self.kept or bool(self._progress.get(connector))

    def forgetting(self, connector: str) -> Iterator[Record]:
        """The records that forget a connector's progress."""
        yield f"{PROGRESS}{connector}".encode(), None
        yield from progress_records(connector, dict.fromkeys(self._progress.get(connector, ())))

    def add(self, key: bytes, value: bytes | None) -> None:
        """Take in the next record; of several under one key the last counts.

        Raises:
            one of ``UNREADABLE``: it is not what it should be; it is as if it had not been written.
        """
        if key == OWNER:
            self.owner = None if value is None else str(json.loads(value)["worker"])
            return
        text = key.decode()
        kind, _, rest = text.partition("/")
        connector, _, name = rest.partition("/")
        read = None if value is None else json.loads(value)
        if text.startswith(PROGRESS) and name:
            _set(self._progress.setdefault(connector, {}), name, read)
        elif text.startswith(PROGRESS):
            _set(self.kept, connector, None if read is None else Kept.of(read))
        elif text.startswith(CONFIG):
            _set(self.configs, connector, None if value is None else Configured.from_bytes(value))
        elif text.startswith(TARGET):
            _set(self.targets, connector, None if read is None else _target(read))
        elif text.startswith(STATUS):
            _set(self.statuses, connector, None if read is None else _status(read))
        else:
            raise ValueError(f"there is no kind of record {kind}")

    def of(self, records: Iterable[Record]) -> Self:
        """This, with records taken in; those that are not what they should be are passed over."""
        for key, value in records:
            try:
                self.add(key, value)
            except UNREADABLE:
                continue
        return self


def _set(values: dict[str, Any], name: str, value: Any) -> None:
    if value is None:
        values.pop(name, None)
    else:
        values[name] = value


def _target(read: Mapping[str, Any]) -> Target:
    return Target(State(read["state"]), int(read["restarts"]))


def _status(read: Mapping[str, Any]) -> Status:
    dt.datetime.fromisoformat(read["since"])
    return Status(**{**read, "state": State(read["state"]), "restarts": int(read["restarts"])})
