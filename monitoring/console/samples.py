"""The newest events of an event type, their values masked for everybody."""

import dataclasses
import datetime as dt
from typing import Any, Final

from lintas.settings import Settings
from schemas.cluster import Cluster
from schemas.snapshot import Snapshot
from streams.budget import Budget
from streams.masked import EventViewer
from streams.topics import records_between

SHOWN: Final = 5
_BACK: Final = 5  # offsets of each partition; some are markers of transactions


@dataclasses.dataclass(frozen=True, slots=True)
class Sample:
    """An event as everybody may see it.

    Attributes:
        masked: attributes and data; None if it cannot be read.
    """

    partition: int
    offset: int
    published_at: dt.datetime
    masked: dict[str, Any] | None


def samples_of(settings: Settings, snapshot: Snapshot, event_type: str) -> list[Sample]:
    """The newest events, the newest first; bounded in work.

    Raises:
        BusUnavailable: Kafka does not answer.
    """
    published = snapshot.event_types[event_type]
    cluster = Cluster(settings)
    places = [(published.topic, partition) for partition in range(published.contract.partitions)]
    ends, beginnings = cluster.committed_ends(places), cluster.beginnings(places)
    starts = {place: max(beginnings[place], ends[place] - _BACK) for place in places}
    records = list(Budget(records=_BACK * len(places))(records_between(settings, starts, ends)))
    newest = sorted(records, key=lambda record: (record.timestamp_ms, record.partition, record.offset))[-SHOWN:]
    view = EventViewer(settings, snapshot)
    return [
        Sample(
            record.partition,
            record.offset,
            dt.datetime.fromtimestamp(record.timestamp_ms / 1000, dt.UTC),
            view(record),
        )
        for record in reversed(newest)
    ]
