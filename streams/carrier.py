"""Decides the events of one input partition in one batch.

Most are decided by field span as they lie in the broker's record batch: bytes in, bytes out. Whatever is out of the
ordinary about an event or a release is decided by the reference path (``streams.decide``), record by record. An event
that crashes the code is given to nobody, or not to the one consumer at whose agreement it does; the others go on.
"""

import contextlib
import datetime as dt
import itertools
from collections import Counter
from collections.abc import Mapping, MutableMapping, Sequence
from hashlib import sha256
from typing import Final, NamedTuple

from lintas import names
from schemas.conditions import ConditionFailed
from schemas.model import Standing
from schemas.rules import CannotRelease
from schemas.span_walk import DECLINES, Found
from schemas.wire.errors import MalformedEvent, Problem
from schemas.wire.varint import read_varint, zigzag
from streams import audit, dead_letters
from streams.crashes import Crashed, problem_of
from streams.decide import AgreementPlan, Dead, Decision, Event, EventTypePlan, Filtered, Stage, reason_of
from streams.envelope_shapes import NO_SHAPE, Attributes, Match
from streams.evidence import LABEL, SALTS_IN, SALTS_OUT, commitment, commitment_to, salts
from streams.record_format import RawBatch, content
from streams.records import InputRecord, OutputRecord
from streams.span_plans import Check, Deliver, Reading
from streams.window import DuplicateWindow, identity

# The two lower bytes of an offset that takes three or more.
_LOW: Final = tuple(bytes((low & 0x7F | 0x80, low >> 7 | 0x80)) for low in range(1 << 14))
_MOST_COUNTED: Final = 64
_COUNTS: Final = tuple(map(zigzag, range(_MOST_COUNTED)))
_MOST_FILTERED: Final = 1_000  # bitmaps that are remembered
join: Final = b"".join
_NOTHING_MORE: Final = audit.NO_PROBLEM + audit.NOTHING_FILTERED + audit.END


class OutOfTheOrdinary(Exception):
    """The reference path decides."""


_DELETED: Final = Problem("", "deleted", "retention deleted the event before it could be given")
_ASIDE: Final = Problem(
    "", "set-aside", "the agreement was set aside when the event came out of quarantine: resume it, redrive this letter"
)
_ODD_EVENT: Final = (OutOfTheOrdinary, *DECLINES)
# What a plan raises where the reference path must say more: values out of the ordinary, or why something fails.
_ODD_RELEASE: Final = (OutOfTheOrdinary, CannotRelease, ConditionFailed, IndexError, UnicodeDecodeError)


class _Terms(NamedTuple):
    """How one agreement in force is served, for events of one schema; a tuple, since it is unpacked for every event."""

    agreement: AgreementPlan
    number: int  # among the agreements on the event type
    waiting: bytes | None  # the decision, if the agreement is set aside
    waits: list[int]  # the offsets of events that wait for it
    require: Sequence[Check]
    deliver: Deliver
    inbox: Sequence[list[bytes]]  # the records to write, by partition
    delivered: Sequence[bytes]  # the decision up to the commitment, by partition


# offset, time of publication, where content begins and ends, where the record begins, key, attributes, what the walk
# found, and by which reading; the last four are None of an event out of the ordinary
_Seen = tuple[int, int, int, int, int, bytes | None, Attributes | None, Found | None, Reading | None]
_Row = tuple[int, Check | None, _Terms]  # its bit among those whom an event does not concern, whom it does, and how


