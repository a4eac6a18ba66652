"""Letters (dead, or in quarantine) as operators handle them: read, chosen, tried, given again or discarded."""

import dataclasses
import datetime as dt
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

from confluent_kafka import OFFSET_BEGINNING

from lintas import names
from lintas.errors import NotRedriven
from lintas.settings import Settings
from schemas.cluster import Cluster, Partition
from schemas.model import Agreement, Standing
from schemas.pseudonyms import PseudonymKeys
from schemas.snapshot import Snapshot
from schemas.topic_reader import numbered
from schemas.topic_writer import append
from schemas.wire.envelope import parse
from schemas.wire.errors import MalformedEvent
from streams.crashes import problem_of
from streams.decide import AgreementPlan, Dead, Event, EventTypePlan, Filtered, Plans, reason_of
from streams.letters import Letter
from streams.records import InputRecord
from streams.redrive_log import DISCARD, REDRIVE, Fate, Redrives, requests
from streams.slots import EVERYBODY, Done
from streams.status import now, status_now
from streams.topics import records_between, records_from
from streams.window import identity

POLL_SECONDS: Final = 1.0
GIVEN: Final = "delivered"
STAYS: Final = "stays"
DEAD: Final = "dead: "


@dataclasses.dataclass(frozen=True, slots=True)
class Attempt:
    """What would become of a letter.

    Attributes:
        letter: which.
        whole: of all of it, if that can be said; begins with ``STAYS`` if it would not be touched.
        outcomes: by agreement.
    """

    letter: Letter
    whole: str
    outcomes: Mapping[str, str]

    @property
    def stays(self) -> bool:
        """Whether it would not be touched."""
        return self.whole.startswith(STAYS)


@dataclasses.dataclass(frozen=True, slots=True)
class Choice:
    """Which letters are meant; what is None does not matter."""

    offsets: frozenset[int] | None = None
    agreement: str | None = None
    topic: str | None = None  # of the event type
    stage: str | None = None
    since: dt.datetime | None = None  # by when the bus decided
    until: dt.datetime | None = None
    rule: str | None = None  # one of those that were broken

    def __call__(self, letter: Letter) -> bool:
        """Whether a letter is meant."""
        return (
            (self.offsets is None or letter.offset in self.offsets)
            and self.agreement in (None, letter.agreement)
            and self.topic in (None, letter.event.topic)
            and self.stage in (None, letter.stage)
            and (self.rule is None or self.rule in letter.rule.split(", "))
            and (self.since is None or letter.at >= self.since)
            and (self.until is None or letter.at < self.until)
        )


def owners(settings: Settings, prefix: str) -> list[str]:
    """Who has a topic of letters: consumer systems by ``names.DEAD``, publishing agencies by ``names.QUARANTINE``.

    Raises:
        BusUnavailable: Kafka does not answer.
    """
    return sorted(topic.removeprefix(prefix) for topic in Cluster(settings).partitions() if topic.startswith(prefix))


def letters_on(settings: Settings, topic: str, choice: Choice) -> Iterator[Letter]:
    """The letters of one topic that are meant, in the order in which they were written.

    Raises:
        BusUnavailable: Kafka does not answer.
    """
    return filter(choice, map(Letter.from_record, records_from(settings, {(topic, 0): OFFSET_BEGINNING})))


def fates(settings: Settings) -> Redrives:
    """What has been decided about letters.

    Raises:
        BusUnavailable: Kafka does not answer.
    """
    redrives = Redrives()
    for number, key, value in numbered(settings, names.ADMIN, names.REDRIVES):
        redrives.add(number, key, value)
    return redrives


