"""Records as lanes pass them on: what came in, what goes out."""

import dataclasses
from collections.abc import Sequence


@dataclasses.dataclass(frozen=True, slots=True)
class InputRecord:
    """One record of an event topic."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int  # the broker's time
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


@dataclasses.dataclass(frozen=True, slots=True)
class OutputRecord:
    """One record to be written in the batch's transaction."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]
