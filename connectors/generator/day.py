"""A whole day: every event type, in proportion, with the disorder that a bus must live with."""

import collections
import copy
import datetime as dt
import random
import uuid
from collections.abc import Iterator
from typing import Final

from connectors.generator import alerts, business, hazards, health, population, records_of_care, services, trade
from connectors.generator.event import Disorder, Fault, GeneratedEvent, attributes_of
from connectors.generator.world import Source, World, moment

# The catalogue's event types, without those that a processor derives from others.
SOURCES: Final = (
    *population.SOURCES,
    *health.SOURCES,
    *business.SOURCES,
    *trade.SOURCES,
    *services.SOURCES,
    *hazards.SOURCES,
    *alerts.SOURCES,
    *records_of_care.SOURCES,
)
DERIVED: Final = ("id.go.bps.vital-statistics.computed.v1",)

_WITH_REQUIREMENT: Final = tuple(source for source in SOURCES if source.break_requirement is not None)
_BIRTHS: Final = SOURCES[0]
_SHARES: Final = {
    Disorder.REPEAT: 50,
    Disorder.LATE: 50,
    Disorder.BROKEN: 100,
    Disorder.REQUIRE_BROKEN: 100,
}  # one in so many
_LATEST_DAYS: Final = 20
_OPEN: Final = dt.timedelta(hours=10)  # 00:00 to 10:00 UTC: office hours from Papua to Aceh
_RECENT: Final = 200  # a repeat follows its original within so many good events


def day(seed: int, date: dt.date, events: int) -> Iterator[GeneratedEvent]:
    """The events of one day in the order in which they are published; the same for the same arguments.

    Args:
        seed: any number; another one gives another day.
        date: the day on which things happen.
        events: how many are published, repeats and broken ones included. From some 100 on every event type and every
            fault occurs.
    """
    rng = random.Random(f"{seed} {date} {events}")  # noqa: S311  a day that can be repeated is the point
    world = World(rng)
    kinds = _kinds(rng, events)
    sources = iter(_sources(rng, kinds.count(Disorder.GOOD) + kinds.count(Disorder.LATE)))
    faults = iter(_faults(rng, kinds.count(Disorder.BROKEN)))
    recent: collections.deque[GeneratedEvent] = collections.deque(maxlen=_RECENT)
    start = dt.datetime.combine(date, dt.time(), dt.UTC)
    for index, kind in enumerate(kinds):
        at = start + _OPEN * index / events + dt.timedelta(milliseconds=rng.randrange(1_000))
        if kind is Disorder.REPEAT:
            original = rng.choice(recent)
            yield _as(original, Disorder.REPEAT, "published again with the same id")
        elif kind is Disorder.BROKEN:
            yield _broken(world, at, next(faults))
        elif kind is Disorder.REQUIRE_BROKEN:
            yield _require_broken(world, at, rng.choice(_WITH_REQUIREMENT))
        else:
            days_ago = rng.randint(2, _LATEST_DAYS) if kind is Disorder.LATE else 0
            event = _event(world, at - dt.timedelta(days=days_ago), next(sources))
            recent.append(event)
            yield _as(event, Disorder.LATE, f"happened {days_ago} days ago") if days_ago else event


def _kinds(rng: random.Random, events: int) -> list[Disorder]:
    counts = {kind: events // share for kind, share in _SHARES.items()}
    if counts[Disorder.BROKEN]:
        counts[Disorder.BROKEN] = max(counts[Disorder.BROKEN], len(Fault))
    kinds = [kind for kind, count in counts.items() for _ in range(count)]
    kinds += [Disorder.GOOD] * (events - len(kinds) - 1)
    rng.shuffle(kinds)
    return [Disorder.GOOD, *kinds][:events]  # the first is good, so that there is something to repeat


def _sources(rng: random.Random, count: int) -> list[Source]:
    every = list(SOURCES)
    rng.shuffle(every)
    rest = rng.choices(SOURCES, [source.weight for source in SOURCES], k=max(0, count - len(every)))
    chosen = (every + rest)[:count]
    rng.shuffle(chosen)
    return chosen


def _faults(rng: random.Random, count: int) -> list[Fault]:
    faults = [list(Fault)[index % len(Fault)] for index in range(count)]
    rng.shuffle(faults)
    return faults


def _event(world: World, at: dt.datetime, source: Source) -> GeneratedEvent:
    data = source.make(world, at)
    identity = str(uuid.UUID(int=world.rng.getrandbits(128), version=4))
    attributes = attributes_of(source.system, source.event_type, identity, moment(at), source.subject_of(data))
    if source.nobody(data):
        return GeneratedEvent(
            source.system, source.event_type, attributes, data, Disorder.UNENTITLED, note="no agreement asks for it"
        )
    return GeneratedEvent(source.system, source.event_type, attributes, data)


def _as(event: GeneratedEvent, kind: Disorder, note: str) -> GeneratedEvent:
    return GeneratedEvent(event.system, event.event_type, event.attributes, event.data, kind, note=note)


def _require_broken(world: World, at: dt.datetime, source: Source) -> GeneratedEvent:
    event = _event(world, at, source)
    data = copy.deepcopy(dict(event.data))
    assert source.break_requirement is not None, "chosen from those that have one"
    source.break_requirement(data)
    return GeneratedEvent(
        event.system, event.event_type, event.attributes, data, Disorder.REQUIRE_BROKEN, note="one consumer refuses it"
    )


def _broken(world: World, at: dt.datetime, fault: Fault) -> GeneratedEvent:
    weights = [source.weight for source in SOURCES]
    source = _BIRTHS if fault is Fault.INVALID_NIK else world.rng.choices(SOURCES, weights)[0]
    event = _event(world, at, source)
    attributes = dict(event.attributes)
    if fault is Fault.MISSING_ID:
        del attributes["id"]
    elif fault is Fault.WRONG_SOURCE:
        attributes["source"] = "urn:lintas:kpu.sidalih"
    elif fault is Fault.SUBJECT_MISMATCH:
        attributes["subject"] = "somebody else"
    return GeneratedEvent(event.system, event.event_type, attributes, event.data, Disorder.BROKEN, fault, fault.value)
