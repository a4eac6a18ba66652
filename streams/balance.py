"""The books of a running bus, read from its topics while events flow.

Audit records and what they tell of are committed together but not read at one moment. So the audit log is asked for its
end twice, before and after the topics: what is behind the first end must have been delivered, what lies between the two
may have been. Topics are read in slices of time, so that what belongs together is read together and then forgotten.
"""

import dataclasses
import datetime as dt
import io
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

import fastavro

from lintas import names
from lintas.errors import BusUnavailable
from lintas.settings import Settings
from schemas.catalogue_log import CatalogueLog
from schemas.cluster import Cluster, Partition
from schemas.publication import read_log
from schemas.wire import framing
from streams.audit import AUDIT_SCHEMA
from streams.books import Books, Held
from streams.records import InputRecord
from streams.topics import records_between

SLICE_RECORDS: Final = 250_000
SHORTEST_SLICE_MS: Final = 1_000
EARLIER: Final = dt.timedelta(minutes=10)  # audit records carry the workers' clocks, deliveries the brokers'
POLL_SECONDS: Final = 0.1
HOLDINGS: Final = (names.INBOX, names.DEAD, names.QUARANTINE)
Progress = Callable[[int, int], None]  # records read, of how many


@dataclasses.dataclass(frozen=True, slots=True)
class _Cut:
    """Up to where everything is read."""

    settled: Mapping[Partition, int]  # of the audit log: what is behind these ends must have been delivered
    ends: Mapping[Partition, int]  # of every topic


class AgreementsByCatalogue:
    """The agreements of every catalogue that was in force, by event type, with their consumers."""

    def __init__(self, log: CatalogueLog) -> None:
        self._log = log
        self._known: dict[str, dict[str, dict[str, str]]] = {}

    def __call__(self, digest: str, event_type: str) -> Mapping[str, str]:
        """Consumer by agreement; none where the catalogue has no such event type."""
        if digest not in self._known:
            by_type: dict[str, dict[str, str]] = {}
            for name, agreement in self._log.snapshot(digest).agreements.items():
                by_type.setdefault(agreement.contract.event_type, {})[name] = agreement.contract.consumer
            self._known[digest] = by_type
        return self._known[digest].get(event_type, {})


def balance(
    settings: Settings,
    *,
    since: dt.datetime | None = None,
    until: dt.datetime | None = None,
    progress: Progress = lambda _, __: None,
) -> Books:
    """Read audit log and topics, and enter them in the books.

    Args:
        settings: of the bus.
        since: only events that were published at this moment or later; what became of others is not asked for.
        until: only events that were published before.
        progress: told how many records have been read, and how many there are.

    Raises:
        BusUnavailable: Kafka does not answer, or a transaction stays open.
    """
    cluster = Cluster(settings)
    log = read_log(settings)
    topics = cluster.partitions()
    audit = _partitions(topics, (names.AUDIT_DECISIONS,))
    events, holdings = _partitions(topics, (names.EVENTS,)), _partitions(topics, HOLDINGS)
    cut = _cut(settings, cluster, audit, events, holdings)
    everything = [*audit, *events, *holdings]
    starts = beginnings = cluster.beginnings(everything)
    if since is not None:
        later = cluster.at_time([*events, *holdings], _ms(since)) | cluster.at_time(audit, _ms(since - EARLIER))
        starts = {place: max(beginnings[place], later.get(place, cut.ends[place])) for place in everything}
    books = Books(
        AgreementsByCatalogue(log),
        _held(settings, {place: beginnings[place] for place in (*events, *holdings)}, cut.ends),
        since_ms=-math.inf if since is None else _ms(since),
        until_ms=math.inf if until is None else _ms(until),
    )
    schema = fastavro.parse_schema(dict(AUDIT_SCHEMA))
    total, read = sum(cut.ends[place] - starts[place] for place in everything), 0
    for first, last in _slices(cluster, starts, cut.ends):
        for record in records_between(settings, first, last):
            _enter(books, record, schema, cut)
            read += 1
            if read % 1_000 == 0:
                progress(read, total)
    return books


