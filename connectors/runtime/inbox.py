"""Deliveries read again, beside the stream in which a sink is given them."""

from aiokafka import AIOKafkaConsumer, TopicPartition
from lintas_client import Delivery, kafka
from lintas_client.delivery import delivery

from connectors.runtime.context import Context
from connectors.runtime.contract import Inbox
from streams.positions import stop_quietly

POLL_MS = 500


class InboxReader(Inbox):
    """Reads single deliveries of a system's inbox; connects when it is first asked."""

    def __init__(self, context: Context) -> None:
        """``context`` is the sink's."""
        self._context = context
        self._consumer: AIOKafkaConsumer | None = None

    async def read_again(self, place: TopicPartition, offset: int) -> Delivery | None:
        """A delivery that was handed out before: see `Inbox`.

        Raises:
            MalformedEvent, LookupError, KafkaError: it is there and cannot be read.
        """
        consumer = self._consumer or await self._connect()
        if place not in consumer.assignment():
            consumer.assign([*consumer.assignment(), place])
        first = (await consumer.beginning_offsets([place]))[place]
        end = (await consumer.end_offsets([place]))[place]
        if not first <= offset < end:
            return None
        consumer.seek(place, offset)
        while True:
            records = (await consumer.getmany(place, timeout_ms=POLL_MS, max_records=1)).get(place, [])
            if records:
                found = records[0].offset == offset
                return await delivery(records[0], self._context.registry) if found else None
            if await consumer.position(place) > offset:
                return None  # there is no record: the end of a transaction, or what was aborted

    async def close(self) -> None:
        """Let go of the connection."""
        if self._consumer is not None:
            await stop_quietly(self._consumer)

    async def _connect(self) -> AIOKafkaConsumer:
        consumer = AIOKafkaConsumer(
            **self._context.connection.kafka_options(),
            isolation_level="read_committed",
            auto_offset_reset="none",
            enable_auto_commit=False,
        )
        await kafka.start(consumer, self._context.connection)
        self._consumer = consumer
        return consumer
