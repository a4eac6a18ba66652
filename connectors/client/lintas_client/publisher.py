"""Publishing to the real bus."""

import asyncio
import datetime as dt
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Final, Self

from aiokafka import AIOKafkaProducer, errors

from . import kafka
from .bus import EventPublisher, Extensions, Receipt
from .connection import Connection
from .exceptions import BusUnreachable, ClientError, MalformedEvent, NotAcknowledged, NotEntitled
from .preparation import Prepared, prepare
from .registry import Registry
from .wire.errors import Problem

MAX_EVENT_BYTES: Final = 1_000_000  # brokers take 1 MiB with what Kafka adds
_BATCH_BYTES: Final = 256 * 1024
_LINGER_MS: Final = 5  # what an event may wait for company
_CLOSE_SECONDS: Final = 30


class Publisher(EventPublisher):
    """Publishes events of one system to the bus.

    ```python
    async with Publisher(Connection.from_environment()) as publisher:
        receipt = await publisher.publish("id.go.bmkg.earthquake.measured.v1", {...})
    ```
    An acknowledged event is on every broker that must hold it (``acks=all``, idempotent producer). `send` does
    not wait, for thousands of events a second.
    """

    def __init__(self, connection: Connection) -> None:
        """``connection`` says where the bus is and which system publishes."""
        self._connection = connection
        self._registry: Registry
        self._producer: Any

    async def __aenter__(self) -> Self:
        """Connect.

        Raises:
            BusUnreachable: Kafka does not answer.
            AuthenticationRefused: the bus does not know this system with this password.
            NotEntitled: this system may not publish anything.
        """
        connection = self._connection
        self._producer = AIOKafkaProducer(
            **connection.kafka_options(),
            acks="all",
            enable_idempotence=True,
            compression_type="lz4",
            linger_ms=_LINGER_MS,
            max_batch_size=_BATCH_BYTES,
            max_request_size=MAX_EVENT_BYTES,
            request_timeout_ms=kafka.REQUEST_TIMEOUT_MS,
        )
        try:
            await kafka.start(self._producer, connection)
        except errors.ClusterAuthorizationFailedError:
            raise NotEntitled(principal=connection.principal, action="publish to", topic="any event topic") from None
        self._registry = Registry(connection)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait until everything sent is acknowledged, then disconnect.

        Raises:
            BusUnreachable: the broker did not take what was sent in time; the futures of `send` say which.
        """
        await self._registry.close()
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._producer.stop()
        except TimeoutError:
            if error is None:
                raise BusUnreachable(
                    part="Kafka", address=self._connection.bootstrap_servers, reason="it takes no events any more"
                ) from None

    async def publish(
        self,
        event_type: str,
        data: Any,
        *,
        id: str | None = None,  # noqa: A002  CloudEvents' word
        subject: str | None = None,
        time: dt.datetime | str | None = None,
        key: str | bytes | None = None,
        extensions: Extensions | None = None,
    ) -> Receipt:
        """Publish one event and wait until it is acknowledged: see `EventPublisher.publish`."""
        return await (
            await self.send(event_type, data, id=id, subject=subject, time=time, key=key, extensions=extensions)
        )

    async def publish_many(self, event_type: str, payloads: Iterable[Any]) -> list[Receipt]:
        """Publish payloads of one type, pipelined, in order; return once all are acknowledged.

        Raises:
            MalformedEvent: at the first malformed payload; those before it are published.
            NotAcknowledged: see `publish`.
        """
        sent = []
        try:
            for payload in payloads:
                sent.append(await self.send(event_type, payload))  # noqa: PERF401  what was sent counts if one fails
        finally:
            outcomes = await asyncio.gather(*sent, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
        return [outcome for outcome in outcomes if isinstance(outcome, Receipt)]

    async def check(
        self,
        event_type: str,
        data: Any,
        *,
        id: str | None = None,  # noqa: A002  CloudEvents' word
        subject: str | None = None,
        time: dt.datetime | str | None = None,
        key: str | bytes | None = None,
        extensions: Extensions | None = None,
    ) -> Prepared:
        """Check an event as `publish` does, and send nothing; return it as it would be sent.

        Raises:
            MalformedEvent: with every problem.
            UnknownEventType: there is no such event type.
        """
        return prepare(
            await self._registry.event_type(event_type),
            self._connection.system,
            data,
            id=id,
            subject=subject,
            time=time,
            key=key,
            extensions=extensions,
        )

    async def send(
        self,
        event_type: str,
        data: Any,
        *,
        id: str | None = None,  # noqa: A002  CloudEvents' word
        subject: str | None = None,
        time: dt.datetime | str | None = None,
        key: str | bytes | None = None,
        extensions: Extensions | None = None,
    ) -> asyncio.Future[Receipt]:
        """Check an event and hand it to the sender; the future is done once it is acknowledged.

        Events of one key are stored in the order of the calls. The call waits while the sender has too much to do.

        Raises:
            MalformedEvent, UnknownEventType: see `publish`.
            NotEntitled, NotAcknowledged: see `publish`; here or from the future.
        """
        return await self.send_prepared(
            await self.check(event_type, data, id=id, subject=subject, time=time, key=key, extensions=extensions)
        )

    async def send_prepared(self, event: Prepared) -> asyncio.Future[Receipt]:
        """Hand an event that has been checked to the sender; see `send`.

        Raises:
            NotEntitled, NotAcknowledged: see `publish`; here or from the future.
        """
        try:
            sent = await self._producer.send(event.topic, event.value, event.key, headers=event.headers)
        except errors.KafkaError as error:
            raise self._refusal(event, error) from None
        receipt: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        sent.add_done_callback(lambda done: self._settle(event, done, receipt))
        return receipt

    def _settle(self, event: Prepared, sent: asyncio.Future[Any], receipt: asyncio.Future[Receipt]) -> None:
        if receipt.done():
            return
        if sent.cancelled():
            receipt.cancel()
        elif (error := sent.exception()) is not None:
            receipt.set_exception(self._refusal(event, error))
        else:
            stored = sent.result()
            receipt.set_result(Receipt(stored.topic, stored.partition, stored.offset, event.id))

    def _refusal(self, event: Prepared, error: BaseException) -> ClientError:
        if isinstance(error, kafka.NOT_ALLOWED):
            return NotEntitled(principal=self._connection.principal, action="publish to", topic=event.topic)
        if isinstance(error, errors.MessageSizeTooLargeError | errors.RecordListTooLargeError):
            return MalformedEvent([Problem("", "size", f"is larger than {MAX_EVENT_BYTES} bytes")])
        return NotAcknowledged(id=event.id, topic=event.topic, reason=kafka.plain(error))
