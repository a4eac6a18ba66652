"""Whether a consumer group keeps up, told from its last commits and without thresholds (after LinkedIn's Burrow). Pure.

Commits are seen by asking for positions every few seconds: one is seen when a position has moved. That a group commits
nothing is told by its members: they are there and do not come on (stall), or nobody is there (stop).
"""

import dataclasses
import enum
import itertools
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final

from schemas.cluster import Partition

WINDOW: Final = 10  # commits
SHORTEST_SECONDS: Final = 60.0  # a window is taken to be at least so long: few commits tell little
LONGEST_LOOK_SECONDS: Final = 60.0  # if nobody could look for longer, nobody could commit: that time does not count


class Status(enum.StrEnum):
    """How a group fares, the worst last."""

    OK = "ok"
    WARN = "warn"
    REWIND = "rewind"
    STALL = "stall"
    STOP = "stop"


WORSE: Final = tuple(Status)


@dataclasses.dataclass(frozen=True, slots=True)
class Commit:
    """A position when it was first seen.

    Attributes:
        at: seconds.
        offset: the position.
        lag: how many offsets lay behind it then; 0 if none of them was a record.
    """

    at: float
    offset: int
    lag: int


def status(commits: Sequence[Commit], behind_since: float | None, now: float, *, members: bool) -> Status:
    """The status of a group in one partition.

    Args:
        commits: the last that were seen, the oldest first; at least one.
        behind_since: when it was first seen that there is more than the last commit covers, in seconds; None: there is
            not. An event that has just come to a partition that was idle for long is no sign of trouble.
        now: in seconds.
        members: whether anybody is in the group.
    """
    if behind_since is None:
        return Status.OK
    first, last = commits[0], commits[-1]
    window = max(last.at - first.at, SHORTEST_SECONDS)
    if now - max(last.at, behind_since) > window:
        return Status.STALL if members else Status.STOP
    if any(commit.lag == 0 for commit in commits):
        return Status.OK
    pairs = list(itertools.pairwise(commits))
    if any(after.offset < before.offset for before, after in pairs):
        return Status.REWIND
    if len(commits) == WINDOW and all(after.lag >= before.lag for before, after in pairs):
        return Status.WARN
    return Status.OK


class GroupHistory:
    """What was seen of one group."""

    def __init__(self) -> None:
        self._seen: dict[Partition, _Seen] = {}
        self._looked_at: float | None = None
        self._unseen = 0.0  # seconds that do not count

    def see(self, at: float, positions: Mapping[Partition, int], lags: Mapping[Partition, int]) -> None:
        """Take in the positions of a group at a moment, and how many offsets lie behind each that are not only markers.

        Partitions that are no more among them are forgotten.
        """
        if self._looked_at is not None:
            self._unseen += max(0.0, at - self._looked_at - LONGEST_LOOK_SECONDS)
        self._looked_at = at
        self._seen = {place: self._seen.get(place) or _Seen() for place in positions}
        for place, offset in positions.items():
            self._seen[place].see(at - self._unseen, offset, lags.get(place, 0))

    def status(self, now: float, *, members: bool) -> Status:
        """The worst of its partitions; well if it has none."""
        now -= self._unseen
        found = {status(one.commits, one.behind_since, now, members=members) for one in self._seen.values()}
        return max(found, key=WORSE.index, default=Status.OK)


class _Seen:
    """What was seen of a group in one partition."""

    __slots__ = ("behind_since", "commits")

    def __init__(self) -> None:
        self.commits: deque[Commit] = deque(maxlen=WINDOW)
        self.behind_since: float | None = None

    def see(self, at: float, offset: int, lag: int) -> None:
        if not self.commits or self.commits[-1].offset != offset:
            self.commits.append(Commit(at, offset, lag))
            self.behind_since = None
        if not lag:
            self.behind_since = None
        elif self.behind_since is None:
            self.behind_since = at
