"""Peer: Quix Streams with ``processing_guarantee="exactly-once"``.

Does: exactly once, a checkpoint (one transaction) for each 5,000 events; routing, decisions on the payload, reduced
releases, pseudonyms; one audit record for each event, in JSON, with its SHA-256.
Does not: catalogue, duplicates, dead letters, quarantine, checks of the envelope, salted commitments.
Run as ``python -m bench.peers.quix_app WORK.json`` in a Python of its own (bench/requirements.lock).
"""

import dataclasses
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from quixstreams import Application, message_context
from quixstreams.kafka.configuration import ConnectionConfig
from quixstreams.models import SerializationContext, Serializer, Topic

from bench.peers.rules import Rules, sha256
from bench.work import Work

CHECKPOINT_EVENTS = 5_000
Headers = list[tuple[str, bytes]]


@dataclasses.dataclass(frozen=True, slots=True)
class Output:
    """A value on its way to a topic."""

    topic: str
    value: bytes


class OutputSerializer(Serializer):  # type: ignore[misc]  # quixstreams is not installed where types are checked
    """Writes the value of an Output."""

    def __call__(self, value: Output, ctx: SerializationContext) -> bytes:  # noqa: ARG002  the signature is Quix's
        """The value is made already."""
        return value.value


def application(work: Work) -> Application:
    """The application with its one dataframe."""
    app = Application(
        ConnectionConfig(
            bootstrap_servers=work.bootstrap,
            security_protocol="sasl_plaintext",
            sasl_mechanism="SCRAM-SHA-512",
            sasl_username=work.username,
            sasl_password=work.password,
        ),
        consumer_group=work.group,
        processing_guarantee="exactly-once",
        auto_offset_reset="earliest",
        auto_create_topics=False,
        commit_every=CHECKPOINT_EVENTS,
        commit_interval=work.commit_ms / 1000,
        consumer_extra_config={"max.partition.fetch.bytes": 4 << 20, "queued.min.messages": 200_000},
        producer_extra_config={"compression.type": "lz4", "linger.ms": 20, "batch.size": 1 << 20},
        state_dir=tempfile.mkdtemp(prefix="bench-quix-"),
        loglevel="ERROR",
    )
    rules = Rules(work)
    serializer = OutputSerializer()
    source = app.topic(work.source, value_deserializer="bytes")
    outputs: dict[str, Topic] = {
        name: app.topic(name, value_serializer=serializer)
        for name in (*(inbox.topic for inbox in work.inboxes), work.audit)
    }

    def decide(value: bytes, _key: bytes, _timestamp: int, headers: Headers) -> Iterator[Output]:
        names = []
        for inbox, released in rules.outputs(headers, value):
            names.append(inbox.name)
            yield Output(inbox.topic, released)
        place = message_context()
        entry = {
            "topic": place.topic,
            "partition": place.partition,
            "offset": place.offset,
            "inboxes": names,
            "sha256": sha256(value).hex(),
        }
        yield Output(work.audit, json.dumps(entry).encode())

    def topic_of(output: Output, *_: Any) -> Topic:
        return outputs[output.topic]

    app.dataframe(source).apply(decide, expand=True, metadata=True).to_topic(topic_of)
    return app


if __name__ == "__main__":
    application(Work.read(Path(sys.argv[1]))).run()
