"""The positions of many consumer groups, asked for over one connection to each broker.

librdkafka needs a client, with threads and connections, for each group; its AdminClient dies where a coordinator has
moved (see ``schemas.cluster``).
"""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Final

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from lintas import names
from lintas.credentials import aiokafka_options
from lintas.errors import BusUnavailable
from lintas.settings import Settings
from monitoring.quorum import has_leader
from schemas.cluster import Partition

AT_ONCE: Final = 16
TIMEOUT_SECONDS: Final = 15.0


class Positions:
    """Asks for positions; connected anew after each failure."""

    def __init__(self, settings: Settings) -> None:
        """Nothing is connected before the first question."""
        self._settings = settings
        self._admin: AIOKafkaAdminClient | None = None
        self._coordinators: dict[str, int] = {}  # by group

    async def of(self, groups: Mapping[str, Iterable[Partition]]) -> dict[str, dict[Partition, int]]:
        """The positions of groups in some partitions; partitions without one are left out.

        Raises:
            BusUnavailable: Kafka does not answer.
        """
        slots = asyncio.Semaphore(AT_ONCE)

        async def one(group: str, partitions: Iterable[Partition]) -> dict[Partition, int]:
            async with slots:
                return await self._of(group, [TopicPartition(*place) for place in partitions])

        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                await self._connected()
                found = await asyncio.gather(*(one(*item) for item in groups.items()))
        except (KafkaError, TimeoutError, OSError) as error:
            await self.close()
            reason = f"positions of groups: {type(error).__name__}"
            raise BusUnavailable(part="Kafka", address=self._settings.brokers, reason=reason) from error
        return dict(zip(groups, found, strict=True))

    async def controllers_have_leader(self) -> bool:
        """Whether the cluster has a controller, asked over the same connections.

        Raises:
            BusUnavailable: Kafka does not answer at all.
        """
        try:
            return await has_leader(await self._connected())
        except (KafkaError, OSError) as error:
            await self.close()
            reason = f"the controllers: {type(error).__name__}"
            raise BusUnavailable(part="Kafka", address=self._settings.brokers, reason=reason) from error

    async def _connected(self) -> AIOKafkaAdminClient:
        if self._admin is None:
            self._admin = AIOKafkaAdminClient(**aiokafka_options(self._settings, names.ADMIN))
            await self._admin.start()
        return self._admin

    async def close(self) -> None:
        """Let connections go, and what is known of coordinators."""
        admin, self._admin = self._admin, None
        self._coordinators.clear()
        if admin is not None:
            await admin.close()

    async def _of(self, group: str, partitions: list[TopicPartition]) -> dict[Partition, int]:
        if not partitions:
            return {}
        assert self._admin is not None, "connected by the caller"
        if group not in self._coordinators:
            self._coordinators[group] = await self._admin.find_coordinator(group)
        found = await self._admin.list_consumer_group_offsets(group, self._coordinators[group], partitions)
        if len(found) < len(partitions):  # aiokafka overlooks an error of the whole answer: the coordinator has moved
            self._coordinators[group] = await self._admin.find_coordinator(group)
            found = await self._admin.list_consumer_group_offsets(group, self._coordinators[group], partitions)
            if len(found) < len(partitions):
                raise KafkaError(f"the coordinator of {group} does not answer")
        return {(place.topic, place.partition): one.offset for place, one in found.items() if one.offset >= 0}
