"""A reader of one system's inbox on Kafka: partitions assigned by hand, so that any number of gateways can read."""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import Any, Final, Self

from aiokafka import AIOKafkaConsumer, TopicPartition, errors
from lintas_client import Connection, kafka
from lintas_client.delivery import Record

from connectors.gateway.refusal import Refused, unavailable
from lintas import names

STOP_SECONDS: Final = 5.0
MOVED_SECONDS: Final = 1.0  # a fetch that is under way at another place, for half a second at most, is waited for
_IN_USE: Final = (errors.CommitFailedError, errors.UnknownMemberIdError, errors.IllegalGenerationError)


class KafkaReader:
    """Reads with the system's own rights, and keeps its positions in the group that its Kafka clients use: its name.

    Attributes:
        partitions: how many the inbox has.
        failed: Kafka or the connection to it failed; another reader is to be used.
    """

    def __init__(self, connection: Connection, partitions: int) -> None:
        topic = names.inbox_topic(connection.system)
        self.partitions, self.failed = partitions, False
        self._system = connection.system
        self._at: Mapping[int, int] | None = None  # positions behind what was read last; None: not known
        self._places = [TopicPartition(topic, number) for number in range(partitions)]
        self._consumer: Any = AIOKafkaConsumer(
            **connection.kafka_options(),
            group_id=connection.system,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            request_timeout_ms=kafka.REQUEST_TIMEOUT_MS,
        )

    @classmethod
    async def started(cls, connection: Connection, partitions: int) -> Self:
        """A reader that is connected.

        Raises:
            ClientError: the bus does not answer, or does not know the system.
        """
        reader = cls(connection, partitions)
        reader._consumer.assign(reader._places)
        await kafka.start(reader._consumer, connection)
        return reader

    async def stop(self) -> None:
        """Disconnect."""
        with contextlib.suppress(TimeoutError, errors.KafkaError):
            async with asyncio.timeout(STOP_SECONDS):
                await self._consumer.stop()

    async def committed(self) -> dict[int, int]:
        """See `Reader`."""
        with self._told():
            found = {place.partition: await self._consumer.committed(place) for place in self._places}
        return {partition: offset for partition, offset in found.items() if offset is not None}

    async def commit(self, positions: Mapping[int, int]) -> None:
        """See `Reader`."""
        known = {place: positions[place.partition] for place in self._places if place.partition in positions}
        with self._told():
            if known:  # else it is a cursor of an inbox that is no more
                await self._consumer.commit(known)

    async def read(self, positions: Mapping[int, int], limit: int, seconds: float) -> Sequence[Record]:
        """See `Reader`."""
        with self._told():
            if await self._moved(positions):
                seconds = max(seconds, MOVED_SECONDS)
            found = await self._consumer.getmany(timeout_ms=int(seconds * 1000), max_records=limit)
            self._at = {**positions, **{place.partition: records[-1].offset + 1 for place, records in found.items()}}
            return [record for records in found.values() for record in records]

    async def _moved(self, positions: Mapping[int, int]) -> bool:
        """Go there, but not where reading ended last: that would throw away what was fetched ahead.

        The consumer's own positions do not tell: they are behind a lane's transaction markers, which are no records.
        """
        at, self._at = self._at, None
        moved = [
            place for place in self._places if at is None or positions.get(place.partition) != at.get(place.partition)
        ]
        for place in moved:
            if place.partition in positions:
                self._consumer.seek(place, positions[place.partition])
        if unknown := [place for place in moved if place.partition not in positions]:
            await self._consumer.seek_to_beginning(*unknown)
        return bool(moved)

    @contextlib.contextmanager
    def _told(self) -> Any:
        try:
            yield
        except _IN_USE:
            raise Refused(
                "inbox-in-use",
                f"A program of {self._system} reads this inbox as a member of the group {self._system}.",
                cause="The system reads over Kafka and over HTTP at the same time, with one position for both.",
                remedy="End one of them; members that died are forgotten within a minute.",
            ) from None
        except kafka.NOT_ALLOWED:
            self.failed = True
            raise Refused(
                "not-entitled",
                f"The bus does not let {self._system} read its inbox.",
                cause="The catalogue in force was changed, or its rights are not in place yet.",
                remedy="GET /agreements shows what the system receives.",
            ) from None
        except errors.KafkaError:
            self.failed = True
            raise unavailable("Kafka does not answer.") from None
