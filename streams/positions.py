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
from streams.batch import Partition
from streams.records import InputRecord
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
    while pending and not closing.is_set():
        for partition, read in (await consumer.getmany(timeout_ms=POLL_MS)).items():
            window = windows[partition.topic, partition.partition]
            for batch in read:
                for record in batch.records(partition.topic, partition.partition):
                    if record.offset < wanted[partition]:
                        _refill(window, record)
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


def _refill(window: DuplicateWindow, record: InputRecord) -> None:
    if window.is_malformed(record.offset):
        return
    try:
        envelope = parse(record.headers, record.value)
    except MalformedEvent:
        return  # malformed long ago, and out of reach of the committed position's metadata
    window.is_repeat(record.offset, record.timestamp_ms, identity(envelope.source.encode(), envelope.id.encode()))
