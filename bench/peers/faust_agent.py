"""Peer: a Faust agent as Faust's own documentation teaches it.

Does: routing, decisions on the payload, reduced releases, pseudonyms, one audit record for each event, in JSON.
Does not: exactly once. Faust's ``exactly_once`` sends to topics that the app does not consume outside its
transactions, so this agent is at least once, and an error in it loses the event. Nor catalogue, duplicates, dead
letters, quarantine. Run as ``python -m bench.peers.faust_agent WORK.json``.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

import faust

from bench.peers.rules import Rules, sha256
from bench.work import Work


def faust_app(work: Work) -> faust.App:
    """The app with its one agent."""
    app = faust.App(
        work.group,
        broker=f"kafka://{work.bootstrap}",
        broker_credentials=faust.SASLCredentials(
            username=work.username, password=work.password, mechanism="SCRAM-SHA-512"
        ),
        broker_commit_interval=work.commit_ms / 1000,
        broker_max_poll_records=5_000,
        consumer_auto_offset_reset="earliest",
        producer_compression_type="lz4",
        producer_linger=0.02,
        producer_max_batch_size=512 << 10,
        stream_buffer_maxsize=16_384,
        topic_allow_declare=False,
        topic_disable_leader=True,
        store="memory://",
        web_enabled=False,
        worker_redirect_stdouts=False,
        datadir=tempfile.mkdtemp(prefix="bench-faust-"),
    )
    rules = Rules(work)
    source, audit = raw_topic(app, work.source), app.topic(work.audit, value_serializer="json")
    inboxes = {inbox.name: raw_topic(app, inbox.topic) for inbox in work.inboxes}

    @app.agent(source)  # type: ignore[untyped-decorator]  # faust ships no types
    async def route(stream: faust.StreamT[bytes]) -> None:
        async for event in stream.events():
            message = event.message
            names = []
            for inbox, released in rules.outputs(message.headers, event.value):
                await inboxes[inbox.name].send(key=event.key, value=released, headers=message.headers)
                names.append(inbox.name)
            entry: dict[str, Any] = {
                "topic": message.topic,
                "partition": message.partition,
                "offset": message.offset,
                "inboxes": names,
                "sha256": sha256(event.value).hex(),
            }
            await audit.send(value=entry)

    return app


def raw_topic(app: faust.App, name: str) -> faust.TopicT:
    """A topic whose keys and values are bytes."""
    return app.topic(name, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")


if __name__ == "__main__":
    faust.Worker(
        faust_app(Work.read(Path(sys.argv[1]))),
        loglevel="error",
        redirect_stdouts=False,
        quiet=True,
    ).execute_from_commandline()
