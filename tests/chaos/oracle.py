"""The oracle: reads everything back and says what the bus did wrong, for millions of events in little memory.

What must have happened follows from the input topics alone; whether an agreement was in force is what the audit records
say, whose catalogue the oracle knows. Events and deliveries are told apart by their numbers (numbered.py).
"""

import dataclasses
import io
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Protocol, Self

import fastavro
from confluent_kafka import OFFSET_BEGINNING
from numbered import (
    ALL_COUNTED,
    ALL_MARKED,
    ALL_RARE,
    EVEN,
    KEYS,
    LATE,
    MALFORMED,
    NAMELESS,
    REDUCED,
    TOPICS,
    key_of,
    kind_of,
    number_of,
    released_number,
)
from tally import Tally

from lintas import names
from lintas.settings import Settings
from schemas.cluster import Cluster
from schemas.publication import read_log
from schemas.snapshot import Snapshot
from schemas.topic_reader import messages_from
from schemas.wire import framing
from streams import decisions
from streams.audit import AUDIT_SCHEMA
from streams.replay import replays_of, state
from streams.slots import Slot

EXAMPLES: Final = 5
MANY: Final = 255
ROUTED, DUPLICATE, QUARANTINED = range(3)
Span = tuple[int, int]  # offsets: of the first, and behind the last
Replayed = Mapping[int, Mapping[Slot, Span | None]]  # by number; None: the slot has gone on to a later replay
REPLAYED_TO: Final = (ALL_COUNTED, ALL_MARKED, ALL_RARE)
OUTCOMES: Final = {"routed": ROUTED, "duplicate": DUPLICATE, "quarantined": QUARANTINED}


@dataclasses.dataclass(slots=True)
class Violation:
    """Something that may not be: how often, and where it was seen first."""

    count: int = 0
    examples: list[str] = dataclasses.field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.count} ({', '.join(self.examples)})"


class Violations:
    """What is wrong, by kind: missing, twice, out of order, unaudited, wrong decision ..."""

    def __init__(self) -> None:
        self.found: defaultdict[str, Violation] = defaultdict(Violation)

    def add(self, kind: str, example: str) -> None:
        violation = self.found[kind]
        violation.count += 1
        if len(violation.examples) < EXAMPLES:
            violation.examples.append(example)

    def __bool__(self) -> bool:
        return bool(self.found)

    def __str__(self) -> str:
        return "\n".join(f"{kind}: {violation}" for kind, violation in sorted(self.found.items())) or "none"


class Read(Protocol):
    """A committed record; what confluent-kafka's Message has of it."""

    def topic(self) -> str: ...
    def partition(self) -> int: ...
    def offset(self) -> int: ...
    def key(self) -> bytes | None: ...
    def value(self) -> bytes: ...
    def headers(self) -> list[tuple[str, bytes]]: ...


