"""A replay is asked for once, however often the command is given, and each slot goes through them in their order."""

import dataclasses

from streams.replay_log import CANCELLED, DONE, Replayed, Replays, Request, cancel_record

SLOT = ("one", "events.a.t.v1", 0)
OTHER = ("one", "events.a.t.v1", 1)
REQUEST = Request("b.desk", 1_000, None, {"one": [SLOT[1:], OTHER[1:]]}, None, {}, "somebody", "then")


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


def test_every_term_makes_another_request() -> None:
    others = [
        dataclasses.replace(REQUEST, system="b.other"),
        dataclasses.replace(REQUEST, since_ms=1_001),
        dataclasses.replace(REQUEST, until_ms=5_000),
        dataclasses.replace(REQUEST, events_per_second=10.0),
        dataclasses.replace(REQUEST, agreements={"one": [SLOT[1:]]}),
    ]
    assert len({one.id(0) for one in (REQUEST, *others)}) == len(others) + 1


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
    assert later == {SLOT: Replayed(0), OTHER: first}  # who is at the second has ended the first


def test_a_replay_is_cancelled_by_its_id_and_nonsense_asks_for_nothing() -> None:
    first = log(REQUEST.as_record(0)).all[0]
    read = log(
        (b"x", b"{"),
        (b"x", b"{}"),
        REQUEST.as_record(0),
        cancel_record(first, "somebody", "now"),
        (b"unknown", cancel_record(first, "somebody", "now")[1]),
    )
    assert (list(read.all), read.cancelled) == ([2], {2})
