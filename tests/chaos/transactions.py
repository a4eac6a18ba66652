"""Whether every transaction has ended: what Kafka's own tools say, and what readers of committed records can reach."""

from collections.abc import Iterator

from cluster import ThreeBrokers
from confluent_kafka import IsolationLevel, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from lintas import names
from schemas.cluster import Cluster

ENDED = frozenset({"CompleteCommit", "CompleteAbort", "Empty"})
TIMEOUT_SECONDS = 30
_TOOL = "org.apache.kafka.tools.TransactionsCommand"


def states(cluster: ThreeBrokers) -> dict[str, str]:
    """The state of every transactional id."""
    rows = [line.split() for line in cluster.tool(_TOOL, "list", principal=names.ADMIN).splitlines()]
    header = next(number for number, row in enumerate(rows) if row[:1] == ["TransactionalId"])
    return {row[0]: row[-1] for row in rows[header + 1 :] if row}


def left_open(cluster: ThreeBrokers) -> Iterator[str]:
    """Transactional ids that are not at rest, and partitions whose readers are held up by a transaction."""
    for transactional_id, state in states(cluster).items():
        if state not in ENDED:
            yield f"{transactional_id} is {state}"
    partitions = [
        TopicPartition(topic, number)
        for topic, count in Cluster(cluster.settings).partitions().items()
        for number in range(count)
    ]
    stable = _ends(cluster, partitions, IsolationLevel.READ_COMMITTED)
    high = _ends(cluster, partitions, IsolationLevel.READ_UNCOMMITTED)
    for place, end in high.items():
        if stable[place] != end:
            yield f"{place[0]} [{place[1]}] can be read to {stable[place]} of {end}"


def _ends(
    cluster: ThreeBrokers, partitions: list[TopicPartition], isolation: IsolationLevel
) -> dict[tuple[str, int], int]:
    admin = AdminClient(cluster.confluent(names.ADMIN))
    futures = admin.list_offsets(dict.fromkeys(partitions, OffsetSpec.latest()), isolation_level=isolation)
    return {(place.topic, place.partition): future.result(TIMEOUT_SECONDS).offset for place, future in futures.items()}
