"""The bus's own small topics, read on from round to round: catalogues, lane plans, what lanes report, redrives."""

from collections.abc import Callable, Mapping
from typing import Final

from lintas import names
from lintas.settings import Settings
from schemas.catalogue_log import CatalogueLog, Pointer
from schemas.cluster import Cluster, Partition
from schemas.lane_plans import LanePlans
from schemas.snapshot import Snapshot
from schemas.topic_reader import messages_from
from streams.redrive_log import Redrives
from streams.status import LanesStatus

TOPICS: Final = (names.CATALOGUE, names.LANES_PLANS, names.LANES_STATUS, names.REDRIVES)


class BusLogs:
    """What they say, as far as they are read.

    Attributes:
        plans: of lanes.
        redrives: what was decided about letters.
        status: what lanes reported.
        current: the catalogue in force.
    """

    def __init__(self, settings: Settings, cluster: Cluster) -> None:
        """Nothing is read yet."""
        self._settings, self._cluster = settings, cluster
        self._begin()

    def _begin(self) -> None:
        self._positions: dict[Partition, int] = {}
        self._catalogues = CatalogueLog()
        self._reports: dict[bytes, bytes] = {}
        self.plans = LanePlans()
        self.redrives = Redrives()
        self.status = LanesStatus.from_records({})
        self.current: tuple[Pointer, Snapshot] | None = None

    def read_on(self, topics: Mapping[str, int]) -> None:
        """Take in what is new; ``topics`` are all that there are.

        Raises:
            BusUnavailable: Kafka does not answer.
            LintasError: a record is not what it should be.
        """
        ends = self._cluster.committed_ends([(topic, 0) for topic in TOPICS if topic in topics])
        if any(self._positions.get(place, 0) > end for place, end in ends.items()):
            self._begin()  # a topic was made anew
        unread = {place: self._positions.get(place, 0) for place in ends}
        new = {place: start for place, start in unread.items() if start < ends[place]}
        takers: dict[str, Callable[[int, bytes, bytes | None], None]] = {
            names.CATALOGUE: lambda _, key, value: self._catalogues.add(key, value),
            names.LANES_PLANS: lambda _, key, value: self.plans.add(key, value),
            names.LANES_STATUS: self._report,
            names.REDRIVES: self.redrives.add,
        }
        for message in messages_from(self._settings, names.ADMIN, new, {place: ends[place] for place in new}):
            topic, offset = message.topic(), message.offset()
            assert topic is not None and offset is not None, "a record has a place"  # noqa: PT018  one thing
            takers[topic](offset, message.key() or b"", message.value())
            self._positions[topic, 0] = offset + 1
        self._positions.update(ends)
        if (names.LANES_STATUS, 0) in new:
            self.status = LanesStatus.from_records(self._reports)
        pointer = self._catalogues.current
        if pointer is not None and (self.current is None or self.current[0] != pointer):
            self.current = pointer, self._catalogues.snapshot(pointer.manifest)

    def _report(self, _: int, key: bytes, value: bytes | None) -> None:
        if value is None:
            self._reports.pop(key, None)
        else:
            self._reports[key] = value
