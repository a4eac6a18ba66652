"""Dead letters as operators handle them: read, chosen, tried, given again or discarded."""

import asyncio
import dataclasses
import datetime as dt
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from confluent_kafka import OFFSET_BEGINNING

from lintas import names
from lintas.credentials import aiokafka_options
from lintas.errors import NotRedriven
from lintas.settings import Settings
from schemas.cluster import Cluster
from schemas.conditions import Condition, ConditionFailed
from schemas.pseudonyms import PseudonymKeys
from schemas.snapshot import Snapshot
from schemas.topic_reader import messages_from
from schemas.topic_writer import append
from schemas.wire.errors import MalformedEvent
from streams.crashes import problem_of
from streams.decide import AgreementPlan, Dead, EventTypePlan, Filtered, Plans
from streams.letters import Letter
from streams.redrives import DISCARD, REDRIVE, Done, Fate, Redrives, now, requests
from streams.status import read_status
from streams.topics import records_from

POLL_SECONDS: Final = 1.0
GIVEN: Final = "delivered"


@dataclasses.dataclass(frozen=True, slots=True)
class Choice:
    """Which letters are meant; what is None does not matter."""

    offsets: frozenset[int] | None = None
    agreement: str | None = None
    topic: str | None = None  # of the event type
    stage: str | None = None
    since: dt.datetime | None = None  # by when the bus decided
    until: dt.datetime | None = None

    def __call__(self, letter: Letter) -> bool:
        """Whether a letter is meant."""
        return (
            (self.offsets is None or letter.offset in self.offsets)
            and self.agreement in (None, letter.agreement)
            and self.topic in (None, letter.event.topic)
            and self.stage in (None, letter.stage)
            and (self.since is None or letter.at >= self.since)
            and (self.until is None or letter.at < self.until)
        )


def systems_with_letters(settings: Settings) -> list[str]:
    """The consumer systems that have a topic of dead letters.

    Raises:
        BusUnavailable: Kafka does not answer.
    """
    return sorted(
        topic.removeprefix(names.DEAD) for topic in Cluster(settings).partitions() if topic.startswith(names.DEAD)
    )


def letters_of(settings: Settings, system: str, choice: Choice) -> Iterator[Letter]:
    """The letters of one consumer that are meant, in the order in which they were written.

    Raises:
        BusUnavailable: Kafka does not answer.
    """
    place = (names.dead_topic(system), 0)
    return filter(choice, map(Letter.from_record, records_from(settings, {place: OFFSET_BEGINNING})))


def fates(settings: Settings) -> Redrives:
    """What has been decided about letters.

    Raises:
        BusUnavailable: Kafka does not answer.
    """
    redrives = Redrives()
    for message in messages_from(settings, names.ADMIN, {(names.REDRIVES, 0): OFFSET_BEGINNING}):
        offset, key = message.offset(), message.key()
        assert offset is not None, "a record has a place"
        redrives.add(offset, key or b"", message.value())
    return redrives


def where(settings: Settings, snapshot: Snapshot, expression: str, letters: Iterable[Letter]) -> Iterator[Letter]:
    """The letters whose event meets a CEL expression over ``event`` and ``data``; one that cannot be read meets none.

    Raises:
        ConditionError: the expression does not fit the event type of a letter.
    """
    keys = _keys(settings)
    readers: dict[str, tuple[EventTypePlan, Condition]] = {}
    by_topic = {published.topic: published for published in snapshot.event_types.values()}
    for letter in letters:
        topic = letter.event.topic
        if topic not in by_topic:
            continue
        if topic not in readers:
            published = by_topic[topic]
            readers[topic] = (
                EventTypePlan(snapshot, published, keys),
                Condition(expression, published.current.schema),
            )
        plan, condition = readers[topic]
        try:
            event = plan.read(letter.event)
            if condition(event.envelope.attributes, event.data):
                yield letter
        except (MalformedEvent, ConditionFailed):
            continue


def attempt(settings: Settings, snapshot: Snapshot, letters: Iterable[Letter]) -> Counter[tuple[str, str]]:
    """What would become of letters if they were redriven now: how many, by agreement and outcome."""
    plans = Plans(snapshot, _keys(settings))
    outcomes: Counter[tuple[str, str]] = Counter()
    for letter in letters:
        event_type = plans.by_topic.get(letter.event.topic)
        agreements = [] if event_type is None else event_type.agreements
        agreement = next((one for one in agreements if one.agreement.agreement == letter.agreement), None)
        if event_type is None or agreement is None:
            outcome = "stays: the agreement is not in the catalogue"
        elif not plans.in_force(letter.slot, dt.datetime.now(dt.UTC)):
            outcome = f"stays: {agreement.agreement.standing(dt.datetime.now(dt.UTC)).value.replace('_', ' ')}"
        else:
            outcome = _outcome(event_type, agreement, letter)
        outcomes[letter.agreement, outcome] += 1
    return outcomes


def _outcome(event_type: EventTypePlan, agreement: AgreementPlan, letter: Letter) -> str:
    try:
        decision = agreement.decide(event_type.read(letter.event))
    except MalformedEvent as error:
        return f"dead: event: {', '.join(problem.rule for problem in error.problems)}"
    except Exception as error:  # noqa: BLE001  as lanes take it
        return f"dead: crash: {problem_of(error).message}"
    if isinstance(decision, Dead):
        return f"dead: {decision.reason}"
    return "filtered" if isinstance(decision, Filtered) else GIVEN


def redrive(settings: Settings, letters: Sequence[Letter], *, author: str) -> None:
    """Ask the lanes to give the events of some letters again, each to its own consumer; asking twice is harmless.

    Raises:
        BusUnavailable: Kafka does not answer. Asking again is harmless.
    """
    append(settings, names.REDRIVES, *requests(letters, Fate(REDRIVE, author, now(), "")))


def discard(settings: Settings, letters: Sequence[Letter], *, author: str, reason: str) -> None:
    """Note that some letters are never to be given.

    Raises:
        BusUnavailable: Kafka does not answer. Asking again is harmless.
    """
    append(settings, names.REDRIVES, *requests(letters, Fate(DISCARD, author, now(), reason)))


def wait_until_redriven(settings: Settings, system: str, seconds: float, progress: Callable[[int], None]) -> None:
    """Return once the lanes have done everything that was ever asked for the letters of one consumer.

    ``progress`` is told how many are left.

    Raises:
        NotRedriven: something is left after ``seconds``; the lanes go on with it.
        BusUnavailable: Kafka does not answer.
    """
    asked, topic = fates(settings), names.dead_topic(system)
    deadline = time.monotonic() + seconds
    while True:
        status = asyncio.run(read_status(aiokafka_options(settings, names.ADMIN)))
        left = sum(
            len(task.letters) - done
            for slot in asked.slots()
            for task, done in asked.tasks(slot, status.redriven.get(slot, Done()))
            if task.topic == topic
        )
        if not left:
            return
        progress(left)
        if time.monotonic() > deadline:
            raise NotRedriven(seconds=f"{seconds:g}", letters=f"{left:,}")
        time.sleep(POLL_SECONDS)


def _keys(settings: Settings) -> PseudonymKeys:
    return PseudonymKeys.load(settings.secrets / "pseudonym-keys")
