"""``lintas replay``: one consumer is given events of the past once more. What operators ask for; lanes do it."""

import dataclasses
import datetime as dt
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from lintas import names
from lintas.errors import NoCatalogue, NothingToReplay
from lintas.settings import Settings
from schemas import paths
from schemas.catalogue_log import CatalogueLog
from schemas.cluster import Cluster, Partition
from schemas.compose import derived_schema
from schemas.conditions import Condition, ConditionError
from schemas.conjunction import conjunction
from schemas.model import Agreement, Standing
from schemas.provision import NOT_REGISTERED
from schemas.pseudonyms import PseudonymKeys
from schemas.publication import read_current, read_log
from schemas.registry import Registry
from schemas.released import ReleaseProblems
from schemas.snapshot import PublishedAgreement, RegisteredSchema, Snapshot
from schemas.topic_reader import numbered
from schemas.topic_writer import append
from streams.decide import AgreementPlan, Plans
from streams.redrive import DEAD, Choice, fates, letters_on, outcome_of
from streams.replay_log import Replay, Replayed, Replays, Request, Terms, basis_of, cancel_record
from streams.slots import Done, Slot
from streams.status import now, status_now
from streams.topics import records_between
from streams.window import DuplicateWindow

State = Mapping[Slot, Replayed | None]  # None: not begun
Progress = Callable[[int, int], None]  # events read, of about how many


@dataclasses.dataclass(frozen=True, slots=True)
class Asked:
    """What an operator asks for.

    Attributes:
        system: the consumer.
        since: events published at this moment or later, ...
        until: ... and before this one; None: up to now.
        event_type: only of this type; None: all that it has agreements on.
        as_of: give no more than was given at this moment; None: what is given now.
        events_per_second: at most; None: as many as live events leave room for.
    """

    system: str
    since: dt.datetime
    until: dt.datetime | None = None
    event_type: str | None = None
    as_of: dt.datetime | None = None
    events_per_second: float | None = None

    @property
    def terms(self) -> dict[str, Any]:
        """As the log has them: what makes one request the same as another."""
        return {
            "system": self.system,
            "since_ms": _ms(self.since),
            "until_ms": None if self.until is None else _ms(self.until),
            "event_type": self.event_type,
            "as_of_ms": None if self.as_of is None else _ms(self.as_of),
            "events_per_second": self.events_per_second,
        }


def request_for(settings: Settings, asked: Asked, *, author: str, register: bool = True) -> Request:
    """The request that the lanes understand.

    With ``as_of``, what both agreements release is registered as one more schema of what the consumer may receive,
    unless ``register`` says that nothing is to be given.

    Raises:
        NoCatalogue: nothing has been applied.
        NothingToReplay: the consumer is not entitled to any of it.
        BusUnavailable: Kafka or the registry does not answer.
    """
    log = read_log(settings)
    snapshot = log.snapshot(_in_force(log))
    mine = {
        name: agreement
        for name, agreement in sorted(snapshot.agreements.items())
        if agreement.contract.consumer == asked.system
        and asked.event_type in (None, agreement.contract.event_type)
        and agreement.contract.standing(now()) is Standing.IN_FORCE
    }
    if not mine:
        of = "" if asked.event_type is None else f" on {asked.event_type}"
        raise NothingToReplay(system=asked.system, reason=f"it has no agreement{of} that is in force now")
    terms = {}
    if asked.as_of is not None:
        terms = _terms(log, snapshot, mine, asked.system, asked.as_of)
        if register:
            terms = {name: _registered(settings, one) for name, one in terms.items()}
        mine = {name: mine[name] for name in terms}
    places = {
        name: [(event_type.topic, partition) for partition in range(event_type.contract.partitions)]
        for name, agreement in mine.items()
        for event_type in [snapshot.event_types[agreement.contract.event_type]]
    }
    at = now().isoformat(timespec="milliseconds")
    return Request(**asked.terms, agreements=places, terms=terms, author=author, at=at)


def _in_force(log: CatalogueLog) -> str:
    if log.current is None:
        raise NoCatalogue
    return log.current.manifest


