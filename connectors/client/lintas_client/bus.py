"""What a program does with the bus: two small interfaces, met by the real bus and by the one in memory."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

from .wire import json_data
from .wire.codec import Codec

Extensions = Mapping[str, str | bool | int]


@dataclass(frozen=True, slots=True)
class Receipt:
    """Where an acknowledged event lies; every broker that must hold it does."""

    topic: str
    partition: int
    offset: int
    id: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event as an agreement released it to this system; its representation shows nothing of the event.

    Attributes:
        event: the CloudEvents attributes.
        data: the payload as Python values (dates, ``Decimal``); None if the event has none.
        agreement: the agreement under which it was released.
        channel: G2G, G2B ...
        key: the Kafka key.
        topic: the inbox.
        partition: of the inbox.
        offset: in the partition.
        timestamp: when the bus delivered it.
        salt: opens the audit log's commitment to what was delivered here.
    """

    event: Mapping[str, str] = field(repr=False)
    data: Any = field(repr=False)
    agreement: str | None
    channel: str | None
    key: bytes | None = field(repr=False)
    topic: str
    partition: int
    offset: int
    timestamp: dt.datetime
    salt: bytes | None = field(repr=False)
    codec: Codec | None = field(repr=False, compare=False)

    @property
    def natural(self) -> Any:
        """The payload as natural JSON: dates, moments, decimals and bytes as texts."""
        return self.data if self.codec is None else json_data.to_json(self.codec, self.data)


class EventPublisher(Protocol):
    """Publishes events of one system."""

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
        """Check an event, publish it, and return once the bus holds it safely.

        Args:
            event_type: its reverse-DNS name, with version.
            data: the payload, in natural JSON, Python values, or both mixed.
            id: unique within the system; publishing the same id again is dropped as a repeat. Default: a UUID.
            subject: whom or what it is about. Default: the payload's subject field.
            time: when it happened. Default: now.
            key: events of one key reach every consumer in order. Default: the subject, else the id.
            extensions: further CloudEvents attributes, lower-case letters and digits. ``traceparent`` names the trace
                that the event belongs to (W3C Trace Context). Default: that of the active OpenTelemetry span, else a
                new one.

        Raises:
            MalformedEvent: with every problem; nothing was sent.
            UnknownEventType: there is no such event type.
            NotEntitled: this system may not publish it.
            NotAcknowledged: it may have arrived or not; publish it again with the same id.
        """


class EventSubscriber(Protocol):
    """Reads the inbox of one system, at least once, in order per key within an event type."""

    def __aiter__(self) -> Self:
        """Iterate over deliveries: asking for the next one says that the one before has been processed."""

    async def __anext__(self) -> Delivery:
        """The next delivery.

        Raises:
            UndecodableDelivery: the next record cannot be read; it is not skipped.
        """

    async def commit(self) -> None:
        """Say now that every delivery handed out so far has been processed."""
