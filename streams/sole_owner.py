"""One at a time of those who would do the same work: the others wait until it is gone.

Kafka's group coordination says who: the member that has partition 0 of a topic in a group of its own. This keeps
instances from disturbing each other; that nothing is written twice does not rest on it but on fencing (processors'
`Ledger`, connectors' `Journal`).
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from confluent_kafka import Consumer, TopicPartition

log = logging.getLogger(__name__)

POLL_SECONDS: Final = 0.5
SAY_SECONDS: Final = (10.0, 300.0)  # when it is said that this one waits: first, and then again


class SoleOwner:
    """A membership in the group of those who would do the same work."""

    def __init__(self, options: Mapping[str, Any], group: str, topic: str, *, session_seconds: float) -> None:
        """Join.

        Args:
            options: librdkafka's connection settings.
            group: of all instances.
            topic: any that the principal may read.
            session_seconds: one that is silent for so long is taken for gone.
        """
        session_ms = int(session_seconds * 1000)
        self._consumer = Consumer(
            {
                **options,
                # Members are served in the order of their names: the eldest keeps what it has.
                "client.id": f"{time.time_ns():020d}",
                "group.id": group,
                "partition.assignment.strategy": "range",
                "enable.auto.commit": False,
                "auto.offset.reset": "latest",
                "session.timeout.ms": session_ms,
                "heartbeat.interval.ms": session_ms // 3,
            }
        )
        self._owner = False
        self._closing = threading.Event()
        self._watch: threading.Thread | None = None
        self._consumer.subscribe([topic], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked)

    def wait(self, waits: Callable[[str], None]) -> None:
        """Return once nobody else does the work; ``waits`` is told why not yet, each time the loop comes round."""
        first, again = SAY_SECONDS
        due = time.monotonic() + first
        while not self._owner:
            self._consumer.poll(POLL_SECONDS)
            waits("another processor may be at work")
            if not self._owner and time.monotonic() > due:
                log.info("another processor is at work; waiting until it ends")
                due = time.monotonic() + again

    def watch(self, changed: Callable[[bool], None]) -> None:
        """Stay a member in the background; ``changed`` is told each time this one becomes the owner, or is it no more.

        It is called in a thread of its own.
        """
        known = self._owner

        def keep() -> None:
            nonlocal known
            while not self._closing.is_set():
                self._consumer.poll(POLL_SECONDS)
                if self._owner != known and not self._closing.is_set():
                    known = self._owner
                    changed(known)

        self._watch = threading.Thread(target=keep, name="sole-owner", daemon=True)
        self._watch.start()

    def close(self) -> None:
        """Leave, so that the next one begins at once."""
        self._closing.set()
        if self._watch is not None:
            self._watch.join(5)
        self._consumer.close()

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._owner = any(partition.partition == 0 for partition in partitions)
        consumer.assign(partitions)
        consumer.pause(partitions)

    def _revoked(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:  # noqa: ARG002  confluent's
        consumer.unassign()
