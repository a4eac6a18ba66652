"""What one connector writes: events, progress and positions, each time in one Kafka transaction.

Whoever opens the journal fences every earlier owner, and only then reads how far they came. After any doubt the journal
is thrown away; the next one begins from what was committed.
"""

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Final

from aiokafka import TopicPartition
from aiokafka.errors import ProducerFenced, TopicAuthorizationFailedError, UnknownTopicOrPartitionError
from aiokafka.partitioner import DefaultPartitioner
from aiokafka.structs import OffsetAndMetadata
from lintas_client import Connection
from lintas_client.preparation import Prepared

from connectors.runtime.log import SystemLog
from connectors.runtime.state import Kept, progress_records
from lintas import names
from lintas.errors import ConnectorFailed
from streams.producer import BATCH_BYTES, OnceProducer, Refused
from streams.record_format import content, filled_batches

_partition: Final = DefaultPartitioner()


@dataclasses.dataclass(frozen=True, slots=True)
class Opened:
    """How far a connector came.

    Attributes:
        progress: its own.
        kept: what the runtime noted; None if it never wrote anything.
    """

    progress: Mapping[str, Any]
    kept: Kept | None


class Journal:
    """One life of one transactional id."""

    def __init__(
        self, connection: Connection, connector: str, plugin: str, log: SystemLog, *, transaction_seconds: float
    ) -> None:
        """Connect to nothing yet.

        Args:
            connection: the system's.
            connector: its name.
            plugin: its kind, noted with its progress.
            log: of the system, started.
            transaction_seconds: brokers abandon a transaction after this.
        """
        self._connector = connector
        self._plugin = plugin
        self._log = log
        self._noted: Kept | None = None
        self._topic = names.connectors_topic(connection.system)
        self._group = names.connector_id(connection.system, connector)
        options = connection.kafka_options()
        self._producer = OnceProducer(
            {name: value for name, value in options.items() if name != "client_id"},
            transactional_id=self._group,
            client_id=connection.system,
            transaction_timeout_seconds=transaction_seconds,
        )

    async def open(self, worker: str) -> Opened:
        """Fence every earlier owner, then read how far they came.

        Raises:
            ConnectorFailed: the progress is another kind's.
            KafkaError, TimeoutError: the brokers cannot be asked.
        """
        await self._producer.start()
        await self._log.settle(worker)
        kept = self._noted = self._log.state.kept.get(self._connector)
        if kept is not None and kept.plugin != self._plugin:
            raise ConnectorFailed(
                connector=self._connector,
                reason=f"what is noted of its progress is of the kind {kept.plugin}, and it is {self._plugin} now",
                remedy="give it another name; or stop it and have that forgotten (`lintas connector forget`): it "
                "begins anew.",
            )
        return Opened(self._log.state.progress(self._connector), kept)

    async def may_publish(self, topic: str) -> bool:
        """Whether the brokers let the system write to a topic; False only if they say that it may not know of it."""
        try:
            await self._producer.partitions_for(topic)
        except TopicAuthorizationFailedError:
            return False
        except UnknownTopicOrPartitionError:
            pass  # perhaps not yet: told when it is written to
        return True

    async def partitions(self, topic: str) -> list[int]:
        """The partitions of a topic.

        Raises:
            ConnectorFailed: there is no such topic, or the system may not know of it.
        """
        try:
            return sorted(await self._producer.partitions_for(topic))
        except (UnknownTopicOrPartitionError, TopicAuthorizationFailedError):
            raise ConnectorFailed(
                connector=self._connector,
                reason=f"there is no topic {topic}, or the system may not know of it",
                remedy="see in the catalogue in force that the system publishes the event type, or has an inbox.",
            ) from None

    async def write(
        self,
        events: Iterable[Prepared] = (),
        progress: Mapping[str, Any] | None = None,
        positions: Mapping[TopicPartition, int] | None = None,
    ) -> None:
        """Write all of it or nothing.

        Args:
            events: as they are sent.
            progress: what has changed of the connector's own.
            positions: what has changed of the inbox's: the next offset of each partition.

        Raises:
            ConnectorFailed: the bus takes no such events of this system, or somebody has begun the connector since.
            anything else: whether it was written is unknown. In both cases the journal is of no more use.
        """
        outputs: dict[TopicPartition, list[bytes]] = defaultdict(list)
        numbers: dict[str, list[int]] = {}
        for event in events:
            if event.topic not in numbers:
                numbers[event.topic] = await self.partitions(event.topic)
            own = numbers[event.topic]
            place = TopicPartition(event.topic, _partition(event.key, own, own))
            outputs[place].append(content(event.key, event.value, event.headers))
        records = progress_records(self._connector, progress or {})
        before = self._noted or Kept(self._plugin)
        now = {**before.positions, **{place.partition: offset for place, offset in (positions or {}).items()}}
        kept = Kept(self._plugin, now, tuple(sorted({*before.topics, *(place.topic for place in outputs)})))
        if kept != self._noted:
            records.append(kept.record(self._connector))
        if records:
            outputs[TopicPartition(self._topic, 0)] += [content(key, value, []) for key, value in records]
        if not outputs and not positions:
            return
        try:
            await self._producer.transact(
                {place: filled_batches(contents, BATCH_BYTES) for place, contents in outputs.items()},
                {place: OffsetAndMetadata(offset, "") for place, offset in (positions or {}).items()},
                self._group,
            )
        except Refused as refused:
            raise ConnectorFailed(
                connector=self._connector,
                reason=f"the bus refuses what it writes ({refused})",
                remedy="see in the catalogue in force that the system publishes the event type; apply it again.",
            ) from refused
        except Exception as error:
            if not any(isinstance(one, ProducerFenced) for one in (error, self._producer.died_of)):
                raise
            raise ConnectorFailed(
                connector=self._connector,
                reason="another runtime has taken it over, or a newer start in this one; nothing was written twice",
                remedy="none is needed: whoever runs it now goes on from what was committed.",
            ) from error
        self._noted = kept

    async def close(self) -> None:
        """Let go at once; an open transaction is left to fencing."""
        await self._producer.discard()
