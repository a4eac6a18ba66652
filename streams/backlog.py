"""Reads for one lane what is to be given besides live events: what waits, letters, the past."""

import asyncio
import collections
import dataclasses
import datetime as dt
import itertools
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import ConsumerRecord

from streams import waiting
from streams.letters import Letter
from streams.positions import stop_quietly
from streams.raw_fetch import start_raw
from streams.record_format import RawBatch
from streams.records import InputRecord
from streams.slots import Partition, SetAside, Slot
from streams.status import read_status

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 5.0
POLL_MS: Final = 200
AT_ONCE: Final = 500  # records taken apart between two chances for heartbeats
FETCH_BYTES: Final = 256 * 1024
EARLIER: Final = dt.timedelta(minutes=10)  # records carry the workers' clocks
READ_SECONDS: Final = 15.0
NEAR: Final = 2_000  # records that are rather read over than sought
MOST_BYTES: Final = 4 * 1024 * 1024  # of records at once


@dataclasses.dataclass(slots=True)
class _Course:
    """How far a slot's waiting offsets have been read."""

    wanted: collections.deque[int]
    position: int  # on the topic of waiting offsets


class Quarantined(NamedTuple):
    """An event in quarantine."""

    letter: int  # its offset there
    partition: Partition  # where it was published
    offset: int  # likewise


@dataclasses.dataclass(slots=True)
class _Quarantine:
    """What has been read of one."""

    since_ms: int
    position: int
    events: list[Quarantined]


@dataclasses.dataclass(frozen=True, slots=True)
class Owed:
    """Some events that a slot has to get, in their order, and what was found of each: None if it was deleted."""

    events: Sequence[tuple[int, InputRecord | None]]
    all_of_it: bool  # nothing waited behind them when this was read


