"""Letters are found by what stands in them, the newest first, and no more is read than was allowed."""

import dataclasses
import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from console_letters import AT, SYSTEM, births, letters

from lintas import names
from lintas.errors import UnknownName
from lintas.settings import Settings
from streams import letter_search as module
from streams.budget import Budget
from streams.letter_search import Search, letters_by_number, newest, waiting
from streams.letters import Letter
from streams.records import InputRecord
from streams.redrive import Choice
from streams.redrive_log import DISCARD, REDRIVE, Fate, Redrives, requests

TOPIC = names.DEAD + SYSTEM
(FIRST, _), *_OTHERS = letters()


def letter(offset: int, **changed: Any) -> Letter:
    return dataclasses.replace(FIRST, offset=offset, **changed)


class Shelf:
    """A topic of letters in memory; remembers from where on it was read."""

    def __init__(self, offsets: list[int]) -> None:
        self.offsets = offsets
        self.read_from: list[int] = []
        self.redrives = Redrives()

    def cluster(self, _: Settings) -> "Shelf":
        return self

    def partitions(self) -> dict[str, int]:
        return {TOPIC: 1}

    def beginnings(self, places: list[tuple[str, int]]) -> dict[tuple[str, int], int]:
        return dict.fromkeys(places, 0)

    def committed_ends(self, places: list[tuple[str, int]]) -> dict[tuple[str, int], int]:
        return dict.fromkeys(places, max(self.offsets) + 2)

    def records(
        self, _: Settings, starts: Mapping[tuple[str, int], int], ends: Mapping[tuple[str, int], int]
    ) -> Iterator[InputRecord]:
        for place, start in starts.items():
            self.read_from.append(start)
            for offset in self.offsets:
                if start <= offset < ends[place]:
                    yield InputRecord(*place, offset, 0, None, b"x", [])

    def decide(self, kind: str, *offsets: int) -> None:
        fate = Fate(kind, "rina", "2026-11-26", "")
        for number, record in enumerate(requests([letter(one) for one in offsets], fate)):
            self.redrives.add(number, *record)


@pytest.fixture
def shelf(monkeypatch: pytest.MonkeyPatch) -> Shelf:
    shelf = Shelf([0, 1, 3, 6, 7])
    monkeypatch.setattr(module, "Cluster", shelf.cluster)
    monkeypatch.setattr(module, "records_between", shelf.records)
    monkeypatch.setattr(module, "fates", lambda _: shelf.redrives)
    monkeypatch.setattr(Letter, "from_record", lambda record: letter(record.offset))
    return shelf


def found(search: Search, **options: Any) -> list[int]:
    return [one.offset for one, _ in newest(Settings(), None, TOPIC, search, **options).letters]


@pytest.mark.usefixtures("shelf")
def test_the_newest_come_first() -> None:
    assert found(Search()) == [7, 6, 3, 1, 0]
    assert found(Search(), before=6) == [3, 1, 0]


def test_of_the_newest_no_more_are_read_than_the_budget_allows(shelf: Shelf) -> None:
    looked = newest(Settings(), None, TOPIC, Search(), budget=Budget(records=4))
    assert [one.offset for one, _ in looked.letters] == [7, 6]
    assert (shelf.read_from, looked.older, looked.cut) == ([5], True, False)
    assert found(Search(), before=looked.from_offset, budget=Budget(records=4)) == [3, 1]


def test_a_search_that_ends_early_says_so(shelf: Shelf) -> None:
    looked = newest(Settings(), None, TOPIC, Search(), budget=Budget(size=2))
    assert looked.cut
    assert looked.read < len(shelf.offsets)


def test_those_about_which_somebody_decided_are_found_if_wanted(shelf: Shelf) -> None:
    shelf.decide(REDRIVE, 1, 7)
    assert found(Search()) == [6, 3, 0]
    assert found(Search(every=True)) == [7, 6, 3, 1, 0]


def test_how_many_wait(shelf: Shelf) -> None:
    shelf.decide(DISCARD, 3)
    assert waiting(Settings(), [TOPIC, "dead.b.none"]) == {
        TOPIC: module.Waiting(4, AT, AT),
        "dead.b.none": module.Waiting(),
    }
    assert not waiting(Settings(), [TOPIC], Budget(records=3))[TOPIC].all


def test_one_letter_is_had_without_reading_those_before(shelf: Shelf) -> None:
    ((one, fate),) = letters_by_number(Settings(), TOPIC, [6])
    assert (one.offset, fate, shelf.read_from) == (6, None, [6])


@pytest.mark.parametrize("number", [2, 8, 10**30])  # a marker of a transaction, the end, far beyond it
def test_a_letter_that_is_not_there_is_not_searched_for(shelf: Shelf, number: int) -> None:
    with pytest.raises(UnknownName, match=r"lintas dead list kemenkes\.satusehat --all"):
        letters_by_number(Settings(), TOPIC, [number])
    assert shelf.read_from in ([], [number])


@pytest.mark.parametrize(
    ("search", "finds"),
    [
        (Search(), True),
        (Search(Choice(rule="plausible-weight")), True),
        (Search(Choice(rule="plausible")), False),
        (Search(Choice(stage="require", since=AT)), True),
        (Search(Choice(until=AT)), False),
        (Search(Choice(since=AT + dt.timedelta(seconds=1))), False),
        (Search(text="NOT MET"), True),
        (Search(text="weight"), True),
        (Search(text="height"), False),
        (Search(event_id=births()[0].attributes["id"]), True),
        (Search(event_id=births()[0].attributes["id"][:-1]), False),  # a part of it would be a way to guess it
    ],
)
def test_a_letter_is_found_by_what_stands_in_it(search: Search, finds: bool) -> None:
    assert search.finds(FIRST) == finds


def test_of_several_rules_each_finds_the_letter() -> None:
    several = letter(0, rule="plausible-weight, name-there")
    assert Search(Choice(rule="name-there")).finds(several)
