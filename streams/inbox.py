"""Looking into a consumer's inbox without disturbing its readers: a page at a time, within a budget of work."""

import dataclasses
import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Self

from lintas import names
from lintas.errors import BusUnavailable
from lintas.settings import Settings
from schemas.cluster import Cluster, Partition
from schemas.conditions import Condition, ConditionFailed
from schemas.registry import Registry
from schemas.snapshot import Snapshot
from schemas.wire import framing, json_data
from schemas.wire.codec import Codec
from schemas.wire.envelope import parse
from schemas.wire.errors import MalformedEvent
from streams.budget import Budget
from streams.masked import Sight
from streams.records import InputRecord
from streams.topics import records_between

PAGE: Final = 50
Positions = Mapping[int, int]  # by partition of the inbox


@dataclasses.dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery as it lies in the inbox.

    Attributes:
        partition, offset: where.
        at: when the bus delivered it.
        attributes: of the envelope; empty if it cannot be read.
        data: the payload as decoded; None if it cannot be read.
        codec: that decoded it; None likewise.
    """

    partition: int
    offset: int
    at: dt.datetime
    attributes: Mapping[str, str]
    data: Any
    codec: Codec | None

    def seen_by(self, sight: Sight) -> dict[str, Any] | None:
        """Attributes and data as JSON values, as somebody may see them; None if it cannot be read."""
        if self.codec is None:
            return None
        return sight.of(self.attributes, json_data.to_json(self.codec, self.data))


class Deliveries:
    """Reads records of inboxes.

    It knows the schemas of what the agreements in force release, and asks the registry for others.
    """

    def __init__(self, settings: Settings, snapshot: Snapshot) -> None:
        """``snapshot``: the catalogue in force."""
        self._settings = settings
        released = [one.released for one in snapshot.agreements.values()]
        self._schemas: dict[int, Any] = {one.id: one.schema for one in released}
        self._codecs: dict[int, Codec | None] = {}

    def read(self, record: InputRecord) -> Delivery:
        """A record as a delivery."""
        attributes: Mapping[str, str] = {}
        data, codec = None, None
        try:
            envelope = parse(record.headers, record.value)
            attributes = envelope.attributes
            schema_id, body = framing.unframe(envelope.data or b"")
            if (codec := self._codec(schema_id)) is not None:
                data = codec.decode(body)
        except MalformedEvent:
            codec = None
        at = dt.datetime.fromtimestamp(record.timestamp_ms / 1000, dt.UTC)
        return Delivery(record.partition, record.offset, at, attributes, data, codec)

    def _codec(self, schema_id: int) -> Codec | None:
        if schema_id not in self._codecs:
            self._codecs[schema_id] = None if (schema := self._schema(schema_id)) is None else Codec(schema)
        return self._codecs[schema_id]

    def _schema(self, schema_id: int) -> Any:
        if schema_id in self._schemas:
            return self._schemas[schema_id]
        try:
            with Registry(self._settings.registry) as registry:
                return registry.schema(schema_id)
        except BusUnavailable:
            return None


@dataclasses.dataclass(frozen=True, slots=True)
class Looked:
    """A page of an inbox.

    Attributes:
        deliveries: those that are shown, the newest first.
        looked_at: how many deliveries were.
        failed: of how many a condition could not be computed.
        newer: from where newer ones can be had.
        older: before where older ones can be had; None: there are none.
        cut: whether looking ended early for the budget.
    """

    deliveries: list[Delivery]
    looked_at: int
    failed: int
    newer: Positions
    older: Positions | None
    cut: bool


class Wanted:
    """Whether a delivery is looked for; counts those of which a condition cannot be computed."""

    def __init__(
        self, conditions: Mapping[str, Condition] | None = None, header: Callable[[Delivery], bool] | None = None
    ) -> None:
        """Find everything.

        Args:
            conditions: by agreement; deliveries of others are not found.
            header: looks at the rest of a delivery.
        """
        self._conditions, self._header = conditions, header
        self.failed = 0

    def __call__(self, delivery: Delivery) -> bool:
        """Whether it is looked for."""
        if self._header is not None and not self._header(delivery):
            return False
        if self._conditions is None:
            return True
        condition = self._conditions.get(delivery.attributes.get("agreement", ""))
        if condition is None or delivery.codec is None:
            return False
        try:
            return condition(delivery.attributes, delivery.data)
        except ConditionFailed:
            self.failed += 1
            return False


class Inbox:
    """The inbox of one system as Kafka has it now."""

    def __init__(self, settings: Settings, system: str, partitions: int, deliveries: Deliveries) -> None:
        """``partitions``: of the inbox, as the catalogue says."""
        self._settings, self._deliveries = settings, deliveries
        self._topic = names.inbox_topic(system)
        self._partitions = range(partitions)

    @property
    def _places(self) -> list[Partition]:
        return [(self._topic, number) for number in self._partitions]

    def newest(self, wanted: Wanted, budget: Budget, before: Positions | None = None, page: int = PAGE) -> Looked:
        """The newest deliveries that are looked for, of the last that the budget allows to look at.

        Raises:
            BusUnavailable: Kafka does not answer.
        """
        cluster = Cluster(self._settings)
        begin, ends = cluster.beginnings(self._places), cluster.committed_ends(self._places)
        newer = {number: end for (_, number), end in ends.items()}
        if before is not None:
            ends = {place: min(end, before.get(place[1], end)) for place, end in ends.items()}
        window = budget.most // len(self._partitions)
        starts = {place: min(max(begin[place], end - window), end) for place, end in ends.items()}
        found = self._found(wanted, budget(records_between(self._settings, starts, ends)))
        shown, left = _newest_first(found)[:page], _newest_first(found)[page:]
        again = {number: start for (_, number), start in starts.items()}
        for delivery in left:
            again[delivery.partition] = max(again[delivery.partition], delivery.offset + 1)
        has_older = any(offset > begin[self._topic, number] for number, offset in again.items())
        return Looked(shown, budget.records, wanted.failed, newer, again if has_older else None, budget.spent)

    def onward(self, wanted: Wanted, budget: Budget, start: Positions | dt.datetime | None, page: int = PAGE) -> Looked:
        """Deliveries from somewhere on, a page of them.

        ``start``: positions (of partitions that they do not name, none), a moment, or None for the beginning.

        Raises:
            BusUnavailable: Kafka does not answer.
        """
        cluster = Cluster(self._settings)
        begin, ends = cluster.beginnings(self._places), cluster.committed_ends(self._places)
        starts = dict(begin)
        if isinstance(start, dt.datetime):
            starts = ends | cluster.at_time(self._places, max(0, round(start.timestamp() * 1000)))
        elif start is not None:
            starts = {place: max(begin[place], start.get(place[1], end)) for place, end in ends.items()}
        newer = {place[1]: min(starts[place], ends[place]) for place in self._places}
        found: list[Delivery] = []
        full = False
        for record in budget(records_between(self._settings, starts, ends)):
            newer[record.partition] = record.offset + 1
            found += self._found(wanted, [record])
            if full := len(found) == page:
                break
        if not full and not budget.spent:
            newer = {place[1]: max(newer[place[1]], ends[place]) for place in self._places}
        return Looked(_newest_first(found), budget.records, wanted.failed, newer, None, budget.spent)

    def _found(self, wanted: Wanted, records: Iterable[InputRecord]) -> list[Delivery]:
        return [delivery for delivery in map(self._deliveries.read, records) if wanted(delivery)]


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """Positions as a form carries them: ``0:12,3:7``."""

    positions: Positions

    def __str__(self) -> str:
        """As text."""
        return ",".join(f"{partition}:{offset}" for partition, offset in sorted(self.positions.items()))

    @classmethod
    def read(cls, text: str) -> Self:
        """From text.

        Raises:
            ValueError: it is none.
        """
        pairs = (part.split(":") for part in text.split(",") if part)
        return cls({int(partition): int(offset) for partition, offset in pairs})


def _newest_first(found: Iterable[Delivery]) -> list[Delivery]:
    return sorted(found, key=lambda one: (one.at, one.partition, one.offset), reverse=True)
