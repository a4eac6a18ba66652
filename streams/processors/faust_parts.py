"""Faust's table and consumer, without what they may not be left to do (FACTS.md, docs/decisions/0003).

Faust shares out partitions, fetches, and runs the agent. It writes no changelog, recovers no table and commits no
position: a `Ledger` does, in transactions.
"""

from collections.abc import Mapping
from typing import Any, Protocol

import faust
from faust.transport.drivers import aiokafka as driver
from faust.types import TP


class Owner(Protocol):
    """Who holds the table's contents and the positions that belong to them."""

    async def own(self, partitions: set[TP]) -> Mapping[TP, int]:
        """Make the table ready; where to read each partition of the inbox from.

        Called with the inbox's assigned partitions, before anything is read; an exception ends the worker.
        """

    def lose(self) -> None:
        """The partitions are no longer ours, or may not be: write nothing more and end the worker."""


class OwnedApp(faust.App):  # type: ignore[misc]  # faust ships no types
    """A Faust app whose table and positions have an owner, set before it starts."""

    owner: Owner

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.positions: Mapping[TP, int] = {}
        self.on_rebalance_complete.connect(self._take_over)

    async def _take_over(self, *_: Any, **__: Any) -> None:
        """Recovery is done and nothing flows yet. Unlike the seek that follows, this may take as long as it takes."""
        inbox = {partition for partition in self.consumer.assignment() if not _is_changelog(self, partition)}
        if inbox:
            self.positions = await self.owner.own(inbox)


class OwnedTable(faust.Table):  # type: ignore[misc]  # as above
    """A table in memory that notes its changes instead of sending each to the changelog by itself."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._changes: dict[str, Any] = {}

    def on_key_set(self, key: str, value: Any) -> None:
        """Note a new value."""
        self._changes[key] = value

    def on_key_del(self, key: str) -> None:
        """Note that a key is gone."""
        self._changes[key] = None

    def load(self, contents: Mapping[str, Any]) -> None:
        """Replace everything by what the changelog holds."""
        self._changes.clear()
        self.data.data.clear()
        self.data.data.update(contents)

    def take_changes(self) -> dict[str, Any]:
        """What has changed since the last call; None for keys that are gone."""
        changes, self._changes = self._changes, {}
        return changes


class _CommittedOnly(driver.AIOKafkaConsumerThread):  # type: ignore[misc]  # as above
    """Faust reads uncommitted records, unless it may manage the transactions as well."""

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._isolation_level = "read_committed"  # taken up when the consumer starts
        return consumer


class _OwnedConsumer(driver.Consumer):  # type: ignore[misc]  # as above
    """Reads from where the owner says, and commits nothing."""

    def _new_consumer_thread(self) -> _CommittedOnly:
        return _CommittedOnly(self, loop=self.loop, beacon=self.beacon)

    async def highwaters(self, *partitions: TP) -> Mapping[TP, int]:
        """Nothing to recover: Faust's recovery drops records that it cannot read and waits for transaction markers."""
        return dict.fromkeys(partitions, 0)

    async def perform_seek(self) -> None:
        """Called once the owner has taken over, before anything flows."""
        for partition, offset in self.app.positions.items():
            await self.seek(partition, offset)

    async def commit(self, *_: Any, **__: Any) -> bool:
        """Positions are committed with what they stand for."""
        return False

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Faust would complain that nothing is committed."""

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """No rebalance is expected while a sole owner works."""
        if revoked and not self.app.should_stop:
            self.app.owner.lose()
        await super().on_partitions_revoked(revoked)


def _is_changelog(app: faust.App, partition: TP) -> bool:
    return partition.topic in app.tables.changelog_topics


class OwnedTransport(driver.Transport):  # type: ignore[misc]  # as above
    """Faust's Kafka transport with the consumer above."""

    Consumer = _OwnedConsumer
