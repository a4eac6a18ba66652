"""Who watches lanes, and what they are told. Lanes count nothing themselves: ``monitoring`` does."""

from collections.abc import Set as AbstractSet
from typing import Final, Protocol

from streams.batch import Batch
from streams.decide import Plans


class LaneObserver(Protocol):
    """Told by a worker and its lanes what they do, in the worker's event loop: an answer must take no time."""

    def beat(self) -> None:
        """The worker's loop has come round."""

    def took_up(self, plans: Plans) -> None:
        """The worker has a new catalogue in force."""

    def assigned(self, lanes: AbstractSet[int]) -> None:
        """The group has handed out lanes anew: this worker is to run these."""

    def left(self) -> None:
        """The worker is in no group, and so has no lanes, until it is assigned some again."""

    def owned(self, lane: int) -> None:
        """The lane is taken over; earlier owners are fenced."""

    def running(self, lane: int) -> None:
        """The lane knows its positions and carries events."""

    def let_go(self, lane: int) -> None:
        """The lane carries nothing until it is owned again."""

    def stopped(self, lane: int) -> None:
        """The lane waits for a person; it is let go."""

    def refused(self) -> None:
        """A transaction was refused for what it writes."""

    def doubtful(self) -> None:
        """It is not known what became of a transaction, or the lane was lost to another."""

    def committed(self, plans: Plans, batch: Batch, *, decide_seconds: float | None, commit_seconds: float) -> None:
        """A batch is committed.

        ``decide_seconds``: from when the lane wanted to decide it; None of what is not live.
        """


class _Nobody:
    """Watches nothing."""

    def beat(self) -> None: ...
    def took_up(self, plans: Plans) -> None: ...
    def assigned(self, lanes: AbstractSet[int]) -> None: ...
    def left(self) -> None: ...
    def owned(self, lane: int) -> None: ...
    def running(self, lane: int) -> None: ...
    def let_go(self, lane: int) -> None: ...
    def stopped(self, lane: int) -> None: ...
    def refused(self) -> None: ...
    def doubtful(self) -> None: ...
    def committed(self, plans: Plans, batch: Batch, *, decide_seconds: float | None, commit_seconds: float) -> None: ...


UNWATCHED: Final[LaneObserver] = _Nobody()
