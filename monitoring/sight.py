"""One look at Kafka from outside: what there is, how far everybody is, since when what is behind has waited."""

import asyncio
import dataclasses
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from confluent_kafka.admin import ClusterMetadata

from lintas import names
from lintas.settings import Settings
from monitoring.bus_logs import BusLogs
from monitoring.group_status import GroupHistory, Status
from monitoring.letters_waiting import PREFIXES, LettersWaiting
from monitoring.oldest import Oldest, Spot
from monitoring.positions import Positions
from schemas.cluster import Cluster, Partition
from schemas.snapshot import Snapshot
from streams.overview import input_partitions

ANSWER_SECONDS: Final = 5.0  # within which Kafka must answer the first question of a look


@dataclasses.dataclass(frozen=True, slots=True)
class Standing:
    """How far a group is in one partition.

    Attributes:
        behind: offsets between its position and the end, markers included.
        written_ms: when the oldest record that it has not committed was written; None: there is none.
    """

    behind: int
    written_ms: int | None


@dataclasses.dataclass(frozen=True, slots=True)
class Group:
    """A group as it was seen.

    Attributes:
        consumer: the system whose inbox it reads; empty for the lanes.
        places: how far it is, by partition; only those in which it has ever committed a position.
        members: how many there are.
        status: over its last commits.
    """

    consumer: str
    places: Mapping[Partition, Standing]
    members: int
    status: Status


@dataclasses.dataclass(frozen=True, slots=True)
class Sight:
    """What was seen in one look."""

    metadata: ClusterMetadata
    controller: bool  # whether there is one
    logs: BusLogs
    ends: Mapping[Partition, int]
    lanes: Group
    readers: Mapping[str, Group]
    letters: Mapping[str, int]  # that wait, by topic
    workers: int


class Looker:
    """Looks again and again, and remembers from look to look what that spares."""

    def __init__(self, settings: Settings) -> None:
        """Connect to Kafka; nothing is asked yet."""
        self._settings = settings
        self._cluster = Cluster(settings)
        self._positions = Positions(settings)
        self._oldest = Oldest(settings)
        self._logs = BusLogs(settings, self._cluster)
        self._letters = LettersWaiting(settings, self._cluster)
        self._histories: dict[str, GroupHistory] = {}

    async def look(self) -> Sight:
        """One look.

        Raises:
            BusUnavailable: Kafka does not answer.
            LintasError: one of the bus's own topics is not what it should be.
        """
        metadata = await asyncio.to_thread(self._cluster.metadata, ANSWER_SECONDS)
        topics = {name: len(topic.partitions) for name, topic in metadata.topics.items()}
        await asyncio.to_thread(self._logs.read_on, topics)
        snapshot = self._logs.current[1] if self._logs.current else None
        places = _led(metadata)
        inputs = [place for place in (input_partitions(snapshot) if snapshot else []) if place in places]
        readers = _readers(await asyncio.to_thread(self._cluster.groups), snapshot)
        inboxes = {group: _inbox(consumer, topics, places) for group, consumer in readers.items()}
        positions = await self._positions.of(
            {names.LANES_OFFSETS_GROUP: inputs, **inboxes}
        )  # before the ends: nobody is ahead of an end
        controller = await self._positions.controllers_have_leader()
        return await asyncio.to_thread(self._see, metadata, controller, readers, positions, places)

    async def close(self) -> None:
        """Let connections go."""
        await self._positions.close()

    def _see(
        self,
        metadata: ClusterMetadata,
        controller: bool,
        readers: Mapping[str, str],
        positions: Mapping[str, dict[Partition, int]],
        places: set[Partition],
    ) -> Sight:
        ends = self._cluster.ends(places)
        plan = self._logs.plans.latest
        members = self._cluster.members_of([*readers, *([plan.group] if plan else [])])
        workers = members.pop(plan.group) if plan else 0
        behind = {
            group: {place: max(0, ends[place] - position) for place, position in found.items()}
            for group, found in positions.items()
        }
        spots: dict[Spot, int] = {
            (place, positions[group][place]): ends[place]
            for group, lags in behind.items()
            for place, lag in lags.items()
            if lag
        }
        written = self._oldest.written_ms(spots)
        standings = {
            group: {place: Standing(lag, written.get((place, positions[group][place]))) for place, lag in lags.items()}
            for group, lags in behind.items()
        }
        counted = {names.LANES_OFFSETS_GROUP: workers, **members}
        self._histories = {group: self._histories.get(group) or GroupHistory() for group in counted}
        seen = {
            group: Group(
                readers.get(group, ""),
                standings.get(group, {}),
                counted[group],
                self._status(group, positions.get(group, {}), standings.get(group, {}), counted[group]),
            )
            for group in counted
        }
        letters = [place for place in places if place[0].startswith(PREFIXES)]
        waiting = self._letters.count(self._cluster.committed_ends(letters), self._logs.redrives)
        lanes = seen.pop(names.LANES_OFFSETS_GROUP)
        return Sight(metadata, controller, self._logs, ends, lanes, seen, waiting, workers)

    def _status(
        self, group: str, positions: Mapping[Partition, int], standings: Mapping[Partition, Standing], members: int
    ) -> Status:
        now = time.monotonic()
        history = self._histories[group]
        records = {place: one.behind for place, one in standings.items() if one.written_ms is not None}
        history.see(now, positions, records)
        return history.status(now, members=members > 0)


def _led(metadata: ClusterMetadata) -> set[Partition]:
    """Every partition that has a leader, and so an end that can be asked for; Kafka's own topics left out."""
    return {
        (name, number)
        for name, topic in metadata.topics.items()
        if not name.startswith("__")
        for number, partition in topic.partitions.items()
        if partition.leader >= 0
    }


def _readers(groups: Iterable[str], snapshot: Snapshot | None) -> dict[str, str]:
    """The system whose inbox each group may read: its own id, or that and a dot and more (as the ACLs say)."""
    consumers = snapshot.consumers() if snapshot else set()
    owners = ((group, ".".join(group.split(".")[:2])) for group in sorted(groups))
    return {group: owner for group, owner in owners if owner in consumers}


def _inbox(consumer: str, topics: Mapping[str, int], places: set[Partition]) -> list[Partition]:
    topic = names.inbox_topic(consumer)
    return [place for place in _numbered(topic, topics.get(topic, 0)) if place in places]


def _numbered(topic: str, count: int) -> Iterator[Partition]:
    return ((topic, number) for number in range(count))
