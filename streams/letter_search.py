"""Finding letters (dead, or in quarantine) with what was decided about them; for the command line and the console."""

import dataclasses
import datetime as dt
from collections.abc import Iterable, Iterator, Sequence

from lintas import names
from lintas.errors import UnknownName
from lintas.settings import Settings
from schemas.cluster import Cluster
from schemas.conditions import Condition, ConditionFailed
from schemas.pseudonyms import PseudonymKeys
from schemas.snapshot import Snapshot
from schemas.wire.envelope import parse
from schemas.wire.errors import MalformedEvent
from streams.budget import Budget
from streams.crashes import problem_of
from streams.decide import EventTypePlan
from streams.letters import Letter
from streams.redrive import Choice, fates, letters_on
from streams.redrive_log import Fate
from streams.topics import records_between

WithFate = tuple[Letter, Fate | None]


@dataclasses.dataclass(frozen=True, slots=True)
class Search:
    """Which letters are looked for; what is empty does not matter.

    Attributes:
        choice: by what stands in the letter itself.
        where: CEL over the event.
        text: in the reasons (rule and problems), in whatever case.
        event_id: the whole of it.
        every: also those about which somebody has decided.
    """

    choice: Choice = dataclasses.field(default_factory=Choice)
    where: str | None = None
    text: str = ""
    event_id: str = ""
    every: bool = False

    def finds(self, letter: Letter) -> bool:
        """Whether a letter is meant, as far as that does not need the event's payload."""
        return (
            self.choice(letter)
            and (not self.text or self.text.casefold() in _reasons(letter))
            and (not self.event_id or self.event_id == _event_id(letter))
        )


@dataclasses.dataclass(frozen=True, slots=True)
class Newest:
    """What a search among the newest letters found.

    Attributes:
        letters: the newest first.
        read: how many letters were looked at.
        from_offset: the first that was looked at.
        older: whether there may be older ones.
        cut: whether the search ended early, so that the newest of all may be missing.
    """

    letters: list[WithFate]
    read: int
    from_offset: int
    older: bool
    cut: bool


def event_topic(snapshot: Snapshot, event_type: str) -> str:
    """The topic of an event type.

    Raises:
        UnknownName: it is not in the catalogue.
    """
    published = snapshot.event_types.get(event_type)
    if published is None:
        raise UnknownName(kind="event type", name=event_type, suggestion="`lintas event-type list` lists them.")
    return published.topic


def search(settings: Settings, snapshot: Snapshot | None, topic: str, wanted: Search) -> list[WithFate]:
    """Every letter of a topic that is looked for, in the order in which they were written.

    Args:
        settings: of the bus.
        snapshot: the catalogue; needed for ``where`` alone.
        topic: of letters.
        wanted: which.

    Raises:
        ConditionError: ``where`` does not fit the event type of a letter.
        BusUnavailable: Kafka does not answer.
    """
    return list(_meeting(settings, snapshot, wanted, filter(wanted.finds, letters_on(settings, topic, Choice()))))


def newest(
    settings: Settings,
    snapshot: Snapshot | None,
    topic: str,
    wanted: Search,
    *,
    before: int | None = None,
    budget: Budget | None = None,
) -> Newest:
    """What is looked for among the newest letters of a topic, without reading more than a budget allows.

    ``before``: only letters with a smaller offset. The rest as ``search`` has it.
    """
    budget = Budget() if budget is None else budget
    cluster, place = Cluster(settings), (topic, 0)
    first, end = cluster.beginnings([place])[place], cluster.committed_ends([place])[place]
    end = end if before is None else min(end, before)
    start = max(first, end - budget.most)
    records = records_between(settings, {place: start}, {place: end})
    found = filter(wanted.finds, map(Letter.from_record, budget(records)))
    letters = list(_meeting(settings, snapshot, wanted, found))
    return Newest(letters[::-1], budget.records, start, older=start > first, cut=budget.spent)


@dataclasses.dataclass(slots=True)
class Waiting:
    """How many letters of a topic wait for somebody to decide about them, of those that were looked at.

    Attributes:
        open: nobody has decided about them.
        oldest: when the bus decided about the first of them.
        newest: and about the last.
        all: whether every letter of the topic was looked at.
    """

    open: int = 0
    oldest: dt.datetime | None = None
    newest: dt.datetime | None = None
    all: bool = True


