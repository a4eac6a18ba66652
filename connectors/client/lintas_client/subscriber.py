"""Reading an inbox of the real bus."""

import datetime as dt
import time
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Final, Literal, Self

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition, errors

from . import kafka
from .bus import Delivery, EventSubscriber
from .connection import Connection
from .delivery import delivery
from .exceptions import BusUnreachable, ClientError, NotEntitled, UndecodableDelivery, UnknownInbox
from .registry import Registry
from .wire.errors import MalformedEvent

Start = Literal["beginning", "end"] | dt.datetime
_POLL_MS: Final = 500
_COMMIT_SECONDS: Final = 1.0
_RESET: Final = {"beginning": "earliest", "end": "latest"}


class Subscriber(EventSubscriber):
    """Reads the inbox of one system: what was delivered to it under its agreements, and nothing uncommitted.

    ```python
    async with Subscriber(Connection.from_environment()) as subscriber:
        async for delivery in subscriber:
            handle(delivery.data)
    ```
    Asking for the next delivery says that the one before has been processed. The position is kept at the bus when
    nothing more is waiting, at least every second, and on leaving: after a crash a few deliveries come
    again (at least once).
    Several subscribers of one group share the inbox's partitions.
    """

    def __init__(
        self,
        connection: Connection,
        group: str | None = None,
        *,
        remember: bool = True,
        start: Start = "beginning",
        follow: bool = True,
    ) -> None:
        """Say what to read; connecting comes with ``async with``.

        Args:
            connection: where the bus is, and whose inbox to read.
            group: whose position to keep: the system's name (default), or that name, a dot and more.
            remember: keep the position at the bus. If not, every partition is read from ``start``, and no one else is
                disturbed.
            start: where to begin; with ``remember`` only where no position is kept yet. A moment needs
                ``remember=False``.
            follow: wait for more at the end; if not, the iteration ends where the inbox ended when it began.

        Raises:
            ValueError: the arguments contradict each other.
        """
        if remember and isinstance(start, dt.datetime):
            raise ValueError("a start in time is for remember=False: a group begins where it left off")
        if group is not None and not remember:
            raise ValueError("a group is there to remember a position: give it, or remember=False")
        self._connection = connection
        self._group = (group or connection.system) if remember else None
        self._start: Start = start
        self._follow = follow
        self._topic = f"inbox.{connection.system}"
        self._registry: Registry
        self._consumer: Any
        self._pending: Any = None  # the record that could not be read yet
        self._handed_out: Any = None  # the record that the program is processing
        self._processed: dict[TopicPartition, int] = {}  # not yet committed
        self._committed_at = time.monotonic()
        self._ends: dict[TopicPartition, int] = {}

    async def __aenter__(self) -> Self:
        """Connect.

        Raises:
            BusUnreachable: Kafka does not answer.
            AuthenticationRefused: the bus does not know this system with this password.
            NotEntitled: the inbox is not this principal's.
            UnknownInbox: there is no such inbox.
        """
        self._consumer = AIOKafkaConsumer(
            **self._connection.kafka_options(),
            group_id=self._group,
            enable_auto_commit=False,
            auto_offset_reset=_RESET["beginning" if isinstance(self._start, dt.datetime) else self._start],
            isolation_level="read_committed",
            request_timeout_ms=kafka.REQUEST_TIMEOUT_MS,
        )
        self._consumer.subscribe([self._topic], listener=_CommitBeforeRevoke(self) if self._group else None)
        try:
            await kafka.start(self._consumer, self._connection)
        except errors.UnknownTopicOrPartitionError:
            raise UnknownInbox(
                topic=self._topic, principal=self._connection.principal, system=self._connection.system
            ) from None
        except kafka.NOT_ALLOWED as error:
            raise self._refusal(error) from None
        self._registry = Registry(self._connection)
        if self._group is None:
            await self._seek()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Keep the position of what has been processed, and disconnect.

        A delivery during whose processing an error arose is not processed: it comes again.
        """
        try:
            if error is None:
                await self.commit()
            else:
                await self._keep_position()
        finally:
            await self._registry.close()
            await self._consumer.stop()

    def __aiter__(self) -> Self:
        """Iterate over deliveries."""
        return self

    async def __anext__(self) -> Delivery:
        """The next delivery: see `EventSubscriber`."""
        self._mark_processed()
        if self._pending is None:
            self._pending = await self._next_record()
        record = self._pending
        try:
            found = await delivery(record, self._registry)
        except (MalformedEvent, LookupError) as error:
            raise UndecodableDelivery(
                topic=record.topic, partition=record.partition, offset=record.offset, reason=str(error)
            ) from None
        self._pending, self._handed_out = None, record
        return found

    async def commit(self) -> None:
        """Keep the position behind every delivery handed out so far, now."""
        self._mark_processed()
        await self._keep_position()

    def skip(self) -> None:
        """Go on behind the record that raised `UndecodableDelivery`."""
        self._handed_out, self._pending = self._pending, None

    def _mark_processed(self) -> None:
        record, self._handed_out = self._handed_out, None
        if record is not None and self._group is not None:
            self._processed[TopicPartition(record.topic, record.partition)] = record.offset + 1

    async def _keep_position(self) -> None:
        """Commit what has been processed, of the partitions that are still ours."""
        mine = {
            partition: offset
            for partition, offset in self._processed.items()
            if partition in self._consumer.assignment()
        }
        self._processed.clear()
        self._committed_at = time.monotonic()
        if mine:
            try:
                await self._consumer.commit(mine)
            except (errors.CommitFailedError, errors.IllegalStateError):
                return  # a rebalance took the partitions: whoever has them now begins behind the last commit
            except errors.KafkaError as error:
                raise self._refusal(error) from None

    async def _next_record(self) -> Any:
        waiting = 0
        while True:
            if not self._follow and await self._at_end():
                raise StopAsyncIteration
            if self._processed and (waiting or time.monotonic() - self._committed_at > _COMMIT_SECONDS):
                await self._keep_position()
            try:
                found = await self._consumer.getmany(timeout_ms=waiting, max_records=1)
            except errors.KafkaError as error:
                raise self._refusal(error) from None
            for partition, records in found.items():
                if records and records[0].offset < self._ends.get(partition, records[0].offset + 1):
                    return records[0]
            waiting = 0 if found else _POLL_MS

    async def _at_end(self) -> bool:
        """Whether every partition is behind where the inbox ended when it was first asked for."""
        assigned = self._consumer.assignment()
        if not assigned:
            return False
        await self._fix_ends(assigned - self._ends.keys())
        for partition in assigned:
            if await self._consumer.position(partition) < self._ends[partition]:
                return False
        return True

    async def _fix_ends(self, partitions: Iterable[TopicPartition]) -> None:
        if partitions:
            self._ends |= await self._consumer.end_offsets(list(partitions))

    async def _seek(self) -> None:
        partitions = list(self._consumer.assignment())
        await self._fix_ends(() if self._follow else partitions)
        first = await self._consumer.beginning_offsets(partitions)
        last = await self._consumer.end_offsets(partitions)
        if isinstance(self._start, dt.datetime):
            at_ms = int(self._start.timestamp() * 1000)
            found = await self._consumer.offsets_for_times(dict.fromkeys(partitions, at_ms))
            offsets = {partition: at.offset if at else last[partition] for partition, at in found.items()}
        else:
            offsets = last if self._start == "end" else first
        for partition, offset in offsets.items():
            self._consumer.seek(partition, offset)

    def _refusal(self, error: errors.KafkaError) -> ClientError:
        if isinstance(error, errors.GroupAuthorizationFailedError):
            return NotEntitled(
                principal=self._connection.principal, action=f"read as group {self._group} from", topic=self._topic
            )
        if isinstance(error, kafka.NOT_ALLOWED):
            return NotEntitled(principal=self._connection.principal, action="read", topic=self._topic)
        return BusUnreachable(part="Kafka", address=self._connection.bootstrap_servers, reason=kafka.plain(error))


class _CommitBeforeRevoke(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka ships no types
    """Keeps the position before another member of the group goes on from it."""

    def __init__(self, subscriber: Subscriber) -> None:
        self._subscriber = subscriber

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:  # noqa: ARG002  aiokafka's name
        await self._subscriber._keep_position()

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        pass
