"""Counted batches on their way to Kafka: table, derived events and position in one transaction.

The transactional id is the same for every instance: whoever initialises it fences all earlier ones, and only then reads
the changelog. After any doubt the process ends; the next one begins from what was committed.
"""

import asyncio
import contextlib
import dataclasses
import datetime as dt
import json
import logging
import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.partitioner import DefaultPartitioner
from aiokafka.structs import OffsetAndMetadata
from faust.types import TP
from lintas_client.delivery import delivery
from lintas_client.preparation import prepare
from lintas_client.registry import Registry
from mode import Service

from lintas import names
from lintas.errors import OwnershipLost, TableLost
from lintas.settings import Settings
from streams.processors.counting import Computed, Registration, Tally, registration
from streams.processors.faust_parts import OwnedTable
from streams.processors.watched import Watched
from streams.producer import BATCH_BYTES, OnceProducer
from streams.record_format import content, filled_batches

log = logging.getLogger(__name__)

COMPUTED: Final = "id.go.bps.vital-statistics.computed.v1"
BATCH_EVENTS: Final = 1_000
BATCH_SECONDS: Final = 0.5  # how long counts may wait for more of the same day and province
QUEUE_EVENTS: Final = 5_000
IDLE_SECONDS: Final = 1.0
_Record = tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]


@dataclasses.dataclass(slots=True)
class InboxRecord:
    """A record of the inbox."""

    topic: str
    partition: int
    offset: int
    timestamp: int  # milliseconds
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


