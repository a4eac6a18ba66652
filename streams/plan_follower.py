"""Keeps up with the lane plans, for workers: a lane that is replaced must learn of it before it reads a position."""

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from lintas import names
from schemas.lane_plans import LanePlans
from streams.positions import stop_quietly

log = logging.getLogger(__name__)

READ_SECONDS: Final = 15.0
POLL_MS: Final = 500
RETRY_SECONDS: Final = 1.0
_PLANS: Final = TopicPartition(names.LANES_PLANS, 0)


class PlanFollower:
    """One consumer for all lanes of a worker: asking whether there is a newer plan costs one request."""

    def __init__(self, options: Mapping[str, Any], changed: asyncio.Event) -> None:
        """``options`` are connection arguments for aiokafka; ``changed`` is set with every record."""
        self._plans = LanePlans()
        self._failure: Exception | None = None
        self._options = options
        self._changed = changed
        self._consumer: AIOKafkaConsumer | None = None
        self._read_to = 0
        self._progress = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None

    @property
    def plans(self) -> LanePlans:
        """The plans as far as they are known.

        Raises:
            LanePlansBroken: a record is not what it should be.
        """
        if self._failure is not None:
            raise self._failure
        return self._plans

    async def start(self) -> None:
        """Read what there is, and begin to follow.

        Raises:
            LanePlansBroken: a record is not what it should be.
            KafkaError, TimeoutError: the brokers cannot be asked.
        """
        consumer = self._consumer = AIOKafkaConsumer(
            **self._options, auto_offset_reset="earliest", enable_auto_commit=False, request_timeout_ms=15_000
        )
        await consumer.start()
        consumer.assign([_PLANS])
        self._read_to = (await consumer.beginning_offsets([_PLANS]))[_PLANS]
        consumer.seek(_PLANS, self._read_to)
        self._task = asyncio.create_task(self._follow(consumer), name="plan follower")
        await self.read_to_end()

    async def read_to_end(self) -> LanePlans:
        """The plans with every record that was there when this was called.

        Raises:
            LanePlansBroken: a record is not what it should be.
            KafkaError, TimeoutError: the brokers cannot be asked.
        """
        assert self._consumer is not None, "called after start"
        async with asyncio.timeout(READ_SECONDS):
            end = (await self._consumer.end_offsets([_PLANS]))[_PLANS]
            async with self._progress:
                await self._progress.wait_for(lambda: self._read_to >= end or self._failure is not None)
        return self.plans

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
            read = (await consumer.getmany(_PLANS, timeout_ms=POLL_MS)).get(_PLANS, [])
        except KafkaError as error:
            log.warning("lane plans: %s; asking again", type(error).__name__)
            await asyncio.sleep(RETRY_SECONDS)
            return
        for record in read:
            if record.offset >= self._read_to:  # each counts once: the order of the log decides
                self._plans.add(record.key or b"", record.value)
                self._read_to = record.offset + 1
        if read:
            await self._tell()

    async def _tell(self) -> None:
        self._changed.set()
        async with self._progress:
            self._progress.notify_all()
