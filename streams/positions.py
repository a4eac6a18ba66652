"""Where a lane stands in its input partitions, and the duplicate windows that belong to there."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import CoordinatorNotAvailableError
from aiokafka.structs import OffsetAndMetadata

from lintas import names
from lintas.errors import OffsetLost
from schemas.wire.envelope import parse
from schemas.wire.errors import MalformedEvent
from streams.crashes import problem_of
from streams.envelope_shapes import KnownEnvelopes
from streams.record_format import RawBatch
from streams.slots import Partition
from streams.window import DuplicateWindow, identity

POLL_MS = 200
STOP_SECONDS = 5.0


async def committed_positions(
    options: Mapping[str, Any], lane: int, partitions: Iterable[Partition]
) -> dict[Partition, OffsetAndMetadata]:
    """The committed position of every partition; to be asked for only once earlier owners of the lane are fenced.

    Raises:
        OffsetLost: a partition has none: `apply` commits the first, so the brokers forgot it.
        KafkaError: the brokers cannot be asked.
    """
    wanted = [TopicPartition(*partition) for partition in partitions]
    if not wanted:
        return {}
    admin = AIOKafkaAdminClient(**options)
    await admin.start()
    try:
        found = await admin.list_consumer_group_offsets(names.LANES_OFFSETS_GROUP, partitions=wanted)
    finally:
        await admin.close()
    committed = {}
    for partition in wanted:
        position = found.get(partition)
        if position is None:  # aiokafka overlooks an error of the whole answer: the coordinator is loading or moved
            raise CoordinatorNotAvailableError
        if position.offset < 0:
            raise OffsetLost(lane=lane, topic=partition.topic, partition=partition.partition)
        committed[partition.topic, partition.partition] = position
    return committed


async def fill_windows(
    consumer: AIOKafkaConsumer,
    windows: Mapping[Partition, DuplicateWindow],
    positions: Mapping[Partition, int],
    *,
    records: int,
    closing: asyncio.Event,
) -> None:
    """Read the records before each position again: a window is a function of them.

    Leaves the consumer somewhere: seek every partition to its position afterwards.

    Args:
        consumer: of raw batches (``raw_fetch``), with every partition of ``positions`` assigned.
        windows: to be filled, by partition; empty but for what ``restore`` knew.
        positions: of every assigned partition.
        records: how far a window reaches back.
        closing: set when the lane is to stop; the windows are of no use then.
    """
    wanted = {TopicPartition(*partition): positions[partition] for partition in windows}
    beginnings = await consumer.beginning_offsets(list(wanted)) if wanted else {}
    pending = {
        partition for partition, position in wanted.items() if max(beginnings[partition], position - records) < position
    }
    for partition in consumer.assignment():
        start = positions[partition.topic, partition.partition]
        if partition in pending:
            start = max(beginnings[partition], start - records)
        else:
            consumer.pause(partition)
        consumer.seek(partition, start)
    refills = {
        partition: Refill(windows[partition.topic, partition.partition], partition, wanted[partition])
        for partition in wanted
    }
    while pending and not closing.is_set():
        for partition, read in (await consumer.getmany(timeout_ms=POLL_MS)).items():
            for batch in read:
                refills[partition].take(batch)
                await asyncio.sleep(0)  # heartbeats
        for partition in list(pending):
            if await consumer.position(partition) >= wanted[partition]:
                pending.discard(partition)
                consumer.pause(partition)
    consumer.resume(*consumer.assignment())


async def stop_quietly(consumer: AIOKafkaConsumer) -> None:
    """Stop a consumer in a task of its own: aiokafka's raises CancelledError where a broker is away."""
    task = asyncio.create_task(consumer.stop())
    await asyncio.wait([task], timeout=STOP_SECONDS)
    if not task.done():
        task.cancel()
    elif not task.cancelled():
        task.exception()  # known: whatever it was, the consumer is let go


class Refill:
    """Puts into a window what stands before a position; most records are known by the shape of their headers alone."""

    def __init__(self, window: DuplicateWindow, partition: TopicPartition, position: int) -> None:
        """``window`` knows already which records before ``position`` are malformed."""
        self._window = window
        self._partition = partition
        self._position = position
        self._envelopes = KnownEnvelopes()

    def take(self, raw: RawBatch) -> None:
        """Take the records of a batch, those before the position."""
        raw.open()
        known, data = self._envelopes, raw.data
        while raw.left:
            start, raw.left = raw.at, raw.left - 1
            offset, published_ms, headers, raw.at = raw.headers_at(start)
            if not raw.from_offset <= offset < self._position or self._window.is_malformed(offset):
                continue
            found = known.latest(data, headers, raw.at)
            if found is None or found[0] not in known.sources:
                found = known.attributes_of(data, headers, raw.at)
            event = self._in_full(raw, start) if found is None else identity(found[0], found[1])
            if event is not None:
                self._window.is_repeat(offset, published_ms, event)

    def _in_full(self, raw: RawBatch, start: int) -> bytes | None:
        """The identity of an event whose headers look unlike any before; None if it is malformed."""
        record, _ = raw.record_at(start, *self._partition)
        try:
            envelope = parse(record.headers, record.value)
            self._envelopes.learn(record)
        except MalformedEvent:
            return None  # malformed long ago, and out of reach of the committed position's metadata
        except Exception as error:  # noqa: BLE001  whatever it is, the lane must be able to start
            problem_of(error)
            return None  # quarantined at that time for the same reason
        return identity(envelope.source.encode(), envelope.id.encode())
