"""The books of a bus: what was published, what was decided, what the topics hold, and whether they agree. Pure.

The decisions come from audit records alone, the holdings from the topics alone. Everything that one side names is
matched with the same thing on the other side and then forgotten, so that memory holds what is not matched yet and
nothing else, and whatever is left over is named by its place.

Books of a running bus are read in rounds, each up to a cut (streams/cut.py). What a settled audit record demands is due
in the round in which it is read; what an unsettled one demands, in the next one. What topics hold is explained in the
round in which it is read, or it is a difference.
"""

import dataclasses
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from lintas import names
from schemas.model import Standing
from streams.decisions import (
    BACKFILLED,
    CAUGHT_UP,
    IN_FORCE,
    REPLAYED,
    RESUMED,
    ROUTED,
    Decided,
    Place,
    Verdict,
    decided_in,
    delivery_of,
    milliseconds,
)
from streams.matching import Entry, Kept, Matching, told
from streams.records import InputRecord


@dataclasses.dataclass(slots=True)
class EventTypeAccount:
    """What was decided about the events of one topic."""

    event_type: str
    events: Matching = dataclasses.field(default_factory=Matching)  # decided; published
    quarantined: Matching = dataclasses.field(default_factory=Matching)  # by the audit; in quarantine
    readmitted: Matching = dataclasses.field(default_factory=Matching)  # events quarantined; that were decided again
    outcomes: Counter[str] = dataclasses.field(default_factory=Counter)
    problems: Counter[str] = dataclasses.field(default_factory=Counter)  # of quarantined events: stage and rule
    positions: dict[int, int] = dataclasses.field(default_factory=dict)  # behind the last decided event, by partition
    settled: dict[int, int] = dataclasses.field(default_factory=dict)  # of these, as settled audit records have them
    strange: list[Place] = dataclasses.field(default_factory=list)  # decided for other agreements than there were

    @property
    def skipped(self) -> list[Place]:
        """Published events that were not decided, though later ones of their partition were."""
        return [place for place in self.events.unexplained() if place.offset < self.settled.get(place.partition, 0)]

    @property
    def in_flight(self) -> int:
        """How many published events no lane has come to yet."""
        return len(self.events.unexplained()) - len(self.skipped)


@dataclasses.dataclass(slots=True)
class AgreementAccount:
    """What was decided for one agreement."""

    event_type: str
    routed: int = 0  # events that were routed while the agreement was in the catalogue
    outcomes: Counter[str] = dataclasses.field(default_factory=Counter)  # as Verdict.outcome has them
    replayed: Counter[str] = dataclasses.field(default_factory=Counter)  # likewise, of events given once more
    delivered: Matching = dataclasses.field(default_factory=Matching)  # by the audit; in the inbox
    dead: Matching = dataclasses.field(default_factory=Matching)  # by the audit; dead letters
    waiting: Matching = dataclasses.field(default_factory=Matching)  # events that waited; that were decided at last
    redriven: Matching = dataclasses.field(default_factory=Matching)  # events that were dead; that were decided again
    problems: Counter[str] = dataclasses.field(default_factory=Counter)  # of dead letters: stage and rule
    contradictory: list[Place] = dataclasses.field(default_factory=list)  # routed, with no verdict or several

    @property
    def not_in_force(self) -> int:
        """Routed events that came while the agreement was not in force."""
        return sum(self.outcomes[standing] for standing in Standing if standing != IN_FORCE)


# (digest of a catalogue, event type) -> the agreements that it has on it, and whose they are.
AgreementsOf = Callable[[str, str], Mapping[str, str]]


class Held(NamedTuple):
    """From when on a partition still holds its records: what is older was deleted by retention."""

    first_offset: int = 0
    first_ms: float = 0  # time of the record there; infinity if none is left


