"""The canary: one synthetic event after the other through the whole path, and whether it arrives as agreed."""

import asyncio
import datetime as dt
import logging
import time
import uuid
from typing import Final, NoReturn

import lintas_client
from lintas_client import Publisher, Subscriber

from lintas import names
from lintas.connection import connection_of
from lintas.errors import LintasError, MissingCredentials
from lintas.settings import Settings
from monitoring.canary_events import ALTERED, Arrival, CanaryEvents
from monitoring.canary_metrics import CanaryMetrics
from monitoring.endpoints import Health, Pulse
from monitoring.spans import NoSpans, Spans
from schemas.wire.trace_context import TRACEPARENT

log = logging.getLogger(__name__)

AGAIN_SECONDS: Final = 2.0  # until it is tried again where nothing can be sent or read
STUCK_SECONDS: Final = 180.0  # the client gives up on a silent bus sooner
OVERDUE_SECONDS: Final = 60.0  # an event that takes so long says that the path is not in order


class Canary:
    """Sends and reads, connected anew whenever something goes wrong.

    Attributes:
        health: ready once an event of this process has come round, and as long as others do.
    """

    def __init__(
        self, settings: Settings, every_seconds: float, metrics: CanaryMetrics, spans: Spans | None = None
    ) -> None:
        """``every_seconds``: from one event to the next; ``spans`` takes one of every round trip."""
        self._spans = spans or NoSpans()
        self._settings, self._every, self._metrics = settings, every_seconds, metrics
        self._events = CanaryEvents(uuid.uuid4().hex)
        self._sequence = 0
        self._wrong = "it has not begun yet"
        self._arrived: float | None = None  # when the last one did
        self._pulse = Pulse("the canary", STUCK_SECONDS + every_seconds)
        self.health = Health(self._pulse.check, self._ready, self._startup)

    def _ready(self) -> str:
        if self._wrong or self._arrived is None:
            return self._wrong or "no event has come round yet"
        overdue = time.monotonic() - self._arrived
        return f"no event has come round for {overdue:.0f} s" if overdue > OVERDUE_SECONDS + self._every else ""

    def _startup(self) -> str:
        return self._ready() if self._arrived is None else ""

    async def run(self) -> NoReturn:
        """Send and read, for ever."""
        while True:
            try:
                await self._round_and_round()
            except MissingCredentials:
                self._fail("the catalogue does not name the canary yet: `lintas catalogue apply`")
            except (LintasError, lintas_client.ClientError) as error:
                self._fail(str(error).splitlines()[0])
            self._pulse.beat()
            await asyncio.sleep(AGAIN_SECONDS)

    async def _round_and_round(self) -> NoReturn:
        """Send and read until something goes wrong.

        Raises:
            MissingCredentials: the catalogue has not been applied yet.
            ClientError: the bus cannot be reached, or does not let the canary send or read.
        """
        connection = connection_of(self._settings, names.CANARY)
        async with Publisher(connection) as publisher, Subscriber(connection) as subscriber:
            await publisher.check(names.CANARY_EVENT_TYPE, self._events.payload(1, dt.datetime.now(dt.UTC)))
            log.info("canary events are sent every %g s", self._every)
            self._wrong = ""
            self._metrics.connected(yes=True)
            try:
                async with asyncio.TaskGroup() as both:
                    both.create_task(self._send(publisher))
                    both.create_task(self._read(subscriber))
            except* lintas_client.ClientError as errors:
                raise _first(errors) from None
        raise AssertionError("both go on until something goes wrong")

    async def _send(self, publisher: Publisher) -> NoReturn:
        while True:
            began = time.monotonic()
            self._sequence += 1
            await publisher.publish(
                names.CANARY_EVENT_TYPE, self._events.payload(self._sequence, dt.datetime.now(dt.UTC))
            )
            self._metrics.sent()
            self._pulse.beat()
            await asyncio.sleep(max(0.0, began + self._every - time.monotonic()))

    async def _read(self, subscriber: Subscriber) -> None:
        while True:
            try:
                delivery = await anext(subscriber)
            except lintas_client.UndecodableDelivery as error:
                subscriber.skip()
                self._take(Arrival(0, 0.0, first=False, problems=(ALTERED,)), str(error).splitlines()[0])
                continue
            arrival = self._events.judge(delivery.agreement, delivery.data, dt.datetime.now(dt.UTC))
            if arrival is not None:
                self._spans.record(
                    "canary round trip",
                    arrival.seconds,
                    {"messaging.system": "kafka", "messaging.destination.name": delivery.topic},
                    links=[delivery.event.get(TRACEPARENT, "")],
                    failed=bool(arrival.problems),
                )
                self._take(arrival, f"{delivery.topic} [{delivery.partition}] offset {delivery.offset}")

    def _take(self, arrival: Arrival, where: str) -> None:
        self._metrics.arrived(arrival)
        if arrival.first:
            self._arrived = time.monotonic()
        if arrival.problems:
            log.error("canary event %d: %s: %s", arrival.sequence, ", ".join(arrival.problems), where)

    def _fail(self, why: str) -> None:
        self._metrics.connected(yes=False)
        if why != self._wrong:
            log.warning("nothing is sent: %s", why)
        self._wrong = why


def _first(errors: BaseExceptionGroup[lintas_client.ClientError]) -> lintas_client.ClientError:
    first = errors.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
