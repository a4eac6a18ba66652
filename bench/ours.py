"""Ours: ``lintas worker`` as production runs it."""

import os
import subprocess
import sys
from collections.abc import Sequence

from bench.contender import Contender, Failed, Pace
from bench.jobs import Desk, Job
from bench.stage import Stage
from lintas import names


class Ours(Contender):
    """The bus itself, with all that it does: catalogue, duplicates, dead letters, salted commitments."""

    share = 1.0
    caveat = ""
    audits_each = False

    def __init__(self, workers: int = 1) -> None:
        """``workers`` is the number of processes."""
        self.name = "Lintas" if workers == 1 else f"Lintas, {workers} workers"
        self._workers = workers

    def lacks(self) -> str | None:
        """Nothing: it was installed with the bench."""
        return None

    def prepare(self, stage: Stage, job: Job) -> None:
        """The catalogue has made everything."""

    def group(self, job: Job) -> str:  # noqa: ARG002  one for all
        """The lanes' positions."""
        return names.LANES_OFFSETS_GROUP

    def inbox(self, job: Job, desk: Desk) -> str:  # noqa: ARG002  a desk has one inbox
        """The consumer's inbox."""
        return names.inbox_topic(desk.system)

    def audit(self, job: Job) -> str:  # noqa: ARG002  one for all
        """The bus's audit topic."""
        return names.AUDIT_DECISIONS

    def rewind(self, stage: Stage, job: Job, events: int) -> None:
        """Lanes go on where they are; that must be just ``events`` before the end."""
        partitions = stage.partitions(job)
        ends, committed = stage.cluster.ends(partitions), stage.cluster.committed(self.group(job), partitions)
        behind = sum(ends[partition] - committed[partition] for partition in partitions)
        if behind != events:
            raise Failed(f"{behind:,} events wait for the lanes, and not {events:,}")

    def start(self, stage: Stage, job: Job, pace: Pace) -> Sequence[subprocess.Popen[bytes]]:  # noqa: ARG002  its own
        """One worker process, or several."""
        with stage.log(self.name).open("ab") as log:
            return [
                subprocess.Popen(
                    [sys.executable, "-m", "lintas", "worker", "--log-level", "error"],
                    env={**os.environ, "LINTAS_HOME": str(stage.settings.home)},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )
                for _ in range(self._workers)
            ]