@dataclasses.dataclass(frozen=True, slots=True)
class _Record:
    """A record as decisions takes it."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]


def _count(counts: bytearray, index: int) -> int:
    """Count one more; how many there are now (no more than MANY)."""
    counts[index] = min(MANY, counts[index] + 1)
    return counts[index]


class _Published:
    """One input partition: which number stands at each offset, and what must become of it."""

    def __init__(self) -> None:
        self.numbers = array("q")
        self.expected = bytearray()
        self.audited = bytearray()


class _Delivered:
    """What one agreement delivered, by number: how often by the audit, how often in the inbox; what waits for it."""

    def __init__(self, size: int) -> None:
        self.by_audit = bytearray(size)
        self.in_inbox = bytearray(size)
        self.waiting: set[int] = set()
        self.last = array("q", [-1]) * KEYS


class Oracle:
    """Takes published events, then audit records, then deliveries; ``judge`` says what is wrong."""

    def __init__(self, size: int, catalogues: "Catalogues") -> None:
        """``size``: numbers are below it."""
        self.violations = Violations()
        self.counted: Counter[str] = Counter()
        self._size = size
        self.catalogues = catalogues
        self._published: defaultdict[tuple[str, int], _Published] = defaultdict(_Published)
        self._seen = bytearray(size)
        self._last = {topic: array("q", [-1]) * KEYS for topic in TOPICS.values()}
        self._delivered: dict[str, _Delivered] = {}
        self._letters: dict[str, list[Counter[decisions.Place]]] = {
            "dead": [Counter(), Counter()],
            "quarantined": [Counter(), Counter()],
        }
        self._audited: defaultdict[str, Tally] = defaultdict(Tally)
        self._received: defaultdict[str, Tally] = defaultdict(Tally)
        self._parts: dict[str, set[int]] = {}
        self._caught_up: list[tuple[decisions.Decided, int, str]] = []
        self._replays: Replayed = {}
        self._schema = fastavro.parse_schema(dict(AUDIT_SCHEMA))

    def publish(self, record: Read) -> None:
        """Enter a record of an event topic, in order of the partition."""
        number, place = number_of(record.headers()), (record.topic(), record.partition())
        published = self._published[place]
        if record.offset() != len(published.numbers):
            self.violations.add("offsets of an event topic with gaps", f"{place} {record.offset()}")
        published.numbers.append(number)
        published.audited.append(0)
        if kind_of(number) in MALFORMED:
            published.expected.append(QUARANTINED)
        else:
            published.expected.append(DUPLICATE if self._seen[number] else ROUTED)
            last = self._last[record.topic()]
            if not self._seen[number] and number < last[key_of(number)]:
                self.violations.add("published out of order", str(number))
            last[key_of(number)] = number
        _count(self._seen, number)
        self.counted["published"] += 1

    def acknowledge(self, number: int) -> None:
        """An acknowledgement was given for the number."""
        if not self._seen[number]:
            self.violations.add("acknowledged and not in the topic", str(number))

    def audit(self, value: bytes) -> None:
        """Enter an audit record."""
        batch: Any = fastavro.schemaless_reader(io.BytesIO(framing.unframe(value)[1]), self._schema, None)
        self.counted["audit records"] += 1
        parts = self._parts.setdefault(batch["batch"], set(range(batch["parts"])))
        if batch["part"] not in parts:
            self.violations.add("audit record twice", f"{batch['batch']} {batch['part']}")
        parts.discard(batch["part"])
        if not parts:
            del self._parts[batch["batch"]]
        for part in batch["partitions"]:
            self._check_standings(batch["catalogue"], part)
            for decided in decisions.decided_in(part):
                self._decide(decided, batch)

    def _check_standings(self, catalogue: str, part: Mapping[str, Any]) -> None:
        listed = {entry["agreement"]: entry["standing"] for entry in part["agreements"]}
        if set(listed) != self.catalogues.agreements_on(catalogue, part["event_type"]):
            self.violations.add("audit record lists other agreements than its catalogue", f"{sorted(listed)}")
        for agreement, standing in listed.items():
            suspended = agreement == REDUCED and self.catalogues.suspended(catalogue)
            if standing != ("suspended" if suspended else "in_force"):
                self.violations.add("standing differs from the catalogue's", f"{agreement} {standing}")

    def _decide(self, decided: decisions.Decided, batch: Mapping[str, Any]) -> None:
        topic, partition, offset = decided.place
        where = f"{topic} [{partition}] {offset}, batch {batch['batch'][:8]} lane {batch['lane']} {batch['worker']}"
        published = self._published.get((topic, partition))
        if published is None or offset >= len(published.numbers):
            self.violations.add("decided and never published", where)
            return
        number = published.numbers[offset]
        self.counted[decided.outcome] += 1
        if decided.outcome == decisions.CAUGHT_UP:
            self.counted[decided.asked] += 1
            if decided.asked == decisions.REPLAYED:
                self._replay(decided, number, where)
            elif decided.asked == decisions.BACKFILLED:
                self._serve(decided, number, where)
            elif all(number in self._of(verdict.agreement).waiting for verdict in decided.verdicts):
                self._catch_up(decided, number, where)
            else:  # audit records of different lanes are read in any order
                self._caught_up.append((decided, number, where))
            return
        if _count(published.audited, offset) > 1:
            self.violations.add("decided twice", where)
        if OUTCOMES[decided.outcome] != published.expected[offset]:
            self.violations.add("wrong outcome", f"{decided.outcome} {where}")
        if decided.outcome == "quarantined":
            self._letters["quarantined"][0][decided.place] += 1
        self._serve(decided, number, where)

    def _serve(self, decided: decisions.Decided, number: int, where: str) -> None:
        for verdict in decided.verdicts:
            self.counted[verdict.outcome] += 1
            self._check_verdict(verdict, number, where)
            if verdict.outcome == "waiting":
                self._of(verdict.agreement).waiting.add(number)
            if verdict.outcome == "delivered":
                _count(self._of(verdict.agreement).by_audit, number)
                self._audited[verdict.agreement].add(verdict.receipt)
            elif verdict.outcome == "dead":
                self._letters["dead"][0][decided.place] += 1

    def _catch_up(self, decided: decisions.Decided, number: int, where: str) -> None:
        """Something that had waited was decided."""
        for verdict in decided.verdicts:
            waiting = self._of(verdict.agreement).waiting
            if number not in waiting:
                self.violations.add("decided at last, and had not waited", f"{verdict.agreement} {number} {where}")
            waiting.discard(number)
        self._serve(decided, number, where)

    def _replay(self, decided: decisions.Decided, number: int, where: str) -> None:
        """Something was given once more: whoever it was replayed to is held apart, as a consumer of its own."""
        for verdict in decided.verdicts:
            if verdict.outcome != "delivered" or verdict.agreement not in REPLAYED_TO:
                self.violations.add("wrong decision of a replay", f"{verdict.agreement} {verdict.outcome} {where}")
                continue
            name = _replayed_to(verdict.agreement, (decided.problem or "").partition(" ")[2])
            _count(self._of(name).by_audit, number)
            self._audited[name].add(verdict.receipt)

    def _check_verdict(self, verdict: decisions.Verdict, number: int, where: str) -> None:
        wanted = "delivered"
        if verdict.agreement == EVEN:
            wanted = "filtered" if number % 2 else "dead" if kind_of(number) == NAMELESS else "delivered"
        elif verdict.agreement == REDUCED and verdict.outcome == "suspended":
            wanted = "suspended"  # _check_standings holds it to the catalogue
        elif verdict.agreement.startswith(("refusing", LATE)) and verdict.outcome == "waiting":
            wanted = "waiting"
        if verdict.outcome != wanted:
            self.violations.add("wrong decision", f"{verdict.agreement} {verdict.outcome}, not {wanted}: {where}")

    def receive(self, record: Read) -> None:
        """Enter a record of an inbox, in order of the partition."""
        headers = record.headers()
        agreement = next(value.decode() for name, value in headers if name == "ce_agreement")
        replay = next((value.decode() for name, value in headers if name == names.HEADER_REPLAY), None)
        if replay is not None:
            agreement = _replayed_to(agreement, replay)
        number, delivered = released_number(record.value()), self._of(agreement)
        self.counted["deliveries"] += 1
        if not 0 <= number < self._size:
            self.violations.add("delivered and never published", f"{agreement} {number}")
            return
        where = f"{agreement} number {number} at {record.topic()} [{record.partition()}] {record.offset()}"
        if _count(delivered.in_inbox, number) > 1:
            self.violations.add("delivered twice", where)
        elif number < delivered.last[key_of(number)]:
            self.violations.add("delivered out of order", f"{where} after {delivered.last[key_of(number)]}")
        delivered.last[key_of(number)] = max(number, delivered.last[key_of(number)])
        entry = _Record(record.topic(), record.partition(), record.offset(), 0, record.key(), record.value(), headers)
        self._received[agreement].add(decisions.delivery_of(entry))  # type: ignore[arg-type]  # the fields that it reads

    def receive_letter(self, record: Read) -> None:
        """Enter a record of a dead letter or quarantine topic."""
        headers = dict(record.headers())
        topic, partition, offset = (
            headers[names.ERROR_PREFIX + name].decode() for name in ("topic", "partition", "offset")
        )
        kind = "dead" if record.topic().startswith(names.DEAD) else "quarantined"
        self._letters[kind][1][decisions.Place(topic, int(partition), int(offset))] += 1

    def enter(self, history: "History") -> None:
        """Enter all of it."""
        for record in history.published:
            self.publish(record)
        for record in history.audit:
            self.audit(record.value())
        for record in history.delivered:
            self.receive(record)
        for record in history.letters:
            self.receive_letter(record)
        self._replays = history.replays

    def judge(self) -> Violations:
        """What is wrong, once everything has been entered."""
        for caught_up in self._caught_up:
            self._catch_up(*caught_up)
        for (topic, partition), published in self._published.items():
            for offset, audited in enumerate(published.audited):
                if not audited:
                    self.violations.add("missing: never decided", f"{topic} [{partition}] {offset}")
        for batch, left in self._parts.items():
            self.violations.add("audit records of a batch are missing", f"{batch} {sorted(left)}")
        for agreement, delivered in sorted(self._delivered.items()):
            self._judge_agreement(agreement, delivered)
        for kind, (by_audit, written) in self._letters.items():
            for place in (by_audit - written).keys() | (written - by_audit).keys():
                what = f"{kind} letters differ from the audit"
                self.violations.add(what, f"{place}: {by_audit[place]} by audit, {written[place]} written")
        for number in self._must_be_delivered_to_all():
            if not any(self._of(name).in_inbox[number] for name in (ALL_COUNTED, ALL_MARKED, ALL_RARE)):
                self.violations.add("missing: not delivered to the consumer of everything", str(number))
        for name in [name for name in self._delivered if name.startswith(LATE)]:
            self._judge_late(name)
        for replay, spans in self._replays.items():
            self._judge_replay(replay, spans)
        return self.violations

    def _judge_late(self, name: str) -> None:
        """Who came late and wanted everything must have what a consumer has that was there from the beginning."""
        for number, given in enumerate(self._of(ALL_MARKED).in_inbox):
            if bool(given) != bool(self._of(name).in_inbox[number]):
                self.violations.add("who came late has not the same as who was always there", f"{name} {number}")

    def _judge_replay(self, replay: int, spans: Mapping[Slot, Span | None]) -> None:
        """Each well-formed event of the spans must have been given once more, the repeats of it not."""
        wanted: defaultdict[str, set[int]] = defaultdict(set)
        for (agreement, topic, partition), span in spans.items():
            numbers = self._published[topic, partition].numbers
            of_span = numbers[slice(*span)] if span is not None else ()
            wanted[agreement].update(number for number in of_span if kind_of(number) not in MALFORMED)
        for agreement, numbers_wanted in wanted.items():
            given = self._of(_replayed_to(agreement, str(replay))).in_inbox
            for number in numbers_wanted:
                if not given[number]:
                    self.violations.add("missing: not replayed", f"{agreement} {replay} {number}")
            if None not in spans.values() and sum(1 for one in given if one) > len(numbers_wanted):
                self.violations.add("replayed: more than was asked for", f"{agreement} {replay}")

    def _judge_agreement(self, agreement: str, delivered: _Delivered) -> None:
        for number in delivered.waiting:
            self.violations.add("missing: waits to the end", f"{agreement} {number}")
        if delivered.by_audit != delivered.in_inbox:
            for number, (audited, received) in enumerate(zip(delivered.by_audit, delivered.in_inbox, strict=True)):
                if audited > received:
                    self.violations.add("missing: delivered by the audit only", f"{agreement} {number}")
                elif received > audited:
                    self.violations.add("delivered without audit: an aborted batch was seen", f"{agreement} {number}")
        elif self._audited[agreement] != self._received[agreement]:
            self.violations.add("commitments of the audit and deliveries differ", agreement)

    def _must_be_delivered_to_all(self) -> Iterator[int]:
        return (number for number, seen in enumerate(self._seen) if seen and kind_of(number) not in MALFORMED)

    def _of(self, agreement: str) -> _Delivered:
        found = self._delivered.get(agreement)
        if found is None:
            found = self._delivered[agreement] = _Delivered(self._size)
        return found


def _replayed_to(agreement: str, replay: str) -> str:
    """The name under which a replay's deliveries are held."""
    return f"{agreement}, replay {replay}"


