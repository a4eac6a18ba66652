"""One batch of a lane, decided: outputs, audit entries and new positions, without any I/O."""

import dataclasses
import datetime as dt
import secrets
from collections import defaultdict
from collections.abc import Mapping, MutableMapping
from typing import Any

from lintas import names
from schemas.model import Standing
from schemas.wire.errors import MalformedEvent
from streams import audit, dead_letters, evidence
from streams.decide import AgreementPlan, Dead, Delivery, Event, EventTypePlan, Filtered, Plans, reason_of
from streams.records import InputRecord, OutputRecord
from streams.window import DuplicateWindow, identity

Partition = tuple[str, int]  # topic and number
Slot = tuple[str, str, int]  # agreement, input topic and partition


@dataclasses.dataclass(frozen=True, slots=True)
class SetAside:
    """Why and from where an agreement gets nothing of one input partition for now; its events wait in their topic."""

    from_offset: int
    reason: str
    since: str  # ISO 8601

    def as_json(self) -> dict[str, Any]:
        """As it is kept on the lanes' status topic."""
        return dataclasses.asdict(self)


class Batch:
    """Events added one by one; what is to be written once all are in.

    Attributes:
        outputs: the records to write, by output partition, in order.
        sources: which agreement of which input partition wrote to an output partition: whom a refusal concerns.
        decided: what was decided, by input partition.
        next_offsets: the position after the last event, by input partition.
        first_offsets: the offset of the first event, by input partition.
    """

    def __init__(
        self,
        plans: Plans,
        windows: Mapping[Partition, DuplicateWindow],
        aside: Mapping[Slot, SetAside],
        *,
        at: dt.datetime,
    ) -> None:
        """``windows`` are added to as events come; ``at`` is the moment at which agreements are judged."""
        self.id = secrets.token_hex(16)
        self.seed = evidence.new_seed()
        self.at = at
        self.outputs: MutableMapping[Partition, list[OutputRecord]] = defaultdict(list)
        self.sources: MutableMapping[Partition, set[Slot]] = defaultdict(set)
        self.decided: dict[Partition, audit.PartitionDecisions] = {}
        self.next_offsets: dict[Partition, int] = {}
        self.first_offsets: dict[Partition, int] = {}
        self._plans = plans
        self._windows = windows
        self._aside = aside

    def add(self, record: InputRecord) -> None:
        """Decide one record; those of a partition come in order."""
        partition = (record.topic, record.partition)
        plan = self._plans.by_topic[record.topic]
        entries = self.decided.get(partition)
        if entries is None:
            entries = self.decided[partition] = audit.PartitionDecisions(
                plan.event_type,
                record.topic,
                record.partition,
                [
                    (agreement.agreement.agreement, standing)
                    for agreement, standing in zip(plan.agreements, plan.standings(self.at), strict=True)
                ],
            )
            self.first_offsets[partition] = record.offset
        self.next_offsets[partition] = record.offset + 1
        entries.events.append(self._decide(record, plan, entries, self._windows[partition]))

    def _decide(
        self,
        record: InputRecord,
        plan: EventTypePlan,
        entries: audit.PartitionDecisions,
        window: DuplicateWindow,
    ) -> dict[str, Any]:
        seed = evidence.event_seed(self.seed, record.topic, record.partition, record.offset)
        payload_in = evidence.commitment(evidence.salt_in(seed), record.key, record.headers, record.value)
        try:
            event = plan.read(record)
        except MalformedEvent as error:
            window.add_malformed(record.offset)
            letter = dead_letters.quarantined(record, plan, error, catalogue=self._plans.digest, at=self.at)
            self.outputs[letter.topic, letter.partition].append(letter)
            return self._entry(record, "quarantined", payload_in, problem=reason_of(error))
        if window.is_repeat(record.offset, record.timestamp_ms, identity(event.envelope.source, event.envelope.id)):
            return self._entry(record, "duplicate", payload_in)
        filtered, decisions = [], []
        for index, (agreement, (_, standing)) in enumerate(zip(plan.agreements, entries.agreements, strict=True)):
            if standing is not Standing.IN_FORCE:
                continue
            decision = self._serve(record, event, agreement, seed)
            if decision is None:
                filtered.append(index)
            else:
                decisions.append({"agreement": index, **decision})
        return self._entry(
            record,
            "routed",
            payload_in,
            filtered=audit.bitmap(filtered, len(plan.agreements)),
            decisions=decisions,
        )

    def _serve(self, record: InputRecord, event: Event, plan: AgreementPlan, seed: bytes) -> dict[str, Any] | None:
        """The audit entry of one agreement's decision; None if the event is not the consumer's."""
        agreement = plan.agreement.agreement
        slot = (agreement, record.topic, record.partition)
        decision = plan.decide(event)
        if isinstance(decision, Filtered):
            return None
        if (aside := self._aside.get(slot)) is not None:
            return {"outcome": "waiting", "problem": aside.reason}
        if isinstance(decision, Dead):
            letter = dead_letters.dead_letter(record, plan, decision, catalogue=self._plans.digest, at=self.at)
            self._write(letter, slot)
            return {"outcome": "dead", "problem": decision.reason}
        salt = evidence.salt_out(seed, agreement)
        self._write(_inbox_record(plan, decision, salt), slot)
        return {
            "outcome": "delivered",
            "partition": decision.partition,
            "payload_out": evidence.commitment(salt, decision.key, decision.headers, decision.value),
        }

    def _write(self, output: OutputRecord, slot: Slot) -> None:
        self.outputs[output.topic, output.partition].append(output)
        self.sources[output.topic, output.partition].add(slot)

    @staticmethod
    def _entry(record: InputRecord, outcome: str, payload_in: bytes, **more: Any) -> dict[str, Any]:
        return audit.event_decision(
            offset=record.offset,
            published_ms=record.timestamp_ms,
            outcome=outcome,
            payload_in=payload_in,
            **more,
        )


def _inbox_record(plan: AgreementPlan, delivery: Delivery, salt: bytes) -> OutputRecord:
    return OutputRecord(
        plan.inbox,
        delivery.partition,
        delivery.key,
        delivery.value,
        [*delivery.headers, (names.HEADER_SALT, salt)],
    )
