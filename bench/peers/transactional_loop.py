"""Peer: a hand-written transactional loop on confluent-kafka (librdkafka) with fastavro.

Does: exactly once, one transaction for each batch of up to 10,000 events, offsets inside it; routing, decisions on the
payload, reduced releases, pseudonyms; one audit record for each batch with every event's place, inboxes and SHA-256.
Does not: catalogue, duplicates, dead letters, quarantine, checks of the envelope, salted commitments, hand-over and
recovery beyond ending with an error. Run as ``python -m bench.peers.transactional_loop WORK.json``.
"""

import io
import signal
import sys
from pathlib import Path
from typing import Any

import fastavro
from confluent_kafka import Consumer, KafkaException, Message, Producer

from bench.peers.rules import Rules, sha256
from bench.work import Work

BATCH_EVENTS = 10_000
ENTRIES = fastavro.parse_schema(
    {
        "type": "array",
        "items": {
            "type": "record",
            "name": "Decision",
            "fields": [
                {"name": "topic", "type": "string"},
                {"name": "partition", "type": "int"},
                {"name": "offset", "type": "long"},
                {"name": "inboxes", "type": {"type": "array", "items": "string"}},
                {"name": "sha256", "type": "bytes"},
            ],
        },
    }
)


def connection(work: Work) -> dict[str, Any]:
    """How to reach Kafka."""
    return {
        "bootstrap.servers": work.bootstrap,
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": work.username,
        "sasl.password": work.password,
    }


class Loop:
    """Consume a batch, produce what it comes to, commit both."""

    def __init__(self, work: Work) -> None:
        """Connect; the producer fences any earlier one of the same group."""
        self._audit = work.audit
        self._wait = work.commit_ms / 1000
        self._rules = Rules(work)
        self._consumer = Consumer(
            {
                **connection(work),
                "group.id": work.group,
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "isolation.level": "read_committed",
                "max.partition.fetch.bytes": 4 << 20,
                "queued.min.messages": 200_000,
            }
        )
        self._producer = Producer(
            {
                **connection(work),
                "transactional.id": work.group,
                "compression.type": "lz4",
                "linger.ms": 20,
                "batch.size": 1 << 20,
                "batch.num.messages": 20_000,
                "queue.buffering.max.messages": 1_000_000,
            }
        )
        self._producer.init_transactions(30)
        self._consumer.subscribe([work.source])
        self._closing = False

    def close(self, *_: object) -> None:
        """Stop after the batch under way."""
        self._closing = True

    def run(self) -> None:
        """Carry batches until told to stop."""
        while not self._closing:
            if messages := self._consumer.consume(BATCH_EVENTS, self._wait):
                self._carry(messages)
        self._consumer.close()

    def _carry(self, messages: list[Message]) -> None:
        self._producer.begin_transaction()
        entries = [self._event(message) for message in messages]
        out = io.BytesIO()
        fastavro.schemaless_writer(out, ENTRIES, entries)
        self._producer.produce(self._audit, out.getvalue())
        self._producer.send_offsets_to_transaction(
            self._consumer.position(self._consumer.assignment()), self._consumer.consumer_group_metadata()
        )
        self._producer.commit_transaction()

    def _event(self, message: Message) -> dict[str, Any]:
        if (error := message.error()) is not None:
            raise KafkaException(error)
        key, value, headers = message.key(), message.value(), message.headers()
        names = []
        for inbox, released in self._rules.outputs(headers, value):
            self._produce(inbox.topic, released, key, headers)
            names.append(inbox.name)
        return {
            "topic": message.topic(),
            "partition": message.partition(),
            "offset": message.offset(),
            "inboxes": names,
            "sha256": sha256(value),
        }

    def _produce(self, topic: str, value: bytes, key: bytes, headers: list[tuple[str, bytes]]) -> None:
        while True:
            try:
                self._producer.produce(topic, value, key, headers=headers)
            except BufferError:
                self._producer.poll(0.05)
            else:
                return


if __name__ == "__main__":
    loop = Loop(Work.read(Path(sys.argv[1])))
    signal.signal(signal.SIGTERM, loop.close)
    loop.run()
