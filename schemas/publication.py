"""Putting a catalogue in force: one Kafka transaction on the catalogue topic, and whoever follows it.

The objects first, each under its digest and only if the topic does not hold it yet, then the pointer. The transactional
id is the same for everybody who publishes, so of two at once one is fenced.
"""

import asyncio
import contextlib
import dataclasses
import datetime as dt
import logging
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError as FollowerError
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka import TopicPartition as Position

from lintas import names
from lintas.credentials import aiokafka_options
from lintas.errors import CatalogueError, CatalogueMoved, PositionGone
from lintas.settings import Settings
from schemas.catalogue_log import CatalogueLog, Pointer
from schemas.cluster import TIMEOUT_SECONDS, Cluster, Partition, options, unavailable
from schemas.snapshot import Snapshot
from schemas.topic_reader import read_to_end

log = logging.getLogger(__name__)

TRANSACTIONAL_ID: Final = "lintas.catalogue"
RETRY_SECONDS: Final = 1.0
POLL_MS: Final = 250
STOP_SECONDS: Final = 5.0
FENCED: Final = (KafkaError._FENCED, KafkaError.INVALID_PRODUCER_EPOCH, KafkaError.PRODUCER_FENCED)


def read_log(settings: Settings, principal: str = names.ADMIN) -> CatalogueLog:
    """The catalogue topic, whole.

    Raises:
        CatalogueError: an object or pointer is not what it should be.
        BusUnavailable: Kafka does not answer.
    """
    found = CatalogueLog()
    for key, value in read_to_end(settings, principal, names.CATALOGUE):
        found.add(key, value)
    return found


def read_current(
    settings: Settings, principal: str = names.ADMIN, *, as_of: str | None = None
) -> tuple[Pointer, Snapshot] | None:
    """The catalogue in force, or an earlier one by its digest (its beginning is enough).

    Raises:
        UnknownName: no such catalogue was ever applied.
        CatalogueError: the topic has been altered.
        BusUnavailable: Kafka does not answer.
    """
    found = read_log(settings, principal)
    pointer = found.current if as_of is None else found.pointer(as_of)
    return None if pointer is None else (pointer, found.snapshot(pointer.manifest))


def publish(settings: Settings, snapshot: Snapshot, *, author: str, expected: str | None) -> Pointer:
    """Put a catalogue in force.

    Every input partition that the lanes have not met has a position when the pointer appears: lanes refuse to start
    without one. ``expected`` is the digest of the catalogue that must be in force until then.

    Raises:
        CatalogueMoved: another one is in force, or somebody else is applying one.
        PositionGone: an event type comes back whose position is lost.
        BusUnavailable: Kafka does not answer. Publishing again is harmless.
    """
    producer = Producer(
        options(settings)
        | {
            "transactional.id": TRANSACTIONAL_ID,
            "transaction.timeout.ms": 15_000,  # soon forgotten if we are killed
            "compression.type": "gzip",
        }
    )
    try:
        producer.init_transactions(TIMEOUT_SECONDS)
        found = read_log(settings)
        in_force = found.current.manifest if found.current else None
        if in_force != expected:
            raise CatalogueMoved(found=in_force or "none", expected=expected or "none")
        _give_positions(settings, producer, missing_positions(Cluster(settings), found, snapshot))
        pointer = Pointer(
            manifest=snapshot.digest,
            previous=in_force,
            author=author,
            at=dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds"),
            number=found.current.number + 1 if found.current else 1,
        )
        producer.begin_transaction()
        for key, value in (*found.new_records(snapshot), *pointer.records()):
            producer.produce(names.CATALOGUE, value, key, partition=0)
        producer.commit_transaction(TIMEOUT_SECONDS)
    except KafkaException as error:
        if error.args[0].code() in FENCED:
            raise CatalogueMoved(found="being changed by somebody else", expected=expected or "none") from error
        raise unavailable(settings, error) from error
    return pointer


def missing_positions(cluster: Cluster, found: CatalogueLog, snapshot: Snapshot) -> list[Partition]:
    """The input partitions of a catalogue that lanes must be told to read from the beginning.

    A position that is missing where events may have been delivered already is never invented.

    Raises:
        PositionGone: an event type comes back whose position is lost.
    """
    inputs = [
        (event_type.topic, partition)
        for event_type in snapshot.event_types.values()
        for partition in range(event_type.contract.partitions)
    ]
    unsettled = set(inputs) - set(cluster.committed(names.LANES_OFFSETS_GROUP, inputs))
    settled = cluster.committed(names.LANES_OFFSETS_GROUP, unsettled, stable=True)
    missing = [partition for partition in inputs if partition in unsettled and partition not in settled]
    known = found.topics_ever()
    doubtful = [partition for partition in missing if partition[0] in known]
    ends = cluster.ends(doubtful)
    lost = {partition for partition in doubtful if ends[partition] > 0}
    in_force = found.topics_in_force()
    for topic, partition in sorted(lost):
        if topic not in in_force:  # of those in force the lane itself gives the alarm
            raise PositionGone(topic=topic, partition=partition)
    return [partition for partition in missing if partition not in lost]


