"""A replay is asked for once, however often the command is given, and each slot goes through them in their order."""

import dataclasses
import json
from typing import Any

import pytest

from streams.replay_log import CANCELLED, DONE, GONE_ON, Replayed, Replays, Request, cancel_record

SLOT = ("one", "events.a.t.v1", 0)
OTHER = ("one", "events.a.t.v1", 1)
REQUEST = Request(
    "b.desk", 1_000, None, None, None, None, {"one": [SLOT[1:], OTHER[1:]]}, {}, author="somebody", at="then"
)


def log(*records: tuple[bytes, bytes]) -> Replays:
    read = Replays()
    for number, (key, value) in enumerate(records):
        read.add(number, key, value)
    return read


def test_a_request_that_is_repeated_is_the_same_whoever_gives_it() -> None:
    again = dataclasses.replace(REQUEST, author="somebody else", at="later")
    read = log(REQUEST.as_record(0), again.as_record(0))
    assert list(read.all) == [0]
    assert read.all[0].request == REQUEST


def test_the_same_may_be_asked_for_again_once_it_has_ended() -> None:
    read = log(REQUEST.as_record(0), REQUEST.as_record(1))
    assert list(read.all) == [0, 1]


def test_whatever_the_catalogue_has_become_the_same_words_ask_for_the_same() -> None:
    again = dataclasses.replace(REQUEST, agreements={"one": [SLOT[1:]], "two": [SLOT[1:]]})
    assert again.as_record(0)[0] == REQUEST.as_record(0)[0]


def test_every_other_word_makes_another_request() -> None:
    changes: list[dict[str, Any]] = [
        {"system": "b.other"},
        {"since_ms": 1_001},
        {"until_ms": 5_000},
        {"event_type": "id.go.a.t.v1"},
        {"as_of_ms": 5_000},
        {"events_per_second": 10.0},
    ]
    keys = {dataclasses.replace(REQUEST, **change).as_record(0)[0] for change in ({}, *changes)}
    assert len(keys) == len(changes) + 1


def test_a_slot_goes_on_where_it_was_and_then_to_the_next_replay() -> None:
    read = log(REQUEST.as_record(0), REQUEST.as_record(1))

    def following(reached: Replayed) -> int | None:
        replay = read.next(SLOT, reached)
        return None if replay is None else replay.number

    assert following(Replayed()) == 0
    assert following(Replayed(0, 5, 9, 20, ended="")) == 0
    assert following(Replayed(0, 5, 20, 20, ended=DONE)) == 1
    assert following(Replayed(0, ended=CANCELLED)) == 1
    assert following(Replayed(1, ended=DONE)) is None
    assert read.next(("two", *SLOT[1:]), Replayed()) is None


def test_how_far_each_slot_is() -> None:
    read = log(REQUEST.as_record(0), REQUEST.as_record(1))
    first = Replayed(0, 0, 3, 9, 3, ended="")
    assert read.state(read.all[0], {SLOT: first}) == {SLOT: first, OTHER: None}
    later = read.state(read.all[0], {SLOT: Replayed(1, ended=""), OTHER: first})
    assert later == {SLOT: GONE_ON, OTHER: first}  # who is at the second has ended the first


def test_a_replay_is_cancelled_by_its_id() -> None:
    first = log(REQUEST.as_record(0)).all[0]
    cancelling = cancel_record(first, "somebody", "now")
    read = log(REQUEST.as_record(0), cancelling, (b"unknown", cancelling[1]))
    assert read.cancelled == {0}


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "something else"},
        {"agreements": []},
        {"agreements": {"one": [[["a"], 0]], "two": [[None]]}},
        {"terms": []},
        {"terms": {"one": {}}},
        {"since_ms": float("inf")},
        {"events_per_second": "fast"},
        {"events_per_second": 0},
    ],
)
def test_a_record_that_is_no_request_asks_for_nothing(change: dict[str, Any]) -> None:
    key, value = REQUEST.as_record(0)
    read = log((key, b"{"), (key, b"[]"), (key, json.dumps({**json.loads(value), **change}).encode()))
    assert read.all == {}
