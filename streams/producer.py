"""A transactional producer that sends every request once, so that a lane is exactly-once on aiokafka.

Stock aiokafka repeats transactional requests by itself, with the same epoch, when an answer is lost; a late first copy
then commits or aborts the next transaction and events are doubled or lost (KAFKA-17754; measured, FACTS.md). Here a
lost answer kills the producer. Its owner throws it away and makes a new one with the same transactional id, which bumps
the epoch and so fences whatever is still on its way. Requests that were never sent, and requests that were answered,
may be repeated.

Builds on aiokafka 0.14's internals (``Sender``, its handlers, ``AIOKafkaClient.send``): the pin in pyproject.toml and
this file change together.
"""

import asyncio
import contextlib
import time
from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.client import ConnectionGroup, CoordinationType
from aiokafka.errors import (
    KafkaError,
    NodeNotReadyError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
    for_code,
)
from aiokafka.producer.sender import AddPartitionsToTxnHandler, Sender, SendProduceReqHandler
from aiokafka.producer.transaction_manager import TransactionState
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.protocol.transaction import (
    AddOffsetsToTxnRequest,
    AddPartitionsToTxnRequest,
    EndTxnRequest,
    TxnOffsetCommitRequest,
)
from aiokafka.structs import OffsetAndMetadata

from streams.record_format import FilledBatch

BATCH_BYTES = 480 * 1024  # of a record batch before it is compressed: below every topic's limit
SENT_ONCE = (
    ProduceRequest,
    AddPartitionsToTxnRequest,
    AddOffsetsToTxnRequest,
    TxnOffsetCommitRequest,
    EndTxnRequest,
)
# A topic that brokers do not know for so long is gone; shorter, it may be that their metadata lags behind.
GONE_AFTER_SECONDS = 2.0
REQUEST_TIMEOUT_MS = 5_000
RETRY_BACKOFF_MS = 50
DISCARD_SECONDS = 1.0


class AnswerLost(Exception):
    """A transactional request was sent and its answer did not come: whether it took effect is unknown.

    Not a KafkaError, so that aiokafka's handlers do not repeat the request: it ends the sender and so the producer.
    """


class Refused(Exception):
    """A broker answered that it will not take records for some topics.

    Attributes:
        reasons: for each refused output partition (partition None: the whole topic), the broker's reason.
    """

    def __init__(self, reasons: Mapping[tuple[str, int | None], str]) -> None:
        super().__init__(", ".join(f"{topic}: {reason}" for (topic, _), reason in reasons.items()))
        self.reasons = dict(reasons)


class _PatientProduce(SendProduceReqHandler):  # type: ignore[misc]  # aiokafka ships no types
    """Repeats answered produce requests as aiokafka does, but gives a topic up that stays unknown."""

    def _can_retry(self, error: KafkaError, batch: Any) -> bool:
        if isinstance(error, UnknownTopicOrPartitionError):
            return bool(time.monotonic() - batch._ctime < GONE_AFTER_SECONDS)
        return bool(super()._can_retry(error, batch))


class _PatientAddPartitions(AddPartitionsToTxnHandler):  # type: ignore[misc]  # aiokafka ships no types
    """Tells which topics are refused instead of asking for ever."""

    def handle_response(self, resp: Any) -> float | None:
        reasons: dict[tuple[str, int | None], str] = {}
        for topic, partitions in resp.errors:
            for _, code in partitions:
                error = for_code(code)
                if error is TopicAuthorizationFailedError:
                    reasons[topic, None] = "not authorised"
                elif error is UnknownTopicOrPartitionError and self._sender.unknown_for(topic) > GONE_AFTER_SECONDS:
                    reasons[topic, None] = "the topic does not exist"
        if reasons:
            raise Refused(reasons)
        return super().handle_response(resp)  # type: ignore[no-any-return]


