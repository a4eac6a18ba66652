"""Decides events of one input partition in one batch, record by record: the reference path.

It does everything: what is out of the ordinary among live events, and all that is not live. An event that crashes the
code is given to nobody, or not to the one consumer at whose agreement it does; the others go on.
"""

import contextlib
import datetime as dt
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Final

from lintas import names
from schemas.model import Standing
from schemas.wire.errors import MalformedEvent, Problem
from schemas.wire.varint import zigzag
from streams import audit, dead_letters, traces
from streams.crashes import Crashed, problem_of
from streams.decide import AgreementPlan, Dead, Decision, Event, EventTypePlan, Filtered, Stage, reason_of
from streams.evidence import SALTS_IN, SALTS_OUT, commitment, commitment_to, salts
from streams.record_format import content
from streams.records import InputRecord, OutputRecord
from streams.tally import Served, Tally
from streams.window import DuplicateWindow

_DELETED: Final = Problem("", "deleted", "retention deleted the event before it could be given")
_ASIDE: Final = Problem(
    "", "set-aside", "the agreement was set aside when the event came out of quarantine: resume it, redrive this letter"
)


class RecordByRecord:
    """One input partition's events, entered into ``decided`` and the outputs as they are decided.

    Attributes:
        decided: what was decided.
        waiting: the offsets of events that wait, by agreement that is set aside.
        dead: why events could not be given, one reason for each, by agreement.
        tally: counts of what was decided.
    """

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
        self._traces = traces.traces(seed, plan.topic, partition)
        self._trace = next(self._traces)  # as above
        self._standings = plan.standings(at)
        self.waiting: dict[str, list[int]] = {}
        self.dead: dict[str, list[str]] = {}
        self._attempt = 1
        self.tally = Tally()
        self._replay: int | None = None  # which, where events of the past are given once more
        self._readmits: str | None = None  # what asked for it, where events of quarantine are decided
        self.decided = audit.PartitionDecisions(
            plan.event_type,
            plan.topic,
            partition,
            [
                (one.agreement.agreement, standing)
                for one, standing in zip(plan.agreements, self._standings, strict=True)
            ],
        )

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
            self.tally.served[Served(0, index, "dead")] += 1
        else:
            decision = self._serve(plan, index, record)
        self._enter(record, index, asked, decision)

    def give_past(self, record: InputRecord, index: int, asked: str, replay: int | None) -> None:
        """Decide an event of the past for one agreement, if it is the first of its repeats.

        ``replay`` is the number of the replay that it is given for: then the delivery is marked, and for what cannot be
        given there is no dead letter, since there was one when the event was new.
        """
        self._replay = replay
        event = None
        with contextlib.suppress(Exception):  # _serve reads it anew, and says why it cannot
            event = self._plan.read(record)
        if event is None or not self._window.is_repeat(record.offset, record.timestamp_ms, event.identity):
            decision = self._serve(self._plan.agreements[index], index, record, event)
            self._enter(record, index, asked, decision)

    def _enter(self, record: InputRecord, index: int, asked: str, decision: bytes | None) -> None:
        """Enter what was decided for one agreement about an event that others are not concerned with now."""
        payload_in = commitment_to(next(self._salts_in), content(record.key, record.value, record.headers))
        filtered = audit.filtered(1 << index if decision is None else 0, len(self._plan.agreements))
        made = audit.array([] if decision is None else [decision])
        head = zigzag(record.offset), zigzag(record.timestamp_ms), audit.CAUGHT_UP, payload_in
        self.decided.offsets.append(record.offset)
        self.decided.entries.append(b"".join((*head, audit.problem(asked), filtered, made)))

    def readmit(self, record: InputRecord, asked: str, attempt: int) -> None:
        """Decide an event that was quarantined, for everybody, at its own place among the partition's events."""
        self._readmits, self._attempt = asked, attempt
        payload_in = commitment_to(next(self._salts_in), content(record.key, record.value, record.headers))
        decided = self._decide_record(record, payload_in)
        self.decided.offsets.append(record.offset)
        self.decided.entries.append(b"".join((zigzag(record.offset), zigzag(record.timestamp_ms), *decided)))

    def _decide_record(self, record: InputRecord, payload_in: bytes) -> Sequence[bytes]:
        """The entry of an event behind its offset and time."""
        try:
            event = self._plan.read(record)
            self._plan.envelopes.learn(record)
        except MalformedEvent as error:
            return self._quarantine(record, payload_in, error)
        except Exception as error:  # noqa: BLE001  the next event must not wait for this one, whatever it is
            return self._quarantine(record, payload_in, Crashed([problem_of(error)]))
        seen = self._window.is_repeat if self._readmits is None else self._window.readmit
        asked = audit.NO_PROBLEM if self._readmits is None else audit.problem(self._readmits)
        if seen(record.offset, record.timestamp_ms, event.identity):
            self.tally.repeats += 1
            return audit.DUPLICATE, payload_in, asked, audit.NOTHING_FILTERED, audit.END
        self.tally.routed += 1
        bits, made = 0, []
        for index, (agreement, standing) in enumerate(zip(self._plan.agreements, self._standings, strict=True)):
            if standing is Standing.IN_FORCE:
                decision = self._serve(agreement, index, record, event)
                if decision is None:
                    bits |= 1 << index
                else:
                    made.append(decision)
        filtered = audit.filtered(bits, len(self._plan.agreements))
        return audit.ROUTED, payload_in, asked, filtered, audit.array(made)

    def _quarantine(self, record: InputRecord, payload_in: bytes, error: MalformedEvent) -> Sequence[bytes]:
        self._window.add_malformed(record.offset)
        self.tally.quarantined[error.stage] += 1
        made = dead_letters.quarantined(
            record, self._plan, error, catalogue=self._catalogue, at=self._at, attempt=self._attempt
        )
        self._write(made)
        reason = reason_of(error)
        problem = audit.problem(reason if self._readmits is None else f"{self._readmits}: {reason}")
        return audit.QUARANTINED, payload_in, problem, audit.NOTHING_FILTERED, audit.END

    def _serve(self, plan: AgreementPlan, index: int, record: InputRecord, event: Event | None = None) -> bytes | None:
        """One agreement's decision for the audit record; None if the event is not the consumer's.

        ``event`` is the record as it was read, if it has been.
        """
        try:
            decision = plan.decide(self._plan.read(record) if event is None else event)
        except MalformedEvent as error:
            decision = Dead(Stage.EVENT, error.problems)
        except Exception as error:  # noqa: BLE001  the next event must not wait for this one, whatever it is
            decision = Dead(Stage.CRASH, (problem_of(error),))
        made, outcome = self._made(plan, index, record, decision)
        self.tally.served[Served(record.timestamp_ms, index, outcome)] += 1
        return made

    def _made(
        self, plan: AgreementPlan, index: int, record: InputRecord, decision: Decision
    ) -> tuple[bytes | None, str]:
        """What is written of a decision, and its outcome by name."""
        if isinstance(decision, Filtered):
            return None, "filtered"
        if (reason := self._aside.get(plan.agreement.agreement)) is not None:
            if self._readmits is not None:  # what waits is given in the order of the input, where this one comes late
                return self._bury(plan, index, record, Dead(Stage.DELIVERY, (_ASIDE,))), "dead"
            self._waits(plan).append(record.offset)
            return audit.undelivered(index, "waiting", reason), "waiting"
        if isinstance(decision, Dead):
            if self._replay is not None:
                return audit.undelivered(index, "dead", decision.reason), "dead"
            return self._bury(plan, index, record, decision), "dead"
        decision.headers.append((traces.NAME, traces.of_delivery(decision.parent, self._trace)))
        if self._replay is not None:
            decision.headers.append((names.HEADER_REPLAY, str(self._replay).encode()))
        salt, self._salt_out, self._trace = self._salt_out, next(self._salts_out), next(self._traces)
        headers = [*decision.headers, (names.HEADER_SALT, salt)]
        made = commitment(salt, decision.key, headers, decision.value)
        self._write(OutputRecord(plan.inbox, decision.partition, decision.key, decision.value, headers))
        return audit.delivered(index, decision.partition) + made + audit.NO_PROBLEM, "delivered"

    def _bury(self, plan: AgreementPlan, index: int, record: InputRecord, dead: Dead) -> bytes:
        made = dead_letters.dead_letter(
            record, plan, dead, catalogue=self._catalogue, at=self._at, attempt=self._attempt
        )
        self._write(made)
        self.tally.letters[index, dead.stage] += 1
        if self._readmits is None:  # events out of quarantine say nothing about those that come
            self.dead.setdefault(plan.agreement.agreement, []).append(dead.reason)
        return audit.undelivered(index, "dead", dead.reason)

    def _write(self, output: OutputRecord) -> None:
        self._outputs[output.topic, output.partition].append(content(output.key, output.value, output.headers))

    def _waits(self, plan: AgreementPlan) -> list[int]:
        return self.waiting.setdefault(plan.agreement.agreement, [])
