"""The books of a bus: what was published, what was decided, what the topics hold, and whether they agree. Pure.

The decisions come from audit records alone, the holdings from the topics alone. Both are counted in tallies that also
fingerprint *which* events were counted, so that one lost and another doubled event do not cancel.
"""

import dataclasses
import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Final, NamedTuple

from lintas import names
from schemas.model import Standing
from streams import audit, evidence
from streams.records import InputRecord

_MODULUS: Final = 1 << 256
IN_FORCE: Final = Standing.IN_FORCE.value
OUTCOMES: Final = ("routed", "duplicate", "quarantined")


class Place(NamedTuple):
    """Where an event was published."""

    topic: str
    partition: int
    offset: int

    @property
    def identity(self) -> bytes:
        """32 bytes that stand for the place."""
        return hashlib.sha256(f"{self.topic}/{self.partition}/{self.offset}".encode()).digest()


@dataclasses.dataclass(slots=True)
class Tally:
    """How many things were counted, and which: tallies are equal if the same things were counted equally often.

    The fingerprint is the sum of the things' 32-byte identities, so that order does not matter and memory stays small.
    """

    count: int = 0
    fingerprint: int = 0

    def add(self, identity: bytes) -> None:
        """Count one thing."""
        self.count += 1
        self.fingerprint = (self.fingerprint + int.from_bytes(identity)) % _MODULUS


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """What an audit record says of one event for one agreement."""

    agreement: str
    outcome: str  # delivered, filtered, dead, waiting; or not_yet, expired, suspended: not in force
    problem: str | None = None
    partition: int = -1  # of the inbox, if delivered
    payload_out: bytes | None = None

    @property
    def receipt(self) -> bytes:
        """The identity of a delivery: what was written, and into which partition."""
        return receipt(self.payload_out or b"", self.partition)


@dataclasses.dataclass(frozen=True, slots=True)
class Decided:
    """What an audit record says of one event; one verdict for each mention of an agreement."""

    place: Place
    event_type: str
    outcome: str  # one of OUTCOMES
    problem: str | None
    verdicts: tuple[Verdict, ...]


def receipt(payload_out: bytes, inbox_partition: int) -> bytes:
    """The identity of a record of an inbox, as audit records and the inbox itself both give it."""
    return hashlib.sha256(payload_out + inbox_partition.to_bytes(4, signed=True)).digest()


def decided_in(part: Mapping[str, Any]) -> Iterator[Decided]:
    """Every event of one of the ``partitions`` of a decoded audit record (schemas/audit.avsc)."""
    agreements = [(entry["agreement"], entry["standing"]) for entry in part["agreements"]]
    idle = tuple(Verdict(name, standing) for name, standing in agreements if standing != IN_FORCE)
    for event in part["events"]:
        verdicts: tuple[Verdict, ...] = ()
        if event["outcome"] == "routed":
            verdicts = (
                *idle,
                *(Verdict(agreements[index][0], "filtered") for index in audit.members(event["filtered"])),
                *(_verdict(agreements[one["agreement"]][0], one) for one in event["decisions"]),
            )
        place = Place(part["topic"], part["partition"], event["offset"])
        yield Decided(place, part["event_type"], event["outcome"], event["problem"], verdicts)


def _verdict(agreement: str, decision: Mapping[str, Any]) -> Verdict:
    return Verdict(agreement, decision["outcome"], decision["problem"], decision["partition"], decision["payload_out"])


@dataclasses.dataclass(slots=True)
class EventTypeAccount:
    """What was decided about the events of one topic."""

    event_type: str
    decided: Tally = dataclasses.field(default_factory=Tally)
    quarantined: Tally = dataclasses.field(default_factory=Tally)
    outcomes: Counter[str] = dataclasses.field(default_factory=Counter)
    problems: Counter[str] = dataclasses.field(default_factory=Counter)  # of quarantined events: stage and rule


