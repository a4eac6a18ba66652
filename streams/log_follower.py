"""Keeps up with a small log of the bus's own, for workers: lane plans, redrives, replays."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from typing import Any, Final, Generic, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from lintas import names
from schemas.lane_plans import LanePlans
from streams.positions import stop_quietly
from streams.redrive_log import Redrives
from streams.replay_log import Replays

log = logging.getLogger(__name__)

READ_SECONDS: Final = 15.0
POLL_MS: Final = 500
RETRY_SECONDS: Final = 1.0
T = TypeVar("T")


class LogFollower(Generic[T]):
    """One consumer for all lanes of a worker: asking whether there is anything new costs one request."""

    def __init__(
        self,
        options: Mapping[str, Any],
        topic: str,
        read: T,
        add: Callable[[int, bytes, bytes | None], None],
        changed: asyncio.Event,
    ) -> None:
        """Follow nothing yet.

        Args:
            options: connection arguments for aiokafka.
            topic: of one partition.
            read: what the log says, as far as it is read.
            add: takes offset, key and value of the next record into it; what it raises ends the following.
            changed: set with every record.
        """
        self._place = TopicPartition(topic, 0)
        self._state = read
        self._add = add
        self._failure: Exception | None = None
        self._options = options
        self._changed = changed
        self._consumer: AIOKafkaConsumer | None = None
        self._read_to = 0
        self._progress = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None

    @property
    def read(self) -> T:
        """What the log says, as far as it is known.

        Raises:
            Exception: what ended the following.
        """
        if self._failure is not None:
            raise self._failure
        return self._state

    async def start(self) -> None:
        """Read what there is, and begin to follow.

        Raises:
            KafkaError, TimeoutError: the brokers cannot be asked.
            Exception: a record is not what it should be.
        """
        consumer = self._consumer = AIOKafkaConsumer(
            **self._options, auto_offset_reset="earliest", enable_auto_commit=False, request_timeout_ms=15_000
        )
        await consumer.start()
        consumer.assign([self._place])
        self._read_to = (await consumer.beginning_offsets([self._place]))[self._place]
        consumer.seek(self._place, self._read_to)
        self._task = asyncio.create_task(self._follow(consumer), name=f"follower of {self._place.topic}")
        await self.read_to_end()

    async def read_to_end(self) -> T:
        """What the log says with every record that was there when this was called.

        Raises:
            KafkaError, TimeoutError: the brokers cannot be asked.
            Exception: a record is not what it should be.
        """
        assert self._consumer is not None, "called after start"
        async with asyncio.timeout(READ_SECONDS):
            end = (await self._consumer.end_offsets([self._place]))[self._place]
            async with self._progress:
                await self._progress.wait_for(lambda: self._read_to >= end or self._failure is not None)
        return self.read

    async def stop(self) -> None:
        """Follow no more."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await task
        if self._consumer is not None:
            await stop_quietly(self._consumer)

    async def _follow(self, consumer: AIOKafkaConsumer) -> None:
        try:
            while True:
                await self._take_in(consumer)
        except Exception as error:  # noqa: BLE001  raised to whoever asks
            self._failure = error
            log.critical("%s", error)
            await self._tell()

    async def _take_in(self, consumer: AIOKafkaConsumer) -> None:
        try:
            read = (await consumer.getmany(self._place, timeout_ms=POLL_MS)).get(self._place, [])
        except KafkaError as error:
            log.warning("%s: %s; asking again", self._place.topic, type(error).__name__)
            await asyncio.sleep(RETRY_SECONDS)
            return
        for record in read:
            if record.offset >= self._read_to:  # each counts once: the order of the log decides
                self._add(record.offset, record.key or b"", record.value)
                self._read_to = record.offset + 1
        if read:
            await self._tell()

    async def _tell(self) -> None:
        self._changed.set()
        async with self._progress:
            self._progress.notify_all()


def plan_follower(options: Mapping[str, Any], changed: asyncio.Event) -> LogFollower[LanePlans]:
    """Follows the lane plans: a lane that is replaced must learn of it before it reads a position."""
    plans = LanePlans()
    return LogFollower(options, names.LANES_PLANS, plans, lambda _, key, value: plans.add(key, value), changed)


def redrive_follower(options: Mapping[str, Any], changed: asyncio.Event) -> LogFollower[Redrives]:
    """Follows what is to be done with letters."""
    redrives = Redrives()
    return LogFollower(options, names.REDRIVES, redrives, redrives.add, changed)


def replay_follower(options: Mapping[str, Any], changed: asyncio.Event) -> LogFollower[Replays]:
    """Follows which events of the past are to be given once more."""
    replays = Replays()
    return LogFollower(options, names.REPLAYS, replays, replays.add, changed)
