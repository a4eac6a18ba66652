"""What a lane makes of the brokers' answers about positions; the answers are aiokafka's, the broker is not needed."""

from collections.abc import Mapping
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import CoordinatorNotAvailableError
from aiokafka.structs import OffsetAndMetadata

from lintas.errors import OffsetLost
from streams import positions

PARTITION = TopicPartition("events.a.thing.v1", 3)


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> dict[TopicPartition, OffsetAndMetadata]:
    """What the brokers say; a coordinator that loads answers with an error that aiokafka overlooks, so with nothing."""
    said: dict[TopicPartition, OffsetAndMetadata] = {}

    class Admin:
        def __init__(self, **_: Any) -> None: ...

        async def start(self) -> None: ...

        async def close(self) -> None: ...

        async def list_consumer_group_offsets(self, *_: Any, **__: Any) -> Mapping[TopicPartition, OffsetAndMetadata]:
            return said

    monkeypatch.setattr(positions, "AIOKafkaAdminClient", Admin)
    return said


async def test_a_position_is_what_was_committed(answer: dict[TopicPartition, OffsetAndMetadata]) -> None:
    answer[PARTITION] = OffsetAndMetadata(7, "m")
    assert await positions.committed_positions({}, 0, [(*PARTITION,)]) == {(*PARTITION,): OffsetAndMetadata(7, "m")}


async def test_a_position_that_brokers_say_they_do_not_have_is_lost(
    answer: dict[TopicPartition, OffsetAndMetadata],
) -> None:
    answer[PARTITION] = OffsetAndMetadata(-1, "")
    with pytest.raises(OffsetLost):
        await positions.committed_positions({}, 0, [(*PARTITION,)])


@pytest.mark.usefixtures("answer")
async def test_a_position_that_brokers_do_not_speak_of_is_asked_for_again() -> None:
    with pytest.raises(CoordinatorNotAvailableError):
        await positions.committed_positions({}, 0, [(*PARTITION,)])


async def test_a_consumer_that_raises_while_it_stops_ends_nobody() -> None:
    class Stubborn:
        async def stop(self) -> None:
            raise CoordinatorNotAvailableError

    await positions.stop_quietly(Stubborn())