class Backlog:
    """One lane's reader of what is not live; costs nothing as long as there is nothing of that."""

    def __init__(self, options: Mapping[str, Any], client_id: str) -> None:
        """``options`` are connection arguments for aiokafka."""
        self._options = options
        self._client_id = client_id
        self._consumers: dict[bool, AIOKafkaConsumer] = {}  # whether of raw batches
        self._raw_at: tuple[TopicPartition, int] | None = None  # where that one goes on
        self._courses: dict[Slot, _Course] = {}
        self._resumed: collections.deque[tuple[Slot, str]] = collections.deque()  # and since when it is set aside
        self._quarantines: dict[str, _Quarantine] = {}  # by topic
        self._look_at = 0.0

    async def resumed(self, aside: Mapping[Slot, SetAside]) -> Slot | None:
        """A slot that is to be given what it waits for, another one each time; asked anew now and then.

        Raises:
            KafkaError, TimeoutError: the brokers cannot be asked.
        """
        if time.monotonic() > self._look_at:
            asked = (await read_status(self._options)).resumed
            self._resumed = collections.deque(asked.items())
            self._look_at = time.monotonic() + LOOK_SECONDS
        for _ in range(len(self._resumed)):
            self._resumed.rotate()
            slot, since = self._resumed[0]
            if slot in aside and aside[slot].since == since:  # else it has been set aside once more
                return slot
        return None

    async def next(self, slot: Slot, why: SetAside, most: int) -> Owed:
        """The next events that wait for a slot.

        Raises:
            KafkaError, TimeoutError: the brokers cannot be asked.
        """
        consumer = await self._started()
        course = self._courses.get(slot)
        if course is None:
            course = self._courses[slot] = _Course(collections.deque(), await self._beginning(consumer, slot, why))
        is_whole = len(course.wanted) < most and await self._read_on(consumer, slot, course, why.from_offset, most)
        offsets = list(itertools.islice(course.wanted, most))
        found, looked_for = await self._find(slot[1:], offsets)
        for _ in range(looked_for):
            course.wanted.popleft()
        events = [(offset, found.get(offset)) for offset in offsets[:looked_for]]
        return Owed(events, is_whole and not course.wanted)

    async def letters(self, topic: str, offsets: Sequence[int]) -> tuple[Sequence[Letter], int]:
        """Letters by their offsets, in that order, without those that are deleted; and how many were looked for.

        Raises:
            KafkaError, TimeoutError: the brokers cannot be asked.
        """
        found, looked_for = await self._find((topic, 0), offsets)
        chosen = [found[offset] for offset in offsets[:looked_for] if offset in found]
        return list(map(Letter.from_record, chosen)), looked_for

    async def quarantined_since(self, topic: str, since_ms: int) -> Sequence[Quarantined]:
        """What came into a quarantine at a moment or later; what has been read once is remembered.

        Raises:
            KafkaError, TimeoutError: the brokers cannot be asked.
        """
        known = self._quarantines.get(topic)
        if known is None or since_ms < known.since_ms:
            begin = await self.at_time((topic, 0), since_ms - int(EARLIER.total_seconds() * 1000))
            known = self._quarantines[topic] = _Quarantine(since_ms, begin, [])
        place, deadline = TopicPartition(topic, 0), time.monotonic() + READ_SECONDS
        consumer = await self._started(raw=True)
        consumer.assign([place])
        consumer.seek(place, known.position)
        self._raw_at = None
        while True:
            for raw in (await consumer.getmany(place, timeout_ms=POLL_MS)).get(place, []):
                known.events += _quarantined_in(raw, topic)
                deadline = time.monotonic() + READ_SECONDS
                await asyncio.sleep(0)  # heartbeats
            known.position = await consumer.position(place)
            # Another lane's open transaction may hide what is committed behind it: wait for it, do not miss that.
            end = consumer.highwater(place)
            if end is not None and known.position >= end:
                break
            if time.monotonic() > deadline:
                raise TimeoutError
        return known.events

    async def at_time(self, partition: Partition, moment_ms: int) -> int:
        """The first offset of a partition whose record is not older than a moment; its end if there is none.

        Raises:
            KafkaError, TimeoutError: the brokers cannot be asked.
        """
        consumer, place = await self._started(), TopicPartition(*partition)
        found = (await consumer.offsets_for_times({place: max(0, moment_ms)}))[place]
        return await self._end(partition) if found is None else int(found.offset)

    async def batches(self, partition: Partition, position: int, until: int) -> tuple[list[RawBatch], int]:
        """Some record batches from a position on, and the position behind them: ``until`` if there are no more.

        Raises:
            KafkaError, TimeoutError: the brokers cannot be asked.
        """
        consumer, place = await self._started(raw=True), TopicPartition(*partition)
        position = max(position, (await consumer.beginning_offsets([place]))[place])
        if self._raw_at != (place, position):
            consumer.assign([place])
            consumer.seek(place, position)
        async with asyncio.timeout(READ_SECONDS):
            while position < until:
                read = (await consumer.getmany(place, timeout_ms=POLL_MS)).get(place, [])
                position = await consumer.position(place)
                self._raw_at = place, position
                if read:
                    return read, min(position, until)
        return [], until

    def forget(self, slot: Slot) -> None:
        """The slot waits no more, or what was read of it was not given."""
        self._courses.pop(slot, None)

    def forget_all(self) -> None:
        """Nothing that was read is given."""
        self._courses.clear()

    async def stop(self) -> None:
        """Let go of the connections."""
        consumers, self._consumers, self._raw_at = list(self._consumers.values()), {}, None
        for consumer in consumers:
            await stop_quietly(consumer)

    async def _end(self, partition: Partition) -> int:
        place = TopicPartition(*partition)
        return int((await (await self._started()).end_offsets([place]))[place])

    async def _started(self, *, raw: bool = False) -> AIOKafkaConsumer:
        """The consumer of records, or the one of raw batches; small fetches, since each is taken apart at once."""
        if raw not in self._consumers:
            # Remembered before it is started: whatever comes, it is stopped.
            consumer = self._consumers[raw] = AIOKafkaConsumer(
                **self._options,
                client_id=self._client_id,
                isolation_level="read_committed",
                auto_offset_reset="earliest",
                enable_auto_commit=False,
                request_timeout_ms=15_000,
                fetch_max_wait_ms=50,
                max_partition_fetch_bytes=FETCH_BYTES,
            )
            await (start_raw(consumer) if raw else consumer.start())
        return self._consumers[raw]

    async def _beginning(self, consumer: AIOKafkaConsumer, slot: Slot, why: SetAside) -> int:
        """Where the slot's offsets begin on the topic of waiting offsets."""
        place = TopicPartition(*waiting.place_of(slot))
        moment_ms = int((dt.datetime.fromisoformat(why.waiting_since) - EARLIER).timestamp() * 1000)
        found = (await consumer.offsets_for_times({place: moment_ms}))[place]
        return int(found.offset if found is not None else (await consumer.beginning_offsets([place]))[place])

    async def _read_on(
        self, consumer: AIOKafkaConsumer, slot: Slot, course: _Course, from_offset: int, most: int
    ) -> bool:
        """Read waiting offsets until they are enough; whether that is all that there are."""
        place, key = TopicPartition(*waiting.place_of(slot)), waiting.key_of(slot)
        consumer.assign([place])
        consumer.seek(place, course.position)
        deadline = time.monotonic() + READ_SECONDS
        while True:
            read = (await consumer.getmany(place, timeout_ms=POLL_MS, max_records=AT_ONCE)).get(place, [])
            for record in read:
                if record.key == key:
                    last = course.wanted[-1] if course.wanted else from_offset - 1
                    course.wanted.extend(offset for offset in waiting.from_value(record.value) if offset > last)
            course.position = await consumer.position(place)
            end = consumer.highwater(place)
            if end is not None and course.position >= end:
                return True
            if len(course.wanted) >= most or (not read and time.monotonic() > deadline):
                return False

    async def _find(self, partition: Partition, offsets: Sequence[int]) -> tuple[dict[int, InputRecord], int]:
        """Some records of a partition by offset, and how many of the offsets were looked for: one at least.

        As many as time and memory allow; those that are not found are deleted.
        """
        found: dict[int, InputRecord] = {}
        if not offsets:
            return found, 0
        consumer, place, wanted = await self._started(), TopicPartition(*partition), set(offsets)
        beginning, end = (await consumer.beginning_offsets([place]))[place], await self._end(partition)
        consumer.assign([place])
        position, size, deadline = -1, 0, time.monotonic() + READ_SECONDS
        for looked_for, offset in enumerate(offsets):
            if size > MOST_BYTES or (looked_for and time.monotonic() > deadline):
                return found, looked_for
            if not beginning <= offset < end or offset in found:
                continue
            if not position <= offset < position + NEAR:
                consumer.seek(place, offset)
                position = offset
            while position <= offset:
                for record in (await consumer.getmany(place, timeout_ms=POLL_MS, max_records=AT_ONCE)).get(place, []):
                    if record.offset in wanted:
                        found[record.offset] = _as_input(record)
                        size += len(record.value or b"")
                position = await consumer.position(place)
                if position <= offset and time.monotonic() > deadline:
                    if looked_for:
                        return found, looked_for
                    raise TimeoutError
        return found, len(offsets)


def _quarantined_in(raw: RawBatch, topic: str) -> Iterator[Quarantined]:
    for record in raw.records(topic, 0):
        try:
            letter = Letter.from_record(record)
        except (KeyError, ValueError):
            log.critical("%s [0] %d: no lane can have written this record", topic, record.offset)
        else:
            yield Quarantined(letter.offset, letter.slot[1:], letter.event.offset)


def _as_input(record: ConsumerRecord) -> InputRecord:
    return InputRecord(
        record.topic,
        record.partition,
        record.offset,
        record.timestamp,
        record.key,
        record.value,
        [(name, value) for name, value in record.headers],
    )
