"""Where everything is measured: one local bus with the bench's catalogue in force."""

import contextlib
import dataclasses
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from bench import catalogue
from bench.catalogue import EventTypes
from bench.jobs import Job
from lintas.errors import BusUnavailable
from lintas.local.bus import LocalBus
from lintas.settings import Settings
from schemas.cluster import Cluster, Partition
from schemas.provision import apply
from schemas.publication import read_current
from schemas.snapshot import Snapshot

TOPIC_SECONDS = 30.0


@dataclasses.dataclass
class Stage:
    """A running bus.

    Attributes:
        settings: of the bus.
        folder: for files of the bench; gone with the bus.
        snapshot: the catalogue in force.
        cluster: its administrator.
    """

    settings: Settings
    folder: Path
    snapshot: Snapshot
    cluster: Cluster

    def partitions(self, job: Job) -> list[Partition]:
        """The partitions of a job's events."""
        published = self.snapshot.event_types[job.event_type]
        return [(published.topic, number) for number in range(published.contract.partitions)]

    def log(self, name: str) -> Path:
        """Where the processes of a contender print to."""
        return self.folder / f"{name.replace(' ', '-')}.log"

    def ends(self, topics: Iterable[str]) -> dict[Partition, int]:
        """Where topics end."""
        counts = self.cluster.partitions()
        return self.cluster.ends((topic, number) for topic in topics for number in range(counts[topic]))

    def wait_for(self, topics: Iterable[str]) -> None:
        """Wait until topics that were just created can be used.

        Raises:
            BusUnavailable, KeyError: they cannot within half a minute.
        """
        deadline = time.monotonic() + TOPIC_SECONDS
        while True:
            try:
                self.ends(topics)
            except (BusUnavailable, KeyError):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
            else:
                return

    def put_in_force(self, jobs: Sequence[Job], layout: EventTypes | None = None) -> None:
        """Put another catalogue in force."""
        self.snapshot = _apply(self.settings, self.folder, jobs, layout)


@contextlib.contextmanager
def stage(jobs: Sequence[Job], layout: EventTypes | None = None, *, lanes: int | None = None) -> Iterator[Stage]:
    """Start a bus for ``jobs``; it is stopped and deleted at the end, however that comes.

    Args:
        jobs: each gets an event type.
        layout: of event types and inboxes.
        lanes: how many the bus has; the product's default if None.
    """
    with tempfile.TemporaryDirectory(prefix="lintas-bench-") as name:
        folder = Path(name)
        bus = LocalBus(folder / "bus")
        settings = bus.start(outlive=False)
        if lanes is not None:
            settings = Settings(home=settings.home, lanes=lanes)
        try:
            yield Stage(settings, folder, _apply(settings, folder, jobs, layout), Cluster(settings))
        finally:
            bus.stop()


def _apply(settings: Settings, folder: Path, jobs: Sequence[Job], layout: EventTypes | None) -> Snapshot:
    with tempfile.TemporaryDirectory(dir=folder) as files:
        apply(settings, catalogue.write(Path(files), jobs, layout), author="bench")
    current = read_current(settings)
    assert current is not None, "just applied"
    return current[1]
