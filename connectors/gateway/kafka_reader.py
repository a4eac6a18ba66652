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
_IN_USE: Final = (errors.CommitFailedError, errors.UnknownMemberIdError, errors.IllegalGenerationError)


class KafkaReader:
    """Reads with the system's own rights, and keeps its positions in the group that its Kafka clients use: its name."""

    def __init__(self, connection: Connection, partitions: int) -> None:
        topic = names.inbox_topic(connection.system)
        self._system = connection.system
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
        known = {place.partition: place for place in self._places}
        with self._told():
            await self._consumer.commit({known[partition]: offset for partition, offset in positions.items()})

    async def read(self, positions: Mapping[int, int], limit: int, seconds: float) -> Sequence[Record]:
        """See `Reader`."""
        with self._told():
            await self._seek(positions)
            found = await self._consumer.getmany(timeout_ms=int(seconds * 1000), max_records=limit)
            return [record for records in found.values() for record in records]

    async def _seek(self, positions: Mapping[int, int]) -> None:
        """Go there, but not where the consumer is already: a seek throws away what was fetched ahead."""
        for place in self._places:
            known = positions.get(place.partition)
            if known is not None and known != await self._consumer.position(place):
                self._consumer.seek(place, known)
        if unknown := [place for place in self._places if place.partition not in positions]:
            await self._consumer.seek_to_beginning(*unknown)

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
            raise Refused(
                "not-entitled",
                f"The bus does not let {self._system} read its inbox.",
                cause="The catalogue in force was changed, or its rights are not in place yet.",
                remedy="GET /agreements shows what the system receives.",
            ) from None
        except errors.KafkaError:
            raise unavailable("Kafka does not answer.") from None