class Ledger(Service):  # type: ignore[misc]  # mode ships no types
    """Owns table and positions of one processor, from `own` to the end of the process."""

    def __init__(
        self,
        settings: Settings,
        system: str,
        table: OwnedTable,
        changelog: str,
        *,
        options: Mapping[str, Any],
        registry: Registry,
        watched: Watched,
        **kwargs: Any,
    ) -> None:
        """``options`` are aiokafka's connection arguments with the system's own credentials."""
        super().__init__(**kwargs)
        self._settings = settings
        self._system = system
        self._table = table
        self._changelog = changelog
        self._inbox = names.inbox_topic(system)
        self._options = options
        self._registry = registry
        self._watched = watched
        self._queue: asyncio.Queue[InboxRecord] = asyncio.Queue(QUEUE_EVENTS)
        self._partitioner = DefaultPartitioner()
        self._producer: OnceProducer | None = None
        self._tally: Tally | None = None
        self._changelog_partitions = 0
        self._positions: dict[TP, int] = {}
        self._lost = False

    async def own(self, partitions: set[TP]) -> Mapping[TP, int]:
        """Fence every earlier owner, then read the table: see `Owner.own`.

        Raises:
            OwnershipLost: partitions of the inbox are in other hands.
            TableLost: the changelog is empty, but the inbox has been counted before.
        """
        if self._producer is not None:  # Faust asks again when a rebalance has interrupted it
            return self._positions
        producer = OnceProducer(
            self._options,
            transactional_id=f"{self._system}.counts",
            client_id=self._system,
            transaction_timeout_seconds=self._settings.transaction_timeout_seconds,
        )
        self._producer = producer
        await producer.start()
        inbox = await producer.partitions_for(self._inbox)
        if inbox != {partition.partition for partition in partitions}:
            raise OwnershipLost(system=self._system, topic=self._inbox)
        changelog = await producer.partitions_for(self._changelog)
        self._changelog_partitions = len(changelog)
        self._table.load(await self._read_changelog(changelog))
        self._tally = Tally(self._table)
        self._positions = await self._positions_of(self._tally, partitions)
        log.info("%s: %d keys in the table, reading %s", self._system, len(self._table), self._inbox)
        return self._positions

    def lose(self) -> None:
        """Write nothing more: see `Owner.lose`."""
        self._lost = True

    async def put(self, record: InboxRecord) -> None:
        """Take a record to be counted; those of a partition come in order."""
        await self._queue.put(record)

    @Service.task  # type: ignore[untyped-decorator]  # mode ships no types
    async def carry(self) -> None:
        """Count and write, batch by batch; any exception ends the worker."""
        while not self.should_stop:
            batch = await self._next_batch()
            if self._producer is not None:
                self._watched.works()
            else:
                self._watched.waits("it has not been given its inbox yet")
            if self._lost:
                raise OwnershipLost(system=self._system, topic=self._inbox)
            if batch:
                await self._write(batch)

    async def on_stop(self) -> None:
        """Let go of the connections; what has not been written is counted again by the next owner."""
        if self._producer is not None:
            await self._producer.discard()
        await self._registry.close()

    async def _next_batch(self) -> list[InboxRecord]:
        batch: list[InboxRecord] = []
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(IDLE_SECONDS):
                batch.append(await self._queue.get())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(BATCH_SECONDS):
                while batch and len(batch) < BATCH_EVENTS:
                    batch.append(await self._queue.get())
        return batch

    async def _write(self, batch: list[InboxRecord]) -> None:
        assert self._producer is not None, "records come after own"
        assert self._tally is not None, "as above"
        for record in batch:
            self._tally.add(await self._registration(record))
        positions = self._tally.positions()
        computed = self._tally.close()
        at = dt.datetime.fromtimestamp(max(record.timestamp for record in batch) / 1000, dt.UTC)
        outputs: dict[TopicPartition, list[_Record]] = defaultdict(list)
        for key, value in self._table.take_changes().items():
            outputs[self._place(key)].append((key.encode(), _json(value), []))
        for counts in computed:
            partition, written = await self._event(counts, at)
            outputs[partition].append(written)
        await self._producer.transact(
            {
                partition: filled_batches([content(*record) for record in records], BATCH_BYTES)
                for partition, records in outputs.items()
            },
            {
                TopicPartition(self._inbox, number): OffsetAndMetadata(offset, "")
                for number, offset in positions.items()
            },
            self._system,
        )
        log.info("%s: %d events counted, %d new versions", self._system, len(batch), len(computed))

    async def _registration(self, record: InboxRecord) -> Registration:
        found = await delivery(record, self._registry)
        return registration(record.partition, record.offset, record.timestamp, found.event, found.data)

    async def _event(self, counts: Computed, at: dt.datetime) -> tuple[TopicPartition, _Record]:
        assert self._producer is not None, "records come after own"
        data = {
            "day": counts.day,
            "province": counts.province,
            "births": counts.births,
            "deaths": counts.deaths,
            "moves_in": counts.moves_in,
            "moves_out": counts.moves_out,
            "version": counts.version,
        }
        event = prepare(await self._registry.event_type(COMPUTED), self._system, data, id=counts.id, time=at)
        partitions = sorted(await self._producer.partitions_for(event.topic))
        partition = self._partitioner(event.key, partitions, partitions)
        return TopicPartition(event.topic, partition), (event.key, event.value, event.headers)

    def _place(self, key: str) -> TopicPartition:
        return TopicPartition(self._changelog, zlib.crc32(key.encode()) % self._changelog_partitions)

    async def _read_changelog(self, numbers: Iterable[int]) -> dict[str, Any]:
        """The newest value of every key. Nobody else can write any more, so the end stands still."""
        contents: dict[str, Any] = {}
        consumer = AIOKafkaConsumer(**self._options, isolation_level="read_committed", auto_offset_reset="earliest")
        await consumer.start()
        try:
            partitions = [TopicPartition(self._changelog, number) for number in numbers]
            consumer.assign(partitions)
            await consumer.seek_to_beginning(*partitions)
            ends = await consumer.end_offsets(partitions)
            while not all([await consumer.position(partition) >= end for partition, end in ends.items()]):
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    contents.update((record.key.decode(), _value(record.value)) for record in records)
        finally:
            await consumer.stop()
        return {key: value for key, value in contents.items() if value is not None}

    async def _positions_of(self, tally: Tally, partitions: set[TP]) -> dict[TP, int]:
        kept = tally.positions()
        consumer = AIOKafkaConsumer(**self._options, group_id=self._system, enable_auto_commit=False)
        await consumer.start()
        try:
            inbox = {partition: TopicPartition(partition.topic, partition.partition) for partition in partitions}
            consumer.assign(list(inbox.values()))
            if not kept and any([await consumer.committed(partition) for partition in inbox.values()]):
                raise TableLost(system=self._system, topic=self._changelog)
            first = await consumer.beginning_offsets(list(inbox.values()))
        finally:
            await consumer.stop()
        positions = {}
        for partition, there in inbox.items():
            positions[partition] = kept.get(partition.partition, 0)
            if 0 < positions[partition] < first[there]:
                log.error(
                    "%s: %s [%d] was emptied from offset %d to %d before it was counted; `lintas replay` brings the "
                    "deliveries of that time again, and none is counted twice",
                    self._system,
                    *there,
                    positions[partition],
                    first[there],
                )
            positions[partition] = max(positions[partition], first[there])
        return positions


def _json(value: Any) -> bytes | None:
    return None if value is None else json.dumps(value, separators=(",", ":")).encode()


def _value(text: bytes | None) -> Any:
    return None if text is None else json.loads(text)
