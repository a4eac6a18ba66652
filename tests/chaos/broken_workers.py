"""Lane workers that are broken on purpose: the oracle must notice, or the lane must bear it.

python tests/chaos/broken_workers.py everything-is-mine | offsets-apart | answers-repeated
"""

import sys
from collections.abc import Callable, Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.client import ConnectionGroup
from aiokafka.structs import OffsetAndMetadata

from lintas import names
from lintas.cli.worker import worker
from lintas.credentials import aiokafka_options
from lintas.settings import Settings
from streams.keeper import LaneKeeper
from streams.lane import Lane
from streams.membership import Membership
from streams.producer import OnceProducer


def everything_is_mine() -> None:
    """Run every lane whatever the group says, and never ask whether a lane is still one's own."""
    note = Membership.on_partitions_assigned

    async def still_mine(_: LaneKeeper, __: Lane) -> bool:
        return True

    async def assign_all(membership: Membership, assigned: list[TopicPartition]) -> None:
        await note(membership, assigned)
        membership.assigned = set(range(membership.plan.lanes))

    LaneKeeper.still_mine = still_mine  # type: ignore[method-assign, assignment]
    Membership.on_partitions_assigned = assign_all  # type: ignore[method-assign, assignment]


def offsets_apart() -> None:
    """Commit positions beside the transaction that holds the outputs."""
    transact = OnceProducer.transact

    async def apart(
        producer: OnceProducer,
        outputs: Mapping[TopicPartition, Any],
        offsets: Mapping[TopicPartition, OffsetAndMetadata],
        group: str,
    ) -> None:
        await transact(producer, outputs, {}, group)
        if not offsets:
            return
        consumer = AIOKafkaConsumer(
            **aiokafka_options(Settings(), names.WORKER), group_id=group, enable_auto_commit=False
        )
        await consumer.start()
        try:
            consumer.assign(list(offsets))
            await consumer.commit(dict(offsets))
        finally:
            await consumer.stop()

    OnceProducer.transact = apart  # type: ignore[method-assign, assignment]


def answers_repeated() -> None:
    """Leave lost answers to stock aiokafka, which repeats the request under the same epoch."""

    async def send(producer: OnceProducer, node_id: int, request: Any, *, group: Any = ConnectionGroup.DEFAULT) -> Any:
        return await producer._stock_send(node_id, request, group=group)

    OnceProducer._send = send  # type: ignore[method-assign, assignment]


BROKEN: Mapping[str, Callable[[], None]] = {
    "everything-is-mine": everything_is_mine,
    "offsets-apart": offsets_apart,
    "answers-repeated": answers_repeated,
}

if __name__ == "__main__":
    BROKEN[sys.argv[1]]()
    worker.main(["--log-level", "info"], prog_name="broken worker")
