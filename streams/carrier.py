"""Decides the live events of one input partition in one batch.

Most are decided by field span as they lie in the broker's record batch: bytes in, bytes out. Whatever is out of the
ordinary about an event or a release is decided by the reference path, record by record (``streams.record_by_record``).
"""

import itertools
from collections.abc import Mapping, MutableMapping, Sequence
from hashlib import sha256
from typing import Any, Final, NamedTuple

from schemas.conditions import ConditionFailed
from schemas.model import Standing
from schemas.rules import CannotRelease
from schemas.span_walk import DECLINES, Found
from schemas.wire import trace_context
from schemas.wire.varint import read_varint, zigzag
from streams import audit, traces
from streams.crashes import problem_of
from streams.decide import AgreementPlan
from streams.envelope_shapes import NO_SHAPE, Attributes, Match
from streams.evidence import LABEL, commitment_to
from streams.record_by_record import RecordByRecord
from streams.record_format import RawBatch, content
from streams.records import InputRecord
from streams.span_plans import Check, Deliver, Reading
from streams.tally import Served
from streams.window import identity

# The two lower bytes of an offset that takes three or more.
_LOW: Final = tuple(bytes((low & 0x7F | 0x80, low >> 7 | 0x80)) for low in range(1 << 14))
TRACE_PARENT: Final = traces.NAME.encode()
_LOOKED_FOR_TRACE: Final = 8_192  # bytes of a record and what follows
_MOST_COUNTED: Final = 64
_COUNTS: Final = tuple(map(zigzag, range(_MOST_COUNTED)))
_MOST_FILTERED: Final = 1_000  # bitmaps that are remembered
join: Final = b"".join
_NOTHING_MORE: Final = audit.NO_PROBLEM + audit.NOTHING_FILTERED + audit.END


class OutOfTheOrdinary(Exception):
    """The reference path decides."""


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


class Carrier(RecordByRecord):
    """One input partition's live events, taken as they lie in record batches."""

    def __init__(self, *arguments: Any, **terms: Any) -> None:
        """As ``RecordByRecord``."""
        super().__init__(*arguments, **terms)
        self._rows: dict[Reading, list[_Row]] = {}
        self._filtered: dict[int, bytes] = {0: audit.NOTHING_FILTERED}

    def take(self, raw: RawBatch, most: int) -> None:
        """Decide up to ``most`` records of a record batch.

        In three steps over all of them, since each step's code and data then stay in the processor's caches.

        Raises:
            CorruptRecordException: a record goes on beyond the batch.
        """
        raw.open()
        if not self.tally.parent and self._plan.carries_trace_on:
            self._note_trace(raw)
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

    def _note_trace(self, raw: RawBatch) -> None:
        """Note the trace of the next record, if it has one: a batch is seen by one of its events."""
        if TRACE_PARENT in raw.data[raw.at : raw.at + _LOOKED_FOR_TRACE]:
            headers = dict(raw.record_at(raw.at, *self._place)[0].headers)
            parent = (headers.get(traces.NAME) or b"").decode(errors="replace")
            if trace_context.is_valid(parent):
                self.tally.parent = parent

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
        filtered_of, latest, tally, agreements = self._filtered, None, self.tally, len(self._plan.agreements)
        left_out: MutableMapping[int, int] = {}
        rows: Sequence[_Row] = ()
        is_repeat, offsets, entries = self._window.is_repeat, self.decided.offsets, self.decided.entries
        high_part, high, time_part, time_bytes = -1, b"", -1, b""
        next_salt, salt, first = self._salts_out.__next__, self._salt_out, len(self.decided.offsets) + 1
        next_trace, trace = self._traces.__next__, self._trace
        for (offset, published_ms, _, _, start, key, attributes, found, reading), payload_in in zip(
            seen, payloads_in, strict=True
        ):
            if published_ms != time_part:
                time_part, time_bytes = published_ms, zigzag(published_ms)
                left_out = tally.group(published_ms)
            if offset >> 13 != high_part:
                high_part = offset >> 13
                high = _unsigned(high_part) if high_part else b""
            place = _LOW[offset << 1 & 0x3FFF] + high if high else zigzag(offset)
            offsets.append(offset)
            if attributes is None or reading is None or found is None:
                self._salt_out, self._trace = salt, trace
                record = odd[len(offsets) - first]
                entries.append(join((place, time_bytes, *self._decide_record(record, payload_in))))
                salt, trace = self._salt_out, self._trace
                continue
            if is_repeat(offset, published_ms, identity(attributes[0], attributes[1])):
                tally.repeats += 1
                entries.append(join((place, time_bytes, audit.DUPLICATE, payload_in, _NOTHING_MORE)))
                continue
            if reading is not latest:
                latest, rows = reading, self._rows_for(reading)
            bits = apart = count = 0
            made: list[bytes] = []
            for bit, when, terms in rows:
                try:
                    if when is not None and not when(found, attributes):
                        bits |= bit
                        continue
                    agreement, number, waiting, waits, require, deliver, inbox, delivered = terms
                    if waiting is not None:
                        waits.append(offset)
                        apart |= bit
                        tally.served[Served(published_ms, number, "waiting")] += 1
                        made.append(waiting)
                        count += 1
                        continue
                    for check in require:
                        if not check(found, attributes):
                            raise OutOfTheOrdinary  # noqa: TRY301  no call for each event
                    to, out, delivery = deliver(data, found, attributes, key, salt, trace)
                except Exception as error:  # noqa: BLE001  as above
                    if not isinstance(error, _ODD_RELEASE):
                        problem_of(error)
                    agreement, number = terms[:2]
                    apart |= bit
                    full = raw.record_at(start, *self._place)[0]
                    self._salt_out, self._trace = salt, trace
                    decision = self._serve(agreement, number, full)
                    salt, trace = self._salt_out, self._trace
                    if decision is None:
                        bits |= bit
                    else:
                        made.append(decision)
                        count += 1
                    continue
                inbox[to].append(delivery)
                made += (delivered[to], out, b"\0")
                count += 1
                salt, trace = next_salt(), next_trace()
            left_out[bits & ~apart | apart << agreements if apart else bits] += 1
            filtered = filtered_of.get(bits)
            if filtered is None:
                filtered = self._remember(bits)
            entries.append(
                join((place, time_bytes, b"\0", payload_in, b"\0", filtered, _COUNTS[count], *made, b"\0"))
                if 0 < count < _MOST_COUNTED
                else join((place, time_bytes, b"\0", payload_in, b"\0", filtered, audit.array_of(count, made)))
            )
        self._salt_out, self._trace = salt, trace

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

    def _remember(self, bits: int) -> bytes:
        if len(self._filtered) > _MOST_FILTERED:
            self._filtered.clear()
        found = self._filtered[bits] = audit.filtered(bits, len(self._plan.agreements))
        return found


def _unplanned(_found: object, _attributes: object) -> bool:
    """Stands for the condition of an agreement that has no plan."""
    raise OutOfTheOrdinary


def _undelivered(*_: object) -> tuple[int, bytes, bytes]:
    """Stands for the delivery of an agreement that has no plan."""
    raise OutOfTheOrdinary


def _unsigned(value: int) -> bytes:
    """A number above zero in as few groups of seven bits as it needs."""
    return zigzag(value >> 1) if value & 1 == 0 else zigzag(-(value >> 1) - 1)
