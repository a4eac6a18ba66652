"""What the supervisor runs: servers and programs of the bus, described in one way."""

import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class User:
    """An ordinary user that a part must run as, because it refuses to be root."""

    uid: int
    gid: int
    enter: bool = False  # its files lie below folders that only root may enter


def _nothing_to_prepare() -> None:
    """Most parts need no first-time work."""


async def _runs_when_started() -> bool:
    """A part without a port is ready as soon as it runs."""
    return True


@dataclass(frozen=True, slots=True)
class Part:
    """One process of the bus and what is known about starting, watching and stopping it."""

    name: str
    argv: tuple[str, ...]
    log: Path
    env: Mapping[str, str] = field(repr=False)
    port: int | None = None
    prepare: Callable[[], None] = _nothing_to_prepare
    """Work before the first start (format a disk); blocking, and without effect when it has been done."""
    ready: Callable[[], Awaitable[bool]] = _runs_when_started
    """Whether the part serves; asked again and again until it does, may raise OSError."""
    start_seconds: float = 60
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 20
    attempts: int | None = 5
    """Failures in a row after which the whole bus stops; None: it is tried for ever."""
    user: User | None = None
