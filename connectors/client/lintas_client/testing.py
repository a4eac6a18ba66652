"""The bus in memory, for the tests of agencies' own programs: same checks, same interfaces, nothing running."""

import time
from collections import defaultdict
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, Self

from .bus import Delivery, EventPublisher, EventSubscriber, Receipt
from .delivery import Record, delivery
from .exceptions import UnknownEventType
from .preparation import prepare
from .registry import EventType
from .wire.codec import Codec


class InMemoryBus:
    """Holds what was published and what was delivered; a test says with `deliver` what arrives, nothing is routed.

    ```python
    bus = InMemoryBus({"id.go.dukcapil.birth.registered.v1": json.loads(Path("birth.avsc").read_text())})
    await my_program(bus.publisher("dukcapil.siak"))
    (birth,) = await bus.published("id.go.dukcapil.birth.registered.v1")
    ```
    """

    def __init__(self, schemas: Mapping[str, Mapping[str, Any]]) -> None:
        """``schemas`` by event type, as the catalogue or the registry has them."""
        self._codecs: list[Codec] = []
        self._event_types = {name: self._event_type(name, schema) for name, schema in schemas.items()}
        self._topics: dict[str, list[Record]] = defaultdict(list)
        self.positions: dict[str, int] = defaultdict(int)  # of each system in its inbox

    def publisher(self, system: str) -> "InMemoryPublisher":
        """Publish as a system."""
        return InMemoryPublisher(self, system)

    def subscriber(self, system: str) -> "InMemorySubscriber":
        """Read a system's inbox from its position to its end."""
        return InMemorySubscriber(self, system)

    async def published(self, event_type: str) -> list[Delivery]:
        """What was published of an event type, oldest first."""
        return [await delivery(record, self) for record in self._topics[self.event_type(event_type).topic]]

    async def deliver(
        self, system: str, event_type: str, data: Any, *, released: Mapping[str, Any] | None = None, **attributes: Any
    ) -> None:
        """Put an event into a system's inbox.

        ``released`` is the schema of what the agreement releases, the event type's own if none is given; ``attributes``
        are those of `EventPublisher.publish`, ``agreement`` and ``channel`` among the extensions.
        """
        as_read = self.event_type(event_type) if released is None else self._event_type(event_type, released)
        self.store(f"inbox.{system}", as_read, "lintas.test", data, attributes)

    def event_type(self, name: str) -> EventType:
        """An event type by its name."""
        if name not in self._event_types:
            raise UnknownEventType(event_type=name, suggestion=f"The test knows {', '.join(self._event_types)}.")
        return self._event_types[name]

    async def codec(self, schema_id: int) -> Codec:
        """A schema by its id."""
        return self._codecs[schema_id]

    def store(
        self, topic: str, event_type: EventType, system: str, data: Any, attributes: Mapping[str, Any]
    ) -> Receipt:
        """Check an event and keep it as Kafka would, in a topic of one partition."""
        event = prepare(event_type, system, data, **attributes)
        where = Receipt(topic, 0, len(self._topics[topic]), event.id)
        stored = {
            "key": event.key,
            "value": event.value,
            "headers": event.headers,
            "timestamp": int(time.time() * 1000),
        }
        self._topics[topic].append(SimpleNamespace(topic=topic, partition=0, offset=where.offset, **stored))
        return where

    def inbox(self, system: str) -> list[Record]:
        """The records of a system's inbox."""
        return self._topics[f"inbox.{system}"]

    def _event_type(self, name: str, schema: Mapping[str, Any]) -> EventType:
        self._codecs.append(Codec(schema))
        topic, subject = schema.get("lintas.topic", f"events.{name}"), schema.get("lintas.subject")
        return EventType(name, topic, subject, len(self._codecs) - 1, self._codecs[-1])


class InMemoryPublisher(EventPublisher):
    """Publishes to an `InMemoryBus`."""

    def __init__(self, bus: InMemoryBus, system: str) -> None:
        self._bus, self._system = bus, system

    async def publish(self, event_type: str, data: Any, **attributes: Any) -> Receipt:
        """Check an event and keep it."""
        known = self._bus.event_type(event_type)
        return self._bus.store(known.topic, known, self._system, data, attributes)


class InMemorySubscriber(EventSubscriber):
    """Reads an inbox of an `InMemoryBus`; the iteration ends where the inbox ends."""

    def __init__(self, bus: InMemoryBus, system: str) -> None:
        self._bus, self._system = bus, system
        self._handed_out = bus.positions[system]

    def __aiter__(self) -> Self:
        """Iterate over deliveries."""
        return self

    async def __anext__(self) -> Delivery:
        """The next delivery; the one before counts as processed."""
        await self.commit()
        inbox = self._bus.inbox(self._system)
        if self._handed_out == len(inbox):
            raise StopAsyncIteration
        self._handed_out += 1
        return await delivery(inbox[self._handed_out - 1], self._bus)

    async def commit(self) -> None:
        """Keep the position behind what was handed out."""
        self._bus.positions[self._system] = self._handed_out
