"""Waiting until everything published is decided, what processors derive of it included."""

import time
from collections.abc import Callable, Collection
from typing import Final

from lintas import names
from lintas.errors import LocalBusError
from lintas.settings import Settings
from schemas.cluster import Cluster, Partition
from schemas.snapshot import Snapshot
from streams.topics import records_from

POLL_SECONDS: Final = 0.5
_WORTH_COUNTING: Final = 1_000  # so far from the end, it does not matter what is an event and what is not
Progress = Callable[[int], None]


class Settling:
    """Who has still to read what."""

    def __init__(self, settings: Settings, snapshot: Snapshot, processors: Collection[str]) -> None:
        """``processors`` are systems that derive events; each reads its inbox in the group of its own name."""
        self._settings = settings
        self._cluster = Cluster(settings)
        self._inputs = [
            (event_type.topic, partition)
            for event_type in snapshot.event_types.values()
            for partition in range(event_type.contract.partitions)
        ]
        self._inboxes = {
            system: [
                (names.inbox_topic(system), partition) for partition in range(snapshot.system(system).inbox_partitions)
            ]
            for system in processors
        }

    def wait(self, seconds: float, progress: Progress) -> None:
        """Return once nothing is left to decide and no processor will publish more.

        ``progress`` is told how many events are undecided.

        Raises:
            LocalBusError: something is left after ``seconds``.
        """
        deadline = time.monotonic() + seconds
        while True:
            undecided = self._unread(names.LANES_OFFSETS_GROUP, self._inputs)
            progress(undecided)
            waiting_for = f"{undecided:,} events are not decided" if undecided else self._unprocessed()
            # What a processor published together with its position is there by now: ask once more.
            if not waiting_for and not self._unread(names.LANES_OFFSETS_GROUP, self._inputs):
                return
            if time.monotonic() > deadline:
                raise LocalBusError(
                    reason=f"after {seconds:.0f} s, {waiting_for or 'derived events are not decided'}",
                    remedy=f"look at the logs in {self._settings.home / 'logs'}.",
                )
            time.sleep(POLL_SECONDS)

    def _unprocessed(self) -> str:
        for system, inbox in self._inboxes.items():
            if unread := self._unread(system, inbox):
                return f"{unread:,} deliveries are not read by {system}"
        return ""

    def _unread(self, group: str, partitions: Collection[Partition]) -> int:
        """How many records a group has still to read; ends of transactions at the end of a partition are none."""
        committed = self._cluster.committed(group, partitions)
        ends = self._cluster.ends(partitions)
        behind = {
            partition: committed.get(partition, 0)
            for partition in partitions
            if committed.get(partition, 0) < ends[partition]
        }
        far_behind = sum(ends[partition] - position for partition, position in behind.items())
        if far_behind > _WORTH_COUNTING:
            return far_behind
        return sum(1 for _ in records_from(self._settings, behind))
