"""Looking into an inbox: pages that together show every delivery once, within a budget of work."""

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lintas.settings import Settings
from schemas.conditions import Condition
from streams import inbox as module
from streams.budget import Budget
from streams.inbox import Delivery, Inbox, Looked, Place, Positions, Wanted
from streams.records import InputRecord

SCHEMA: Any = {"type": "record", "name": "Thing", "fields": [{"name": "n", "type": ["null", "long"]}]}
Partitions = list[list[int]]  # offsets that hold a delivery; between them lie markers of transactions
DAY_MS = 86_400_000


class Topic:
    """A topic of an inbox in memory."""

    def __init__(self, partitions: Partitions) -> None:
        self.partitions = partitions

    def cluster(self, _: Settings) -> "Topic":
        return self

    def beginnings(self, places: list[tuple[str, int]]) -> dict[tuple[str, int], int]:
        return dict.fromkeys(places, 0)

    def committed_ends(self, places: list[tuple[str, int]]) -> dict[tuple[str, int], int]:
        return {place: max(self.partitions[place[1]], default=-2) + 2 for place in places}

    def at_time(self, places: list[tuple[str, int]], time_ms: int) -> dict[tuple[str, int], int]:
        first = {place: [one for one in self.partitions[place[1]] if one * DAY_MS >= time_ms] for place in places}
        return {place: found[0] for place, found in first.items() if found}

    def records(
        self, _: Settings, starts: Mapping[tuple[str, int], int], ends: Mapping[tuple[str, int], int]
    ) -> Iterator[InputRecord]:
        for topic, number in sorted(starts):
            for offset in self.partitions[number]:
                if starts[topic, number] <= offset < ends[topic, number]:
                    yield InputRecord(topic, number, offset, offset * DAY_MS, None, b"x", [])


class AsTheyAre:
    """Reads every record as a delivery whose payload is its offset."""

    def read(self, record: InputRecord) -> Delivery:
        at = dt.datetime.fromtimestamp(record.timestamp_ms / 1000, dt.UTC)
        attributes = {"agreement": "b.all" if record.offset % 2 == 0 else "b.odd"}
        return Delivery(record.partition, record.offset, at, attributes, {"n": record.offset or None}, object())  # type: ignore[arg-type]


def looking_at(partitions: Partitions, monkeypatch: pytest.MonkeyPatch) -> Inbox:
    topic = Topic(partitions)
    monkeypatch.setattr(module, "Cluster", topic.cluster)
    monkeypatch.setattr(module, "records_between", topic.records)
    return Inbox(Settings(), "b.all", len(partitions), AsTheyAre())  # type: ignore[arg-type]  # it reads


def places(looked: Looked) -> list[tuple[int, int]]:
    return [(one.partition, one.offset) for one in looked.deliveries]


offsets = st.lists(st.sets(st.integers(0, 40)).map(sorted), min_size=1, max_size=3)


@given(offsets, st.integers(1, 7), st.integers(3, 60))
def test_from_the_newest_to_older_ones_every_delivery_is_shown_once(
    partitions: Partitions, page: int, most: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        inbox = looking_at(partitions, patch)
        seen: list[tuple[int, int]] = []
        before: Positions | None = None
        for _ in range(1_000):
            looked = inbox.newest(Wanted(), Budget(most), before, page)
            assert len(looked.deliveries) <= page
            seen += places(looked)
            if (before := looked.older) is None:
                break
    assert sorted(seen) == [(number, one) for number, found in enumerate(partitions) for one in found]


@given(offsets, st.integers(1, 7), st.integers(1, 60))
def test_from_the_beginning_on_every_delivery_is_shown_once(partitions: Partitions, page: int, most: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        inbox = looking_at(partitions, patch)
        seen: list[tuple[int, int]] = []
        start: Positions | None = None
        for _ in range(1_000):
            looked = inbox.onward(Wanted(), Budget(most), start, page)
            seen += places(looked)
            if looked.newer == start:
                break
            start = looked.newer
    assert sorted(seen) == [(number, one) for number, found in enumerate(partitions) for one in found]


def test_what_is_newer_than_a_page_is_what_came_since(monkeypatch: pytest.MonkeyPatch) -> None:
    partitions = [[0, 1], [4]]
    inbox = looking_at(partitions, monkeypatch)
    first = inbox.newest(Wanted(), Budget())
    partitions[0].append(5)
    second = inbox.onward(Wanted(), Budget(), first.newer)
    assert (places(first), places(second)) == ([(1, 4), (0, 1), (0, 0)], [(0, 5)])
    assert places(inbox.onward(Wanted(), Budget(), second.newer)) == []


def test_from_a_moment_on(monkeypatch: pytest.MonkeyPatch) -> None:
    inbox = looking_at([[0, 1, 2], [0]], monkeypatch)
    assert places(inbox.onward(Wanted(), Budget(), dt.datetime(1970, 1, 2, 12, tzinfo=dt.UTC))) == [(0, 2)]


def test_a_condition_finds_those_of_its_agreement_and_counts_those_that_it_cannot_judge(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    inbox = looking_at([[0, 1, 2, 3, 4]], monkeypatch)
    looked = inbox.newest(Wanted({"b.all": Condition("data.n > 1", SCHEMA)}), Budget())
    assert places(looked) == [(0, 4), (0, 2)]
    assert (looked.looked_at, looked.failed) == (5, 1)  # n is null in the first


@pytest.mark.parametrize("budget", [Budget(records=3), Budget(size=2), Budget(seconds=-1)])
def test_a_budget_ends_the_reading_and_says_so(budget: Budget) -> None:
    record = InputRecord("inbox.b.all", 0, 0, 0, None, b"x", [])
    passed = list(budget([record] * 5))
    assert len(passed) == budget.records < 5
    assert budget.spent


def test_a_budget_that_suffices_is_not_spent() -> None:
    budget = Budget(records=5)
    assert len(list(budget([InputRecord("inbox.b.all", 0, 0, 0, None, None, [])] * 5))) == 5
    assert not budget.spent


def test_a_place_is_read_as_it_was_written() -> None:
    place = Place({3: 7, 0: 12})
    assert str(place) == "0:12,3:7"
    assert Place.read(str(place)) == place
    with pytest.raises(ValueError, match="invalid literal"):
        Place.read("0:x")