@dataclasses.dataclass(slots=True)
class AgreementAccount:
    """What was decided for one agreement."""

    event_type: str
    routed: int = 0  # events that were routed while the agreement was in the catalogue
    outcomes: Counter[str] = dataclasses.field(default_factory=Counter)  # as Verdict.outcome has them
    delivered: Tally = dataclasses.field(default_factory=Tally)
    dead: Tally = dataclasses.field(default_factory=Tally)
    problems: Counter[str] = dataclasses.field(default_factory=Counter)  # of dead letters: stage and rule
    contradictory: int = 0  # routed events with no verdict, or more than one

    @property
    def not_in_force(self) -> int:
        """Routed events that came while the agreement was not in force."""
        return sum(self.outcomes[standing] for standing in Standing if standing != IN_FORCE)


# (digest of a catalogue, event type) -> the agreements that it has on it.
AgreementsOf = Callable[[str, str], Collection[str]]


class Decisions:
    """One side of the books: everything that the audit records say.

    Attributes:
        event_types: the account of each input topic.
        agreements: the account of each agreement.
        strangers: input topics whose audit records list other agreements than their catalogue has.
    """

    def __init__(self, agreements_of: AgreementsOf) -> None:
        """``agreements_of`` is asked once for each input partition of each record."""
        self.event_types: dict[str, EventTypeAccount] = {}
        self.agreements: dict[str, AgreementAccount] = {}
        self.strangers: set[str] = set()
        self._agreements_of = agreements_of

    def add(self, batch: Mapping[str, Any]) -> None:
        """Enter a decoded audit record."""
        for part in batch["partitions"]:
            listed = [entry["agreement"] for entry in part["agreements"]]
            expected = set(self._agreements_of(batch["catalogue"], part["event_type"]))
            if sorted(listed) != sorted(expected):
                self.strangers.add(part["topic"])
            for agreement in expected.union(listed):
                self.agreements.setdefault(agreement, AgreementAccount(part["event_type"]))
            for event in decided_in(part):
                self._enter(event, listed)

    def _enter(self, event: Decided, listed: Collection[str]) -> None:
        account = self.event_types.setdefault(event.place.topic, EventTypeAccount(event.event_type))
        account.decided.add(event.place.identity)
        account.outcomes[event.outcome] += 1
        if event.outcome == "quarantined":
            account.quarantined.add(event.place.identity)
            account.problems[event.problem or ""] += 1
        if event.outcome == "routed":
            self._serve(event, listed)

    def _serve(self, event: Decided, listed: Collection[str]) -> None:
        mentions: Counter[str] = Counter()
        for verdict in event.verdicts:
            mentions[verdict.agreement] += 1
            agreement = self.agreements[verdict.agreement]
            agreement.outcomes[verdict.outcome] += 1
            if verdict.outcome == "delivered":
                agreement.delivered.add(verdict.receipt)
            elif verdict.outcome == "dead":
                agreement.dead.add(event.place.identity)
                agreement.problems[verdict.problem or ""] += 1
        for name in listed:
            self.agreements[name].routed += 1
            self.agreements[name].contradictory += mentions[name] != 1


class Holdings:
    """The other side of the books: what the topics hold.

    Attributes:
        published: events, by topic.
        delivered: deliveries in inboxes, by agreement.
        dead: dead letters, by agreement.
        quarantined: quarantined events, by the topic in which they were published.
        unreadable: records of inboxes, dead letters or quarantine that no lane can have written, by topic.
    """

    def __init__(self) -> None:
        self.published: defaultdict[str, Tally] = defaultdict(Tally)
        self.delivered: defaultdict[str, Tally] = defaultdict(Tally)
        self.dead: defaultdict[str, Tally] = defaultdict(Tally)
        self.quarantined: defaultdict[str, Tally] = defaultdict(Tally)
        self.unreadable: Counter[str] = Counter()

    def add(self, record: InputRecord) -> None:
        """Enter a committed record of an ``events``, ``inbox``, ``dead`` or ``quarantine`` topic."""
        if record.topic.startswith(names.EVENTS):
            self.published[record.topic].add(Place(record.topic, record.partition, record.offset).identity)
            return
        headers = {name: value for name, value in record.headers if value is not None}
        try:
            if record.topic.startswith(names.INBOX):
                self.delivered[headers["ce_agreement"].decode()].add(delivery_of(record))
            elif record.topic.startswith(names.DEAD):
                self.dead[headers[names.ERROR_PREFIX + "agreement"].decode()].add(_origin(headers).identity)
            else:
                place = _origin(headers)
                self.quarantined[place.topic].add(place.identity)
        except (KeyError, ValueError):
            self.unreadable[record.topic] += 1