def waiting(settings: Settings, topics: Sequence[str], budget: Budget | None = None) -> dict[str, Waiting]:
    """How many letters wait on each topic, looking at the newest of each within one budget.

    Raises:
        BusUnavailable: Kafka does not answer.
    """
    budget = Budget() if budget is None else budget
    found = {topic: Waiting() for topic in topics}
    cluster, redrives = Cluster(settings), fates(settings)
    places = [(topic, 0) for topic in sorted(found.keys() & cluster.partitions().keys())]
    begin, ends = cluster.beginnings(places), cluster.committed_ends(places)
    filled = [place for place in places if begin[place] < ends[place]]
    window = budget.most // max(1, len(filled))
    starts = {place: max(begin[place], ends[place] - window) for place in filled}
    for place in filled:
        found[place[0]].all = starts[place] == begin[place]
    for record in budget(records_between(settings, starts, ends)):
        letter, mine = Letter.from_record(record), found[record.topic]
        if redrives.fate(letter.topic, letter.offset) is None:
            mine.open += 1
            mine.oldest = min(mine.oldest or letter.at, letter.at)
            mine.newest = max(mine.newest or letter.at, letter.at)
    if budget.spent:
        for place in filled:
            found[place[0]].all = False
    return found


def _meeting(
    settings: Settings, snapshot: Snapshot | None, wanted: Search, found: Iterable[Letter]
) -> Iterator[WithFate]:
    redrives = fates(settings)
    if wanted.where is not None:
        assert snapshot is not None, "a condition is read with the catalogue"
        found = where(settings, snapshot, wanted.where, found)
    for letter in found:
        fate = redrives.fate(letter.topic, letter.offset)
        if wanted.every or fate is None:
            yield letter, fate


def where(settings: Settings, snapshot: Snapshot, expression: str, letters: Iterable[Letter]) -> Iterator[Letter]:
    """The letters whose event meets a CEL expression over ``event`` and ``data``; one that cannot be read meets none.

    Raises:
        ConditionError: the expression does not fit the event type of a letter.
    """
    keys = PseudonymKeys.load(settings.secrets / "pseudonym-keys")
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
        except Exception as error:  # noqa: BLE001  an event that crashes the code meets no condition
            problem_of(error)


def letters_by_number(settings: Settings, topic: str, letters: Iterable[int]) -> list[WithFate]:
    """Letters by their offsets, whatever was decided about them.

    Raises:
        UnknownName: one of them is not there.
        BusUnavailable: Kafka does not answer.
    """
    wanted = frozenset(letters)
    if len(wanted) == 1:  # nothing before it need be read
        found = _one(settings, topic, *wanted)
    else:
        found = search(settings, None, topic, Search(Choice(offsets=wanted), every=True))
    if missing := wanted - {letter.offset for letter, _ in found}:
        verb = "dead" if topic.startswith(names.DEAD) else "quarantine"
        owner = topic.removeprefix(names.DEAD).removeprefix(names.QUARANTINE)
        raise UnknownName(
            kind=f"letter of {owner}",
            name=", ".join(map(str, sorted(missing))),
            suggestion=f"`lintas {verb} list {owner} --all` lists them.",
        )
    return found


def _one(settings: Settings, topic: str, offset: int) -> list[WithFate]:
    """One letter, without reading what lies before it; none if it is not there."""
    place = (topic, 0)
    first, end = Cluster(settings).beginnings([place]), Cluster(settings).committed_ends([place])
    if not first[place] <= offset < end[place]:
        return []
    records = records_between(settings, {place: offset}, {place: offset + 1})
    redrives = fates(settings)
    letters = [Letter.from_record(record) for record in records if record.offset == offset]
    return [(letter, redrives.fate(topic, letter.offset)) for letter in letters]


def _reasons(letter: Letter) -> str:
    told = (f"{one['path']} {one['rule']} {one['message']}" for one in letter.problems)
    return " ".join((letter.stage, letter.rule, *told)).casefold()


def _event_id(letter: Letter) -> str | None:
    try:
        return parse(letter.event.headers, letter.event.value).id
    except MalformedEvent:
        return next((value.decode(errors="replace") for name, value in letter.event.headers if name == "ce_id"), None)