@dataclasses.dataclass(frozen=True, slots=True)
class History:
    """Every committed record of a bus that matters, in the order of each partition; and which spans were replayed."""

    published: Iterable[Read]
    audit: Iterable[Read]
    delivered: Iterable[Read]
    letters: Iterable[Read]
    replays: Replayed

    @classmethod
    def read(cls, settings: Settings) -> Self:
        """Read while it is asked for; once only, outside of an event loop."""
        partitions = Cluster(settings).partitions()

        def of(*prefixes: str) -> Iterator[Any]:
            positions = {
                (topic, number): OFFSET_BEGINNING
                for topic, count in partitions.items()
                if topic.startswith(prefixes)
                for number in range(count)
            }
            return messages_from(settings, names.ADMIN, positions)

        asked = replays_of(settings)
        replays = {
            number: {
                slot: None if reached is None or not reached.until else (reached.start, reached.until)
                for slot, reached in state(settings, asked, replay).items()
            }
            for number, replay in asked.all.items()
        }
        return cls(
            of(names.EVENTS), of(names.AUDIT_DECISIONS), of(names.INBOX), of(names.DEAD, names.QUARANTINE), replays
        )

    def kept(self) -> "History":
        """In memory, to be read again and again."""
        return dataclasses.replace(
            self,
            published=list(self.published),
            audit=list(self.audit),
            delivered=list(self.delivered),
            letters=list(self.letters),
        )


class Catalogues:
    """Every catalogue that was ever in force, by digest."""

    def __init__(self, snapshots: Mapping[str, Snapshot]) -> None:
        self._agreements: dict[tuple[str, str], set[str]] = {
            (digest, event_type): {one.contract.agreement for one in snapshot.agreements_on(event_type)}
            for digest, snapshot in snapshots.items()
            for event_type in snapshot.event_types
        }
        self._suspended = {
            digest: snapshot.agreements[REDUCED].contract.suspended for digest, snapshot in snapshots.items()
        }

    @classmethod
    def read(cls, settings: Settings) -> Self:
        log = read_log(settings)
        return cls({pointer.manifest: log.snapshot(pointer.manifest) for pointer in log.history})

    def agreements_on(self, digest: str, event_type: str) -> set[str]:
        return self._agreements[digest, event_type]

    def suspended(self, digest: str) -> bool:
        """Whether `reduced` is."""
        return self._suspended[digest]
