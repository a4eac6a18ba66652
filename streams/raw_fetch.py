"""An aiokafka consumer that hands out record batches as they came, for lanes that take records apart themselves.

Fetching, positions, leaders and errors stay aiokafka's. Builds on the internals of 0.14 (``Fetcher``): the pin in
pyproject.toml and this file change together.
"""

import types
from collections.abc import Iterator, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer import fetcher as stock

from streams.record_format import RawBatch, batches, last_offset


async def start_raw(consumer: AIOKafkaConsumer) -> None:
    """Start a consumer whose ``getmany`` gives ``RawBatch`` objects; it must read committed records only.

    Raises:
        KafkaError: no broker answers.
    """
    await consumer.start()
    fetcher = consumer._fetcher
    # The coroutine that takes an answer apart, with our two classes in place of the stock ones.
    known = {**vars(stock), "MemoryRecords": _MessageSet, "PartitionRecords": _Batches}
    function = stock.Fetcher._proc_fetch_request
    fetcher._proc_fetch_request = types.MethodType(types.FunctionType(function.__code__, known), fetcher)


class _MessageSet:
    """Stands for aiokafka's ``MemoryRecords``."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw

    def has_next(self) -> bool:
        return last_offset(self.raw) is not None

    def size_in_bytes(self) -> int:
        return len(self.raw)


class _Batches:
    """Stands for aiokafka's ``PartitionRecords``: an iterator that knows where the next fetch is to begin."""

    def __init__(
        self,
        _partition: TopicPartition,
        records: _MessageSet,
        aborted: Sequence[tuple[int, int]] | None,
        fetch_offset: int,
        *_: Any,
    ) -> None:
        self.next_fetch_offset = fetch_offset
        self._end = last_offset(records.raw) or fetch_offset
        self._batches = batches(records.raw, aborted or (), fetch_offset)

    def __iter__(self) -> Iterator[RawBatch]:
        return self

    def __next__(self) -> RawBatch:
        batch = next(self._batches, None)
        if batch is None:
            self.next_fetch_offset = max(self._end, self.next_fetch_offset)
            raise StopIteration
        self.next_fetch_offset = max(batch.next_offset, self.next_fetch_offset)
        return batch
