"""Whether a contender did its work: every inbox is read back, committed records only."""

import io
import re
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

import fastavro
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from bench.catalogue import agreement_of
from bench.contender import Contender, Failed
from bench.jobs import PSEUDONYM, Desk, Job, data_of
from bench.stage import Stage
from schemas.cluster import Partition, options
from schemas.wire import framing

READ_SECONDS = 120.0
TOKEN = re.compile(r"p1-[0-9a-f]{32}")
CHUNK = 10_000


class Outputs:
    """The output topics of one contender, from now on."""

    def __init__(self, contender: Contender, stage: Stage, job: Job) -> None:
        """Note where the topics end."""
        self._contender = contender
        self._stage = stage
        self._job = job
        self._inboxes = {contender.inbox(job, desk): desk for desk in job.desks}
        self._audit = contender.audit(job)
        self._beginnings = stage.ends((*self._inboxes, self._audit))

    def check(self, first: int, events: int) -> None:
        """Check that each inbox got just what it had to get of the events from ``first``.

        Raises:
            Failed: it got more, less or something else, or there are no audit records.
        """
        counts, samples = self._read()
        expected = self._job.expected(first, events)
        found = {desk.name: counts[topic] for topic, desk in self._inboxes.items()}
        if found != expected:
            wrong = [
                f"{name}: {found[name]:,} not {count:,}" for name, count in expected.items() if found[name] != count
            ]
            raise Failed(f"wrong number of records in inboxes: {', '.join(wrong)}")
        audits = counts[self._audit]
        if audits != events if self._contender.audits_each else not audits:
            raise Failed(f"{audits:,} audit records of {events:,} events")
        for topic, desk in self._inboxes.items():
            if topic in samples:
                self._check_release(desk, samples[topic])

    def _check_release(self, desk: Desk, value: bytes) -> None:
        schema_id, body = framing.unframe(value)
        released = self._stage.snapshot.agreements[agreement_of(self._job, desk)].released
        source = self._stage.snapshot.event_types[self._job.event_type].current
        schemas: Mapping[int, Any] = {released.id: released.schema}
        if not desk.reduced:
            schemas = {**schemas, source.id: source.schema}
        if schema_id not in schemas:
            raise Failed(f"{desk.name}: a record has schema id {schema_id}")
        event = fastavro.schemaless_reader(io.BytesIO(body), fastavro.parse_schema(dict(schemas[schema_id])), None)
        if not isinstance(event, dict) or set(event) != set(desk.release):
            raise Failed(f"{desk.name}: a record holds other fields than are released")
        whole = data_of(event["inspected_at_ms"] - data_of(0)["inspected_at_ms"]) if "inspected_at_ms" in event else {}
        for name, rule in desk.release.items():
            if rule == PSEUDONYM:
                if not TOKEN.fullmatch(event[name]):
                    raise Failed(f"{desk.name}: {name} is no pseudonym")
            elif whole and event[name] != whole[name]:
                raise Failed(f"{desk.name}: {name} is not as it was published")

    def _read(self) -> tuple[Counter[str], dict[str, bytes]]:
        """How many records each topic got, and the first value of each."""
        counts: Counter[str] = Counter()
        samples: dict[str, bytes] = {}
        consumer = reader(self._stage, self._beginnings)
        try:
            left, deadline = set(self._beginnings), time.monotonic() + READ_SECONDS
            while left:
                if time.monotonic() > deadline:
                    raise Failed("its inboxes cannot be read: a transaction is open")
                for message in consumer.consume(CHUNK, 1.0):
                    if at_end(message):
                        left.discard((str(message.topic()), int(message.partition() or 0)))
                        continue
                    topic = str(message.topic())
                    counts[topic] += 1
                    if topic not in samples and topic in self._inboxes:
                        samples[topic] = message.value() or b""
        finally:
            consumer.close()
        return counts, samples


def reader(stage: Stage, places: Mapping[Partition, int]) -> Consumer:
    """A consumer of committed records from some places, which tells the end of each partition."""
    consumer = Consumer(
        {
            **options(stage.settings),
            "group.id": "bench.reader",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
        }
    )
    consumer.assign([TopicPartition(topic, number, offset) for (topic, number), offset in places.items()])
    return consumer


def at_end(message: Message) -> bool:
    """Whether a message only says that its partition has no more.

    Raises:
        KafkaException: it tells of an error.
    """
    error = message.error()
    if error is None:
        return False
    if error.code() != KafkaError._PARTITION_EOF:
        raise KafkaException(error)
    return True
