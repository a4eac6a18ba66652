"""How much one request may read: people search topics that hold more than a page should wait for."""

import time
from collections.abc import Iterable, Iterator
from typing import Final

from streams.records import InputRecord

MOST_RECORDS: Final = 20_000
MOST_BYTES: Final = 64 * 1024 * 1024
MOST_SECONDS: Final = 5.0


class Budget:
    """Lets records pass until so many, so many bytes or so many seconds are spent.

    Attributes:
        records: how many have passed.
        spent: whether it ended for that.
    """

    def __init__(self, records: int = MOST_RECORDS, size: int = MOST_BYTES, seconds: float = MOST_SECONDS) -> None:
        """The time begins now."""
        self.most = records
        self.records = 0
        self.spent = False
        self._bytes = size
        self._deadline = time.monotonic() + seconds

    def __call__(self, records: Iterable[InputRecord]) -> Iterator[InputRecord]:
        """The records, as long as it lasts."""
        for record in records:
            if self.records >= self.most or self._bytes <= 0 or time.monotonic() > self._deadline:
                self.spent = True
                return
            self.records += 1
            self._bytes -= len(record.value or b"")
            yield record
