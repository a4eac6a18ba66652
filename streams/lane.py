"""A lane: one of N slots that carry events exactly once.

Owns a consumer whose partitions are assigned by hand and one transactional producer with the lane's static id. Outputs,
audit record, salts and consumed positions of a batch commit in one transaction. After any doubt the producer is thrown
away, a new one is initialised (which fences whatever is still on its way), and the committed positions are read again.
"""

import asyncio
import collections
import contextlib
import datetime as dt
import logging
import math
import time
import zlib
from collections.abc import Coroutine, Iterable, Mapping
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError, OffsetOutOfRangeError
from aiokafka.structs import OffsetAndMetadata
from mode import Service

from lintas import names
from lintas.errors import LaneStopped
from streams.audit import Decided
from streams.batch import Batch
from streams.breaker import Breaker
from streams.catch_up import CatchUp
from streams.decide import Plans
from streams.duties import LaneDuties
from streams.positions import committed_positions, fill_windows, stop_quietly
from streams.producer import BATCH_BYTES, AnswerLost, OnceProducer, Refused
from streams.raw_fetch import start_raw
from streams.record_format import RawBatch, content, filled_batches
from streams.refusal import to_set_aside
from streams.slots import EVERYBODY, Partition, Slot
from streams.status import LaneReport, aside_record, now, read_status
from streams.transaction import contents_of
from streams.window import DuplicateWindow

log = logging.getLogger(__name__)

YIELD_EVERY: Final = 500  # events decided between two chances for heartbeats
FETCH_BYTES: Final = 4 * 1024 * 1024  # of one partition at once
FETCH_WAIT_MS: Final = 50  # a busy partition waits for a fetch that was begun when only idle ones were asked for
TAKE_ALONG_SECONDS: Final = 0.02
DECIDED_BYTES: Final = 8 * 1024 * 1024  # of events in one transaction, so that many large ones need no more memory
STOP_SECONDS: Final = 10.0
ASIDE: Final = "%s: agreement %s is set aside in %s [%d] from offset %d: %s"
BACKOFF_SECONDS: Final = 0.05
BACKOFF_STEPS: Final = 5
FENCED_SECONDS: Final = 1.0
REFUSED_SECONDS: Final = 300.0  # owning the lane anew for it holds live events up
QUARANTINE: Final = "%s: events out of quarantine in %s [%d] are refused (%s); trying again in %d s"


