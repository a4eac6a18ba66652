"""What every implementation of the client's interfaces does: one suite, on the bus in memory and on a real one."""

import datetime as dt
import decimal
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol

import pytest
from lintas_client import EventPublisher, EventSubscriber, MalformedEvent, Publisher, Subscriber, UnknownEventType
from lintas_client.testing import InMemoryBus
from lintas_client.wire import envelope
from own_systems import OwnSystems, permit, permit_schema


class Bus(Protocol):
    """What the suite needs of an implementation: a system that publishes, one that reads, and a look behind them."""

    event_type: str

    def publisher(self) -> AbstractAsyncContextManager[EventPublisher]: ...
    def subscriber(self) -> AbstractAsyncContextManager[EventSubscriber]: ...
    async def deliver(self, data: Any, **attributes: Any) -> None: ...
    async def headers_published(self) -> list[list[tuple[str, bytes]]]: ...


class InMemory:
    event_type = "id.go.agency.permit.issued.v1"

    def __init__(self) -> None:
        self._bus = InMemoryBus({self.event_type: permit_schema(self.event_type, "events.agency.permit.issued.v1")})

    @asynccontextmanager
    async def publisher(self) -> AsyncIterator[EventPublisher]:
        yield self._bus.publisher("agency.office")

    @asynccontextmanager
    async def subscriber(self) -> AsyncIterator[EventSubscriber]:
        yield self._bus.subscriber("agency.reader")

    async def deliver(self, data: Any, **attributes: Any) -> None:
        await self._bus.deliver("agency.reader", self.event_type, data, **attributes)

    async def headers_published(self) -> list[list[tuple[str, bytes]]]:
        return [envelope.binary_headers(event.event) for event in await self._bus.published(self.event_type)]


class Live:
    def __init__(self, systems: OwnSystems) -> None:
        self._systems = systems
        self.event_type = systems.event_type

    def publisher(self) -> AbstractAsyncContextManager[EventPublisher]:
        return Publisher(self._systems.connection(self._systems.publisher))

    def subscriber(self) -> AbstractAsyncContextManager[EventSubscriber]:
        return Subscriber(self._systems.connection(self._systems.consumer), follow=False)

    async def deliver(self, data: Any, **attributes: Any) -> None:
        await self._systems.deliver(data, **attributes)

    async def headers_published(self) -> list[list[tuple[str, bytes]]]:
        return [list(record.headers) for record in await self._systems.published()]


@pytest.fixture(params=["in memory", "live"])
def the_bus(request: pytest.FixtureRequest) -> Bus:
    """Each implementation, with nothing published or delivered yet."""
    if request.param == "in memory":
        return InMemory()
    return Live(OwnSystems.create(request.getfixturevalue("bus")))


async def _numbers(subscriber: EventSubscriber, count: int | None = None) -> list[str]:
    found = []
    async for delivery in subscriber:
        found.append(delivery.data["number"])
        if len(found) == count:
            break
    return found


async def test_what_is_not_said_of_an_event_is_filled_in(the_bus: Bus) -> None:
    async with the_bus.publisher() as publisher:
        receipt = await publisher.publish(the_bus.event_type, permit(1))
    (headers,) = await the_bus.headers_published()
    attributes = envelope.parse(headers, None).attributes
    assert attributes["id"] == receipt.id
    assert attributes["subject"] == "P-1"
    assert attributes["source"].startswith("urn:lintas:agency")
    assert attributes["datacontenttype"] == "application/avro"
    assert dt.datetime.now(dt.UTC) - envelope.moment(attributes["time"]) < dt.timedelta(minutes=1)


async def test_what_is_said_of_an_event_travels_as_it_is(the_bus: Bus) -> None:
    time = dt.datetime(2026, 11, 24, 8, tzinfo=dt.timezone(dt.timedelta(hours=7)))
    async with the_bus.publisher() as publisher:
        await publisher.publish(
            the_bus.event_type, permit(1), id="own", subject="P-1", time=time, extensions={"urgent": True, "level": 3}
        )
    (headers,) = await the_bus.headers_published()
    attributes = envelope.parse(headers, None).attributes
    assert (attributes["id"], attributes["time"]) == ("own", "2026-11-24T01:00:00.000Z")
    assert (attributes["urgent"], attributes["level"]) == ("true", "3")


async def test_a_malformed_event_is_refused_with_every_problem_and_not_published(the_bus: Bus) -> None:
    async with the_bus.publisher() as publisher:
        with pytest.raises(MalformedEvent) as refused:
            await publisher.publish(
                the_bus.event_type, permit(1, issued="soon", colour="red"), time="noon", extensions={"source": "me"}
            )
    assert {problem.path for problem in refused.value.problems} == {"data.issued", "data.colour", "time", "source"}
    assert await the_bus.headers_published() == []


async def test_an_unknown_event_type_is_refused_and_a_known_one_suggested(the_bus: Bus) -> None:
    async with the_bus.publisher() as publisher:
        with pytest.raises(UnknownEventType, match=r"permit\.issued\.v1"):
            await publisher.publish("id.go.agency.permit.isued.v1", permit(1))


async def test_a_delivery_carries_python_values_agreement_and_channel(the_bus: Bus) -> None:
    await the_bus.deliver(permit(1), extensions={"agreement": "a-1", "channel": "G2G"})
    async with the_bus.subscriber() as subscriber:
        delivery = await anext(subscriber)
        assert delivery.data == {
            "number": "P-1",
            "issued": dt.date(2026, 11, 24),
            "fee": decimal.Decimal("150000.00"),
        }
        assert delivery.natural == permit(1)
        assert (delivery.agreement, delivery.channel, delivery.key) == ("a-1", "G2G", b"P-1")
        assert "P-1" not in repr(delivery)


async def test_deliveries_come_in_order(the_bus: Bus) -> None:
    for number in range(3):
        await the_bus.deliver(permit(number))
    async with the_bus.subscriber() as subscriber:
        assert await _numbers(subscriber) == ["P-0", "P-1", "P-2"]


async def test_what_was_processed_does_not_come_again(the_bus: Bus) -> None:
    for number in range(3):
        await the_bus.deliver(permit(number))
    async with the_bus.subscriber() as subscriber:
        await _numbers(subscriber, 2)
        await subscriber.commit()
    async with the_bus.subscriber() as subscriber:
        assert await _numbers(subscriber) == ["P-2"]


async def test_what_was_handed_out_and_failed_comes_again(the_bus: Bus) -> None:
    for number in range(3):
        await the_bus.deliver(permit(number))

    async def fail_at_the_second() -> None:
        async with the_bus.subscriber() as subscriber:
            async for delivery in subscriber:
                1 / (delivery.data["number"] == "P-0")

    with pytest.raises(ZeroDivisionError):
        await fail_at_the_second()
    async with the_bus.subscriber() as subscriber:
        assert await _numbers(subscriber) == ["P-1", "P-2"]