def _enter(books: Books, record: InputRecord, schema: Any, cut: _Cut) -> None:
    if record.topic != names.AUDIT_DECISIONS:
        books.hold(record)
        return
    batch = fastavro.schemaless_reader(io.BytesIO(framing.unframe(record.value or b"")[1]), schema, None)
    assert isinstance(batch, dict), "the schema is a record's"
    books.decide(batch, settled=record.offset < cut.settled[record.topic, record.partition])


def _partitions(topics: Mapping[str, int], prefixes: tuple[str, ...]) -> list[Partition]:
    return [
        (topic, one) for topic, count in sorted(topics.items()) if topic.startswith(prefixes) for one in range(count)
    ]


def _cut(
    settings: Settings,
    cluster: Cluster,
    audit: Iterable[Partition],
    events: Iterable[Partition],
    holdings: Iterable[Partition],
) -> _Cut:
    settled = cluster.committed_ends(audit)
    delivered = _ends_at_rest(settings, cluster, holdings)
    decided = _ends_at_rest(settings, cluster, audit)
    published = _ends_at_rest(settings, cluster, events)
    return _Cut(settled, {**delivered, **decided, **published})


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


def _held(
    settings: Settings, beginnings: Mapping[Partition, int], ends: Mapping[Partition, int]
) -> dict[Partition, Held]:
    """From when on partitions that have lost their oldest records still hold them."""
    shortened = {place: offset for place, offset in beginnings.items() if offset > 0}
    held = {place: Held(offset, math.inf) for place, offset in shortened.items()}
    filled = {place: offset for place, offset in shortened.items() if offset < ends[place]}
    for record in records_between(settings, filled, {place: offset + 1 for place, offset in filled.items()}):
        held[record.topic, record.partition] = Held(record.offset, record.timestamp_ms)
    return held


def _slices(
    cluster: Cluster, starts: Mapping[Partition, int], ends: Mapping[Partition, int]
) -> Iterator[tuple[Mapping[Partition, int], Mapping[Partition, int]]]:
    """Starts and ends of slices of time that hold not too many records each."""
    if _size(starts, ends) <= SLICE_RECORDS:
        yield starts, ends
        return
    now_ms = _ms(dt.datetime.now(dt.UTC))
    first_ms = _oldest(cluster, starts, ends, now_ms)
    yield from _halves(cluster, (first_ms, starts), (now_ms, ends))


def _oldest(cluster: Cluster, starts: Mapping[Partition, int], ends: Mapping[Partition, int], now_ms: int) -> int:
    """A moment before which there is nothing to read, found by doubling steps back from now."""
    back_ms = 60_000
    places = [place for place in starts if starts[place] < ends[place]]
    while back_ms < now_ms:
        found = cluster.at_time(places, now_ms - back_ms)
        if all(found.get(place, ends[place]) <= starts[place] for place in places):
            break
        back_ms *= 2
    return max(0, now_ms - back_ms)


_Moment = tuple[int, Mapping[Partition, int]]  # milliseconds, and the positions of that moment


def _halves(
    cluster: Cluster, begin: _Moment, end: _Moment
) -> Iterator[tuple[Mapping[Partition, int], Mapping[Partition, int]]]:
    (begin_ms, first), (end_ms, last) = begin, end
    if _size(first, last) <= SLICE_RECORDS or end_ms - begin_ms <= SHORTEST_SLICE_MS:
        yield first, last
        return
    middle_ms = (begin_ms + end_ms) // 2
    found = cluster.at_time(first, middle_ms)
    middle = {place: min(max(found.get(place, last[place]), first[place]), last[place]) for place in first}
    yield from _halves(cluster, begin, (middle_ms, middle))
    yield from _halves(cluster, (middle_ms, middle), end)


def _size(starts: Mapping[Partition, int], ends: Mapping[Partition, int]) -> int:
    return sum(max(0, ends[place] - start) for place, start in starts.items())


def _ms(moment: dt.datetime) -> int:
    return round(moment.timestamp() * 1000)