def attempt(settings: Settings, snapshot: Snapshot, letters: Sequence[Letter]) -> list[Attempt]:
    """What would become of letters of one topic if they were given again now.

    Raises:
        BusUnavailable: Kafka does not answer.
    """
    plans = Plans(snapshot, _keys(settings))
    given_otherwise = _given_otherwise(settings, letters)
    attempts = []
    for letter in letters:
        event_type = plans.by_topic.get(letter.event.topic)
        if event_type is None:
            attempts.append(Attempt(letter, f"{STAYS}: the event type is not in the catalogue", {}))
        elif letter.agreement != EVERYBODY:
            attempts.append(_to_one(plans, event_type, letter))
        elif (why := given_otherwise.get(letter.offset)) is not None:
            attempts.append(Attempt(letter, f"{STAYS}: {why}", {}))
        else:
            attempts.append(_to_everybody(event_type, letter))
    return attempts


def _to_one(plans: Plans, event_type: EventTypePlan, letter: Letter) -> Attempt:
    at = now()
    agreement = next((one for one in event_type.agreements if one.agreement.agreement == letter.agreement), None)
    if agreement is None:
        return Attempt(letter, f"{STAYS}: the agreement is not in the catalogue", {})
    if not plans.in_force(letter.slot, at):
        return Attempt(letter, f"{STAYS}: {agreement.agreement.standing(at).value.replace('_', ' ')}", {})
    try:
        event = event_type.read(letter.event)
    except MalformedEvent as error:
        outcome = f"{DEAD}event: {', '.join(problem.rule for problem in error.problems)}"
    except Exception as error:  # noqa: BLE001  as lanes take it
        outcome = f"{DEAD}crash: {problem_of(error).message}"
    else:
        outcome = outcome_of(agreement, event)
    return Attempt(letter, "", {letter.agreement: outcome})


def _to_everybody(event_type: EventTypePlan, letter: Letter) -> Attempt:
    at = now()
    try:
        event = event_type.read(letter.event)
    except MalformedEvent as error:
        return Attempt(letter, f"quarantined: {reason_of(error)}", {})
    except Exception as error:  # noqa: BLE001  as lanes take it
        return Attempt(letter, f"quarantined: crash: {problem_of(error).message}", {})
    outcomes = {
        plan.agreement.agreement: outcome_of(plan, event)
        for plan in event_type.agreements
        if plan.agreement.standing(at) is Standing.IN_FORCE
    }
    return Attempt(letter, "" if outcomes else "routed: to nobody, as no agreement is in force", outcomes)


def outcomes_of(attempts: Iterable[Attempt]) -> Counter[tuple[str, str]]:
    """How many letters would end how, by agreement (``EVERYBODY`` where it concerns the event itself) and outcome."""
    counted: Counter[tuple[str, str]] = Counter()
    for one in attempts:
        if one.whole:
            counted[one.letter.agreement, one.whole] += 1
        counted.update(one.outcomes.items())
    return counted


def outcome_of(agreement: AgreementPlan, event: Event) -> str:
    """What would become of an event for one agreement."""
    try:
        decision = agreement.decide(event)
    except Exception as error:  # noqa: BLE001  as lanes take it
        return f"{DEAD}crash: {problem_of(error).message}"
    if isinstance(decision, Dead):
        return f"{DEAD}{decision.reason}"
    return "filtered" if isinstance(decision, Filtered) else GIVEN


def _given_otherwise(settings: Settings, letters: Sequence[Letter]) -> dict[int, str]:
    """Events of quarantine that reach their consumers without them: why, by letter.

    The duplicate window keeps a lane from giving an event twice within minutes; this also sees what was published again
    later than that.
    """
    events = {letter.offset: known for letter in letters if (known := _identity(letter.event)) is not None}
    if not events or letters[0].agreement != EVERYBODY:
        return {}
    topic, asked = letters[0].topic, fates(settings)
    found: dict[int, str] = {}
    first: dict[tuple[Partition, bytes], Letter] = {}  # who has an event: what was redriven, then the first
    open_places = set()
    by_word = sorted(letters_on(settings, topic, Choice()), key=lambda one: (not _is_redriven(asked, one), one.offset))
    for letter in by_word:
        if not _is_redriven(asked, letter):
            open_places.add((letter.slot[1:], letter.event.offset))
        known = _identity(letter.event)
        if known is None or not (letter.offset in events or _is_redriven(asked, letter)):
            continue
        has = first.setdefault((letter.slot[1:], known), letter)
        if has is not letter and has.event.offset != letter.event.offset:
            found[letter.offset] = f"the same event as letter {has.offset}"
    wanted = {
        (letter.slot[1:], events[letter.offset]): letter
        for letter in letters
        if letter.offset in events and letter.offset not in found
    }
    starts: dict[Partition, int] = {}
    for (place, _), letter in wanted.items():
        starts[place] = min(starts.get(place, letter.event.offset + 1), letter.event.offset + 1)
    for record in records_between(settings, starts, Cluster(settings).committed_ends(starts)):
        place = (record.topic, record.partition)
        known = _identity(record)
        again = None if known is None else wanted.get((place, known))
        if again and again.event.offset < record.offset and (place, record.offset) not in open_places:
            found[again.offset] = "published again since"
    return found