class Carrier:
    """One input partition's events, entered into ``decided`` and the outputs as they are taken."""

    def __init__(
        self,
        plan: EventTypePlan,
        partition: int,
        window: DuplicateWindow,
        aside: Mapping[str, str],
        outputs: MutableMapping[tuple[str, int], list[bytes]],
        *,
        seed: bytes,
        at: dt.datetime,
        catalogue: str,
    ) -> None:
        """``aside`` gives the reason by agreement that is set aside; ``outputs`` are added to."""
        self._plan = plan
        self._place = (plan.topic, partition)
        self._window = window
        self._aside = aside
        self._outputs = outputs
        self._at = at
        self._catalogue = catalogue
        self._salts_in = salts(seed, SALTS_IN, plan.topic, partition)
        self._salts_out = salts(seed, SALTS_OUT, plan.topic, partition)
        self._salt_out = next(self._salts_out)  # of the next delivery
        self._standings = plan.standings(at)
        self.waiting: dict[str, list[int]] = {}  # offsets, by agreement that is set aside
        self.dead: dict[str, list[str]] = {}  # why each could not be given, by agreement
        self._attempt = 1
        self._replay: int | None = None  # which, where events of the past are given once more
        self.outcomes: Counter[type[Decision]] = Counter()  # of the reference path
        self._readmits: str | None = None  # what asked for it, where events of quarantine are decided
        self._rows: dict[Reading, list[_Row]] = {}
        self._filtered: dict[int, bytes] = {0: audit.NOTHING_FILTERED}
        self.decided = audit.PartitionDecisions(
            plan.event_type,
            plan.topic,
            partition,
            [
                (one.agreement.agreement, standing)
                for one, standing in zip(plan.agreements, self._standings, strict=True)
            ],
        )

    def take(self, raw: RawBatch, most: int) -> None:
        """Decide up to ``most`` records of a record batch.

        In three steps over all of them, since each step's code and data then stay in the processor's caches.

        Raises:
            CorruptRecordException: a record goes on beyond the batch.
        """
        raw.open()
        seen, odd = self._read(raw, min(most, raw.left))
        data = raw.data
        salts_in = list(itertools.islice(self._salts_in, len(seen)))
        payloads_in = [
            sha256(join((LABEL, salt, data[begin:end]))).digest()
            for (_, _, begin, end, _, _, _, _, _), salt in zip(seen, salts_in, strict=True)
        ]
        for index, record in odd.items():
            payloads_in[index] = commitment_to(salts_in[index], content(record.key, record.value, record.headers))
        self._decide(raw, seen, payloads_in, odd)

    def _read(  # noqa: C901, PLR0912, PLR0915  each event pays for every call
        self, raw: RawBatch, most: int
    ) -> tuple[list[_Seen], dict[int, InputRecord]]:
        """Find key, attributes and fields of the next records; those out of the ordinary are given in full."""
        known, data, size = self._plan.envelopes, raw.data, len(raw.data)
        match, sources, readings = known.latest, known.sources, self._plan.readings
        base, wanted_from, time_ms, first_ms = raw.base_offset, raw.from_offset, raw.append_time_ms, raw.first_time_ms
        seen: list[_Seen] = []
        odd: dict[int, InputRecord] = {}
        add = seen.append
        at, taken = raw.at, 0
        for _ in range(most):
            start = at
            try:
                # A number z is not zigzag-decoded yet; of two bytes it is read here, since a call costs more.
                z = data[at]
                at += 1
                if z > 0x7F:
                    more = data[at]
                    if 0 < more < 0x80:
                        z, at = z - 0x80 + (more << 7), at + 1
                    else:
                        z, at = read_varint(data, at - 1, 32)
                end = at + (z >> 1)
                at += 1
                if time_ms is None:
                    z, at = read_varint(data, at, 64)
                    published_ms = first_ms + ((z >> 1) ^ -(z & 1))
                else:
                    published_ms = time_ms
                    while data[at] > 0x7F:
                        at += 1
                    at += 1
                z = data[at]
                at += 1
                if z > 0x7F:
                    more = data[at]
                    if 0 < more < 0x80:
                        z, at = z - 0x80 + (more << 7), at + 1
                    else:
                        z, at = read_varint(data, at - 1, 32)
                offset = base + (z >> 1)
                begin = at
                z = data[at]
                at += 1
                if z > 0x7F:
                    more = data[at]
                    if 0 < more < 0x80:
                        z, at = z - 0x80 + (more << 7), at + 1
                    else:
                        z, at = read_varint(data, at - 1, 32)
                if z & 1:
                    key = None
                else:
                    stop = at + (z >> 1)
                    key = data[at:stop]
                    at = stop
                z = data[at]
                at += 1
                if z > 0x7F:
                    more = data[at]
                    if 0 < more < 0x80:
                        z, at = z - 0x80 + (more << 7), at + 1
                    else:
                        z, at = read_varint(data, at - 1, 32)
                stop = at + (z >> 1)
                reading = readings.get(data[at : at + 5])
                if reading is None or z & 1 or end > size or offset < wanted_from:
                    raise OutOfTheOrdinary  # noqa: TRY301  no call for each event
                attributes = match(data, stop, end)
                if attributes is None or attributes[0] not in sources:
                    match, attributes = self._attributes(data, stop, end)
                found = reading.walk(data, at + 5, stop)
                if reading.subject is not None and attributes[2] is not None:
                    subject = found[reading.subject]
                    if subject.__class__ is not str or subject.encode() != attributes[2]:
                        raise OutOfTheOrdinary  # noqa: TRY301  no call for each event
            except Exception as error:  # noqa: BLE001  the next event must not wait for this one, whatever it is
                if not isinstance(error, _ODD_EVENT):
                    problem_of(error)
                record, end = raw.record_at(start, *self._place)
                if record.offset >= wanted_from:
                    odd[len(seen)] = record
                    add((record.offset, record.timestamp_ms, 0, 0, start, None, None, None, None))
            else:
                add((offset, published_ms, begin, end, start, key, attributes, found, reading))
            at = end
            taken += 1
            if match is NO_SHAPE:  # decide this one first: it may teach how the others look
                break
        raw.at = at
        raw.left -= taken
        return seen, odd

    def _decide(  # noqa: C901, PLR0912, PLR0915  as above
        self, raw: RawBatch, seen: list[_Seen], payloads_in: list[bytes], odd: Mapping[int, InputRecord]
    ) -> None:
        """Decide events in their order, and enter what was decided."""
        data = raw.data
        filtered_of, latest = self._filtered, None
        rows: Sequence[_Row] = ()
        is_repeat, offsets, entries = self._window.is_repeat, self.decided.offsets, self.decided.entries
        high_part, high, time_part, time_bytes = -1, b"", -1, b""
        next_salt, salt, first = self._salts_out.__next__, self._salt_out, len(self.decided.offsets) + 1
        for (offset, published_ms, _, _, start, key, attributes, found, reading), payload_in in zip(
            seen, payloads_in, strict=True
        ):
            if published_ms != time_part:
                time_part, time_bytes = published_ms, zigzag(published_ms)
            if offset >> 13 != high_part:
                high_part = offset >> 13
                high = _unsigned(high_part) if high_part else b""
            place = _LOW[offset << 1 & 0x3FFF] + high if high else zigzag(offset)
            offsets.append(offset)
            if attributes is None or reading is None or found is None:
                self._salt_out = salt
                record = odd[len(offsets) - first]
                entries.append(join((place, time_bytes, *self._decided_in_full(record, payload_in))))
                salt = self._salt_out
                continue
            if is_repeat(offset, published_ms, identity(attributes[0], attributes[1])):
                entries.append(join((place, time_bytes, audit.DUPLICATE, payload_in, _NOTHING_MORE)))
                continue
            if reading is not latest:
                latest, rows = reading, self._rows_for(reading)
            bits = count = 0
            made: list[bytes] = []
            for bit, when, terms in rows:
                try:
                    if when is not None and not when(found, attributes):
                        bits |= bit
                        continue
                    agreement, number, waiting, waits, require, deliver, inbox, delivered = terms
                    if waiting is not None:
                        waits.append(offset)
                        made.append(waiting)
                        count += 1
                        continue
                    for check in require:
                        if not check(found, attributes):
                            raise OutOfTheOrdinary  # noqa: TRY301  no call for each event
                    to, out, delivery = deliver(data, found, attributes, key, salt)
                except Exception as error:  # noqa: BLE001  as above
                    if not isinstance(error, _ODD_RELEASE):
                        problem_of(error)
                    agreement, number = terms[:2]
                    full = raw.record_at(start, *self._place)[0]
                    self._salt_out = salt
                    decision = self._serve_in_full(agreement, number, full)
                    salt = self._salt_out
                    if decision is None:
                        bits |= bit
                    else:
                        made.append(decision)
                        count += 1
                    continue
                inbox[to].append(delivery)
                made += (delivered[to], out, b"\0")
                count += 1
                salt = next_salt()
            filtered = filtered_of.get(bits)
            if filtered is None:
                filtered = self._remember(bits)
            entries.append(
                join((place, time_bytes, b"\0", payload_in, b"\0", filtered, _COUNTS[count], *made, b"\0"))
                if 0 < count < _MOST_COUNTED
                else join((place, time_bytes, b"\0", payload_in, b"\0", filtered, audit.array_of(count, made)))
            )
        self._salt_out = salt

    def _attributes(self, data: bytes, start: int, end: int) -> tuple[Match, Attributes]:
        """The attributes of an event whose headers have another shape than the one before, and that shape."""
        known = self._plan.envelopes
        found = known.attributes_of(data, start, end)
        if found is None:
            raise OutOfTheOrdinary
        return known.latest, found

    def _rows_for(self, reading: Reading) -> Sequence[_Row]:
        """How each agreement in force is served."""
        if (known := self._rows.get(reading)) is not None:
            return known
        rows = self._rows[reading] = []
        for index, (agreement, standing) in enumerate(zip(self._plan.agreements, self._standings, strict=True)):
            if standing is not Standing.IN_FORCE:
                continue
            spans = reading.plans[index]
            partitions = range(agreement.inbox_partitions)
            reason = self._aside.get(agreement.agreement.agreement)
            terms = _Terms(
                agreement,
                index,
                None if reason is None else audit.undelivered(index, "waiting", reason),
                self._waits(agreement),
                () if spans is None else spans.require,
                _undelivered if spans is None else spans.deliver,
                [self._outputs[agreement.inbox, number] for number in partitions],
                [audit.delivered(index, number) for number in partitions],
            )
            rows.append((1 << index, _unplanned if spans is None else spans.when, terms))
        return rows

    def _waits(self, plan: AgreementPlan) -> list[int]:
        return self.waiting.setdefault(plan.agreement.agreement, [])

    def _remember(self, bits: int) -> bytes:
        if len(self._filtered) > _MOST_FILTERED:
            self._filtered.clear()
        found = self._filtered[bits] = audit.filtered(bits, len(self._plan.agreements))
        return found

    def catch_up(self, offset: int, record: InputRecord | None, index: int, asked: str, attempt: int = 1) -> None:
        """Decide an event that has been decided before, for one agreement.

        ``record`` is None if retention has deleted the event; ``asked`` says what this is done for; ``attempt`` counts
        how often it has been tried.
        """
        self._attempt = attempt
        plan = self._plan.agreements[index]
        decision: bytes | None
        if record is None:
            record = InputRecord(*self._place, offset, 0, None, None, [])
            decision = self._bury(plan, index, record, Dead(Stage.EVENT, (_DELETED,)))
        else:
            decision = self._serve_in_full(plan, index, record)
        self._enter(record, index, asked, decision)

    def give_past(self, record: InputRecord, index: int, asked: str, replay: int | None) -> None:
        """Decide an event of the past for one agreement, if it is the first of its repeats.

        ``replay`` is the number of the replay that it is given for: then the delivery is marked, and for what cannot be
        given there is no dead letter, since there was one when the event was new.
        """
        self._replay = replay
        event = None
        with contextlib.suppress(Exception):  # _serve_in_full reads it anew, and says why it cannot
            event = self._plan.read(record)
        if event is None or not self._window.is_repeat(record.offset, record.timestamp_ms, event.identity):
            decision = self._serve_in_full(self._plan.agreements[index], index, record, event)
            self._enter(record, index, asked, decision)

    def _enter(self, record: InputRecord, index: int, asked: str, decision: bytes | None) -> None:
        """Enter what was decided for one agreement about an event that others are not concerned with now."""
        payload_in = commitment_to(next(self._salts_in), content(record.key, record.value, record.headers))
        filtered = audit.filtered(1 << index if decision is None else 0, len(self._plan.agreements))
        made = audit.array([] if decision is None else [decision])
        head = zigzag(record.offset), zigzag(record.timestamp_ms), audit.CAUGHT_UP, payload_in
        self.decided.offsets.append(record.offset)
        self.decided.entries.append(join((*head, audit.problem(asked), filtered, made)))

    def readmit(self, record: InputRecord, asked: str, attempt: int) -> None:
        """Decide an event that was quarantined, for everybody, at its own place among the partition's events."""
        self._readmits, self._attempt = asked, attempt
        payload_in = commitment_to(next(self._salts_in), content(record.key, record.value, record.headers))
        decided = self._decided_in_full(record, payload_in)
        self.decided.offsets.append(record.offset)
        self.decided.entries.append(join((zigzag(record.offset), zigzag(record.timestamp_ms), *decided)))

    # The reference path.

    def _decided_in_full(self, record: InputRecord, payload_in: bytes) -> Sequence[bytes]:
        """The entry of an event behind its offset and time."""
        try:
            event = self._plan.read(record)
            self._plan.envelopes.learn(record)
        except MalformedEvent as error:
            return self._quarantine(record, payload_in, error)
        except Exception as error:  # noqa: BLE001  as above
            return self._quarantine(record, payload_in, Crashed([problem_of(error)]))
        seen = self._window.is_repeat if self._readmits is None else self._window.readmit
        asked = audit.NO_PROBLEM if self._readmits is None else audit.problem(self._readmits)
        if seen(record.offset, record.timestamp_ms, event.identity):
            return audit.DUPLICATE, payload_in, asked, audit.NOTHING_FILTERED, audit.END
        bits, made = 0, []
        for index, (agreement, standing) in enumerate(zip(self._plan.agreements, self._standings, strict=True)):
            if standing is Standing.IN_FORCE:
                decision = self._serve_in_full(agreement, index, record, event)
                if decision is None:
                    bits |= 1 << index
                else:
                    made.append(decision)
        filtered = audit.filtered(bits, len(self._plan.agreements))
        return audit.ROUTED, payload_in, asked, filtered, audit.array(made)

    def _quarantine(self, record: InputRecord, payload_in: bytes, error: MalformedEvent) -> Sequence[bytes]:
        self._window.add_malformed(record.offset)
        made = dead_letters.quarantined(
            record, self._plan, error, catalogue=self._catalogue, at=self._at, attempt=self._attempt
        )
        self._write(made)
        reason = reason_of(error)
        problem = audit.problem(reason if self._readmits is None else f"{self._readmits}: {reason}")
        return audit.QUARANTINED, payload_in, problem, audit.NOTHING_FILTERED, audit.END

    def _serve_in_full(
        self, plan: AgreementPlan, index: int, record: InputRecord, event: Event | None = None
    ) -> bytes | None:
        """One agreement's decision for the audit record; None if the event is not the consumer's.

        ``event`` is the record as it was read, if it has been.
        """
        try:
            decision = plan.decide(self._plan.read(record) if event is None else event)
        except MalformedEvent as error:
            decision = Dead(Stage.EVENT, error.problems)
        except Exception as error:  # noqa: BLE001  as above
            decision = Dead(Stage.CRASH, (problem_of(error),))
        self.outcomes[type(decision)] += 1
        if isinstance(decision, Filtered):
            return None
        if (reason := self._aside.get(plan.agreement.agreement)) is not None:
            if self._readmits is not None:  # what waits is given in the order of the input, where this one comes late
                return self._bury(plan, index, record, Dead(Stage.DELIVERY, (_ASIDE,)))
            self._waits(plan).append(record.offset)
            return audit.undelivered(index, "waiting", reason)
        if isinstance(decision, Dead):
            if self._replay is not None:
                return audit.undelivered(index, "dead", decision.reason)
            return self._bury(plan, index, record, decision)
        if self._replay is not None:
            decision.headers.append((names.HEADER_REPLAY, str(self._replay).encode()))
        salt, self._salt_out = self._salt_out, next(self._salts_out)
        headers = [*decision.headers, (names.HEADER_SALT, salt)]
        made = commitment(salt, decision.key, headers, decision.value)
        self._write(OutputRecord(plan.inbox, decision.partition, decision.key, decision.value, headers))
        return audit.delivered(index, decision.partition) + made + audit.NO_PROBLEM

    def _bury(self, plan: AgreementPlan, index: int, record: InputRecord, dead: Dead) -> bytes:
        made = dead_letters.dead_letter(
            record, plan, dead, catalogue=self._catalogue, at=self._at, attempt=self._attempt
        )
        self._write(made)
        self.dead.setdefault(plan.agreement.agreement, []).append(dead.reason)
        return audit.undelivered(index, "dead", dead.reason)

    def _write(self, output: OutputRecord) -> None:
        self._outputs[output.topic, output.partition].append(content(output.key, output.value, output.headers))


def _unplanned(_found: object, _attributes: object) -> bool:
    """Stands for the condition of an agreement that has no plan."""
    raise OutOfTheOrdinary


def _undelivered(*_: object) -> tuple[int, bytes, bytes]:
    """Stands for the delivery of an agreement that has no plan."""
    raise OutOfTheOrdinary


def _unsigned(value: int) -> bytes:
    """A number above zero in as few groups of seven bits as it needs."""
    return zigzag(value >> 1) if value & 1 == 0 else zigzag(-(value >> 1) - 1)
