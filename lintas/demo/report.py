"""What the demonstration found, counted from topics and audit records and never from what was meant."""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from connectors.generator.day import DERIVED
from lintas import names
from lintas.demo import example, intended
from lintas.demo.day import Published
from lintas.settings import Settings
from schemas.catalogue_log import CatalogueLog
from schemas.snapshot import Snapshot
from schemas.wire import framing
from schemas.wire.codec import Codec
from streams.balance import AgreementsByCatalogue
from streams.books import Books
from streams.decisions import Decided, Place, decided_in
from streams.records import InputRecord
from streams.topics import all_records, audit_records

_CARRIERS: Final = (names.EVENTS, names.INBOX, names.DEAD, names.QUARANTINE)
_COUNTED: Final[Mapping[str, str]] = {
    "births": "id.go.dukcapil.birth.registered.v1",
    "deaths": "id.go.dukcapil.death.registered.v1",
    "moves_in": "id.go.dukcapil.resident.moved.v1",
    "moves_out": "id.go.dukcapil.resident.moved.v1",
}


@dataclasses.dataclass(frozen=True, slots=True)
class ReceivedRow:
    """What one agreement brought to its consumer."""

    consumer: str
    channel: str
    event_type: str
    agreement: str
    routed: int
    delivered: int
    filtered: int
    dead: int
    waiting: int
    not_in_force: int


@dataclasses.dataclass(frozen=True, slots=True)
class EventTypeRow:
    """What became of the events of one type."""

    event_type: str
    published: int
    routed: int
    duplicate: int
    quarantined: int


@dataclasses.dataclass(frozen=True, slots=True)
class DeadRow:
    """Dead letters of one consumer for one reason."""

    consumer: str
    event_type: str
    stage: str
    rule: str
    events: int


@dataclasses.dataclass(frozen=True, slots=True)
class StatisticsRow:
    """A sum over the newest derived events, beside the events that it was derived of."""

    counted: str
    newest_versions: int
    delivered: int


@dataclasses.dataclass(frozen=True, slots=True)
class Report:
    """Everything that the demonstration shows."""

    received: Sequence[ReceivedRow]
    event_types: Sequence[EventTypeRow]
    example: example.Example | None
    quarantined: Sequence[intended.Quarantined]
    dead: Sequence[DeadRow]
    statistics: Sequence[StatisticsRow]
    intended: Sequence[intended.Intention]
    derived: int
    differences: Sequence[str]

    @property
    def deliveries(self) -> int:
        """How many deliveries lie in inboxes."""
        return sum(row.delivered for row in self.received)

    @property
    def published(self) -> int:
        """How many events were published, derived ones included."""
        return sum(row.published for row in self.event_types)


def examine(
    settings: Settings,
    snapshot: Snapshot,
    log: CatalogueLog,
    partitions: Mapping[str, int],
    published: Sequence[Published],
) -> Report:
    """Read every topic and audit record of the bus, and count.

    Args:
        settings: of the bus.
        snapshot: the catalogue in force.
        log: every catalogue that was in force.
        partitions: of every topic that exists.
        published: what the generator published, and where.

    Raises:
        BusUnavailable: Kafka does not answer.
    """
    books = Books(AgreementsByCatalogue(log))
    decided: dict[Place, Decided] = {}
    for batch in audit_records(settings):
        books.decide(batch)
        decided.update((event.place, event) for part in batch["partitions"] for event in decided_in(part))

    def records(topic: str) -> Iterable[InputRecord]:
        return all_records(settings, [(topic, number) for number in range(partitions[topic])])

    chosen = example.choose(snapshot, decided.values(), records)
    shown, derived = [], []
    computed = {snapshot.event_types[name].topic: name for name in DERIVED}
    for record in all_records(
        settings,
        [
            (topic, number)
            for topic, count in partitions.items()
            if topic.startswith(_CARRIERS)
            for number in range(count)
        ],
    ):
        books.hold(record)
        if chosen is not None and chosen.concerns(record):
            shown.append(record)
        if record.topic in computed:
            derived.append(record)
    received = list(_received(snapshot, books))
    statistics = list(_statistics(snapshot, derived, received))
    intentions = intended.intentions(published, decided)
    return Report(
        received=received,
        event_types=list(_event_types(snapshot, books)),
        example=None if chosen is None else example.tell(snapshot, chosen, shown),
        quarantined=intended.quarantined(published, decided),
        dead=list(_dead(snapshot, books)),
        statistics=statistics,
        intended=intentions,
        derived=len(derived),
        differences=[
            *map(str, books.differences()),
            *_in_flight(books),
            *(
                f"{one.kind} events: {one.published} published to be {one.meant}, but {one.found} were"
                for one in intentions
                if one.published != one.found
            ),
            *(
                f"vital statistics: {one.newest_versions} {one.counted} counted, but {one.delivered} delivered"
                for one in statistics
                if one.newest_versions != one.delivered
            ),
            *_unaccounted(published, derived, books),
        ],
    )


