"""An inbox made up for the PostgreSQL sink; run as a program, it gives itself to the sink until it is killed.

Its arguments are the DSN file and how many deliveries each of its three partitions holds.
"""

import asyncio
import datetime as dt
import decimal
import random
import sys
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka import TopicPartition
from lintas_client import Delivery
from lintas_client.wire.codec import Codec
from postgres_runs import RUNNING, context

from connectors.plugins.postgres.sink import PostgresSink, SinkConfig

AGREEMENT = "b.all.things"
INBOX = "inbox.b.all"
PARTITIONS = 3
SCHEMA: Mapping[str, Any] = {
    "type": "record",
    "name": "Thing",
    "fields": [
        {"name": "n", "type": "int"},
        {"name": "child", "type": {"type": "record", "name": "Child", "fields": [{"name": "nik", "type": "string"}]}},
        {"name": "select", "type": ["null", "string"], "default": None},  # a reserved word
        {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}},
        {"name": "born", "type": {"type": "int", "logicalType": "date"}},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "ticket", "type": {"type": "string", "logicalType": "uuid"}},
        {"name": "seal", "type": "bytes"},
        {"name": "weight", "type": "double"},
        {"name": "fine", "type": "boolean"},
    ],
}
CODEC = Codec(SCHEMA)


def data(n: int) -> dict[str, Any]:
    return {
        "n": n,
        "child": {"nik": f"{n % 7:016d}"},
        "select": None if n % 3 else "Siti",
        "price": decimal.Decimal(n).scaleb(-2),
        "born": dt.date(2026, 1, 1) + dt.timedelta(n % 300),
        "at": dt.datetime(2026, 11, 24, 1, 2, 3, n % 1_000_000, dt.UTC),
        "ticket": uuid.UUID(int=n),
        "seal": n.to_bytes(3, "big"),
        "weight": n / 7,
        "fine": n % 2 == 0,
    }


def delivery(
    partition: int,
    offset: int,
    payload: Any = None,
    *,
    codec: Codec = CODEC,
    agreement: str = AGREEMENT,
    **attributes: str,
) -> Delivery:
    n = offset * PARTITIONS + partition
    own = {
        "specversion": "1.0",
        "id": f"event-{n}",
        "source": "urn:lintas:a.pub",
        "type": "id.go.a.thing.v1",
        "subject": f"{n % 7}",
        "time": f"2026-11-24T01:02:03.{offset % 1000:03d}Z",
        "agreement": agreement,
        "channel": "G2G",
    }
    return Delivery(
        event={**own, **attributes},
        data=codec.decode(codec.encode(data(n) if payload is None else payload)),
        agreement=agreement,
        channel="G2G",
        key=None,
        topic=INBOX,
        partition=partition,
        offset=offset,
        timestamp=dt.datetime(2026, 11, 24, 1, 2, 4, tzinfo=dt.UTC),
        salt=None,
        codec=codec,
    )


def sink(dsn_file: object, **settings: object) -> PostgresSink:
    return PostgresSink(
        SinkConfig.model_validate({"dsn_file": dsn_file, **settings}), context("tables", system="b.all")
    )


async def give(to: PostgresSink, deliveries: Sequence[Delivery]) -> None:
    """As the runtime does, in one portion."""
    positions: dict[TopicPartition, int] = {}
    for one in deliveries:
        positions[TopicPartition(one.topic, one.partition)] = one.offset + 1
    await to.deliver(deliveries, positions)


async def give_all(to: PostgresSink, each: int) -> None:
    """Every partition from where the sink stands to its end, in portions of odd sizes; then wait to be killed."""
    at = await to.start({}, None)  # type: ignore[arg-type]  # this sink asks its inbox nothing
    following = {partition: at.get(TopicPartition(INBOX, partition), 0) for partition in range(PARTITIONS)}
    while any(offset < each for offset in following.values()):
        portion = []
        for partition, offset in following.items():
            end = min(each, offset + random.randrange(1, 40))
            portion += [delivery(partition, number) for number in range(offset, end)]
            following[partition] = max(offset, end)
        await give(to, portion)
    await asyncio.Event().wait()


if __name__ == "__main__":
    print(RUNNING, flush=True)  # noqa: T201  read by whoever kills it
    asyncio.run(give_all(sink(sys.argv[1]), int(sys.argv[2])))
