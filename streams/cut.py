"""Up to where the topics of a running bus are read in one round, so that their books can be compared.

A lane reads events, and commits in one transaction what it delivers and the audit record of it. Yet no two partitions
are asked for their ends at one moment, so the order of asking must tell what can be demanded. It is:

1. ``settled``: the audit log, before which no transaction is open;
2. the ends of inboxes, dead letters and quarantine, once no transaction before them is open;
3. the end of the audit log, once no transaction before it is open;
4. the ends of events, before which no transaction is open.

Whatever an audit record before ``settled`` tells of was written before 2, for its transaction had been committed. So it
demands: what it delivered, the other parts of its batch, what was decided earlier about the same partition or event.
An audit record between 1 and 3 can be of a transaction that began after 2 or was under way at 3. It explains what is
there and demands nothing yet. When the next round begins it is before the new ``settled``, since 3 has waited for its
transaction: all that was read in one round demands in the next.

Whatever lies in a topic before its end of 2 is of a committed transaction (of others nothing is read), and the audit
record of that was written before the transaction could be committed, so before 3. Whatever an audit record before 3
decides was published before a lane could read it, so before 4. These two demand at once: a record in an inbox that no
audit record names in the same round is a difference, and so is a decision on an event that is not there. An event that
no audit record names is in flight, as long as no settled one has come further in its partition.

Nothing waits for the transactions of publishers: one of them that leaves a transaction open stops neither lanes nor
books.
"""

import dataclasses
import time
from collections.abc import Iterable, Mapping
from typing import Final

from lintas.errors import BusUnavailable
from lintas.settings import Settings
from schemas.cluster import Cluster, Partition

POLL_SECONDS: Final = 0.1


@dataclasses.dataclass(frozen=True, slots=True)
class Cut:
    """Up to where everything is read."""

    settled: Mapping[Partition, int]  # of the audit log: what is before these ends demands
    ends: Mapping[Partition, int]  # of every topic


def cut(
    settings: Settings,
    cluster: Cluster,
    *,
    audit: Iterable[Partition],
    events: Iterable[Partition],
    holdings: Iterable[Partition],
) -> Cut:
    """Ask for the ends of partitions in the order above.

    Raises:
        BusUnavailable: Kafka does not answer, or a lane's transaction stays open.
    """
    settled = cluster.committed_ends(audit)
    delivered = _ends_at_rest(settings, cluster, holdings)
    decided = _ends_at_rest(settings, cluster, audit)
    published = cluster.committed_ends(events)
    return Cut(settled, {**delivered, **decided, **published})


def _ends_at_rest(settings: Settings, cluster: Cluster, partitions: Iterable[Partition]) -> dict[Partition, int]:
    """The ends of partitions as they are now, once no transaction before them is open."""
    ends = cluster.ends(partitions)
    deadline = time.monotonic() + 2 * settings.transaction_timeout_seconds
    while behind := [place for place, end in cluster.committed_ends(ends).items() if end < ends[place]]:
        if time.monotonic() > deadline:
            topic, partition = behind[0]
            raise BusUnavailable(
                part="Kafka", address=settings.brokers, reason=f"a transaction on {topic} [{partition}] stays open"
            )
        time.sleep(POLL_SECONDS)
    return ends
