"""Whoever does the work: what the bench asks of ours and of every peer."""

import dataclasses
import subprocess
from collections.abc import Sequence
from typing import Protocol

from bench.jobs import Desk, Job
from bench.stage import Stage


@dataclasses.dataclass(frozen=True)
class Pace:
    """How often a contender that commits by the clock commits, in milliseconds."""

    commit_ms: int


THROUGHPUT = Pace(500)
LATENCY = Pace(100)


class Contender(Protocol):
    """One program that carries events.

    Attributes:
        name: in tables.
        share: of the events that it is given, so that slow programs take no longer than fast ones.
        caveat: what it does not do of the jobs; empty if it does all.
        audits_each: whether it writes one audit record for each event, and not one for each batch.
    """

    name: str
    share: float
    caveat: str
    audits_each: bool

    def lacks(self) -> str | None:
        """Why it cannot run on this machine, or None. Called first; may build the program."""

    def prepare(self, stage: Stage, job: Job) -> None:
        """Called once for each job, before its first round: create topics and the like."""

    def group(self, job: Job) -> str:
        """The consumer group whose committed offsets tell how far it is, since the last ``rewind``."""

    def inbox(self, job: Job, desk: Desk) -> str:
        """The topic to which it brings a consumer's events."""

    def audit(self, job: Job) -> str:
        """The topic of its audit records."""

    def rewind(self, stage: Stage, job: Job, events: int) -> None:
        """Make the last ``events`` of the topic its backlog.

        Raises:
            Failed: it cannot begin there.
        """

    def start(self, stage: Stage, job: Job, pace: Pace) -> Sequence[subprocess.Popen[bytes]]:
        """Start its processes; what they print goes to :meth:`Stage.log`."""


class Failed(Exception):
    """A contender did not do its work: it ended, got stuck, or brought something else than it had to."""
