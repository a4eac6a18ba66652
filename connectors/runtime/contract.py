"""What a connector is: two small interfaces, whose docstrings say who calls and when.

A *source* makes events of what it reads elsewhere; a *sink* gives the deliveries of an inbox to something else. Both
run as one system, with that system's own credentials. Their progress is JSON that the runtime keeps on the bus
(``connectors.<system>``), written in the same Kafka transaction as the events it belongs to.
"""

import dataclasses
import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from aiokafka import TopicPartition
from lintas_client import Delivery
from lintas_client.bus import Extensions
from lintas_client.preparation import Prepared

Progress = Mapping[str, Any]  # JSON values by a name that the connector chooses (a table, a file); None: forget it


@dataclasses.dataclass(frozen=True, slots=True)
class Outgoing:
    """An event that a source has made; its representation shows nothing of it.

    Attributes:
        event_type: its reverse-DNS name, with version.
        data: the payload in natural JSON or Python values.
        id: deterministic: made again of the same input it is the same, so that the bus drops repeats.
        subject: whom or what it is about; default: the payload's subject field.
        time: when it happened; default: now.
        key: events of one key stay in order; default: the subject, else the id.
        extensions: further CloudEvents attributes.
        origin: where it comes from, in words that hold nothing personal (``file 3f2a91c0:17``, ``outbox row 4711``).
        ready: as it is sent, from a source that had to know whether the bus would take it (`making.made`).
    """

    event_type: str
    data: Any = dataclasses.field(repr=False)
    id: str
    subject: str | None = dataclasses.field(default=None, repr=False)
    time: dt.datetime | str | None = None
    key: str | bytes | None = dataclasses.field(default=None, repr=False)
    extensions: Extensions = dataclasses.field(default_factory=dict, repr=False)
    origin: str = ""
    ready: Prepared | None = dataclasses.field(default=None, repr=False, compare=False)


@dataclasses.dataclass(frozen=True, slots=True)
class Portion:
    """Events and the progress that has been made once they are written; either may be empty.

    ``set_aside`` is how many rows or messages could not be made into events, and lie where their owner finds them; they
    are counted as refused once the portion is written.
    """

    events: Sequence[Outgoing] = ()
    progress: Progress = dataclasses.field(default_factory=dict)
    set_aside: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Refusal:
    """An event that the bus would not take: it does not match its schema or envelope, or its type is unknown.

    ``reasons`` name fields and rules, never values.
    """

    event: Outgoing
    reasons: Sequence[str]


class Source(Protocol):
    """Makes events. One task at a time calls it; after any exception it is stopped and made anew."""

    async def start(self, progress: Progress) -> None:
        """Connect and go on from ``progress``: what the last transaction wrote, empty at first.

        Raises:
            ConnectorFailed: with remedy; the runtime tries again with back-off.
        """

    async def poll(self) -> Portion | None:
        """The next events, or None if there are none within about a second. Cancelled when the connector stops.

        At most a few thousand events or a few megabytes: they are written in one transaction.
        """

    async def refused(self, refusals: Sequence[Refusal]) -> bool:
        """Called before the rest of a portion is written, with what cannot be.

        Returns whether the source has set it aside where its owner finds it (a list beside the file, a column of the
        table), so that the rest goes on; False: the connector fails with the reasons. May be called again with the
        same after a crash.
        """

    async def written(self, portion: Portion) -> None:
        """The portion and its progress are on the bus: the input may be tidied (a file moved, a row deleted).

        Not called for the last portion before a crash: ``start`` must tidy what ``progress`` says is done.
        """

    async def stop(self) -> None:
        """Disconnect; also after a failed start."""


class Inbox(Protocol):
    """What a sink may ask of its inbox."""

    async def read_again(self, place: TopicPartition, offset: int) -> Delivery | None:
        """A delivery that was handed out before, also in an earlier life; None if the inbox holds it no more."""


class Sink(Protocol):
    """Gives deliveries to something else. One task at a time calls it; after any exception it is made anew."""

    async def start(self, progress: Progress, inbox: Inbox) -> Mapping[TopicPartition, int] | None:
        """Connect and go on from ``progress``.

        Returns:
            the next offset of each partition, if the sink keeps positions with its data (a partition that it does not
            name begins at the beginning); None if the runtime is to keep them.

        Raises:
            ConnectorFailed: with remedy; the runtime tries again with back-off.
        """

    async def deliver(self, deliveries: Sequence[Delivery], positions: Mapping[TopicPartition, int]) -> Progress:
        """Give deliveries, in order per partition; return when they are safe, or are noted in the progress.

        Args:
            deliveries: at most some thousand.
            positions: the next offset of each partition that they come from, for a sink that keeps them itself.

        Returns:
            what has changed in its progress; written in one transaction with the inbox's positions.
        """

    async def idle(self) -> Progress:
        """Called about every second, also between deliveries, for work that waits (retries); returns as above.

        Raises:
            ConnectorDisabled: (also ``start`` and ``deliver``) trying again by itself would be wrong: the connector
                stays FAILED until a person restarts it or changes its settings.
        """

    async def stop(self) -> None:
        """Disconnect; also after a failed start."""


@runtime_checkable
class Bounded(Protocol):
    """A sink that can be full; one that does not say so takes whatever comes."""

    def room(self) -> int:
        """How many deliveries at most it would take with the next ``deliver``; at 0 the runtime calls ``idle`` only."""


@runtime_checkable
class Holding(Protocol):
    """A sink that keeps events back in its progress, for a later attempt or for a person; the runtime makes metrics."""

    def holding(self) -> Mapping[str, int]:
        """How many events it holds, by what they wait for: ``retry``, ``person``; every kind it knows, also at 0."""
