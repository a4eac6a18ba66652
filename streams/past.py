"""The events of one input partition that one agreement is given of the past, in their order: backfills and replays.

What was quarantined when it was published is left out, whatever the catalogue of today says of it: once it is mended it
comes out of quarantine for everybody. Of repeats within the duplicate window the first is given.
"""

import asyncio
import collections
import contextlib
from collections.abc import Collection
from typing import Final

from streams.backlog import MOST_BYTES, Backlog
from streams.decide import EventTypePlan
from streams.duties import LaneDuties
from streams.record_format import RawBatch
from streams.records import InputRecord
from streams.slots import EVERYBODY, Done, Partition
from streams.window import DuplicateWindow

YIELD_EVERY: Final = 100


class PastEvents:
    """Reads them on from where it has come; ``window`` is that of the past alone."""

    def __init__(
        self,
        backlog: Backlog,
        partition: Partition,
        *,
        next_offset: int,
        until: int,
        quarantined: Collection[int],
        window: DuplicateWindow,
    ) -> None:
        """The events from ``next_offset`` on and before ``until``, but for those that were quarantined."""
        self.window = window
        self._backlog = backlog
        self._partition = partition
        self._position = next_offset  # behind what has been read
        self._reached = next_offset  # behind what has been taken
        self._until = until
        self._quarantined = quarantined
        self._read: collections.deque[RawBatch] = collections.deque()

    async def recall(self, plan: EventTypePlan, start: int, records: int) -> None:
        """Put into the window what was given before, at most so many records back and none before ``start``.

        Raises:
            KafkaError, TimeoutError: the brokers cannot be asked.
        """
        before = PastEvents(
            self._backlog,
            self._partition,
            next_offset=max(start, self._position - records),
            until=self._position,
            quarantined=self._quarantined,
            window=self.window,
        )
        while before._reached < before._until:
            read, _ = await before.take(YIELD_EVERY)
            for record in read:
                with contextlib.suppress(Exception):  # it was given to nobody then
                    self.window.is_repeat(record.offset, record.timestamp_ms, plan.read(record).identity)

    async def take(self, most: int) -> tuple[list[InputRecord], int]:
        """The next events, not more than memory allows, and the position behind them: ``until`` if that was all.

        Raises:
            KafkaError, TimeoutError: the brokers cannot be asked.
        """
        taken: list[InputRecord] = []
        size = 0
        while len(taken) < most and size < MOST_BYTES and self._reached < self._until:
            if not self._read:
                if self._position >= self._until:
                    self._reached = self._until
                    break
                read, self._position = await self._backlog.batches(self._partition, self._position, self._until)
                self._read.extend(read)
                continue
            raw = self._read[0]
            for record in raw.records(*self._partition, most=min(most - len(taken), YIELD_EVERY)):
                self._reached = min(record.offset + 1, self._until)
                if record.offset < self._until and record.offset not in self._quarantined:
                    taken.append(record)
                    size += len(record.value or b"")
                    if size >= MOST_BYTES:
                        break
            if not raw.left:
                self._reached = max(self._reached, min(raw.next_offset, self._until))
                self._read.popleft()
            await asyncio.sleep(0)  # heartbeats
        return taken, self._reached


async def open_past(
    duties: LaneDuties,
    backlog: Backlog,
    plan: EventTypePlan,
    partition: Partition,
    *,
    offsets: tuple[int, int, int],
    since_ms: int,
    readmitted: Done,
) -> PastEvents:
    """Open the past of an input partition where it was left.

    Args:
        duties: of the lane.
        backlog: what reads it.
        plan: the event type.
        partition: of its topic.
        offsets: of the first event, of the next one, and behind the last one.
        since_ms: when the first one was published.
        readmitted: how far events of quarantine have been given to everybody: those count as given.

    Raises:
        KafkaError, TimeoutError: the brokers cannot be asked.
    """
    start, next_offset, until = offsets
    records, seconds = duties.settings.duplicate_window_records, duties.settings.duplicate_window_seconds
    quarantined = await backlog.quarantined_since(plan.quarantine, since_ms)
    given = duties.redrives().given((EVERYBODY, *partition), readmitted)
    events = PastEvents(
        backlog,
        partition,
        next_offset=next_offset,
        until=until,
        quarantined={one.offset for one in quarantined if one.partition == partition and one.letter not in given},
        window=DuplicateWindow(records=records, seconds=seconds),
    )
    await events.recall(plan, start, records)
    return events
