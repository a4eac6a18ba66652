"""Readers of inboxes that the gateway keeps for the next request: which of them, and for how long."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from unittest.mock import AsyncMock

import pytest
from aiokafka import TopicPartition
from console_bus import example
from lintas_client import Connection

from connectors.gateway import live
from connectors.gateway.kafka_reader import KafkaReader
from connectors.gateway.refusal import Refused
from lintas.credentials import create, path_of
from lintas.settings import Settings

BNPB = "bnpb.early-warning"
PARTITIONS = example().system(BNPB).inbox_partitions


@pytest.fixture
async def bus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[live.LiveBus]:
    """A bus on which no system has credentials here: it can make no new reader."""
    monkeypatch.setattr(live.LiveBus, "snapshot", example())
    made = live.LiveBus(Settings(home=tmp_path, bootstrap_servers="127.0.0.1:1", registry_url="http://127.0.0.1:1"))
    yield made
    await made.stop()


def reader(partitions: int = PARTITIONS) -> KafkaReader:
    return KafkaReader(
        Connection(bootstrap_servers="127.0.0.1:1", registry_url="x", system=BNPB, password="x"), partitions
    )


async def kept(bus: live.LiveBus) -> KafkaReader | None:
    """The reader that the next request is given, if it need not be made."""
    with contextlib.suppress(Refused):
        found = await bus.reader(BNPB)
        assert isinstance(found, KafkaReader)
        return found
    return None


async def test_a_reader_that_did_well_is_kept_for_the_next_request(bus: live.LiveBus) -> None:
    one = reader()
    await bus.give_back(BNPB, one, well=True)
    assert await kept(bus) is one
    await bus.give_back(BNPB, one, well=False)
    assert await kept(bus) is None


async def test_a_reader_whom_kafka_failed_is_not_used_again(bus: live.LiveBus) -> None:
    one = reader()
    one.failed = True
    await bus.give_back(BNPB, one, well=True)
    assert await kept(bus) is None


async def test_a_reader_that_nobody_needs_is_let_go_of(bus: live.LiveBus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "IDLE_SECONDS", 0.01)
    await bus.give_back(BNPB, reader(), well=True)
    await asyncio.sleep(0.05)
    assert await kept(bus) is None


async def test_nobody_speaks_with_credentials_that_lie_under_another_name(bus: live.LiveBus, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    create(settings, "dukcapil.siak")
    path_of(settings, "dukcapil.siak").rename(path_of(settings, BNPB))
    with pytest.raises(Refused) as refused:
        await bus.reader(BNPB)
    assert refused.value.kind == "not-entitled"


async def test_an_inbox_that_was_made_anew_with_more_partitions_is_read_whole(bus: live.LiveBus) -> None:
    await bus.give_back(BNPB, reader(PARTITIONS + 1), well=True)
    assert await kept(bus) is None


async def test_of_a_cursor_of_an_inbox_that_had_more_partitions_those_are_acknowledged_that_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one, kept_at_kafka = reader(1), AsyncMock()
    monkeypatch.setattr(one._consumer, "commit", kept_at_kafka)
    await one.commit({0: 5, 1: 7})
    await one.commit({1: 7})
    kept_at_kafka.assert_awaited_once_with({TopicPartition(f"inbox.{BNPB}", 0): 5})
    await one.stop()
