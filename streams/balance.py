"""The books of a running bus, read from its topics while events flow, once or round after round.

Topics are read in slices of time, so that what belongs together is read together and then forgotten.
"""

import datetime as dt
import io
import logging
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, Protocol

import fastavro

from lintas import names
from lintas.settings import Settings
from schemas.catalogue_log import CatalogueLog
from schemas.cluster import Cluster, Partition
from schemas.topic_reader import read_from
from schemas.wire import framing
from streams.audit import AUDIT_SCHEMA
from streams.books import Books, Held
from streams.cut import Cut, cut
from streams.records import InputRecord
from streams.topics import records_between

log = logging.getLogger(__name__)

SLICE_RECORDS: Final = 250_000
SHORTEST_SLICE_MS: Final = 1_000
EARLIER: Final = dt.timedelta(minutes=10)  # audit records carry the workers' clocks, deliveries the brokers'
FIRST_OFFSETS: Final = 100  # among so many there is a record
HOLDINGS: Final = (names.INBOX, names.DEAD, names.QUARANTINE)
Progress = Callable[[int, int], None]  # records read, of how many


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


class Beside(Protocol):
    """Takes note of the audit records that the books are made of, as they are read; made anew with the books."""

    def decide(self, batch: Mapping[str, Any]) -> None:
        """The next decoded audit record; each comes once."""


