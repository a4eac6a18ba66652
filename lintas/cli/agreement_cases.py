"""The cases of agreements run with the code that lanes decide with."""

import datetime as dt
from collections.abc import Mapping
from typing import Final

from lintas import names
from schemas.cases import Case, Outcome, differences
from schemas.compose import compose, numbering
from schemas.load import Catalogue
from schemas.model import Agreement, EventType, Standing
from schemas.pseudonyms import KEY_BYTES, PseudonymKeys
from schemas.wire import envelope as envelopes
from schemas.wire import framing, json_data
from schemas.wire.codec import Codec
from schemas.wire.errors import MalformedEvent, Problem
from streams.decide import AgreementPlan, Dead, Delivery, EventTypePlan, Plans
from streams.records import InputRecord

_KEYS: Final = PseudonymKeys.fixed({1: b"cases do not depend on the key".ljust(KEY_BYTES)})


class CaseRunner:
    """Decides the events of cases as a lane would, without a bus."""

    def __init__(self, catalogue: Catalogue) -> None:
        """``catalogue`` is valid."""
        self._snapshot = compose(catalogue, numbering())
        self._plans = Plans(self._snapshot, _KEYS)

    def run(self, agreement_id: str, case: Case) -> list[str]:
        """How what the bus does differs from what the case expects, a line each."""
        agreement = self._snapshot.agreements[agreement_id].contract
        system = self._snapshot.system(agreement.consumer)
        pseudonymise = _KEYS.for_consumer(agreement.consumer, system.pseudonym_key, agreement.pseudonym_domain)
        return differences(case, self._outcome(agreement, case), pseudonymise)

    def _outcome(self, agreement: Agreement, case: Case) -> Outcome:
        published = self._snapshot.event_types[agreement.event_type]
        event_type = self._plans.by_topic[published.topic]
        plan = next(plan for plan in event_type.agreements if plan.agreement == agreement)
        at = case.moment(agreement)
        try:
            event = event_type.read(_record(published.contract, event_type, case, at))
        except MalformedEvent as error:
            return Outcome("quarantined", _names(error.problems))
        if agreement.standing(at) is not Standing.IN_FORCE:
            return Outcome("not_in_force")
        decision = plan.decide(event)
        if isinstance(decision, Dead):
            return Outcome("dead", _names(decision.problems))
        if isinstance(decision, Delivery):
            return self._released(plan, decision)
        return Outcome("filtered")

    def _released(self, plan: AgreementPlan, delivery: Delivery) -> Outcome:
        codec = Codec(self._snapshot.agreements[plan.agreement.agreement].released.schema)
        _, body = framing.unframe(delivery.value)
        attributes = dict(envelopes.parse(delivery.headers, delivery.value).attributes)
        if delivery.key is not None:
            attributes["key"] = delivery.key.decode(errors="replace")
        return Outcome("released", data=json_data.to_json(codec, codec.decode(body)), envelope=attributes)


def _record(contract: EventType, plan: EventTypePlan, case: Case, at: dt.datetime) -> InputRecord:
    """The record that a publisher would have written, in structured mode."""
    event, given = case.event, case.event.model_fields_set
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