class Lane(Service):  # type: ignore[misc]  # mode ships no types
    """Runs one lane until it is stopped.

    Where a person must look (LaneStopped) it gives the alarm, lets go, and looks again now and then whether the cause
    has been mended; the worker's other lanes go on. A defect of ours ends the worker.
    """

    def __init__(self, number: int, duties: LaneDuties, **kwargs: Any) -> None:
        """``number`` is the partition of the control topic that stands for this lane."""
        super().__init__(**kwargs)
        self.number = number
        self._duties = duties
        self._settings = duties.settings
        self._closing = asyncio.Event()
        self._ended = asyncio.Event()
        self._failures = 0
        self._producer: OnceProducer | None = None
        self._consumer: AIOKafkaConsumer | None = None
        self._plans: Plans | None = None
        self._windows: dict[Partition, DuplicateWindow] = {}
        self._positions: dict[Partition, int] = {}
        self._committed_at: dict[Partition, float] = {}
        self._rests: dict[Slot, float] = {}
        self._background: set[asyncio.Task[None]] = set()
        self._catch_up = self._new_catch_up()
        self._breaker = Breaker(self._settings.dead_letters_in_a_row)
        self._waiting: collections.deque[tuple[Partition, RawBatch]] = collections.deque()  # read, not yet decided

    @property
    def label(self) -> str:
        """The lane's name in logs."""
        return f"lane {self.number}"

    @property
    def ended_unasked(self) -> bool:
        """Whether the lane's task is over though nobody stopped it."""
        return self._ended.is_set() and not self._closing.is_set()

    def _new_catch_up(self) -> CatchUp:
        name = f"{self._duties.worker}-lane-{self.number}-catch-up"
        return CatchUp(self._duties, name, self._windows, self._positions, self._rests, self._in_background)

    async def on_stop(self) -> None:
        """Finish the batch under way and let go of everything; give up after a deadline."""
        self._closing.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_SECONDS):
                await self._ended.wait()

    @Service.task  # type: ignore[untyped-decorator]  # mode ships no types
    async def run_lane(self) -> None:
        """The lane's life: own, run until a doubt, own again."""
        try:
            while not self._closing.is_set():
                try:
                    if await self._own():
                        await self._run()
                    else:
                        await self._pause(FENCED_SECONDS)
                except LaneStopped as error:
                    log.critical("%s", error)
                    await self._let_go()
                    self._duties.observer.stopped(self.number)
                    await self._pause(self._settings.stopped_lane_seconds)
                except (KafkaError, AnswerLost, Refused, TimeoutError, AssertionError) as error:
                    if isinstance(error, AssertionError) and not (self._producer and self._producer.dead):
                        raise  # not aiokafka's dying producer: a defect of ours
                    await self._after_doubt(error)
        finally:
            await self._let_go()
            if self._background:
                await asyncio.wait(self._background, timeout=STOP_SECONDS)
            self._ended.set()

    async def _after_doubt(self, error: Exception) -> None:
        self._failures += 1
        self._duties.observer.doubtful()
        cause = self._producer.died_of if self._producer is not None else None
        log.warning("%s: %s; owning it anew", self.label, type(cause or error).__name__)
        await self._let_go()
        fenced = type(error).__name__ == "ProducerFenced"
        backoff = FENCED_SECONDS if fenced else BACKOFF_SECONDS * 2 ** min(self._failures, BACKOFF_STEPS)
        await self._pause(backoff)

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._closing.wait()

    async def _let_go(self) -> None:
        self._duties.observer.let_go(self.number)
        producer, self._producer = self._producer, None
        consumer, self._consumer = self._consumer, None
        self._in_background(self._catch_up.stop())
        if producer is not None:
            await producer.discard()
        if consumer is not None:
            await stop_quietly(consumer)

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        """Have something done that nobody waits for: readers whose brokers are away take seconds to let go."""
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    # Owning: fence every earlier owner first, only then read what it committed.

    async def _own(self) -> bool:
        if not await self._duties.still_mine(self):
            return False
        self._producer = OnceProducer(
            self._duties.options,
            transactional_id=names.transactional_id(self._duties.generation, self.number),
            client_id=f"{self._duties.worker}-lane-{self.number}",
            transaction_timeout_seconds=self._settings.transaction_timeout_seconds,
        )
        await self._producer.start()
        if await self._duties.replaced():  # asked after initialising, before positions are read: decisions/0007
            await self._let_go()
            return False
        self._consumer = AIOKafkaConsumer(
            **self._duties.options,
            client_id=f"{self._duties.worker}-lane-{self.number}",
            isolation_level="read_committed",
            auto_offset_reset="none",
            request_timeout_ms=15_000,
            max_partition_fetch_bytes=FETCH_BYTES,
            fetch_max_bytes=4 * FETCH_BYTES,
            fetch_max_wait_ms=FETCH_WAIT_MS,
        )
        await start_raw(self._consumer)
        self._catch_up = self._new_catch_up()
        self._waiting.clear()
        self._windows.clear()
        self._positions.clear()
        self._committed_at.clear()
        self._plans = None
        self._duties.observer.owned(self.number)
        return True

    async def _switch(self, plans: Plans) -> None:
        """Take up a catalogue: new input partitions, no more of those that are gone; report it."""
        consumer = self._require_consumer()
        mine = [
            partition
            for partition in plans.partitions()
            if names.lane_of(*partition, self._duties.lanes) == self.number
        ]
        new = [partition for partition in mine if partition not in self._positions]
        committed, status = await asyncio.gather(
            committed_positions(self._duties.options, self.number, new), read_status(self._duties.options)
        )
        for partition in set(self._positions) - set(mine):
            del self._positions[partition]
            del self._windows[partition]
            self._committed_at.pop(partition, None)
        for partition in new:
            window = DuplicateWindow(
                records=self._settings.duplicate_window_records,
                seconds=self._settings.duplicate_window_seconds,
            )
            try:
                window.restore(committed[partition].metadata, committed[partition].offset)
            except (ValueError, zlib.error) as error:
                raise LaneStopped(
                    lane=self.number,
                    reason=f"the committed position of {partition[0]} [{partition[1]}] carries metadata it cannot read",
                    remedy="delete that position with Kafka's tools, then `lintas lanes restore --all`.",
                ) from error
            self._windows[partition] = window
            self._positions[partition] = committed[partition].offset
            self._committed_at[partition] = -math.inf  # when the owner before committed it is not known
        self._catch_up.take_up(status, mine, plans)
        self._waiting.clear()
        consumer.assign([TopicPartition(*partition) for partition in mine])
        await fill_windows(
            consumer,
            {partition: self._windows[partition] for partition in new},
            self._positions,
            records=self._settings.duplicate_window_records,
            closing=self._closing,
        )
        for partition in mine:
            consumer.seek(TopicPartition(*partition), self._positions[partition])
        self._plans = plans
        await self._report(plans)
        self._duties.observer.running(self.number)
        log.info("%s: catalogue %s, %d input partitions", self.label, plans.digest[:12], len(mine))

    async def _report(self, plans: Plans) -> None:
        report = LaneReport(
            self._duties.generation,
            self.number,
            self._duties.worker,
            plans.digest,
            len(self._positions),
            now().isoformat(timespec="milliseconds"),
        )
        await self._transact_status([report.as_record()])

    async def _transact_status(self, records: Iterable[tuple[bytes, bytes | None]]) -> None:
        batches = filled_batches([content(key, value, []) for key, value in records], BATCH_BYTES)
        status = TopicPartition(names.LANES_STATUS, 0)
        await self._require_producer().transact({status: batches}, {}, names.LANES_OFFSETS_GROUP)

    # Running: read, decide, commit.

    async def _run(self) -> None:
        is_behind = False
        while (consumer := self._consumer) is not None and not self._closing.is_set():
            plans = self._duties.plans()
            if self._plans is not plans:
                await self._switch(plans)
            if not self._positions:
                await self._pause(self._settings.batch_wait_seconds)
                continue
            is_live = self._waiting or await self._read_on(
                consumer, 0 if is_behind else self._settings.batch_wait_seconds
            )
            at = now()
            if begun := self._catch_up.begin_backfills(plans, at):
                await self._transact_status(begun)
            if is_live:
                self._duties.pace.live()
                await self._carry(plans, consumer, at)
            if self._consumer is consumer:  # else an agreement was set aside, for which the lane was let go
                await self._recommit_idle()
                is_behind = await self._give_what_is_behind(plans, at)

    async def _read_on(self, consumer: AIOKafkaConsumer, seconds: float) -> bool:
        """Take what has been fetched, or what comes in so many seconds; whether there is anything."""
        try:
            read = await consumer.getmany(timeout_ms=int(seconds * 1000))
        except OffsetOutOfRangeError as error:
            raise LaneStopped(
                lane=self.number,
                reason=f"events were deleted before the lane could read them ({error})",
                remedy="`lintas lanes restore --all --skip-deleted` goes on behind them; lengthen the retention.",
            ) from error
        for partition, raws in read.items():
            self._waiting.extend(((partition.topic, partition.partition), raw) for raw in raws)
        return bool(self._waiting)

    async def _carry(self, plans: Plans, consumer: AIOKafkaConsumer, at: dt.datetime) -> None:
        begun = time.monotonic()
        async with self._duties.turn:
            batch = Batch(plans, self._windows, self._catch_up.aside, at=at)
            await self._decide(batch, consumer)
        if not batch.events:
            return
        try:
            await self._commit(plans, batch, batch.next_offsets, decide_seconds=time.monotonic() - begun)
        except Refused as refused:
            await self._set_aside(batch, refused)
            return
        self._failures = 0
        self._positions.update(batch.next_offsets)
        self._committed_at.update(dict.fromkeys(batch.next_offsets, time.monotonic()))
        self._catch_up.note_live(batch)
        await self._stem(batch)

    async def _decide(self, batch: Batch, consumer: AIOKafkaConsumer) -> None:
        most, size, begun = self._settings.batch_events, 0, time.monotonic()
        while batch.events < most and size < DECIDED_BYTES:
            # Events that come meanwhile are taken along, but nobody waits long for them.
            if not self._waiting and (
                time.monotonic() > begun + TAKE_ALONG_SECONDS or not await self._read_on(consumer, 0)
            ):
                break
            partition, raw = self._waiting[0]
            size -= raw.at
            batch.add(*partition, raw, min(most - batch.events, YIELD_EVERY))
            size += raw.at
            if not raw.left:
                self._waiting.popleft()
            await asyncio.sleep(0)

    async def _give_what_is_behind(self, plans: Plans, at: dt.datetime) -> bool:
        """Give a chunk of what is not live; whether there may be more."""
        chunk = await self._catch_up.next(plans, at)
        if chunk is None:
            return self._catch_up.is_reading
        place = chunk.slot[1:]
        try:
            # The position stays: with it goes which records the duplicate window leaves out.
            await self._commit(plans, chunk.batch, {place: self._positions[place]}, chunk.status)
        except Refused as refused:
            if chunk.slot[0] == EVERYBODY:  # who is set aside already may refuse it for all
                self._rests[chunk.slot] = time.monotonic() + REFUSED_SECONDS
                log.warning(QUARANTINE, self.label, *place, refused, REFUSED_SECONDS)
            await self._set_aside(chunk.batch, refused, behind=chunk.slot)
            return False
        waited = chunk.slot in self._catch_up.aside
        chunk.committed()
        if waited:
            await self._stem(chunk.batch, behind=chunk.slot)
        return True

    async def _commit(
        self,
        plans: Plans,
        batch: Batch,
        positions: Mapping[Partition, int],
        status: Iterable[tuple[bytes, bytes | None]] = (),
        decide_seconds: float | None = None,
    ) -> None:
        decided = Decided(batch.id, self._duties.generation, self.number, self._duties.worker, plans.digest, batch.at)
        contents = contents_of(batch, decided, plans.snapshot.audit_schema.id, status)
        begun = time.monotonic()
        try:
            await self._require_producer().transact(
                {TopicPartition(*to): filled_batches(records, BATCH_BYTES) for to, records in contents.items()},
                {
                    TopicPartition(*partition): OffsetAndMetadata(offset, self._windows[partition].metadata(offset))
                    for partition, offset in positions.items()
                },
                names.LANES_OFFSETS_GROUP,
            )
        except Refused:
            self._duties.observer.refused()
            raise
        self._duties.observer.committed(
            plans, batch, decide_seconds=decide_seconds, commit_seconds=time.monotonic() - begun
        )

    async def _stem(self, batch: Batch, *, behind: Slot | None = None) -> None:
        """Set agreements aside for which a flood of events is dead: those to come wait for a person."""
        flooded = self._breaker.note(batch, self._catch_up.aside, behind=behind)
        if not flooded:
            return
        await self._transact_status(aside_record(slot, why) for slot, why in flooded.items())
        self._catch_up.aside.update(flooded)
        for slot, why in flooded.items():
            log.error(ASIDE, self.label, *slot, why.from_offset, why.reason)

    async def _set_aside(self, batch: Batch, refused: Refused, *, behind: Slot | None = None) -> None:
        """A consumer's topics do not take its events: its events wait from here, everybody else goes on.

        ``behind``: what was refused was not live, but what this slot was given besides.
        """
        newly = to_set_aside(batch, refused, self._catch_up.aside, self._positions, lane=self.number, behind=behind)
        for slot, why in newly.items():
            log.error(ASIDE, self.label, *slot, why.from_offset, why.reason)
        records = [aside_record(slot, why) for slot, why in newly.items()]
        await self._let_go()
        if await self._own():
            await self._transact_status(records)

    async def _recommit_idle(self) -> None:
        """Commit unchanged positions anew before the brokers forget them."""
        due = time.monotonic() - self._settings.idle_recommit_seconds
        idle = [partition for partition, at in self._committed_at.items() if at < due]
        if not idle:
            return
        await self._require_producer().transact(
            {},
            {
                TopicPartition(*partition): OffsetAndMetadata(
                    self._positions[partition], self._windows[partition].metadata(self._positions[partition])
                )
                for partition in idle
            },
            names.LANES_OFFSETS_GROUP,
        )
        self._committed_at.update(dict.fromkeys(idle, time.monotonic()))

    def _require_producer(self) -> OnceProducer:
        assert self._producer is not None, "the lane is not owned"
        return self._producer

    def _require_consumer(self) -> AIOKafkaConsumer:
        assert self._consumer is not None, "the lane is not owned"
        return self._consumer
