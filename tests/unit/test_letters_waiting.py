"""Letters wait until something is decided about them; each is read once, and markers of transactions are none."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from lintas.settings import Settings
from monitoring import letters_waiting
from monitoring.letters_waiting import LettersWaiting
from streams.redrive_log import Redrives

PLACE = ("dead.b.all", 0)


class Message:
    def __init__(self, offset: int) -> None:
        self._offset = offset

    def topic(self) -> str:
        return PLACE[0]

    def partition(self) -> int:
        return PLACE[1]

    def offset(self) -> int:
        return self._offset


class Topic:
    """The offsets of its letters; what is between is markers."""

    def __init__(self, *letters: int) -> None:
        self.letters, self.first, self.read = list(letters), 0, list[int]()

    def messages(
        self, _: Settings, __: str, positions: Mapping[Any, int], ends: Mapping[Any, int]
    ) -> Iterator[Message]:
        for place, position in positions.items():
            for letter in self.letters:
                if position <= letter < ends[place]:
                    self.read.append(letter)
                    yield Message(letter)

    def beginnings(self, places: list[Any]) -> dict[Any, int]:
        return dict.fromkeys(places, self.first)


@pytest.fixture
def topic(monkeypatch: pytest.MonkeyPatch) -> Topic:
    topic = Topic(0, 1, 3)
    monkeypatch.setattr(letters_waiting, "messages_from", topic.messages)
    return topic


@pytest.fixture
def waiting(topic: Topic) -> LettersWaiting:
    cluster: Any = topic
    return LettersWaiting(Settings(), cluster)


def decided(*letters: int) -> Redrives:
    redrives = Redrives()
    slots = f'[["all/events.a/0", {list(letters)}]]'
    value = f'{{"kind": "discard", "author": "x", "at": "", "reason": "", "letters": {slots}}}'
    redrives.add(0, PLACE[0].encode(), value.encode())
    return redrives


def test_each_letter_is_read_once(topic: Topic, waiting: LettersWaiting) -> None:
    assert waiting.count({PLACE: 5}, Redrives()) == {PLACE[0]: 3}
    topic.letters.append(6)
    assert waiting.count({PLACE: 8}, Redrives()) == {PLACE[0]: 4}
    assert topic.read == [0, 1, 3, 6]


def test_letters_about_which_something_is_decided_wait_no_more(waiting: LettersWaiting) -> None:
    assert waiting.count({PLACE: 5}, decided(1, 3)) == {PLACE[0]: 1}
    assert waiting.count({PLACE: 5}, decided(0, 1, 3)) == {PLACE[0]: 0}


def test_letters_that_retention_has_deleted_wait_no_more(topic: Topic, waiting: LettersWaiting) -> None:
    assert waiting.count({PLACE: 5}, Redrives()) == {PLACE[0]: 3}
    topic.first = 2
    assert waiting.count({PLACE: 5}, Redrives()) == {PLACE[0]: 1}


def test_a_topic_that_was_made_anew_is_read_anew(topic: Topic, waiting: LettersWaiting) -> None:
    assert waiting.count({PLACE: 5}, Redrives()) == {PLACE[0]: 3}
    topic.letters = [0]
    assert waiting.count({PLACE: 2}, Redrives()) == {PLACE[0]: 1}


def test_a_topic_that_is_gone_is_forgotten(waiting: LettersWaiting) -> None:
    waiting.count({PLACE: 5}, Redrives())
    assert waiting.count({}, Redrives()) == {}