def _received(snapshot: Snapshot, books: Books) -> Iterable[ReceivedRow]:
    for name, published in sorted(snapshot.agreements.items()):
        agreement, account = published.contract, books.agreements.get(name)
        outcomes: Counter[str] = Counter() if account is None else account.outcomes
        yield ReceivedRow(
            consumer=agreement.consumer,
            channel=snapshot.channel_of(agreement),
            event_type=agreement.event_type,
            agreement=name,
            routed=0 if account is None else account.routed,
            delivered=0 if account is None else account.delivered.found,
            filtered=outcomes["filtered"],
            dead=0 if account is None else account.dead.found,
            waiting=outcomes["waiting"],
            not_in_force=0 if account is None else account.not_in_force,
        )


def _event_types(snapshot: Snapshot, books: Books) -> Iterable[EventTypeRow]:
    for name, event_type in sorted(snapshot.event_types.items()):
        account = books.event_types.get(event_type.topic)
        outcomes: Counter[str] = Counter() if account is None else account.outcomes
        yield EventTypeRow(
            event_type=name,
            published=0 if account is None else account.events.found,
            routed=outcomes["routed"],
            duplicate=outcomes["duplicate"],
            quarantined=outcomes["quarantined"],
        )


def _dead(snapshot: Snapshot, books: Books) -> Iterable[DeadRow]:
    for name, account in sorted(books.agreements.items()):
        for problem, count in sorted(account.problems.items()):
            stage, _, rule = problem.partition(": ")
            yield DeadRow(snapshot.agreements[name].contract.consumer, account.event_type, stage, rule, count)


def _statistics(
    snapshot: Snapshot, derived: Sequence[InputRecord], received: Sequence[ReceivedRow]
) -> Iterable[StatisticsRow]:
    (computed,) = DERIVED
    codec = Codec(snapshot.event_types[computed].current.schema)
    newest: dict[tuple[str, str], Mapping[str, int]] = {}
    for record in derived:
        data = codec.decode(framing.unframe(record.value or b"")[1])
        place = (str(data["day"]), data["province"])
        if place not in newest or newest[place]["version"] < data["version"]:
            newest[place] = data
    system = snapshot.event_types[computed].contract.publishers[0]
    for counted, event_type in _COUNTED.items():
        yield StatisticsRow(
            counted.replace("_", " "),
            sum(data[counted] for data in newest.values()),
            sum(row.delivered for row in received if row.consumer == system and row.event_type == event_type),
        )


def _in_flight(books: Books) -> Iterable[str]:
    """Events that lanes have not come to, though everything was to be decided."""
    for topic, account in sorted(books.event_types.items()):
        if account.in_flight:
            yield f"{topic}: {account.in_flight} published events are not decided"


def _unaccounted(published: Sequence[Published], derived: Sequence[InputRecord], books: Books) -> Iterable[str]:
    """Events in the topics that neither the generator nor a processor published, or the other way round."""
    sent = len(published) + len(derived)
    held = sum(account.events.found for account in books.event_types.values())
    if sent != held:
        yield f"{sent} events were acknowledged, but the topics hold {held}"
