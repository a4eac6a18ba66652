"""The bus in memory, for the tests of agencies' own programs: same checks, same interfaces, nothing running."""

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from types import SimpleNamespace
from typing import Any, Self

from .bus import Delivery, EventPublisher, EventSubscriber, Receipt
from .delivery import Record, delivery
from .exceptions import UnknownEventType
from .preparation import Prepared, prepare
from .registry import EventType
from .wire.codec import Codec


class InMemoryBus:
    """A bus that holds what was published and what was delivered.

    It checks events as the real bus does; it does not route them: a test says with `deliver` what arrives.

    ```python
    bus = InMemoryBus([json.loads(Path("birth.avsc").read_text())])
    await my_program(bus.publisher("dukcapil.siak"), bus.subscriber("dukcapil.siak"))
    assert [event.data["place"] for event in bus.published("id.go.dukcapil.birth.registered.v1")] == ["32.73"]
    ```
    """

    def __init__(self, schemas: Iterable[Mapping[str, Any]]) -> None:
        """``schemas`` are event types' schemas as the bus's registry gives them."""
        self._by_id = dict(
            enumerate((EventType.of_schema(number, schema) for number, schema in enumerate(schemas, 1)), 1)
        )
        self._by_name = {event_type.name: event_type for event_type in self._by_id.values()}
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
        return [await delivery(record, self) for record in self._topics[(await self.event_type(event_type)).topic]]

    async def deliver(self, system: str, event_type: str, data: Any, **attributes: Any) -> None:
        """Put an event into a system's inbox; ``attributes`` as for `publish`, agreement and channel as extensions."""
        event = prepare(await self.event_type(event_type), "lintas.test", data, **attributes)
        self.append(f"inbox.{system}", event)

    async def event_type(self, name: str) -> EventType:
        """An event type by its name."""
        if name not in self._by_name:
            raise UnknownEventType(event_type=name, suggestion=f"The test gave {', '.join(self._by_name)}.")
        return self._by_name[name]

    async def codec(self, schema_id: int) -> Codec:
        """A schema by its id."""
        return self._by_id[schema_id].codec

    def inbox(self, system: str) -> list[Record]:
        """The records of a system's inbox."""
        return self._topics[f"inbox.{system}"]

    def append(self, topic: str, event: Prepared) -> Receipt:
        """Store an event as Kafka would, in a topic of one partition."""
        receipt = Receipt(topic, 0, len(self._topics[topic]), event.id)
        stored = {
            "key": event.key,
            "value": event.value,
            "headers": event.headers,
            "timestamp": int(time.time() * 1000),
        }
        self._topics[topic].append(SimpleNamespace(topic=topic, partition=0, offset=receipt.offset, **stored))
        return receipt


class InMemoryPublisher(EventPublisher):
    """Publishes to an `InMemoryBus`."""

    def __init__(self, bus: InMemoryBus, system: str) -> None:
        self._bus, self._system = bus, system

    async def publish(self, event_type: str, data: Any, **attributes: Any) -> Receipt:
        """Check an event and store it."""
        event = prepare(await self._bus.event_type(event_type), self._system, data, **attributes)
        return self._bus.append(event.topic, event)


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