class Reading:
    """The books of a running bus, read on from where the round before has ended.

    Attributes:
        books: what has been entered; right at the end of a round.
        catalogues: every catalogue that was in force.
        records: how many records have been entered.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        since: dt.datetime | None = None,
        until: dt.datetime | None = None,
        beside: Callable[[], Beside] | None = None,
    ) -> None:
        """Begin to read.

        Args:
            settings: of the bus.
            since: only events that were published at this moment or later; what became of others is not asked for.
            until: only events that were published before.
            beside: makes what is kept beside the books.
        """
        self._settings, self._since, self._until = settings, since, until
        self._cluster = Cluster(settings)
        self._schema = fastavro.parse_schema(dict(AUDIT_SCHEMA))
        self._make_beside = beside
        self.records = 0
        self.catalogues = CatalogueLog()
        self._begin()

    def _begin(self) -> None:
        self._positions: dict[Partition, int] = {}  # behind what has been entered
        self._complete: Mapping[Partition, int] = {}  # as they were at the end of the last complete round
        self.books = Books(
            AgreementsByCatalogue(self.catalogues),
            since_ms=-math.inf if self._since is None else _ms(self._since),
            until_ms=math.inf if self._until is None else _ms(self._until),
        )
        self._beside = None if self._make_beside is None else self._make_beside()

    def round(self, progress: Progress = lambda _, __: None) -> None:
        """Enter what is new, up to a new cut.

        A round that fails half way is made good by the next one: what has been entered is not read again. Only if a
        topic has become shorter than it was are the books begun anew, for nobody can tell what of it was entered.

        Args:
            progress: told how many records have been read, and how many there are to read.

        Raises:
            BusUnavailable: Kafka does not answer, or a transaction stays open.
            CatalogueError: the topic of catalogues has been altered.
        """
        topics = self._cluster.partitions()
        audit = _partitions(topics, (names.AUDIT_DECISIONS,))
        events, holdings = _partitions(topics, (names.EVENTS,)), _partitions(topics, HOLDINGS)
        upto = cut(self._settings, self._cluster, audit=audit, events=events, holdings=holdings)
        if shorter := [place for place, end in upto.ends.items() if self._positions.get(place, 0) > end]:
            log.warning("%s [%d] was made anew or truncated: the books are read from their beginning", *shorter[0])
            self._begin()
        self._read_catalogues(_partitions(topics, (names.CATALOGUE,)))  # every one that a decision before the cut names
        starts = self._starts(upto.ends)
        self._positions.update(starts)
        self.books.begin_round()
        total, before = _size(starts, upto.ends), self.records
        for first, last in _slices(self._cluster, starts, upto.ends):
            for record in records_between(self._settings, first, last):
                self._enter(record, upto)
                self._positions[record.topic, record.partition] = record.offset + 1
                self.records += 1
                if self.records % 1_000 == 0:
                    progress(self.records - before, total)
            self._positions.update(last)
        self.books.held.update(self._shortened([*events, *holdings], starts, upto.ends))
        self._complete = dict(self._positions)

    def _read_catalogues(self, partitions: Iterable[Partition]) -> None:
        ends = self._cluster.committed_ends(partitions)
        unread = {place: self._positions.get(place, 0) for place in ends}
        for key, value in read_from(
            self._settings, names.ADMIN, {place: start for place, start in unread.items() if start < ends[place]}
        ):
            self.catalogues.add(key, value)
        self._positions.update(ends)

    def _starts(self, ends: Mapping[Partition, int]) -> dict[Partition, int]:
        """Where to read on."""
        new = [place for place in ends if place not in self._positions]
        found = self._cluster.beginnings(new)
        if self._since is not None:
            audit = [place for place in new if place[0] == names.AUDIT_DECISIONS]
            later = self._cluster.at_time(new, _ms(self._since))
            later |= self._cluster.at_time(audit, _ms(self._since - EARLIER))
            found = {place: max(beginning, later.get(place, ends[place])) for place, beginning in found.items()}
        return {place: min(found.get(place, self._positions.get(place, end)), end) for place, end in ends.items()}

    def _enter(self, record: InputRecord, upto: Cut) -> None:
        if record.topic != names.AUDIT_DECISIONS:
            self.books.hold(record)
            return
        body = framing.unframe(record.value or b"")[1]
        batch = fastavro.schemaless_reader(io.BytesIO(body), self._schema, None)
        assert isinstance(batch, dict), "the schema is a record's"
        self.books.decide(batch, settled=record.offset < upto.settled[record.topic, record.partition])
        if self._beside is not None:
            self._beside.decide(batch)

    def _shortened(
        self, partitions: Iterable[Partition], starts: Mapping[Partition, int], ends: Mapping[Partition, int]
    ) -> dict[Partition, Held]:
        """From when on partitions hold their records, if records may have been deleted before they were read.

        What is read for the first time may have lost some unless it was begun behind its beginning.
        """
        gone = {
            place: offset
            for place, offset in self._cluster.beginnings(partitions).items()
            if offset > self._complete.get(place, max(0, starts[place] - 1))
        }
        return _held(self._settings, gone, ends)


def balance(
    settings: Settings,
    *,
    since: dt.datetime | None = None,
    until: dt.datetime | None = None,
    progress: Progress = lambda _, __: None,
) -> Books:
    """Read audit log and topics once: see `Reading`.

    Raises:
        BusUnavailable: Kafka does not answer, or a transaction stays open.
    """
    reading = Reading(settings, since=since, until=until)
    reading.round(progress)
    return reading.books


def _partitions(topics: Mapping[str, int], prefixes: tuple[str, ...]) -> list[Partition]:
    return [
        (topic, one) for topic, count in sorted(topics.items()) if topic.startswith(prefixes) for one in range(count)
    ]


def _held(
    settings: Settings, beginnings: Mapping[Partition, int], ends: Mapping[Partition, int]
) -> dict[Partition, Held]:
    """From when on partitions hold their records, if they begin so; first may come markers of transactions."""
    held = {place: Held(offset, math.inf) for place, offset in beginnings.items()}
    some = {place: min(offset + FIRST_OFFSETS, ends[place]) for place, offset in beginnings.items()}
    for record in records_between(settings, beginnings, some):
        place = (record.topic, record.partition)
        if held[place].first_ms == math.inf:
            held[place] = Held(record.offset, record.timestamp_ms)
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
