"""Publishing events for all contenders alike; what publishers pay is not measured here."""

import io
import time
from collections.abc import Sequence

import fastavro
from confluent_kafka import Producer

from bench.jobs import SCHEMA, Job, data_of, headers_of, key_of
from bench.stage import Stage
from schemas.cluster import options
from schemas.wire import framing

FLUSH_SECONDS = 60.0


class Publisher:
    """Writes events of a job in order, spread evenly over the partitions of its topic."""

    def __init__(self, stage: Stage, *, linger_ms: int = 50) -> None:
        """``linger_ms`` is how long librdkafka gathers a batch."""
        self._stage = stage
        self._schema = fastavro.parse_schema(dict(SCHEMA))
        self._producer = Producer(
            {
                **options(stage.settings),
                "enable.idempotence": True,
                "linger.ms": linger_ms,
                "compression.type": "lz4",
                "batch.size": 1 << 20,
                "queue.buffering.max.messages": 1_000_000,
            }
        )

    def event(self, job: Job, n: int, event_id: str) -> None:
        """Hand over event ``n``."""
        published = self._stage.snapshot.event_types[job.event_type]
        body = io.BytesIO()
        fastavro.schemaless_writer(body, self._schema, data_of(n))
        value = framing.frame(published.current.id, body.getvalue())
        headers, partition = headers_of(n, event_id, job.event_type), n % published.contract.partitions
        while True:
            try:
                self._producer.produce(published.topic, value, key_of(n), partition=partition, headers=headers)
            except BufferError:
                self._producer.poll(0.1)
            else:
                break
        self._producer.poll(0)

    def flush(self) -> None:
        """Wait until the broker has everything.

        Raises:
            TimeoutError: it does not take it.
        """
        if self._producer.flush(FLUSH_SECONDS):
            raise TimeoutError("the broker does not take the events")


def publish(stage: Stage, jobs: Sequence[Job], events: int) -> None:
    """Publish events 0 to ``events``, with ids never used before; to several jobs in turns."""
    publisher, run = Publisher(stage), time.time_ns()
    for n in range(events):
        job = jobs[n % len(jobs)]
        publisher.event(job, n // len(jobs), f"{run}-{n}")
    publisher.flush()
