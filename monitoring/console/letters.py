"""Dead letters and quarantine as pages have them: which kind, what is looked for, what a person may see of it. Pure."""

import dataclasses
import datetime as dt
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Self

from lintas import names
from monitoring.console.permissions import Right
from schemas.conditions import Condition, ConditionError
from schemas.model import JAKARTA
from schemas.rules import ReleaseRule
from schemas.snapshot import PublishedEventType, Snapshot
from streams.letter_search import Search, WithFate
from streams.letters import DEAD_STAGES, QUARANTINE_STAGES, Letter
from streams.masked import Sight
from streams.redrive import Choice

FIELDS: Final = ("agreement", "type", "stage", "rule", "since", "until", "event_id", "text", "where", "every")
SHORTEST_REASON: Final = 10  # characters
IN_ADDRESSES: Final = ("agreement", "type", "stage", "rule", "since", "until", "every")  # the rest may tell of a person


@dataclasses.dataclass(frozen=True, slots=True)
class Kind:
    """One kind of letters.

    Attributes:
        base: of their pages.
        prefix: of their topics.
        right: to see them.
        stages: where an event can have failed.
        word: of their texts.
    """

    base: str
    prefix: str
    right: Right
    stages: Sequence[str]
    word: str

    def topic(self, owner: str) -> str:
        """The topic of one owner's letters."""
        return self.prefix + owner


DEAD: Final = Kind("/dead-letters", names.DEAD, Right.SEE_DEAD_LETTERS, DEAD_STAGES, "dead")
QUARANTINE: Final = Kind("/quarantine", names.QUARANTINE, Right.SEE_QUARANTINE, QUARANTINE_STAGES, "quarantine")


class BadField(ValueError):
    """What somebody typed cannot be used.

    Attributes:
        field: which.
        text: the key of what is wrong.
        values: for the text.
    """

    def __init__(self, field: str, text: str, **values: Any) -> None:
        super().__init__(field)
        self.field, self.text, self.values = field, text, values


@dataclasses.dataclass(frozen=True, slots=True)
class Filter:
    """What somebody looks for, as typed."""

    values: Mapping[str, str]

    @classmethod
    def read(cls, field: Callable[[str], str], fields: Sequence[str] = FIELDS) -> Self:
        """From a form or an address."""
        return cls({name: field(name).strip() for name in fields})

    def __getitem__(self, name: str) -> str:
        """A field; empty if it does not matter."""
        return self.values.get(name, "")

    @property
    def is_empty(self) -> bool:
        """Whether everything is looked for."""
        return not any(value for name, value in self.values.items() if name != "every")

    def search(self, snapshot: Snapshot, sees: Callable[[str], bool]) -> Search:
        """What is looked for, as the bus understands it.

        Args:
            snapshot: the catalogue.
            sees: whether the person may see whole what an agency published.

        Raises:
            BadField: something cannot be used.
        """
        event_type = self._event_type(snapshot)
        if where := self["where"]:
            _check_condition(snapshot, where, event_type, self["agreement"], sees)
        choice = Choice(
            agreement=self["agreement"] or None,
            topic=event_type.topic if event_type and (where or not self["agreement"]) else None,
            stage=self["stage"] or None,
            rule=self["rule"] or None,
            since=moment(self["since"], "since"),
            until=moment(self["until"], "until"),
        )
        return Search(choice, where or None, self["text"], self["event_id"], every=bool(self["every"]))

    def _event_type(self, snapshot: Snapshot) -> PublishedEventType | None:
        if (name := self["agreement"]) in snapshot.agreements:
            return snapshot.event_types.get(snapshot.agreements[name].contract.event_type)
        if name := self["type"]:
            if name not in snapshot.event_types:
                raise BadField("type", "letters.unknown_type")
            return snapshot.event_types[name]
        return None


def _check_condition(
    snapshot: Snapshot,
    expression: str,
    event_type: PublishedEventType | None,
    agreement: str,
    sees: Callable[[str], bool],
) -> None:
    """See that a condition fits the event type, and tells nobody what is masked for them."""
    if event_type is None:
        raise BadField("where", "letters.where_needs_one")
    try:
        condition = Condition(expression, event_type.current.schema)
    except ConditionError as error:
        raise BadField(
            "where", "letters.where_wrong", line=error.line, column=error.column, what=error.message
        ) from None
    release = None if sees(event_type.contract.owner) else release_of(snapshot, agreement)
    if hidden := Sight(event_type.contract, release).objection(condition):
        raise BadField("where", "letters.where_masked", name=hidden)


def release_of(snapshot: Snapshot, agreement: str) -> Mapping[str, ReleaseRule]:
    """What an agreement releases; nothing, if it is not in the catalogue."""
    published = snapshot.agreements.get(agreement)
    return {} if published is None else published.contract.release


def conditions_of(snapshot: Snapshot, agreement: str) -> Mapping[str, str]:
    """The conditions of an agreement as they are now, by the names of their rules; none if it is not there any more."""
    published = snapshot.agreements.get(agreement)
    if published is None:
        return {}
    when = {} if published.contract.when is None else {"when": published.contract.when}
    return {**published.contract.require, **when}


def owner_of(snapshot: Snapshot, letter: Letter) -> str | None:
    """The agency whose event a letter holds; None if its type is not in the catalogue."""
    topic = letter.event.topic
    return next((one.contract.owner for one in snapshot.event_types.values() if one.topic == topic), None)


def moment(text: str, field: str) -> dt.datetime | None:
    """A moment as a browser's field has it, in Jakarta's time; with a time zone, in that one.

    Raises:
        BadField: it is none.
    """
    if not text:
        return None
    try:
        read = dt.datetime.fromisoformat(text)
    except ValueError:
        raise BadField(field, "letters.no_moment") from None
    return read if read.tzinfo else read.replace(tzinfo=JAKARTA)


def causes(found: Sequence[WithFate]) -> list[tuple[tuple[str, str, str], int]]:
    """How many letters there are of each agreement, stage and rule, the most first."""
    counted = Counter((letter.agreement, letter.stage, letter.rule) for letter, _ in found)
    return sorted(counted.items(), key=lambda one: (-one[1], one[0]))