class _OnceSender(Sender):  # type: ignore[misc]  # aiokafka ships no types
    """aiokafka's sender with the handlers above."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._unknown_since: dict[str, float] = {}
        self.died_of: BaseException | None = None

    def unknown_for(self, topic: str) -> float:
        """Seconds since a broker first said that it does not know the topic."""
        return time.monotonic() - self._unknown_since.setdefault(topic, time.monotonic())

    def _fail_all(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self.died_of = error.__cause__ or error
        super()._fail_all(task)
        for batches in self._message_accumulator._batches.values():
            for batch in batches:
                if batch._drain_waiter.done():
                    batch._drain_waiter.exception()  # known from the batch's own future; asyncio need not warn

    async def _send_produce_req(self, node_id: int, batches: Mapping[TopicPartition, Any]) -> None:
        await _PatientProduce(self, batches).do(node_id)
        self._in_flight.remove(node_id)
        for partition in batches:
            self._muted_partitions.remove(partition)

    async def _do_add_partitions_to_txn(self, tps: set[TopicPartition]) -> bool:
        node_id = await self._find_coordinator(CoordinationType.TRANSACTION, self._txn_manager.transactional_id)
        return bool(await _PatientAddPartitions(self, tps).do(node_id))


class OnceProducer:
    """One transactional id, one life: start, any number of transactions, and thrown away at the first doubt."""

    def __init__(
        self,
        options: Mapping[str, Any],
        *,
        transactional_id: str,
        client_id: str,
        transaction_timeout_seconds: float,
    ) -> None:
        """``options`` are connection arguments for aiokafka."""
        self._deadline_seconds = 0.8 * transaction_timeout_seconds
        self._producer = AIOKafkaProducer(
            **options,
            client_id=client_id,
            transactional_id=transactional_id,
            transaction_timeout_ms=int(transaction_timeout_seconds * 1000),
            request_timeout_ms=REQUEST_TIMEOUT_MS,
            retry_backoff_ms=RETRY_BACKOFF_MS,
        )
        old = self._producer._sender
        self._sender = self._producer._sender = _OnceSender(
            self._producer.client,
            acks=-1,
            txn_manager=self._producer._txn_manager,
            message_accumulator=old._message_accumulator,
            retry_backoff_ms=RETRY_BACKOFF_MS,
            request_timeout_ms=REQUEST_TIMEOUT_MS,
        )
        client = self._producer.client
        self._stock_send = client.send
        client.send = self._send

    async def _send(self, node_id: int, request: Any, *, group: Any = ConnectionGroup.DEFAULT) -> Any:
        try:
            return await self._stock_send(node_id, request, group=group)
        except NodeNotReadyError:
            raise  # never sent
        except KafkaError as error:
            if isinstance(request, SENT_ONCE):
                raise AnswerLost(f"{type(request).__name__}: {type(error).__name__}") from error
            raise

    async def start(self) -> None:
        """Connect and initialise the transactional id: every earlier owner is fenced from here on.

        Raises:
            KafkaError, TimeoutError: no coordinator answered in time.
        """
        async with asyncio.timeout(self._deadline_seconds):
            await self._producer.start()

    @property
    def dead(self) -> bool:
        """Whether this producer can do nothing more."""
        return self._sender.died_of is not None or self._state is TransactionState.FATAL_ERROR

    @property
    def died_of(self) -> BaseException | None:
        """What ended this producer's sender, if it has ended."""
        return self._sender.died_of

    @property
    def _state(self) -> TransactionState:
        return self._producer._txn_manager.state

    async def partitions_for(self, topic: str) -> set[int]:
        """The partitions of a topic, from metadata that may be some minutes old.

        Raises:
            UnknownTopicOrPartitionError: the brokers do not know the topic.
        """
        return set(await self._producer.partitions_for(topic))

    async def transact(
        self,
        outputs: Mapping[TopicPartition, Sequence[FilledBatch]],
        offsets: Mapping[TopicPartition, OffsetAndMetadata],
        group: str,
    ) -> None:
        """Write record batches and consumed positions in one transaction.

        ``outputs`` holds filled batches in order, by output partition.

        Raises:
            Refused: a broker will not take records for some topic; the transaction did not happen.
            anything else: whether the transaction happened is unknown. In both cases this producer is of no more use.
        """
        try:
            async with asyncio.timeout(self._deadline_seconds):
                await self._producer.begin_transaction()
                await self._write(outputs)
                if offsets:
                    await self._producer.send_offsets_to_transaction(dict(offsets), group)
                await self._producer.commit_transaction()
        except Refused:
            raise
        except Exception as error:
            if isinstance(self._sender.died_of, Refused):
                raise self._sender.died_of from None
            if self.dead and not isinstance(error, (KafkaError, TimeoutError)):
                # aiokafka's IllegalOperation and bare assertions, where the sender died under a send
                raise AnswerLost(type(error).__name__) from error
            raise

    async def _confirm_gone(self, topics: set[str]) -> set[str]:
        """The topics that brokers answer not to know; without an answer none is taken for gone."""
        client = self._producer.client
        if not topics or not await client.force_metadata_update():
            return set()
        return {topic for topic in topics if not client.cluster.partitions_for_topic(topic)}

    async def _write(self, outputs: Mapping[TopicPartition, Sequence[FilledBatch]]) -> None:
        async def write(partition: TopicPartition, batches: Sequence[FilledBatch]) -> None:
            for batch in batches:
                await (await self._producer.send_batch(batch, partition.topic, partition=partition.partition))

        results = await asyncio.gather(
            *(write(partition, batches) for partition, batches in outputs.items()), return_exceptions=True
        )
        errors = {
            partition: result
            for partition, result in zip(outputs, results, strict=True)
            if isinstance(result, BaseException)
        }
        if not errors:
            return
        # aiokafka also calls a topic unknown when no broker answered in time.
        unknown = {
            partition.topic for partition, error in errors.items() if isinstance(error, UnknownTopicOrPartitionError)
        }
        doubtful = unknown - await self._confirm_gone(unknown)
        reasons = {
            refusal: str(error)
            for partition, error in errors.items()
            if partition.topic not in doubtful and (refusal := _refusal_of(partition, error)) is not None
        }
        if reasons:
            raise Refused(reasons)
        raise next(iter(errors.values()))

    async def discard(self) -> None:
        """Let go of this producer at once, whatever the brokers do; an open transaction is left to fencing."""
        self._producer._closed = True  # no warning: it is closed here, without waiting for brokers
        waiter = self._producer._txn_manager.wait_for_transaction_end()
        if waiter is not None and waiter.done() and not waiter.cancelled():
            waiter.exception()  # known already: the owner has met it; asyncio need not warn
        task = self._sender.sender_task
        with contextlib.suppress(TimeoutError, Exception):
            async with asyncio.timeout(DISCARD_SECONDS):
                if task is not None:
                    task.cancel()
                    await asyncio.wait([task])
        with contextlib.suppress(TimeoutError, Exception):
            async with asyncio.timeout(DISCARD_SECONDS):
                await self._producer.client.close()


def _refusal_of(partition: TopicPartition, error: BaseException) -> tuple[str, int | None] | None:
    """What is refused by an answer that will be the same next time; None if it may differ."""
    if isinstance(error, (UnknownTopicOrPartitionError, TopicAuthorizationFailedError, AssertionError)):
        # An AssertionError here is aiokafka's "Unrecognized partition": the topic came back with fewer partitions.
        return partition.topic, None
    if isinstance(error, KafkaError) and type(error).__name__ in {
        "MessageSizeTooLargeError",
        "RecordListTooLargeError",
        "InvalidTopicError",
        "PolicyViolationError",
        "InvalidRecord",
    }:
        return partition.topic, partition.partition
    return None