class Books:
    """Both sides of the books, entered in any order.

    Attributes:
        event_types: the account of each input topic.
        agreements: the account of each agreement.
        unreadable: records of inboxes, dead letters or quarantine that no lane can have written, by topic.
        held: from when on partitions hold their records, where retention has deleted some before they were read.
        round: the number of the round under way.
    """

    def __init__(
        self,
        agreements_of: AgreementsOf,
        *,
        since_ms: float = 0,
        until_ms: float = math.inf,
    ) -> None:
        """Open the books.

        Args:
            agreements_of: asked once for each input partition of each audit record.
            since_ms: events published before this moment, in milliseconds, are nobody's concern, ...
            until_ms: ... nor those published at or after this one.
        """
        self.event_types: dict[str, EventTypeAccount] = {}
        self.agreements: dict[str, AgreementAccount] = {}
        self.unreadable: defaultdict[str, list[Place]] = defaultdict(list)
        self._agreements_of = agreements_of
        self.held: dict[tuple[str, int], Held] = {}
        self.round = 0
        self._since_ms, self._until_ms = since_ms, until_ms
        self._parts: dict[str, tuple[set[int], int, int]] = {}  # of batches of which not every audit record has come

    def open_accounts(self, event_types: Mapping[str, str], agreements: Mapping[str, str]) -> None:
        """Have an account of everything that is known, before any record of it has come.

        Args:
            event_types: by topic.
            agreements: the event type of each.
        """
        for topic, event_type in event_types.items():
            self.event_types.setdefault(topic, EventTypeAccount("")).event_type = event_type
        for agreement, event_type in agreements.items():
            self.agreements.setdefault(agreement, AgreementAccount("")).event_type = event_type

    def begin_round(self) -> None:
        """Read on after another cut: all that has been entered is settled."""
        self.round += 1
        for account in self.event_types.values():
            account.settled = dict(account.positions)

    def decide(self, batch: Mapping[str, Any], *, settled: bool = True) -> None:
        """Enter a decoded audit record; if it is not ``settled``, what it wrote need not have been seen yet."""
        due = self.round if settled else self.round + 1
        seen, parts, parts_due = self._parts.pop(batch["batch"], (set(), batch["parts"], due))
        seen.add(batch["part"])
        if len(seen) < parts:
            self._parts[batch["batch"]] = seen, parts, min(due, parts_due)
        decided_ms = milliseconds(batch["decided_at"])
        for part in batch["partitions"]:
            self._decide(part, self._agreements_of(batch["catalogue"], part["event_type"]), decided_ms, due)

    def _decide(self, part: Mapping[str, Any], expected: Mapping[str, str], decided_ms: int, due: int) -> None:
        topic, partition = part["topic"], part["partition"]
        account = self.event_types.setdefault(topic, EventTypeAccount(""))
        account.event_type = part["event_type"]
        for positions in (account.positions, account.settled) if due == self.round else (account.positions,):
            positions[partition] = max(positions.get(partition, 0), part["next_offset"])
        listed = [entry["agreement"] for entry in part["agreements"]]
        if sorted(listed) != sorted(expected):
            account.strange.append(Place(topic, partition, part["first_offset"]))
        for agreement in {*expected, *listed}:
            self.agreements.setdefault(agreement, AgreementAccount("")).event_type = part["event_type"]
        for event in decided_in(part):
            if not self._since_ms <= event.published_ms < self._until_ms:
                self._explain(event, account)
                continue
            if event.outcome == CAUGHT_UP:
                self._catch_up(event, expected, decided_ms, due)
                continue
            if event.is_readmitted:
                account.outcomes["quarantined"] -= 1
                account.readmitted.find(event.place, event.place, due=due)
            else:
                account.events.name(event.place, event.place)
            account.outcomes[event.outcome] += 1
            if event.outcome == "quarantined":
                account.readmitted.name(event.place, event.place, required=False)
                quarantine = names.quarantine_topic(topic.removeprefix(names.EVENTS).partition(".")[0])
                account.quarantined.name(event.place, event.place, due=due, kept=Kept(quarantine, 0, decided_ms))
                account.problems[event.problem or ""] += 1
            if event.outcome == ROUTED:
                self._serve(event, listed, expected, decided_ms, due)

    def _explain(self, event: Decided, account: EventTypeAccount) -> None:
        """An event of another time: what lies in inboxes because of it is explained, and no more is asked."""
        if event.outcome == "quarantined":
            account.quarantined.name(event.place, event.place, required=False)
        for verdict in event.verdicts:
            if verdict.outcome == "delivered":
                self.agreements[verdict.agreement].delivered.name(verdict.receipt, event.place, required=False)
            elif verdict.outcome == "dead":
                self.agreements[verdict.agreement].dead.name(event.place, event.place, required=False)

    def _serve(
        self, event: Decided, listed: Iterable[str], expected: Mapping[str, str], decided_ms: int, due: int
    ) -> None:
        mentions: Counter[str] = Counter()
        for verdict in event.verdicts:
            name = verdict.agreement
            mentions[name] += 1
            self._enter(event, verdict, expected.get(name, ""), decided_ms, due)
        for name in listed:
            self.agreements[name].routed += 1
            if mentions[name] != 1:
                self.agreements[name].contradictory.append(event.place)

    def _catch_up(self, event: Decided, expected: Mapping[str, str], decided_ms: int, due: int) -> None:
        """What had waited, had been dead, or was published before an agreement began, was decided; or is replayed."""
        for verdict in event.verdicts:
            agreement, consumer = self.agreements[verdict.agreement], expected.get(verdict.agreement, "")
            if event.asked == REPLAYED:
                agreement.replayed[verdict.outcome] += 1
                if verdict.outcome == "delivered":
                    self._deliver(event, verdict, consumer, decided_ms, due)
                continue
            if event.asked == BACKFILLED:
                agreement.routed += 1
            elif event.asked == RESUMED:
                agreement.outcomes["waiting"] -= 1
                agreement.waiting.find(event.place, event.place, due=due)
            else:
                agreement.outcomes["dead"] -= 1
                agreement.redriven.find(event.place, event.place, due=due)
            self._enter(event, verdict, consumer, decided_ms, due)

    def _deliver(self, event: Decided, verdict: Verdict, consumer: str, decided_ms: int, due: int) -> None:
        inbox = Kept(names.inbox_topic(consumer), verdict.partition, decided_ms)
        self.agreements[verdict.agreement].delivered.name(verdict.receipt, event.place, due=due, kept=inbox)

    def _enter(self, event: Decided, verdict: Verdict, consumer: str, decided_ms: int, due: int) -> None:
        agreement = self.agreements[verdict.agreement]
        agreement.outcomes[verdict.outcome] += 1
        if verdict.outcome == "delivered":
            self._deliver(event, verdict, consumer, decided_ms, due)
        elif verdict.outcome == "dead":
            agreement.dead.name(event.place, event.place, due=due, kept=Kept(names.dead_topic(consumer), 0, decided_ms))
            agreement.redriven.name(event.place, event.place, required=False)
            agreement.problems[verdict.problem or ""] += 1
        elif verdict.outcome == "waiting":
            agreement.waiting.name(event.place, event.place, required=False)

    def _missing(self, matching: Matching) -> list[Place]:
        """What the other side must have by the end of this round and has not, though no retention has deleted it."""
        return [entry.place for entry in matching.missing(self.round) if self._is_held(entry)]

    def _is_held(self, entry: Entry) -> bool:
        if entry.kept is None:
            topic, partition, offset = entry.place
            return offset >= self.held.get((topic, partition), Held()).first_offset
        topic, partition, decided_ms = entry.kept
        return decided_ms > self.held.get((topic, partition), Held()).first_ms

    def hold(self, record: InputRecord) -> None:
        """Enter a committed record of an ``events``, ``inbox``, ``dead`` or ``quarantine`` topic."""
        place = Place(record.topic, record.partition, record.offset)
        if record.topic.startswith(names.EVENTS):
            if self._since_ms <= record.timestamp_ms < self._until_ms:
                self.event_types.setdefault(record.topic, EventTypeAccount("")).events.find(place, place)
            return
        headers = {name: value for name, value in record.headers if value is not None}
        try:
            if record.topic.startswith(names.INBOX):
                self._agreement(headers["ce_agreement"]).delivered.find(delivery_of(record), place)
            elif record.topic.startswith(names.DEAD):
                self._agreement(headers[names.ERROR_PREFIX + "agreement"]).dead.find(_origin(headers), place)
            else:
                origin = _origin(headers)
                account = self.event_types.setdefault(origin.topic, EventTypeAccount(""))
                account.quarantined.find(origin, place)
        except (KeyError, ValueError):
            self.unreadable[record.topic].append(place)

    def _agreement(self, name: bytes) -> AgreementAccount:
        return self.agreements.setdefault(name.decode(), AgreementAccount(""))

    def differences(self) -> list["Difference"]:
        """Everything about which audit records and topics do not agree, or audit records contradict themselves."""
        return [comparison for comparison in self.comparisons() if comparison.places]

    def comparisons(self) -> Iterator["Difference"]:
        """Everything in which the two sides are compared, also where they agree; a kind for each thing but once."""
        yield Difference(names.AUDIT_DECISIONS, "incomplete_batch", list(self._parts_lost()))
        yield from self._of_topics()
        yield from self._of_agreements()
        for topic, places in sorted(self.unreadable.items()):
            yield Difference(topic, "unreadable", places)

    def _parts_lost(self) -> Iterator[Place]:
        for batch, (seen, parts, due) in self._parts.items():
            if due <= self.round:
                yield from (Place(f"batch {batch}", 0, part) for part in sorted(set(range(parts)) - seen))

    def _of_topics(self) -> Iterator["Difference"]:
        for topic, account in sorted(self.event_types.items()):
            yield Difference(topic, "skipped", account.skipped)
            yield Difference(topic, "unpublished", self._missing(account.events))
            yield Difference(topic, "quarantine_missing", self._missing(account.quarantined))
            yield Difference(topic, "quarantine_unexplained", account.quarantined.unexplained())
            yield Difference(topic, "not_quarantined", account.readmitted.unexplained(self.round))
            yield Difference(topic, "other_agreements", account.strange)

    def _of_agreements(self) -> Iterator["Difference"]:
        for name, account in sorted(self.agreements.items()):
            yield Difference(name, "missing", self._missing(account.delivered))
            yield Difference(name, "unexplained", account.delivered.unexplained())
            yield Difference(name, "dead_missing", self._missing(account.dead))
            yield Difference(name, "dead_unexplained", account.dead.unexplained())
            yield Difference(name, "not_waiting", account.waiting.unexplained(self.round))
            yield Difference(name, "not_dead", account.redriven.unexplained(self.round))
            yield Difference(name, "contradictory", account.contradictory)


