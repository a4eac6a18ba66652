"""The topic of one system's connectors: read to its end, followed, written."""

import asyncio
import contextlib
import json
import logging
from collections.abc import Callable
from typing import Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError
from lintas_client import Connection, kafka

from connectors.runtime.state import OWNER, ConnectorsState
from lintas import names
from schemas.connector_configs import UNREADABLE, Record
from streams.positions import stop_quietly

log = logging.getLogger(__name__)

READ_SECONDS: Final = 30.0  # longer than brokers take to abandon the transaction of a process that has died
POLL_MS: Final = 500
RETRY_SECONDS: Final = 1.0


class SystemLog:
    """What one system's topic says, from `start` to `stop`."""

    def __init__(self, connection: Connection, changed: Callable[[], None] = lambda: None) -> None:
        """``changed`` is called whenever something new was read."""
        self.state = ConnectorsState()
        self._connection = connection
        self._place = TopicPartition(names.connectors_topic(connection.system), 0)
        self._changed = changed
        self._consumer = AIOKafkaConsumer(
            **connection.kafka_options(),
            isolation_level="read_committed",
            auto_offset_reset="earliest",
            enable_auto_commit=False,
        )
        # Repeats of what is compacted do no harm: no idempotence is needed.
        self._producer = AIOKafkaProducer(**connection.kafka_options(), acks="all")
        self._read_to = 0
        self._progress = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Read what there is, and begin to follow.

        Raises:
            ClientError: the bus does not let the system in.
            KafkaError, TimeoutError: the brokers cannot be asked.
        """
        await kafka.start(self._producer, self._connection)
        await kafka.start(self._consumer, self._connection)
        self._consumer.assign([self._place])
        await self._consumer.seek_to_beginning(self._place)
        self._task = asyncio.create_task(self._follow(), name=f"log of {self._connection.system}")
        async with asyncio.timeout(READ_SECONDS):
            end = (await self._consumer.end_offsets([self._place]))[self._place]
        await self._read_past(end - 1)

    async def stop(self) -> None:
        """Follow no more."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})
        await stop_quietly(self._consumer)
        with contextlib.suppress(TimeoutError, KafkaError):
            async with asyncio.timeout(READ_SECONDS):
                await self._producer.stop()

    def check(self) -> None:
        """See that the topic is followed.

        Raises:
            Exception: what ended that.
        """
        if self._task is not None and self._task.done():
            self._task.result()

    async def write(self, *records: Record) -> None:
        """Write records in order; what they say is in ``state`` when this returns.

        Raises:
            KafkaError, TimeoutError: Kafka does not take them, or nobody knows whether it did.
        """
        offset = -1
        async with asyncio.timeout(READ_SECONDS):
            for key, value in records:
                sent = await self._producer.send_and_wait(self._place.topic, value, key, partition=0)
                offset = sent.offset
        await self._read_past(offset)

    async def settle(self, worker: str) -> None:
        """Return once everything that was written to the topic before this call is decided and read.

        Committed records are read in the order of the log, and none before an open transaction of another connector
        has ended. So what is behind a mark of our own is known once the mark itself is read; to ask where the
        committed records end would not do.

        Raises:
            KafkaError, TimeoutError: as ``write``.
        """
        await self.write((OWNER, json.dumps({"worker": worker}).encode()))

    async def _read_past(self, offset: int) -> None:
        async with asyncio.timeout(READ_SECONDS), self._progress:
            await self._progress.wait_for(lambda: self._read_to > offset)

    async def _follow(self) -> None:
        while True:
            try:
                read = (await self._consumer.getmany(self._place, timeout_ms=POLL_MS)).get(self._place, [])
                position = await self._consumer.position(self._place)
            except kafka.NOT_ALLOWED:
                raise  # for good, as far as we can tell
            except KafkaError as error:
                log.warning("%s: %s; asking again", self._place.topic, error)
                await asyncio.sleep(RETRY_SECONDS)
                continue
            for record in read:
                try:
                    self.state.add(record.key or b"", record.value)
                except UNREADABLE as error:
                    log.error("%s offset %d cannot be understood: %s", self._place.topic, record.offset, error)  # noqa: TRY400  the trace says nothing more
            if position > self._read_to:
                async with self._progress:
                    self._read_to = position
                    self._progress.notify_all()
            if read:
                self._changed()
