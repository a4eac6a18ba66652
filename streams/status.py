"""What lanes report on the compacted topic ``lintas.lanes.status``: which catalogue they run, whom they set aside.

Written inside the lanes' transactions, so a fenced lane reports nothing; read whole, since it stays small. Operators
write one thing: that an agreement is to be given what waits for it (``resume``).
"""

import asyncio
import dataclasses
import datetime as dt
import json
from collections.abc import Iterable, Mapping
from typing import Any, Self, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from lintas import names
from lintas.credentials import aiokafka_options
from lintas.errors import BusUnavailable
from lintas.settings import Settings
from streams.positions import stop_quietly
from streams.replay_log import Replayed
from streams.slots import Done, Partition, SetAside, Slot

READ_DEADLINE_SECONDS = 30.0
FETCH_WAIT_MS = 50  # where there is nothing to read
T = TypeVar("T")
_LANE = "lane/"
_ASIDE = "aside/"
_RESUME = "resume/"
_REDRIVEN = "redriven/"
_REPLAYED = "replayed/"
_BACKFILL = "backfill/"


@dataclasses.dataclass(frozen=True, slots=True)
class LaneReport:
    """What one lane said last."""

    generation: int  # of the lanes
    lane: int
    worker: str
    catalogue: str  # digest
    partitions: int  # how many input partitions it serves
    at: str  # ISO 8601

    def as_record(self) -> tuple[bytes, bytes]:
        """Key and value on the status topic."""
        return f"{_LANE}{self.lane}".encode(), json.dumps(dataclasses.asdict(self)).encode()


@dataclasses.dataclass(frozen=True, slots=True)
class LanesStatus:
    """The status topic, read."""

    lanes: Mapping[int, LaneReport]
    aside: Mapping[Slot, SetAside]
    resumed: Mapping[Slot, str]  # since when it was set aside: it counts for that time only
    redriven: Mapping[Slot, Done]
    replayed: Mapping[Slot, Replayed]
    backfills: Mapping[Slot, str]  # that have begun, and when

    @classmethod
    def from_records(cls, records: Mapping[bytes, bytes]) -> Self:
        """Read the latest value of every key."""
        lanes, aside, resumed, redriven, replayed, backfills = {}, {}, {}, {}, {}, {}
        for key, value in records.items():
            text = key.decode()
            if text.startswith(_LANE):
                report = _known(LaneReport, value)
                lanes[report.lane] = report
            elif text.startswith(_ASIDE):
                aside[_slot(text)] = SetAside.from_json(json.loads(value))
            elif text.startswith(_RESUME):
                resumed[_slot(text)] = json.loads(value)["since"]
            elif text.startswith(_REDRIVEN):
                redriven[_slot(text)] = _known(Done, value)
            elif text.startswith(_REPLAYED):
                replayed[_slot(text)] = _known(Replayed, value)
            elif text.startswith(_BACKFILL):
                backfills[_slot(text)] = json.loads(value)["at"]
        return cls(lanes, aside, resumed, redriven, replayed, backfills)

    def aside_in(self, partitions: Iterable[Partition]) -> dict[Slot, SetAside]:
        """The agreements set aside in some input partitions."""
        wanted = set(partitions)
        return {slot: why for slot, why in self.aside.items() if slot[1:] in wanted}


def _known(kind: type[T], value: bytes) -> T:
    """An object of a dataclass; fields that a newer version of the bus adds are left out."""
    names_of = {field.name for field in dataclasses.fields(kind)}  # type: ignore[arg-type]  # it is a dataclass
    return kind(**{name: one for name, one in json.loads(value).items() if name in names_of})


def status_now(settings: Settings) -> LanesStatus:
    """The status topic as operators read it.

    Raises:
        BusUnavailable: Kafka does not answer.
    """
    try:
        return asyncio.run(read_status(aiokafka_options(settings, names.ADMIN)))
    except (KafkaError, TimeoutError) as error:
        raise BusUnavailable(part="Kafka", address=settings.brokers, reason=type(error).__name__) from error


def aside_record(slot: Slot, why: SetAside | None) -> tuple[bytes, bytes | None]:
    """Key and value on the status topic of an agreement that is set aside; None: it is no more."""
    return _key(_ASIDE, slot), None if why is None else json.dumps(why.as_json()).encode()


def resume_record(slot: Slot, why: SetAside | None, author: str = "") -> tuple[bytes, bytes | None]:
    """Key and value by which an operator asks that an agreement is given what waits for it; None: it has been."""
    asked = None if why is None else {"since": why.since, "author": author, "at": now().isoformat()}
    return _key(_RESUME, slot), None if asked is None else json.dumps(asked).encode()


def redriven_record(slot: Slot, done: Done) -> tuple[bytes, bytes]:
    """Key and value on the status topic of how far a slot's letters are given again."""
    return _key(_REDRIVEN, slot), json.dumps(done.as_json()).encode()


def replayed_record(slot: Slot, reached: Replayed) -> tuple[bytes, bytes]:
    """Key and value on the status topic of how far a slot is replayed."""
    return _key(_REPLAYED, slot), json.dumps(dataclasses.asdict(reached)).encode()


def backfill_record(slot: Slot) -> tuple[bytes, bytes]:
    """Key and value on the status topic that a slot has begun to get its past, which happens once."""
    return _key(_BACKFILL, slot), json.dumps({"at": now().isoformat()}).encode()


def _key(kind: str, slot: Slot) -> bytes:
    agreement, topic, partition = slot
    return f"{kind}{agreement}/{topic}/{partition}".encode()


def _slot(key: str) -> Slot:
    _, agreement, topic, partition = key.split("/")
    return agreement, topic, int(partition)


def now() -> dt.datetime:
    """The present moment, in whole milliseconds as records carry it."""
    moment = dt.datetime.now(dt.UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


async def read_status(options: Mapping[str, Any]) -> LanesStatus:
    """Read the status topic to its end.

    ``options`` are connection arguments for aiokafka.

    Raises:
        TimeoutError: a transaction on the topic stayed open for too long.
        KafkaError: the brokers cannot be asked.
    """
    partition = TopicPartition(names.LANES_STATUS, 0)
    records: dict[bytes, bytes] = {}
    consumer = AIOKafkaConsumer(
        **options, isolation_level="read_committed", auto_offset_reset="earliest", fetch_max_wait_ms=FETCH_WAIT_MS
    )
    await consumer.start()
    try:
        consumer.assign([partition])
        consumer.seek(partition, (await consumer.beginning_offsets([partition]))[partition])
        async with asyncio.timeout(READ_DEADLINE_SECONDS):
            end: int | None = None  # open transactions included: what they hold back must be waited for, not missed
            while end is None or await consumer.position(partition) < end:
                for record in (await consumer.getmany(partition, timeout_ms=100)).get(partition, []):
                    if record.value is None:
                        records.pop(record.key, None)
                    else:
                        records[record.key] = record.value
                if end is None:
                    end = consumer.highwater(partition)
    finally:
        await stop_quietly(consumer)
    return LanesStatus.from_records(records)
