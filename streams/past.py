"""The events of one input partition that one agreement is given of the past, in their order.

What was quarantined when it was published is left out, whatever the catalogue of today says of it: once it is mended it
comes out of quarantine for everybody. Of repeats within the duplicate window the first is given.
"""

import asyncio
import collections
import contextlib
from collections.abc import Collection
from typing import Final

from streams.backlog import Backlog
from streams.decide import EventTypePlan
from streams.records import InputRecord
from streams.slots import Partition
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
        self._until = until
        self._quarantined = quarantined
        self._read: collections.deque[InputRecord] = collections.deque()

    async def recall(self, plan: EventTypePlan, start: int, records: int) -> None:
        """Put into the window what was given before, at most so many records back and none before ``start``.

        Raises:
            KafkaError, TimeoutError: the brokers cannot be asked.
        """
        position, until = max(start, self._position - records), self._position
        while position < until:
            read, position = await self._backlog.read(self._partition, position, until)
            for number, record in enumerate(read):
                if number % YIELD_EVERY == 0:
                    await asyncio.sleep(0)  # heartbeats
                if record.offset not in self._quarantined:
                    with contextlib.suppress(Exception):  # it was given to nobody then
                        self.window.is_repeat(record.offset, record.timestamp_ms, plan.read(record).identity)

    async def take(self, most: int) -> tuple[list[InputRecord], int]:
        """The next events, and the position behind them: ``until`` if that was all.

        Raises:
            KafkaError, TimeoutError: the brokers cannot be asked.
        """
        if not self._read and self._position < self._until:
            read, self._position = await self._backlog.read(self._partition, self._position, self._until)
            self._read.extend(read)
        taken = [self._read.popleft() for _ in range(min(most, len(self._read)))]
        reached = self._read[0].offset if self._read else min(self._position, self._until)
        return [record for record in taken if record.offset not in self._quarantined], reached
