"""The webhook sink: takes deliveries, sends them in order per key, keeps pointers to those that wait."""

import asyncio
import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from aiokafka import TopicPartition
from lintas_client import Delivery, UnknownEventType

from connectors.plugins.webhook.answers import LONGEST_PAUSE_MS, Outcome
from connectors.plugins.webhook.courier import TOO_LARGE, Courier
from connectors.plugins.webhook.gate import Gate
from connectors.plugins.webhook.lanes import Lanes, Pointer, key_digest
from connectors.plugins.webhook.rate import Allowance
from connectors.plugins.webhook.receiver import Receiver, http_receiver
from connectors.plugins.webhook.schedule import Schedule
from connectors.plugins.webhook.settings import WebhookConfig, problems_on_this_machine
from connectors.plugins.webhook.subscription import Subscription
from connectors.runtime.context import Context
from connectors.runtime.contract import Inbox, Progress, Sink
from lintas import names
from lintas.errors import ConnectorDisabled, ConnectorFailed

_PATIENCE_SECONDS: Final = 2.0  # a request that takes longer goes on beside the next deliveries
_LONGEST_SECONDS: Final = 10.0  # then what has not been tried becomes pointers, so that a crash repeats little
_RETRYING_SECONDS: Final = 2.0  # then the next deliveries have their turn, however many are to be tried again
_TICK_SECONDS: Final = 0.25
_WAKE_WITHIN_MS, _WAKE_EVERY_MS = 5000, 60_000
_SMALLEST, _LARGEST = 8, 500  # deliveries at a time
_QUICK_SECONDS, _SLOW_SECONDS = 1.0, 5.0
_SOON_SECONDS: Final = 1.0
_TELL_EVERY_MS: Final = 60_000  # why events are not taken, for the same reason
_PAUSE: Final = "pause"  # in the progress: until when the receiver wants to be left alone
_FULL: Final = "most_waiting"
_NO_LONGER_THERE: Final = "no-longer-in-the-inbox"


def unix_ms() -> int:
    """Now, in Unix milliseconds."""
    return time.time_ns() // 1_000_000


