"""Events of cases, decided with the code that lanes decide with; nothing is published, no bus is needed."""

import dataclasses
import datetime as dt
from collections.abc import Mapping
from typing import Final

from lintas import names
from schemas.cases import Case, CaseEvent, Outcome, differences
from schemas.model import EventType, Standing
from schemas.pseudonyms import KEY_BYTES, PseudonymKeys
from schemas.snapshot import Snapshot
from schemas.wire import envelope as envelopes
from schemas.wire import framing, json_data
from schemas.wire.codec import Codec
from schemas.wire.errors import MalformedEvent, Problem
from streams.decide import AgreementPlan, Dead, Delivery, EventTypePlan
from streams.records import InputRecord

_KEYS: Final = PseudonymKeys.fixed({1: b"cases do not depend on the key".ljust(KEY_BYTES)})


@dataclasses.dataclass(frozen=True, slots=True)
class Judged:
    """What the bus did with the event of a case, and every problem, if it is dead or quarantined."""

    outcome: Outcome
    problems: tuple[Problem, ...] = ()


class CaseRunner:
    """Decides the events of cases as a lane would. Pseudonyms are of a key of its own, which no consumer has."""

    def __init__(self, snapshot: Snapshot) -> None:
        """``snapshot``: a catalogue; an event type of it is compiled when its first case comes."""
        self._snapshot = snapshot
        self._plans: dict[str, EventTypePlan] = {}

    def run(self, agreement_id: str, case: Case) -> list[str]:
        """How what the bus does differs from what the case expects, a line each."""
        agreement = self._snapshot.agreements[agreement_id].contract
        system = self._snapshot.system(agreement.consumer)
        pseudonymise = _KEYS.for_consumer(agreement.consumer, system.pseudonym_key, agreement.pseudonym_domain)
        judged = self.judge(agreement_id, case.event, case.moment(agreement))
        return differences(case, judged.outcome, pseudonymise)

    def judge(self, agreement_id: str, event: CaseEvent, at: dt.datetime) -> Judged:
        """What the bus does for an agreement with an event that is published and decided at ``at``."""
        agreement = self._snapshot.agreements[agreement_id].contract
        event_type = self._plan(agreement.event_type)
        plan = next(plan for plan in event_type.agreements if plan.agreement == agreement)
        contract = self._snapshot.event_types[agreement.event_type].contract
        try:
            read = event_type.read(_record(contract, event_type, event, at))
        except MalformedEvent as error:
            return Judged(Outcome("quarantined", _names(error.problems)), tuple(error.problems))
        if agreement.standing(at) is not Standing.IN_FORCE:
            return Judged(Outcome("not_in_force"))
        decision = plan.decide(read)
        if isinstance(decision, Dead):
            return Judged(Outcome("dead", _names(decision.problems)), decision.problems)
        if isinstance(decision, Delivery):
            return Judged(self._released(plan, decision))
        return Judged(Outcome("filtered"))

    def _plan(self, event_type: str) -> EventTypePlan:
        if event_type not in self._plans:
            published = self._snapshot.event_types[event_type]
            self._plans[event_type] = EventTypePlan(self._snapshot, published, _KEYS)
        return self._plans[event_type]

    def _released(self, plan: AgreementPlan, delivery: Delivery) -> Outcome:
        codec = Codec(self._snapshot.agreements[plan.agreement.agreement].released.schema)
        _, body = framing.unframe(delivery.value)
        attributes = dict(envelopes.parse(delivery.headers, delivery.value).attributes)
        if delivery.key is not None:
            attributes["key"] = delivery.key.decode(errors="replace")
        return Outcome("released", data=json_data.to_json(codec, codec.decode(body)), envelope=attributes)


def _record(contract: EventType, plan: EventTypePlan, event: CaseEvent, at: dt.datetime) -> InputRecord:
    """The record that a publisher would have written, in structured mode."""
    given = event.model_fields_set
    subject = event.subject if "subject" in given else _subject(contract, event.data)
    attributes: Mapping[str, str | None] = {
        "specversion": envelopes.SPECVERSION,
        "type": contract.event_type,
        "source": event.source or names.source_of(contract.publishers[0]),
        "id": event.id,
        "subject": subject,
        "time": event.time if "time" in given else at.astimezone(dt.UTC).isoformat().replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        **event.extensions,
    }
    key = event.key if "key" in given else subject
    present = {name: value for name, value in attributes.items() if value is not None}
    headers, value = envelopes.structured(present, None, json_data=event.data)
    return InputRecord(
        plan.topic, 0, 0, int(at.timestamp() * 1000), None if key is None else key.encode(), value, headers
    )


def _subject(contract: EventType, data: object) -> str | None:
    value = data
    for name in contract.subject.split(".") if contract.subject else ():
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if contract.subject and isinstance(value, str) and value else None


def _names(problems: tuple[Problem, ...]) -> tuple[str, ...]:
    """Rules and paths that a case may name."""
    return tuple(dict.fromkeys(name for problem in problems for name in (problem.rule, problem.path) if name))