def _terms(
    log: CatalogueLog,
    snapshot: Snapshot,
    mine: Mapping[str, PublishedAgreement],
    system: str,
    as_of: dt.datetime,
) -> dict[str, Terms]:
    """What both the agreements of then and those of now give; the schema of it is not registered."""
    pointer = log.at(as_of)
    before = None if pointer is None else log.snapshot(pointer.manifest)
    terms = {}
    for name, agreement in mine.items():
        then = None if before is None else before.agreements.get(name)
        if before is None or then is None or not _is_same(then.contract, agreement.contract, as_of):
            continue
        event_type = snapshot.event_types[agreement.contract.event_type]
        source = event_type.current.schema
        both = conjunction(
            (then.contract, before.event_types[then.contract.event_type].contract),
            (agreement.contract, event_type.contract),
            frozenset(field.path for field in paths.fields(source)),
        )
        try:
            schema = derived_schema(both, source)
            for expression in (*both.require.values(), *([] if both.when is None else [both.when])):
                Condition(expression, source)
        except (ReleaseProblems, ConditionError) as error:
            reason = f"what {name} gave then and what it gives now have nothing in common ({error})"
            raise NothingToReplay(system=system, reason=reason) from error
        terms[name] = Terms(
            PublishedAgreement(both, RegisteredSchema(NOT_REGISTERED, schema)), basis_of(snapshot, name)
        )
    if not terms:
        reason = f"none of its agreements of today was in force at {as_of.isoformat()}"
        raise NothingToReplay(system=system, reason=reason)
    return terms


def _is_same(then: Agreement, now: Agreement, as_of: dt.datetime) -> bool:
    """Whether an agreement was in force then, for the same consumer and event type as now."""
    return (then.consumer, then.event_type) == (now.consumer, now.event_type) and (
        then.standing(as_of) is Standing.IN_FORCE
    )


def _registered(settings: Settings, terms: Terms) -> Terms:
    contract, schema = terms.terms.contract, terms.terms.released.schema
    with Registry.of(settings) as registry:
        schema_id = registry.register(names.released_subject(contract.consumer, contract.agreement), schema)
    return dataclasses.replace(terms, terms=PublishedAgreement(contract, RegisteredSchema(schema_id, schema)))


def dry_run(settings: Settings, request: Request, progress: Progress) -> Counter[tuple[str, str]]:
    """What would become of the events if they were replayed now: how many, by agreement and outcome.

    Raises:
        BusUnavailable: Kafka does not answer.
    """
    log = read_log(settings)
    plans = Plans(log.snapshot(_in_force(log)), PseudonymKeys.load(settings.secrets / "pseudonym-keys"))
    agreements: dict[str, AgreementPlan] = {}
    for name in request.agreements:
        under = plans.under(request.terms[name].terms) if name in request.terms else plans
        agreements[name] = next(
            plan for one in under.by_topic.values() for plan in one.agreements if plan.agreement.agreement == name
        )
    by_place = {slot[1:]: slot[0] for slot in request.slots}  # one agreement of a consumer on an event type
    starts, ends = bounds(settings, request)
    quarantined = _quarantined(settings, {plans.by_topic[topic].quarantine for topic, _ in by_place})
    windows: dict[Partition, DuplicateWindow] = {
        place: DuplicateWindow(records=settings.duplicate_window_records, seconds=settings.duplicate_window_seconds)
        for place in by_place
    }
    outcomes: Counter[tuple[str, str]] = Counter()
    total = sum(ends[place] - starts[place] for place in by_place)
    for number, record in enumerate(records_between(settings, starts, ends)):
        if number % 1_000 == 0:
            progress(number, total)
        place = (record.topic, record.partition)
        name = by_place[place]
        if (place, record.offset) in quarantined:
            outcomes[name, "left out: in quarantine"] += 1
            continue
        try:
            event = plans.by_topic[record.topic].read(record)
        except Exception:  # noqa: BLE001  as lanes take it
            outcomes[name, "not given: cannot be read by now"] += 1
            continue
        if windows[place].is_repeat(record.offset, record.timestamp_ms, event.identity):
            outcomes[name, "left out: a repeat"] += 1
        else:
            outcome = outcome_of(agreements[name], event)
            outcomes[name, f"not given: {outcome[len(DEAD) :]}" if outcome.startswith(DEAD) else outcome] += 1
    return outcomes


