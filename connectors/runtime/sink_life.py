"""A sink at work: the deliveries of its system's inbox, batch by batch, and how far it is."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from lintas_client import Delivery, kafka
from lintas_client.delivery import delivery
from lintas_client.wire.errors import MalformedEvent

from connectors.runtime.contract import Bounded, Holding, Sink
from connectors.runtime.inbox import InboxReader
from connectors.runtime.life import Given, until
from lintas import names
from lintas.errors import ConnectorFailed
from streams.positions import stop_quietly

MOST_DELIVERIES: Final = 1_000
IDLE_SECONDS: Final = 1.0
FULL_SECONDS: Final = 0.2  # until a sink that is full is asked again whether it has room
_Positions = dict[TopicPartition, int]


async def run_sink(sink: Sink, given: Given) -> None:
    """Run a sink: see `Life`."""
    opened = await given.journal.open(given.worker)
    topic = names.inbox_topic(given.context.system)
    places = [TopicPartition(topic, number) for number in await given.journal.partitions(topic)]
    reader = InboxReader(given.context)
    consumer = _consumer(given)
    try:
        own = await sink.start(opened.progress, reader)
        kept = opened.kept.positions if opened.kept else {}
        positions = (
            own if own is not None else {place: kept[place.partition] for place in places if place.partition in kept}
        )
        await kafka.start(consumer, given.context.connection)
        consumer.assign(places)
        for place, offset in (await _begin(consumer, given, places, positions)).items():
            consumer.seek(place, offset)
        given.running()
        turns = _Turns(sink, given, consumer)
        while not given.stopping.is_set():
            given.observer.beat()
            await turns.next()
    finally:
        try:
            await sink.stop()
        finally:
            await asyncio.gather(stop_quietly(consumer), reader.close())


def _consumer(given: Given) -> AIOKafkaConsumer:
    return AIOKafkaConsumer(
        **given.context.connection.kafka_options(),
        isolation_level="read_committed",
        auto_offset_reset="none",
        enable_auto_commit=False,
        max_partition_fetch_bytes=4 * 1024 * 1024,
    )


async def _begin(
    consumer: AIOKafkaConsumer, given: Given, places: list[TopicPartition], positions: Mapping[TopicPartition, int]
) -> _Positions:
    """Where to begin: where it was, or at the beginning; what has expired meanwhile is told of.

    Raises:
        ConnectorFailed: the inbox ends before where it was: it is another one.
    """
    first = await consumer.beginning_offsets(places)
    end = await consumer.end_offsets(places)
    begin = {}
    for place in places:
        at = positions.get(place, 0)
        if at > end[place]:
            raise ConnectorFailed(
                connector=given.who.connector,
                reason=f"it is at offset {at} of {place.topic} [{place.partition}], which ends at {end[place]}",
                remedy="if the inbox was made anew, stop the connector and have its progress forgotten (`lintas "
                "connector forget`), which tells what to do instead if it keeps that with its data: it begins anew.",
            )
        if 0 < at < first[place]:
            given.context.log.error(
                "%s [%d] was emptied from offset %d to %d before they were given; `lintas replay` brings them again",
                place.topic,
                place.partition,
                at,
                first[place],
            )
        begin[place] = max(at, first[place])
    return begin


class _Turns:
    """What a sink does turn by turn: it is given deliveries, or time."""

    def __init__(self, sink: Sink, given: Given, consumer: AIOKafkaConsumer) -> None:
        self._sink, self._given, self._consumer = sink, given, consumer
        self._idle_at = time.monotonic() + IDLE_SECONDS

    async def next(self) -> None:
        """One turn; about every second the sink gets time, whatever is delivered."""
        if room := self._room():
            await self._deliver(room)
        else:
            await until(self._given.stopping, asyncio.sleep(FULL_SECONDS))
        if not room or time.monotonic() >= self._idle_at:
            await self._write(await self._sink.idle(), {})
            self._idle_at = time.monotonic() + IDLE_SECONDS
        if isinstance(self._sink, Holding):
            self._given.observer.holds(self._given.who, self._sink.holding())

    def _room(self) -> int:
        return min(MOST_DELIVERIES, self._sink.room()) if isinstance(self._sink, Bounded) else MOST_DELIVERIES

    async def _deliver(self, room: int) -> None:
        wait_ms = max(1, int(1000 * (self._idle_at - time.monotonic())))
        found = await until(self._given.stopping, self._consumer.getmany(timeout_ms=wait_ms, max_records=room))
        if not found:
            return
        deliveries = [await _delivery(self._given, record) for records in found.values() for record in records]
        positions = {place: await self._consumer.position(place) for place in found}
        begun = time.monotonic()
        progress = await self._sink.deliver(deliveries, positions)
        took = time.monotonic() - begun
        await self._write(progress, positions)
        self._given.observer.delivered(self._given.who, len(deliveries), took)

    async def _write(self, progress: Mapping[str, Any], positions: Mapping[TopicPartition, int]) -> None:
        if progress or positions:
            await self._given.journal.write((), progress, positions)
            self._given.observer.committed(self._given.who)


async def _delivery(given: Given, record: Any) -> Delivery:
    try:
        return await delivery(record, given.context.registry)
    except (MalformedEvent, LookupError) as error:
        raise ConnectorFailed(
            connector=given.who.connector,
            reason=f"the record at {record.topic} [{record.partition}] offset {record.offset} cannot be read: {error}",
            remedy="show this to the operator of the bus: somebody else wrote to the inbox, or a schema was lost.",
        ) from error
