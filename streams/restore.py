"""Lost positions set again, from the audit log: it holds how far every input partition was decided."""

import dataclasses
import io
from collections.abc import Iterable

import fastavro
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Producer
from confluent_kafka import TopicPartition as Position

from lintas import names
from lintas.settings import Settings
from schemas.cluster import Cluster, options, unavailable
from schemas.desired import AUDIT_PARTITIONS
from schemas.topic_reader import TIMEOUT_SECONDS, read_from
from schemas.wire import framing
from streams.audit import AUDIT_SCHEMA
from streams.decisions import decided_in
from streams.slots import Partition
from streams.window import DuplicateWindow


@dataclasses.dataclass(frozen=True, slots=True)
class Restored:
    """A position as the audit log gives it."""

    partition: Partition
    offset: int
    metadata: str  # the malformed records of the duplicate window


def lost_positions(settings: Settings, wanted: Iterable[Partition]) -> list[Partition]:
    """The partitions whose position the brokers forgot.

    Raises:
        BusUnavailable: Kafka does not answer.
    """
    partitions = list(wanted)
    present = Cluster(settings).committed(names.LANES_OFFSETS_GROUP, partitions)
    return [partition for partition in partitions if partition not in present]


def positions_from_audit(settings: Settings, wanted: Iterable[Partition]) -> list[Restored]:
    """Where the lanes stood, for each partition; a partition of which nothing was ever decided begins at 0.

    Reads all of ``audit.decisions``.

    Raises:
        BusUnavailable: Kafka does not answer.
    """
    found: dict[Partition, int] = dict.fromkeys(wanted, 0)
    malformed: dict[Partition, set[int]] = {partition: set() for partition in found}
    readmitted: dict[Partition, set[int]] = {partition: set() for partition in found}
    schema = fastavro.parse_schema(dict(AUDIT_SCHEMA))
    start = {(names.AUDIT_DECISIONS, number): OFFSET_BEGINNING for number in range(AUDIT_PARTITIONS)}
    for _, value in read_from(settings, names.ADMIN, start):
        batch = fastavro.schemaless_reader(io.BytesIO(framing.unframe(value or b"")[1]), schema, None)
        for part in batch["partitions"]:
            partition = (part["topic"], part["partition"])
            if partition in found:
                found[partition] = max(found[partition], part["next_offset"])
                for event in decided_in(part):
                    if event.outcome == "quarantined":
                        malformed[partition].add(event.place.offset)
                    elif event.is_readmitted:
                        readmitted[partition].add(event.place.offset)
    return [
        Restored(partition, offset, _metadata(settings, offset, malformed[partition] - readmitted[partition]))
        for partition, offset in found.items()
    ]


def positions_behind_deleted(settings: Settings, wanted: Iterable[Partition]) -> list[Restored]:
    """The first record still held, for each partition whose position lies before it: retention was faster.

    Raises:
        BusUnavailable: Kafka does not answer.
    """
    cluster, partitions = Cluster(settings), list(wanted)
    committed = cluster.committed(names.LANES_OFFSETS_GROUP, partitions)
    beginnings = cluster.beginnings(partitions)
    return [
        Restored(partition, beginnings[partition], "")
        for partition, position in committed.items()
        if position < beginnings[partition]
    ]


def set_again(settings: Settings, positions: Iterable[Restored]) -> None:
    """Commit positions for the lanes; only for partitions that have none or an earlier one.

    Raises:
        BusUnavailable: Kafka does not answer.
    """
    wanted = list(positions)
    present = Cluster(settings).committed(names.LANES_OFFSETS_GROUP, [position.partition for position in wanted])
    lost = [position for position in wanted if present.get(position.partition, -1) < position.offset]
    if not lost:
        return
    producer = Producer(options(settings) | {"transactional.id": "lintas.lanes.restore"})
    member = Consumer(options(settings) | {"group.id": names.LANES_OFFSETS_GROUP})  # never joins: it names the group
    try:
        producer.init_transactions(TIMEOUT_SECONDS)
        producer.begin_transaction()
        producer.send_offsets_to_transaction(
            [Position(*position.partition, position.offset, metadata=position.metadata) for position in lost],
            member.consumer_group_metadata(),
            TIMEOUT_SECONDS,
        )
        producer.commit_transaction(TIMEOUT_SECONDS)
    except KafkaException as error:
        raise unavailable(settings, error) from error
    finally:
        member.close()


def _metadata(settings: Settings, offset: int, malformed: Iterable[int]) -> str:
    window = DuplicateWindow(records=settings.duplicate_window_records, seconds=settings.duplicate_window_seconds)
    for number in sorted(malformed):
        window.add_malformed(number)
    return window.metadata(offset)
