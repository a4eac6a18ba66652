"""What the generator meant each event to become, beside what the audit records say it became. Pure."""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from connectors.generator.event import Disorder
from lintas.demo.day import Published
from streams.decisions import Decided, Place

MEANING: Final[Mapping[Disorder, str]] = {
    Disorder.GOOD: "delivered to someone",
    Disorder.LATE: "routed like any other",
    Disorder.UNENTITLED: "delivered to no one",
    Disorder.REQUIRE_BROKEN: "a dead letter of one consumer",
    Disorder.REPEAT: "dropped as a repeat",
    Disorder.BROKEN: "quarantined",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Intention:
    """How many events of one kind were published, and how many became what was meant."""

    kind: str
    meant: str
    published: int
    found: int


@dataclasses.dataclass(frozen=True, slots=True)
class Quarantined:
    """Events in quarantine for one reason; ``fault`` is what the generator had broken."""

    stage: str
    rule: str
    fault: str
    event_types: int
    events: int


def intentions(published: Iterable[Published], decided: Mapping[Place, Decided]) -> list[Intention]:
    """Each kind of event in the day; events without a decision became nothing."""
    meant: Counter[Disorder] = Counter()
    found: Counter[Disorder] = Counter()
    for one in published:
        meant[one.event.kind] += 1
        decision = decided.get(one.place)
        found[one.event.kind] += decision is not None and is_as_meant(one.event.kind, decision)
    return [Intention(kind.value, MEANING[kind], meant[kind], found[kind]) for kind in MEANING]


def is_as_meant(kind: Disorder, decision: Decided) -> bool:
    """Whether an event became what its kind is meant to become."""
    outcomes = Counter(verdict.outcome for verdict in decision.verdicts)
    served, refused = outcomes["delivered"] + outcomes["waiting"], outcomes["dead"]
    if kind is Disorder.REPEAT:
        return decision.outcome == "duplicate"
    if kind is Disorder.BROKEN:
        return decision.outcome == "quarantined"
    as_meant = {
        Disorder.GOOD: served > 0 and refused == 0,
        Disorder.LATE: refused == 0,
        Disorder.UNENTITLED: served == refused == 0,
        Disorder.REQUIRE_BROKEN: refused == 1,
    }
    return decision.outcome == "routed" and as_meant[kind]


def quarantined(published: Iterable[Published], decided: Mapping[Place, Decided]) -> list[Quarantined]:
    """What is in quarantine, by reason."""
    faults = {one.place: one.event.fault.value for one in published if one.event.fault is not None}
    counts: Counter[tuple[str, str, str]] = Counter()
    event_types: dict[tuple[str, str, str], set[str]] = {}
    for place, decision in decided.items():
        if decision.outcome == "quarantined":
            stage, _, rule = (decision.problem or "").partition(": ")
            reason = stage, rule, faults.get(place, "")
            counts[reason] += 1
            event_types.setdefault(reason, set()).add(decision.event_type)
    return [Quarantined(*reason, len(event_types[reason]), count) for reason, count in sorted(counts.items())]
