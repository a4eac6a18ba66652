"""A dead letter belongs to the first request that names it, whoever repeats what, and is done once."""

import datetime as dt
import json
import random
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams import redrive_log
from streams.letters import Letter
from streams.records import InputRecord
from streams.redrive_log import DISCARD, REDRIVE, Fate, Redrives, requests
from streams.slots import Done

TOPIC = "dead.b.desk"
AT = dt.datetime(2026, 11, 26, tzinfo=dt.UTC)


def letter(offset: int, *, partition: int = 0, source: int | None = None, agreement: str = "one") -> Letter:
    event = InputRecord("events.a.t.v1", partition, offset if source is None else source, 0, None, b"", [])
    return Letter(TOPIC, offset, event, agreement, "require", "r", [], "digest", AT, 1)


def log(*asked: tuple[str, Iterable[Letter]]) -> Redrives:
    read = Redrives()
    records = [
        record for kind, letters in asked for record in requests(letters, Fate(kind, "somebody", "now", "because"))
    ]
    for number, (key, value) in enumerate(records):
        read.add(number, key, value)
    return read


def test_events_are_given_again_in_the_order_in_which_they_were_published() -> None:
    read = log((REDRIVE, [letter(7, source=3), letter(2, source=9), letter(5, source=1), letter(4, partition=1)]))
    slot = letter(0).slot
    ((task, done),) = read.tasks(slot, Done())
    assert (task.topic, task.letters, done) == (TOPIC, [5, 7, 2], 0)
    assert [one.letters for one, _ in read.tasks(("one", "events.a.t.v1", 1), Done())] == [[4]]


def test_the_first_request_that_names_a_letter_has_it() -> None:
    read = log(
        (REDRIVE, [letter(1), letter(2)]),
        (DISCARD, [letter(2), letter(3)]),
        (REDRIVE, [letter(1), letter(2), letter(3), letter(4)]),
    )
    kinds = [None if (fate := read.fate(TOPIC, offset)) is None else fate.kind for offset in range(1, 6)]
    assert kinds == [REDRIVE, REDRIVE, DISCARD, REDRIVE, None]
    assert [(task.number, task.letters) for task, _ in read.tasks(letter(0).slot, Done())] == [(0, [1, 2]), (2, [4])]


def test_a_lane_goes_on_where_the_one_before_it_stopped() -> None:
    read = log((REDRIVE, [letter(1), letter(2), letter(3)]), (REDRIVE, [letter(8)]))
    slot = letter(0).slot
    assert [(task.number, done) for task, done in read.tasks(slot, Done(0, 2))] == [(0, 2), (1, 0)]
    assert [(task.number, done) for task, done in read.tasks(slot, Done(0, 3))] == [(1, 0)]
    assert list(read.tasks(slot, Done(1, 1))) == []


@given(st.lists(st.lists(st.integers(0, 20), max_size=8), max_size=6))
def test_every_letter_is_done_once_whatever_is_asked_how_often(asked: list[list[int]]) -> None:
    read = log(*((REDRIVE, [letter(one, partition=one % 3) for one in set(letters)]) for letters in asked if letters))
    given_again = [offset for slot in read.slots() for task, _ in read.tasks(slot, Done()) for offset in task.letters]
    assert sorted(given_again) == sorted({offset for letters in asked for offset in letters})


@pytest.mark.parametrize("value", [None, b"", b"[]", b"{}", b'{"letters": 7}'])
def test_a_record_that_is_no_request_asks_for_nothing(value: bytes | None) -> None:
    read = Redrives()
    read.add(0, b"\xff" if value is None else TOPIC.encode(), value)
    assert list(read.slots()) == []


def test_many_letters_take_several_records() -> None:
    many = [letter(number) for number in range(redrive_log.MOST_LETTERS + 1)]
    random.Random(1).shuffle(many)
    records = list(requests(many, Fate(REDRIVE, "somebody", "now", "")))
    assert [sum(len(of) for _, of in json.loads(value)["letters"]) for _, value in records] == [50_000, 1]
    assert max(len(value) for _, value in records) < 1_000_000


@pytest.mark.parametrize("letters", [[[1, [2]]], [["one/t", [1]]], {}, [[["one", "t", 0], [1]]], None])
def test_a_request_whose_letters_cannot_be_read_asks_for_nothing(letters: Any) -> None:
    read = Redrives()
    ((key, value),) = requests([letter(1)], Fate(REDRIVE, "somebody", "now", ""))
    read.add(0, key, json.dumps({**json.loads(value), "letters": letters}).encode())
    assert list(read.slots()) == []


def test_what_has_been_given_so_far() -> None:
    read = log((REDRIVE, [letter(1), letter(2), letter(3)]), (REDRIVE, [letter(8)]))
    slot = letter(0).slot
    assert read.given(slot, Done()) == set()
    assert read.given(slot, Done(0, 2)) == {1, 2}
    assert read.given(slot, Done(1, 1)) == {1, 2, 3, 8}