KINDS: Final[Mapping[str, str]] = {
    "incomplete_batch": "audit records of a batch that are not there (part by part)",
    "skipped": "events passed over: published and not decided, but later ones are",
    "unpublished": "decisions on events that were not published, or were decided before",
    "quarantine_missing": "events quarantined, but not in quarantine",
    "quarantine_unexplained": "records in quarantine without a decision, or there twice",
    "not_quarantined": "events readmitted that had not been quarantined, or twice",
    "other_agreements": "audit records that list other agreements than their catalogue, from here on",
    "missing": "events delivered, but not in the inbox",
    "unexplained": "records in the inbox without a decision, or there twice",
    "dead_missing": "events dead, but without a dead letter",
    "dead_unexplained": "dead letters without a decision, or there twice",
    "not_waiting": "events decided at last that had not waited, or twice",
    "not_dead": "events redriven that had not been dead, or twice",
    "contradictory": "routed events with no decision or several",
    "unreadable": "records that no lane can have written",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Difference:
    """Something about which the books do not agree; they do if it has no places."""

    about: str  # a topic, or an agreement
    kind: str  # of KINDS
    places: Sequence[Place]

    @property
    def what(self) -> str:
        """The kind in words."""
        return KINDS[self.kind]

    def __str__(self) -> str:
        """The difference on one line."""
        return f"{self.about}: {len(self.places):,} {self.what}: {told(self.places)}"


def _origin(headers: Mapping[str, bytes]) -> Place:
    """Where a dead letter or quarantined event was published."""
    topic, partition, offset = (
        headers[names.ERROR_PREFIX + name].decode() for name in ("topic", "partition", "offset")
    )
    return Place(topic, int(partition), int(offset))