def _give_positions(settings: Settings, producer: Producer, partitions: list[Partition]) -> None:
    """Have the lanes begin at offset 0, under the publishers' fence: nobody can have begun before us."""
    if not partitions:
        return
    group = names.LANES_OFFSETS_GROUP
    member = Consumer(options(settings) | {"group.id": group})  # never joins: it only names the group
    try:
        producer.begin_transaction()
        producer.send_offsets_to_transaction(
            [Position(*partition, 0) for partition in partitions],
            member.consumer_group_metadata(),
            TIMEOUT_SECONDS,
        )
        producer.commit_transaction(TIMEOUT_SECONDS)
    finally:
        member.close()
    # They are readable a moment after the commit; the pointer must not overtake them.
    settled = Cluster(settings).committed(names.LANES_OFFSETS_GROUP, partitions, stable=True)
    if len(settled) < len(partitions):
        raise CatalogueError(reason="the lanes' first positions vanished at once; somebody deletes them")


@dataclasses.dataclass(frozen=True, slots=True)
class _State:
    """What the follower knows: a catalogue, or why there can be none."""

    current: tuple[Pointer, Snapshot] | None = None
    failure: CatalogueError | None = None


class CatalogueFollower:
    """Keeps up with the catalogue in force, for workers.

    Fails closed: a pointer or object that does not verify, or that this version does not understand, makes
    ``current`` raise instead of leaving an older catalogue in force.
    """

    def __init__(self, settings: Settings, principal: str) -> None:
        """``principal`` is who reads; nothing is read before :meth:`start`."""
        self._settings = settings
        self._principal = principal
        self._log = CatalogueLog()
        self._state = _State()
        self._known = asyncio.Event()
        self._closing = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def current(self) -> tuple[Pointer, Snapshot] | None:
        """The catalogue in force; the same object until another one comes into force.

        Raises:
            CatalogueError: what is in force cannot be verified or understood.
        """
        if self._state.failure is not None:
            raise self._state.failure
        return self._state.current

    async def start(self) -> None:
        """Begin to follow; returns at once."""
        self._task = asyncio.create_task(self._follow(), name="catalogue follower")

    async def wait_first(self) -> tuple[Pointer, Snapshot]:
        """Wait until a catalogue is in force.

        Raises:
            CatalogueError: what is in force cannot be verified or understood.
        """
        await self._known.wait()
        current = self.current
        assert current is not None, "known means that there is one"
        return current

    async def stop(self) -> None:
        """Follow no more."""
        self._closing.set()
        if self._task is not None:
            await self._task

    async def _follow(self) -> None:
        while not self._closing.is_set():
            try:
                await self._read_on()
            except (FollowerError, OSError) as error:
                log.warning("catalogue: %s; reading it anew", type(error).__name__)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(RETRY_SECONDS):
                        await self._closing.wait()
            except CatalogueError as error:
                self._fail(error)
                return
            except Exception as error:
                self._fail(CatalogueError(reason=f"following it failed ({type(error).__name__})"))
                raise

    async def _read_on(self) -> None:
        """Read the topic from its beginning and then whatever comes."""
        partition = TopicPartition(names.CATALOGUE, 0)
        consumer = AIOKafkaConsumer(
            **self._connection(),
            isolation_level="read_committed",
            auto_offset_reset="earliest",
            enable_auto_commit=False,
        )
        try:
            await consumer.start()
            consumer.assign([partition])
            await consumer.seek_to_beginning(partition)
            end = (await consumer.end_offsets([partition]))[partition]
            while not self._closing.is_set():
                records = (await consumer.getmany(partition, timeout_ms=POLL_MS)).get(partition, [])
                for record in records:
                    self._log.add(record.key or b"", record.value)
                if await consumer.position(partition) >= end:
                    self._take_up()
        finally:
            # it may wait for a broker that is gone, or raise what its own tasks were cancelled with
            stopping = asyncio.create_task(consumer.stop())
            await asyncio.wait({stopping}, timeout=STOP_SECONDS)
            if not stopping.done():
                stopping.cancel()
            elif not stopping.cancelled() and (error := stopping.exception()):
                log.debug("catalogue: the consumer ended with %s", type(error).__name__)

    def _take_up(self) -> None:
        pointer = self._log.current
        if pointer is None or (self._state.current is not None and self._state.current[0] == pointer):
            return
        self._state = _State(current=(pointer, self._log.snapshot(pointer.manifest)))
        self._known.set()
        log.info("catalogue %s by %s is in force", pointer.manifest[:12], pointer.author)

    def _fail(self, error: CatalogueError) -> None:
        log.critical("%s", error)
        self._state = _State(failure=error)
        self._known.set()

    def _connection(self) -> dict[str, Any]:
        return aiokafka_options(self._settings, self._principal)
