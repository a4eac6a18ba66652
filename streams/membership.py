"""A worker's place in the group of one generation, by which it is assigned lanes."""

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import KafkaError

from lintas.settings import Settings
from schemas.lane_plans import LanePlan
from streams.observer import LaneObserver

LEAVE_SECONDS: Final = 15.0


class Membership(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka ships no types
    """Notes what is assigned; revocation alone changes nothing, since a sticky assignment usually gives it back.

    Work in the listener is only to note: no heartbeat is sent while a listener runs. Lanes run on through a rebalance:
    their producers are fenced by whoever is given them.
    """

    def __init__(
        self,
        settings: Settings,
        options: Mapping[str, Any],
        worker: str,
        plan: LanePlan,
        changed: asyncio.Event,
        observer: LaneObserver,
    ) -> None:
        """``options`` are aiokafka's connection arguments; ``changed`` is set when the assignment changes."""
        self.plan = plan
        self.assigned: set[int] = set()  # lanes
        self._changed = changed
        self._observer = observer
        self._consumer = AIOKafkaConsumer(
            **options,
            client_id=worker,
            group_id=plan.group,
            enable_auto_commit=False,
            auto_offset_reset="latest",
            partition_assignment_strategy=(StickyPartitionAssignor,),
            session_timeout_ms=int(settings.session_timeout_seconds * 1000),
            heartbeat_interval_ms=int(settings.session_timeout_seconds * 1000 / 6),  # by which it learns of a rebalance
            rebalance_timeout_ms=10_000,
            request_timeout_ms=15_000,
        )

    async def join(self) -> None:
        """Take part in the hand-out of lanes.

        Raises:
            KafkaError: the brokers cannot be asked.
        """
        await self._consumer.start()
        await self._consumer._client._wait_on_metadata(self.plan.control_topic)  # a broker may learn of it late
        self._consumer.subscribe([self.plan.control_topic], listener=self)

    async def stay(self) -> None:
        """Stay a member: aiokafka revokes consumers that are not polled."""
        with contextlib.suppress(KafkaError):
            await self._consumer.getmany(timeout_ms=0)

    async def is_alive(self) -> bool:
        """Whether the group still counts this worker as a member; asks it."""
        return bool(await self._consumer._coordinator._do_heartbeat())

    async def leave(self) -> None:
        """Leave the group, so that the others take over at once."""
        with contextlib.suppress(TimeoutError, KafkaError):
            async with asyncio.timeout(LEAVE_SECONDS):
                await self._consumer.stop()

    async def on_partitions_revoked(self, revoked: list[TopicPartition]) -> None:
        """Lanes run on."""

    async def on_partitions_assigned(self, assigned: list[TopicPartition]) -> None:
        """Note the lanes that this worker is to run."""
        self.assigned = {partition.partition for partition in assigned}
        self._observer.assigned(self.assigned)
        self._changed.set()