class WebhookSink(Sink):
    """Posts deliveries to one receiver.

    An event whose attempt fails becomes a pointer in the progress and is read again from the inbox for the next one;
    later events of its key wait behind it. So progress and memory hold places, and no values, and what a crash
    interrupts is sent again under the same ``webhook-id``.
    """

    def __init__(
        self,
        config: WebhookConfig,
        context: Context,
        *,
        receiver: Callable[[WebhookConfig], Receiver] = http_receiver,
        now_ms: Callable[[], int] = unix_ms,
        chance: random.Random | None = None,
    ) -> None:
        """``receiver``, ``now_ms`` and ``chance`` are for tests: who is spoken to, what time it is, what jitter."""
        self._config, self._context = config, context
        self._connect, self._now_ms = receiver, now_ms
        self._schedule = Schedule(
            config.retry_delays_seconds, config.give_up_after_seconds, chance or random.SystemRandom()
        )
        self._receiver: Receiver | None = None
        self._subscription: Subscription | None = None
        self._tasks: dict[asyncio.Task[None], tuple[float, bool]] = {}  # since when; whether its event is new
        self._fresh: dict[str, Delivery] = {}  # what `deliver` was given, while it runs
        self._gate = Gate()
        self._reading = asyncio.Lock()
        self._failure: BaseException | None = None
        self._gone = False
        self._pause: Progress = {}  # what the progress is to be told of it
        self._woken_ms = 0
        self._told: dict[str | None, int] = {}  # when the log told last why events are not taken, by reason
        self._batch = _SMALLEST

    async def start(self, progress: Progress, inbox: Inbox) -> None:
        """See `Sink`: read secrets, ask for permission, and go on with what waits."""
        if problems := problems_on_this_machine(self._config):
            raise ConnectorFailed(
                connector=self._context.name,
                reason="; ".join(f"{field}: {message}" for field, message in problems),
                remedy="mend these files or settings; they are read at the next start.",
            )
        for name in self._config.event_types:
            try:
                await self._context.registry.event_type(name)
            except UnknownEventType as error:
                self._context.log.warning("event_types: nothing is sent of %s: %s", name, error)
        self._inbox = inbox
        self._topic = names.inbox_topic(self._context.system)
        self._receiver = self._connect(self._config)
        self._courier = Courier(self._config, self._context.name, self._receiver)
        self._lanes = Lanes(progress, self._now_ms())
        self._subscription = Subscription(self._config, self._context, self._receiver, progress, self._now_ms)
        pause = progress.get(_PAUSE, {})
        if pause.get("url") == self._config.url:
            self._gate.shut(min(pause["until_ms"], self._now_ms() + LONGEST_PAUSE_MS))  # the clock may have been wrong
        await self._subscription.start(ask=not self._gate.is_shut(self._now_ms()))
        self._allowance = Allowance(self._subscription.per_minute(), self._now_ms() / 1000)

    async def deliver(
        self,
        deliveries: Sequence[Delivery],
        positions: Mapping[TopicPartition, int],  # noqa: ARG002  the runtime keeps them
    ) -> Progress:
        """See `Sink`: send what can be sent within some seconds, note the rest."""
        for delivery in filter(self._wanted, deliveries):
            pointer = Pointer(delivery.partition, delivery.offset, key_digest(delivery.key, delivery.offset))
            self._fresh[pointer.place] = delivery
            self._lanes.add(pointer, self._now_ms())
        began = time.monotonic()
        try:
            await self._work(_LONGEST_SECONDS, retries=False)
        finally:
            self._fresh = {}
        self._adapt(time.monotonic() - began, len(deliveries))
        self._lanes.put_off(self._now_ms())
        return self._progress()

    async def idle(self) -> Progress:
        """See `Sink`: try again what is due."""
        if self._lanes.waiting >= self._config.most_waiting:
            self._tell(_FULL, "%d events wait for another attempt: no more are taken until some of them are settled")
        await self._work(_RETRYING_SECONDS, retries=True)
        return self._progress()

    async def stop(self) -> None:
        """See `Sink`: what is under way is given up, and will be sent again."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        if self._subscription is not None:
            await self._subscription.stop()
        if self._receiver is not None:
            await self._receiver.close()

    def room(self) -> int:
        """See `Bounded`: few while the receiver is slow, none while it wants to be left alone or its rate is used up.

        While one request shows whether it is in order again, one for each: the whole inbox might wait behind others.
        """
        if self._slots() == 0 or (self._gate.doubtful and self._tasks):
            return 0
        free = max(0, self._config.most_waiting - self._lanes.waiting)
        sent_soon = self._allowance.within(_SOON_SECONDS, self._now_ms() / 1000)
        return int(min(1 if self._gate.doubtful else self._batch, free, sent_soon))

    def holding(self) -> Mapping[str, int]:
        """See `Holding`."""
        return {"retry": self._lanes.waiting, "person": self._lanes.undelivered}

    def _wanted(self, delivery: Delivery) -> bool:
        return not self._config.event_types or delivery.event["type"] in self._config.event_types

    async def _work(self, seconds: float, *, retries: bool) -> None:
        """Send what is due until no new event can be begun, and nothing that is quick is under way.

        Without ``retries`` nothing but new events is waited for: the next ones must not wait for those that fail.
        """
        if self._gone:
            raise ConnectorDisabled(
                connector=self._context.name,
                reason="the receiver answered 410: it wants nothing more",
                remedy="ask its owner; then set its new url, or `lintas connector restart`. "
                "Nothing is lost: what it has not taken waits.",
            )
        await self._keep_permission()
        until = time.monotonic() + seconds
        while True:
            self._begin_due()
            if self._failure is not None:
                raise self._failure
            now = time.monotonic()
            quick = any((new or retries) and now - since < _PATIENCE_SECONDS for since, new in self._tasks.values())
            if now >= until or not (quick or self._could_begin()):
                return
            if self._tasks:
                await asyncio.wait(list(self._tasks), timeout=_TICK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            else:
                await asyncio.sleep(min(_TICK_SECONDS, self._allowance.wait(self._now_ms() / 1000)))

    async def _keep_permission(self) -> None:
        assert self._subscription is not None
        if not self._gate.is_shut(self._now_ms()):
            await self._subscription.keep()
        if self._subscription.per_minute() != self._allowance.per_minute:
            self._allowance = Allowance(self._subscription.per_minute(), self._now_ms() / 1000)

    def _slots(self) -> int:
        """How many requests may be under way now."""
        assert self._subscription is not None
        if self._gone or not self._subscription.permitted():
            return 0
        return self._gate.slots(self._config.concurrency, self._now_ms())

    def _could_begin(self) -> bool:
        """Whether a new event only waits for a request to end, or for a moment of the allowed rate."""
        soon = self._allowance.wait(self._now_ms() / 1000) <= _SOON_SECONDS
        return self._lanes.has_fresh() and self._slots() > 0 and soon

    def _begin_due(self) -> None:
        while len(self._tasks) < self._slots() and not self._allowance.wait(self._now_ms() / 1000):
            retrying = sum(not new for _, new in self._tasks.values())
            # Retries leave half of the requests to new events; where one request is to show whether the receiver is in
            # order again, an event that never failed says more; without one, any will do.
            doubtful, has_fresh = self._gate.doubtful, self._lanes.has_fresh()
            retries = retrying < max(1, self._config.concurrency // 2) and not (doubtful and has_fresh)
            pointer = self._lanes.take(self._now_ms(), retries=retries, early=doubtful)
            if pointer is None:
                return
            self._allowance.take(self._now_ms() / 1000)
            task = asyncio.create_task(self._attempt(pointer))
            self._tasks[task] = (time.monotonic(), pointer.place in self._fresh)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.pop(task, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failure = error

    async def _attempt(self, pointer: Pointer) -> None:
        delivery = self._fresh.get(pointer.place)
        if delivery is None:
            async with self._reading:
                delivery = await self._inbox.read_again(TopicPartition(self._topic, pointer.partition), pointer.offset)
        if delivery is None:
            self._settle(pointer, Outcome(delivered=False, reason=_NO_LONGER_THERE))
        elif not self._wanted(delivery):
            self._lanes.delivered(pointer, self._now_ms())  # `event_types` has changed since
        else:
            self._settle(pointer, await self._courier.send(delivery, self._now_ms()))

    def _settle(self, pointer: Pointer, outcome: Outcome) -> None:
        now_ms = self._now_ms()
        if outcome.delivered:
            self._lanes.delivered(pointer, now_ms)
            # What failed for the same cause need not wait for its own time; but no more than once a minute, or a
            # receiver that fails now and then would never be spared.
            recovered = self._gate.answered() or pointer.attempts > 0
            if recovered and now_ms >= self._woken_ms + _WAKE_EVERY_MS:
                self._woken_ms = now_ms
                self._lanes.wake(now_ms, _WAKE_WITHIN_MS)
            return
        if outcome.gone:
            self._gone = True
            self._lanes.untried(pointer)
            return
        since_ms = self._lanes.failed(pointer, outcome.reason or "", outcome.status, now_ms)
        self._tell(outcome.reason, f"the receiver does not take events: {outcome.reason}; %d wait for another attempt")
        if outcome.pause_seconds is not None:
            until_ms = now_ms + round(outcome.pause_seconds * 1000)
            if not self._gate.is_shut(until_ms - 1):
                self._pause = {_PAUSE: {"url": self._config.url, "until_ms": until_ms}}
            self._gate.shut(until_ms)
        if outcome.receiver_ails:
            self._gate.failed(now_ms, first_attempt=pointer.attempts == 1)
        elif outcome.status is not None:
            self._gate.answered()  # it speaks about the event: it is in order itself
        hopeless = outcome.reason in (TOO_LARGE, _NO_LONGER_THERE)
        next_ms = None if hopeless else self._schedule.next_ms(pointer.attempts, since_ms, now_ms)
        if next_ms is not None:
            self._lanes.wait(pointer, next_ms)
            return
        self._context.log.warning(
            "event %s of the inbox is given up after %d attempts: %s", pointer.place, pointer.attempts, outcome.reason
        )
        self._lanes.give_up(pointer, now_ms)

    def _tell(self, reason: str | None, text: str) -> None:
        """Say in the log why events are not taken, for each reason once a minute at most."""
        now_ms = self._now_ms()
        if now_ms >= self._told.get(reason, 0) + _TELL_EVERY_MS:
            self._told[reason] = now_ms
            self._context.log.warning(text, self._lanes.waiting)

    def _adapt(self, seconds: float, taken: int) -> None:
        """Take more next time if it went quickly, fewer if it did not: what a crash repeats stays small."""
        if seconds > _SLOW_SECONDS:
            self._batch = max(_SMALLEST, self._batch // 2)
        elif seconds < _QUICK_SECONDS and taken >= self._batch and not self._lanes.has_fresh():
            self._batch = min(_LARGEST, self._batch * 2)

    def _progress(self) -> Progress:
        assert self._subscription is not None
        pause, self._pause = self._pause, {}
        return {**self._lanes.changes(), **self._subscription.changes(), **pause}
