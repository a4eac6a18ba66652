"""What a ledger refuses to begin with."""

import secrets
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from faust.types import TP
from lintas_client import Connection
from lintas_client.registry import Registry

from lintas import names
from lintas.credentials import aiokafka_options
from lintas.errors import OwnershipLost, TableLost
from lintas.settings import Settings
from monitoring.processor_health import ProcessorWatch
from streams.processors.faust_parts import OwnedTable
from streams.processors.ledger import Ledger
from streams.record_format import FilledBatch, content

PARTITIONS = 2


class Table(dict[str, Any]):
    """A table without Faust."""

    def load(self, contents: dict[str, Any]) -> None:
        self.clear()
        self.update(contents)


@pytest.fixture
async def ledger(bus: Settings) -> AsyncIterator[Ledger]:
    """A ledger of a system that nobody else has heard of, with an inbox and a table of two partitions."""
    system = f"office.s{secrets.token_hex(4)}"
    options = aiokafka_options(bus, names.ADMIN)
    admin = AIOKafkaAdminClient(**options)
    await admin.start()
    topics = (names.inbox_topic(system), names.table_topic(system, "counts"))
    await admin.create_topics([NewTopic(topic, PARTITIONS, 1) for topic in topics])
    await admin.close()
    registry = Registry(
        Connection(bootstrap_servers=bus.brokers, registry_url=bus.registry, system=system, password="-")
    )
    made = Ledger(
        bus,
        system,
        cast("OwnedTable", Table()),
        topics[1],
        options=options,
        registry=registry,
        watched=ProcessorWatch(system),
    )
    yield made
    await made.on_stop()


def inbox(ledger: Ledger, *numbers: int) -> set[TP]:
    return {TP(ledger._inbox, number) for number in numbers}


async def test_an_empty_inbox_is_read_from_its_beginning(ledger: Ledger) -> None:
    assert await ledger.own(inbox(ledger, 0, 1)) == dict.fromkeys(inbox(ledger, 0, 1), 0)


async def test_a_part_of_an_inbox_is_not_enough(ledger: Ledger) -> None:
    with pytest.raises(OwnershipLost):
        await ledger.own(inbox(ledger, 0))


async def test_an_empty_table_of_a_counted_inbox_is_not_begun_again(ledger: Ledger, bus: Settings) -> None:
    consumer = AIOKafkaConsumer(**aiokafka_options(bus, names.ADMIN), group_id=ledger._system, enable_auto_commit=False)
    await consumer.start()
    consumer.assign([TopicPartition(ledger._inbox, 0)])
    await consumer.commit({TopicPartition(ledger._inbox, 0): 5})
    await consumer.stop()
    with pytest.raises(TableLost, match=r"is empty, but it has counted"):
        await ledger.own(inbox(ledger, 0, 1))


async def test_a_later_owner_fences_an_earlier_one(ledger: Ledger, bus: Settings) -> None:
    await ledger.own(inbox(ledger, 0, 1))
    later = Ledger(
        bus,
        ledger._system,
        cast("OwnedTable", Table()),
        ledger._changelog,
        options=aiokafka_options(bus, names.ADMIN),
        registry=ledger._registry,
        watched=ProcessorWatch(ledger._system),
    )
    await later.own(inbox(ledger, 0, 1))
    earlier = ledger._producer
    assert earlier is not None
    batch = FilledBatch([content(b"count/2026-03-01/32", b"{}", [])])
    with pytest.raises(Exception, match="newer producer"):
        await earlier.transact({TopicPartition(ledger._changelog, 0): [batch]}, {}, ledger._system)
    assert await later._read_changelog(range(PARTITIONS)) == {}
    await later.on_stop()