def bounds(settings: Settings, request: Request) -> tuple[dict[Partition, int], dict[Partition, int]]:
    """Where the events of a request begin and end in each input partition, as things are now.

    Raises:
        BusUnavailable: Kafka does not answer.
    """
    cluster, places = Cluster(settings), [slot[1:] for slot in request.slots]
    decided = cluster.committed(names.LANES_OFFSETS_GROUP, places)
    begin, beginnings = cluster.at_time(places, request.since_ms), cluster.beginnings(places)
    until = {} if request.until_ms is None else cluster.at_time(places, request.until_ms)
    ends = {place: min(decided.get(place, 0), until.get(place, decided.get(place, 0))) for place in places}
    starts = {place: min(max(begin.get(place, ends[place]), beginnings[place]), ends[place]) for place in places}
    return starts, ends


def _quarantined(settings: Settings, topics: set[str]) -> set[tuple[Partition, int]]:
    """The events that are in quarantine, by where they were published."""
    asked, reached = fates(settings), status_now(settings).redriven
    letters = [letter for topic in topics for letter in letters_on(settings, topic, Choice())]
    given = {slot: asked.given(slot, reached.get(slot, Done())) for slot in {letter.slot for letter in letters}}
    return {(one.slot[1:], one.event.offset) for one in letters if one.offset not in given[one.slot]}


def replays_of(settings: Settings) -> Replays:
    """What has been asked for so far.

    Raises:
        BusUnavailable: Kafka does not answer.
    """
    replays = Replays()
    for number, key, value in numbered(settings, names.ADMIN, names.REPLAYS):
        replays.add(number, key, value)
    return replays


def same_as(settings: Settings, asked: Asked) -> Replay | None:
    """The last replay for which just this was asked.

    Raises:
        BusUnavailable: Kafka does not answer.
    """
    same = replays_of(settings).same(**asked.terms)
    return same[-1] if same else None


def replay(settings: Settings, asked: Asked, *, author: str) -> Replay:
    """Ask the lanes for a replay; if just this was asked for and has not ended, it is that one.

    Raises:
        NoCatalogue, NothingToReplay: as ``request_for`` has them.
        BusUnavailable: Kafka or the registry does not answer. Asking again is harmless.
    """
    before = replays_of(settings)
    same = before.same(**asked.terms)
    if same and not has_ended(before, same[-1], state(settings, before, same[-1])):
        return same[-1]
    append(settings, names.REPLAYS, request_for(settings, asked, author=author).as_record(len(same)))
    return replays_of(settings).same(**asked.terms)[len(same)]


def cancel(settings: Settings, system: str, author: str) -> list[Replay]:
    """End every replay of a consumer that goes on; which those are.

    Raises:
        BusUnavailable: Kafka does not answer. Asking again is harmless.
    """
    replays, reached = replays_of(settings), status_now(settings).replayed
    open_ones = [
        one
        for one in replays.all.values()
        if one.request.system == system and not has_ended(replays, one, replays.state(one, reached))
    ]
    append(settings, names.REPLAYS, *(cancel_record(one, author, now().isoformat()) for one in open_ones))
    return open_ones


def state(settings: Settings, replays: Replays, one: Replay) -> State:
    """How far each slot of a replay is.

    Raises:
        BusUnavailable: Kafka does not answer.
    """
    return replays.state(one, status_now(settings).replayed)


def obstacles(settings: Settings, reached: State) -> list[str]:
    """What keeps the slots of a replay that have not ended from going on, in words, if that is true of all of them.

    Raises:
        BusUnavailable: Kafka does not answer.
    """
    current, aside = read_current(settings), status_now(settings).aside
    found: dict[str, str] = {}
    for slot, now_reached in reached.items():
        if now_reached is not None and now_reached.ended:
            continue
        published = None if current is None else current[1].agreements.get(slot[0])
        if published is None:
            found[slot[0]] = f"{slot[0]} is not in the catalogue"
        elif (standing := published.contract.standing(now())) is not Standing.IN_FORCE:
            found[slot[0]] = f"{slot[0]} is {standing.value.replace('_', ' ')}"
        elif slot in aside:
            found[slot[0]] = f"{slot[0]} is set aside: {aside[slot].reason}"
        else:
            return []
    return sorted(found.values())


def has_ended(replays: Replays, one: Replay, reached: State) -> bool:
    """Whether nothing more will be given for it."""
    return one.number in replays.cancelled or all(slot is not None and slot.ended for slot in reached.values())


def _ms(moment: dt.datetime) -> int:
    return round(moment.timestamp() * 1000)