def delivery_of(record: InputRecord) -> bytes:
    """The identity of a record of an inbox: the commitment to it under the salt that it carries, and its partition.

    Raises:
        KeyError: it carries no salt.
    """
    salt = next((value for name, value in record.headers if name == names.HEADER_SALT), None)
    if salt is None:
        raise KeyError(names.HEADER_SALT)
    return receipt(evidence.commitment(salt, record.key, record.headers, record.value), record.partition)


def _origin(headers: Mapping[str, bytes]) -> Place:
    """Where a dead letter or quarantined event was published."""
    topic, partition, offset = (
        headers[names.ERROR_PREFIX + name].decode() for name in ("topic", "partition", "offset")
    )
    return Place(topic, int(partition), int(offset))


@dataclasses.dataclass(frozen=True, slots=True)
class Difference:
    """Something about which the books do not agree."""

    about: str  # a topic, or an agreement
    what: str

    def __str__(self) -> str:
        """The difference on one line."""
        return f"{self.about}: {self.what}"


def differences(decisions: Decisions, holdings: Holdings) -> list[Difference]:
    """Everything about which audit records and topics do not agree, or audit records contradict themselves."""
    return [
        *_of_topics(decisions, holdings),
        *_of_agreements(decisions, holdings),
        *(
            Difference(topic, f"{count} records that no lane can have written")
            for topic, count in sorted(holdings.unreadable.items())
        ),
    ]


def _of_topics(decisions: Decisions, holdings: Holdings) -> Iterator[Difference]:
    for topic in sorted(decisions.event_types.keys() | holdings.published.keys() | holdings.quarantined.keys()):
        account = decisions.event_types.get(topic, EventTypeAccount(""))
        in_quarantine = _tally(holdings.quarantined, topic)
        yield from _compare(topic, "published", _tally(holdings.published, topic), "decided", account.decided)
        yield from _compare(topic, "quarantined by the audit", account.quarantined, "in quarantine", in_quarantine)
        summed = sum(account.outcomes[outcome] for outcome in OUTCOMES)
        if summed != account.decided.count:
            yield Difference(topic, f"{account.decided.count} decided, but {summed} routed, duplicate or quarantined")
        if topic in decisions.strangers:
            yield Difference(topic, "audit records list other agreements than their catalogue")


def _of_agreements(decisions: Decisions, holdings: Holdings) -> Iterator[Difference]:
    for name in sorted(decisions.agreements.keys() | holdings.delivered.keys() | holdings.dead.keys()):
        account = decisions.agreements.get(name, AgreementAccount(""))
        inbox, dead = _tally(holdings.delivered, name), _tally(holdings.dead, name)
        yield from _compare(name, "delivered by the audit", account.delivered, "in the inbox", inbox)
        yield from _compare(name, "dead by the audit", account.dead, "dead letters", dead)
        summed = account.outcomes.total()
        if summed != account.routed:
            kinds = "delivered, filtered, dead, waiting or not in force"
            yield Difference(name, f"{account.routed} routed, but {summed} {kinds}")
        elif account.contradictory:
            yield Difference(name, f"{account.contradictory} events with no decision or several")


def _tally(tallies: Mapping[str, Tally], key: str) -> Tally:
    return tallies.get(key, Tally())  # never makes an entry, as a defaultdict would


def _compare(about: str, left: str, one: Tally, right: str, other: Tally) -> Iterator[Difference]:
    if one.count != other.count:
        yield Difference(about, f"{one.count} {left}, but {other.count} {right}")
    elif one != other:
        yield Difference(about, f"{one.count} {left} and {right}, but not the same events")
