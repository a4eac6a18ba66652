"""When the oldest record was written that a group has not committed: read from Kafka, only where there is more to read.

What lies behind a position may be nothing but markers of transactions, or records of a transaction that was aborted;
only reading tells.
"""

import dataclasses
import time
from collections.abc import Mapping
from typing import Final

from confluent_kafka import Consumer, KafkaError, TopicPartition

from lintas.settings import Settings
from schemas.cluster import Partition, options

PROBE_SECONDS: Final = 3.0
POLL_SECONDS: Final = 0.05
Spot = tuple[Partition, int]  # a partition, and a position in it


@dataclasses.dataclass(frozen=True, slots=True)
class Known:
    """What is known of the offsets behind a position.

    Attributes:
        written_ms: when the first record was written, in milliseconds since 1970; None: there is none so far.
        upto: before this offset there is no committed record.
        sure: whether it was read; if not, ``written_ms`` is when it was first asked for in vain.
    """

    written_ms: int | None
    upto: int
    sure: bool = True


class Oldest:
    """Reads the first record behind positions and remembers it as long as the position stays."""

    def __init__(self, settings: Settings) -> None:
        """Nothing is connected before the first question."""
        self._settings = settings
        self._consumer: Consumer | None = None
        self._known: dict[Spot, Known] = {}

    def written_ms(self, spots: Mapping[Spot, int]) -> dict[Spot, int]:
        """When the first record behind each position was written, in milliseconds since 1970.

        Args:
            spots: positions with the ends of their partitions.

        Returns:
            left out are those behind which no committed record lies.
        """
        known = {spot: self._known[spot] for spot in spots if spot in self._known}
        left = {}
        for spot, end in spots.items():
            one = known.get(spot)
            if one is None or not one.sure or (one.written_ms is None and one.upto < end):
                left[spot] = spot[1] if one is None else one.upto
        deadline = time.monotonic() + PROBE_SECONDS
        while left and time.monotonic() < deadline:
            portion = {partition: (partition, position) for partition, position in left}  # one position of each
            found = self._probe({spot[0]: left[spot] for spot in portion.values()}, deadline)
            for partition, spot in portion.items():
                if partition in found:
                    known[spot] = found[partition]
                    del left[spot]
        now_ms = time.time_ns() // 1_000_000
        for spot, start in left.items():
            known.setdefault(spot, Known(now_ms, start, sure=False))
        self._known = known
        return {spot: one.written_ms for spot, one in known.items() if one.written_ms is not None}

    def _probe(self, starts: Mapping[Partition, int], deadline: float) -> dict[Partition, Known]:
        """Read the first committed record of partitions, as far as brokers answer in time."""
        if self._consumer is None:
            self._consumer = self._connect()
        consumer, found = self._consumer, dict[Partition, Known]()
        consumer.assign([TopicPartition(*place, offset) for place, offset in starts.items()])
        while len(found) < len(starts) and time.monotonic() < deadline:
            message = consumer.poll(POLL_SECONDS)
            if message is None:
                continue
            place, offset, error = (str(message.topic()), message.partition() or 0), message.offset(), message.error()
            if place in found or offset is None:
                continue
            if error is None:
                found[place] = Known(message.timestamp()[1], offset)
            elif error.code() == KafkaError._PARTITION_EOF:
                found[place] = Known(None, offset)
            else:
                continue  # asked again by librdkafka, until the deadline
            consumer.incremental_unassign([TopicPartition(*place)])
        consumer.unassign()
        return found

    def _connect(self) -> Consumer:
        return Consumer(
            options(self._settings)
            | {
                "group.id": "lintas.exporter",  # librdkafka wants one; nothing is joined or committed
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",  # where retention was faster than the group
                "fetch.wait.max.ms": 50,
                "max.partition.fetch.bytes": 16_384,  # a first batch comes whole however large it is
                "queued.min.messages": 1,
                "queued.max.messages.kbytes": 16_384,
            }
        )
