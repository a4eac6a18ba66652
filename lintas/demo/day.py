"""A generated day published: each event by the system it comes from, with that system's own credentials."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

from aiokafka import AIOKafkaProducer

from connectors.generator.event import GeneratedEvent
from connectors.generator.records import to_record
from lintas.credentials import aiokafka_options
from lintas.settings import Settings
from schemas.snapshot import Snapshot
from schemas.wire.codec import Codec
from streams.decisions import Place

_LINGER_MS: Final = 5
_IN_FLIGHT: Final = 10_000
Advance = Callable[[int], None]


@dataclasses.dataclass(frozen=True, slots=True)
class Published:
    """A generated event, and where the broker has put it."""

    event: GeneratedEvent
    place: Place


def publish(
    settings: Settings, snapshot: Snapshot, events: Iterable[GeneratedEvent], advance: Advance
) -> list[Published]:
    """Publish events in their order, broken ones too; return once every one is acknowledged.

    ``advance`` is told how many more were sent.

    Raises:
        MissingCredentials: a publishing system has none.
        KafkaError: the broker does not take an event.
    """
    return asyncio.run(_publish(settings, snapshot, list(events), advance))


async def _publish(
    settings: Settings, snapshot: Snapshot, events: Sequence[GeneratedEvent], advance: Advance
) -> list[Published]:
    codecs = {name: Codec(event_type.current.schema) for name, event_type in snapshot.event_types.items()}
    sent: list[asyncio.Future[Any]] = []
    async with AsyncExitStack() as stack:
        by_system = {
            system: await stack.enter_async_context(_producer(settings, system))
            for system in sorted({event.system for event in events})
        }
        for event in events:
            event_type = snapshot.event_types[event.event_type]
            record = to_record(event, codecs[event.event_type], event_type.current.id)
            producer = by_system[event.system]
            sent.append(await producer.send(event_type.topic, record.value, record.key, headers=record.headers))
            advance(1)
            if len(sent) >= _IN_FLIGHT:
                await sent[-_IN_FLIGHT]
        stored = await asyncio.gather(*sent)
    return [
        Published(event, Place(at.topic, at.partition, at.offset)) for event, at in zip(events, stored, strict=True)
    ]


@asynccontextmanager
async def _producer(settings: Settings, system: str) -> AsyncIterator[Any]:
    """A producer as the bus's client has it: nothing is acknowledged before every broker has it."""
    producer = AIOKafkaProducer(
        **aiokafka_options(settings, system),
        acks="all",
        enable_idempotence=True,
        compression_type="lz4",
        linger_ms=_LINGER_MS,
    )
    try:
        await producer.start()
        yield producer
    finally:
        await producer.stop()
