"""``lintas replay``: one consumer is given events of the past once more. What operators ask for; lanes do it."""

import asyncio
import dataclasses
import datetime as dt
from collections import Counter
from collections.abc import Callable, Mapping

from confluent_kafka import OFFSET_BEGINNING

from lintas import names
from lintas.credentials import aiokafka_options
from lintas.errors import NoCatalogue, NothingToReplay
from lintas.settings import Settings
from schemas import paths
from schemas.catalogue_log import CatalogueLog
from schemas.cluster import Cluster, Partition
from schemas.compose import derived_schema
from schemas.conditions import Condition, ConditionError
from schemas.conjunction import conjunction
from schemas.model import Agreement, Standing
from schemas.pseudonyms import PseudonymKeys
from schemas.publication import read_log
from schemas.registry import Registry
from schemas.released import ReleaseProblems
from schemas.snapshot import PublishedAgreement, PublishedEventType, RegisteredSchema, Snapshot
from schemas.topic_reader import messages_from
from schemas.topic_writer import append
from streams.decide import AgreementPlan, Plans
from streams.redrive import Choice, fates, is_redriven, letters_on, outcome_of
from streams.replay_log import Replay, Replayed, Replays, Request, cancel_record
from streams.slots import Slot
from streams.status import now, read_status
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
        author: who answers for it.
    """

    system: str
    since: dt.datetime
    until: dt.datetime | None
    event_type: str | None
    as_of: dt.datetime | None
    events_per_second: float | None
    author: str


def request_for(settings: Settings, asked: Asked) -> Request:
    """The request that the lanes understand.

    With ``as_of``, what both agreements release is registered as one more schema of what the consumer may receive.

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
    terms = {} if asked.as_of is None else _terms(settings, log, snapshot, mine, asked)
    return Request(
        asked.system,
        _ms(asked.since),
        None if asked.until is None else _ms(asked.until),
        {
            name: [(event_type.topic, partition) for partition in range(event_type.contract.partitions)]
            for name, agreement in mine.items()
            if asked.as_of is None or name in terms
            for event_type in [snapshot.event_types[agreement.contract.event_type]]
        },
        asked.events_per_second,
        terms,
        asked.author,
        now().isoformat(timespec="milliseconds"),
    )


def _in_force(log: CatalogueLog) -> str:
    if log.current is None:
        raise NoCatalogue
    return log.current.manifest


def _terms(
    settings: Settings, log: CatalogueLog, snapshot: Snapshot, mine: Mapping[str, PublishedAgreement], asked: Asked
) -> dict[str, PublishedAgreement]:
    """What both the agreements of then and those of now give."""
    assert asked.as_of is not None, "asked for"
    pointer = log.at(asked.as_of)
    before = {} if pointer is None else log.snapshot(pointer.manifest).agreements
    terms = {}
    for name, agreement in mine.items():
        then = before.get(name)
        if then is None or then.contract.standing(asked.as_of) is not Standing.IN_FORCE:
            continue
        event_type = snapshot.event_types[agreement.contract.event_type]
        both = conjunction(
            then.contract,
            agreement.contract,
            event_type.contract,
            frozenset(field.path for field in paths.fields(event_type.current.schema)),
        )
        terms[name] = PublishedAgreement(both, _registered(settings, both, event_type, asked))
    if not terms:
        reason = f"none of its agreements of today was in force at {asked.as_of.isoformat()}"
        raise NothingToReplay(system=asked.system, reason=reason)
    return terms


def _registered(settings: Settings, both: Agreement, event_type: PublishedEventType, asked: Asked) -> RegisteredSchema:
    source = event_type.current.schema
    try:
        schema = derived_schema(both, source)
        for expression in (*both.require.values(), *([] if both.when is None else [both.when])):
            Condition(expression, source)
    except (ReleaseProblems, ConditionError) as error:
        reason = f"what {both.agreement} gave then and what it gives now have nothing in common ({error})"
        raise NothingToReplay(system=asked.system, reason=reason) from error
    with Registry(settings.registry) as registry:
        subject = names.released_subject(both.consumer, both.agreement)
        return RegisteredSchema(registry.register(subject, schema), schema)


def dry_run(settings: Settings, request: Request, progress: Progress) -> Counter[tuple[str, str]]:
    """What would become of the events if they were replayed now: how many, by agreement and outcome.

    Raises:
        BusUnavailable: Kafka does not answer.
    """
    log = read_log(settings)
    plans = Plans(log.snapshot(_in_force(log)), PseudonymKeys.load(settings.secrets / "pseudonym-keys"))
    agreements: dict[str, AgreementPlan] = {}
    for name in request.agreements:
        under = plans.under(request.terms[name]) if name in request.terms else plans
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
            outcomes[name, outcome_of(agreements[name], event).replace("dead", "not given")] += 1
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
    asked = fates(settings)
    return {
        (letter.slot[1:], letter.event.offset)
        for topic in topics
        for letter in letters_on(settings, topic, Choice())
        if not is_redriven(asked, letter)
    }


def replays_of(settings: Settings) -> Replays:
    """What has been asked for so far.

    Raises:
        BusUnavailable: Kafka does not answer.
    """
    replays = Replays()
    for message in messages_from(settings, names.ADMIN, {(names.REPLAYS, 0): OFFSET_BEGINNING}):
        offset = message.offset()
        assert offset is not None, "a record has a place"
        replays.add(offset, message.key() or b"", message.value())
    return replays


def replay(settings: Settings, request: Request) -> Replay:
    """Ask the lanes for a replay; if just this was asked for and has not ended, that one.

    Raises:
        BusUnavailable: Kafka does not answer. Asking again is harmless.
    """
    before = replays_of(settings)
    same = [one for one in before.all.values() if one.id.startswith(request.id(0).removesuffix("0"))]
    if same and not has_ended(before, same[-1], state(settings, before, same[-1])):
        return same[-1]
    append(settings, names.REPLAYS, request.as_record(len(same)))
    return next(one for one in replays_of(settings).all.values() if one.id == request.id(len(same)))


def cancel(settings: Settings, system: str, author: str) -> list[Replay]:
    """End every replay of a consumer that goes on; which those are.

    Raises:
        BusUnavailable: Kafka does not answer. Asking again is harmless.
    """
    replays = replays_of(settings)
    open_ones = [
        one
        for one in replays.all.values()
        if one.request.system == system and not has_ended(replays, one, state(settings, replays, one))
    ]
    append(settings, names.REPLAYS, *(cancel_record(one, author, now().isoformat()) for one in open_ones))
    return open_ones


def state(settings: Settings, replays: Replays, one: Replay) -> State:
    """How far each slot of a replay is.

    Raises:
        KafkaError, TimeoutError: the brokers cannot be asked.
    """
    return replays.state(one, asyncio.run(read_status(aiokafka_options(settings, names.ADMIN))).replayed)


def has_ended(replays: Replays, one: Replay, reached: State) -> bool:
    """Whether nothing more will be given for it."""
    return one.number in replays.cancelled or all(slot is not None and slot.ended for slot in reached.values())


def _ms(moment: dt.datetime) -> int:
    return round(moment.timestamp() * 1000)