def _is_redriven(asked: Redrives, letter: Letter) -> bool:
    """Whether somebody asked for a letter to be given again."""
    fate = asked.fate(letter.topic, letter.offset)
    return fate is not None and fate.kind == REDRIVE


def _identity(record: InputRecord) -> bytes | None:
    """What an event shares with its repeats; None if its envelope cannot be read."""
    try:
        envelope = parse(record.headers, record.value)
    except MalformedEvent:
        return None
    return identity(envelope.source.encode(), envelope.id.encode())


def redrive(settings: Settings, letters: Sequence[Letter], *, author: str) -> None:
    """Ask the lanes to give the events of some letters of one topic again; asking twice is harmless.

    Raises:
        BusUnavailable: Kafka does not answer. Asking again is harmless.
    """
    append(settings, names.REDRIVES, *requests(letters, Fate(REDRIVE, author, now().isoformat(), "")))


def discard(settings: Settings, letters: Sequence[Letter], *, author: str, reason: str) -> None:
    """Note that some letters are never to be given.

    Raises:
        BusUnavailable: Kafka does not answer. Asking again is harmless.
    """
    append(settings, names.REDRIVES, *requests(letters, Fate(DISCARD, author, now().isoformat(), reason)))


def wait_until_redriven(
    settings: Settings, snapshot: Snapshot, topic: str, seconds: float, progress: Callable[[int], None]
) -> None:
    """Return once the lanes have done everything that was ever asked for the letters of one topic.

    But for agreements that are not in force in the catalogue (``snapshot``), or are set aside: those wait.

    ``progress`` is told how many are left.

    Raises:
        NotRedriven: something is left after ``seconds``; the lanes go on with it.
        BusUnavailable: Kafka does not answer.
    """
    asked = fates(settings)
    deadline = time.monotonic() + seconds
    while left := left_to_give(settings, snapshot, topic, asked):
        progress(left)
        if time.monotonic() > deadline:
            raise NotRedriven(seconds=f"{seconds:g}", letters=f"{left:,}")
        time.sleep(POLL_SECONDS)


def left_to_give(settings: Settings, snapshot: Snapshot, topic: str, asked: Redrives | None = None) -> int:
    """How many letters of a topic were asked for (up to ``asked``) and are not given yet, and do not wait.

    Raises:
        BusUnavailable: Kafka does not answer.
    """
    asked = fates(settings) if asked is None else asked
    contracts = {name: one.contract for name, one in snapshot.agreements.items()}
    status, at = status_now(settings), now()
    return sum(
        len(task.letters) - done
        for slot in asked.slots()
        for task, done in asked.tasks(slot, status.redriven.get(slot, Done()))
        if task.topic == topic
        and slot not in status.aside
        and (slot[0] == EVERYBODY or _is_in_force(contracts.get(slot[0]), at))
    )


def _is_in_force(agreement: Agreement | None, at: dt.datetime) -> bool:
    return agreement is not None and agreement.standing(at) is Standing.IN_FORCE


def _keys(settings: Settings) -> PseudonymKeys:
    return PseudonymKeys.load(settings.secrets / "pseudonym-keys")
