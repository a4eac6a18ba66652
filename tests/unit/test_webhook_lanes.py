import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from connectors.plugins.webhook.lanes import Lanes, Pointer, key_digest

NOW = 1_000_000


def lanes_with(*keys: str) -> Lanes:
    lanes = Lanes({}, NOW)
    for offset, key in enumerate(keys):
        lanes.add(Pointer(0, offset, key), NOW)
    return lanes


def taken(lanes: Lanes, now_ms: int = NOW) -> Pointer:
    pointer = lanes.take(now_ms, retries=True)
    assert pointer is not None
    return pointer


def fail(lanes: Lanes, pointer: Pointer, next_ms: int) -> None:
    lanes.failed(pointer, "http-500", 500, NOW)
    lanes.wait(pointer, next_ms)


def test_one_event_of_a_key_is_tried_at_a_time_and_other_keys_go_on() -> None:
    lanes = lanes_with("a", "a", "b")
    first, other = taken(lanes), taken(lanes)
    assert (first.offset, other.offset) == (0, 2)
    assert lanes.take(NOW, retries=True) is None
    fail(lanes, first, NOW + 5000)
    assert lanes.take(NOW, retries=True) is None  # what is behind it waits
    assert lanes.due_ms() == NOW + 5000
    assert lanes.take(NOW + 5000, retries=False) is None
    assert taken(lanes, NOW + 5000) is first
    lanes.delivered(first, NOW)
    assert taken(lanes).offset == 1


def test_what_is_given_up_leaves_a_note_and_what_is_behind_it_goes_on() -> None:
    lanes = lanes_with("a", "a")
    first = taken(lanes)
    lanes.failed(first, "http-422", 422, NOW)
    lanes.give_up(first, NOW + 7)
    assert taken(lanes).offset == 1
    assert (lanes.waiting, lanes.undelivered) == (1, 1)
    assert lanes.changes()["undelivered/0/0"] == {
        "key": "a",
        "attempts": 1,
        "first_failed_ms": NOW,
        "reason": "http-422",
        "status": 422,
        "given_up_ms": NOW + 7,
    }


def test_what_waits_behind_an_event_that_is_given_up_has_waited_its_day_with_it() -> None:
    lanes = lanes_with("a", "a")
    first = taken(lanes)
    lanes.failed(first, "http-500", 500, NOW + 5)
    lanes.give_up(first, NOW + 10)
    assert lanes.failed(taken(lanes), "http-500", 500, NOW + 20) == NOW  # since it was added


def test_what_waits_behind_an_event_that_is_taken_after_all_has_a_day_of_its_own() -> None:
    lanes = lanes_with("a", "a")
    fail(lanes, taken(lanes), NOW + 10)
    lanes.delivered(taken(lanes, NOW + 10), NOW + 10)
    assert lanes.failed(taken(lanes, NOW + 10), "http-500", 500, NOW + 20) == NOW + 20


def test_what_was_put_off_has_its_turn_with_what_is_tried_again() -> None:
    lanes = lanes_with("a", "b")
    fail(lanes, taken(lanes), NOW + 10)
    lanes.put_off(NOW + 5)
    assert not lanes.has_fresh()
    assert lanes.take(NOW + 5, retries=False) is None
    assert taken(lanes, NOW + 5).offset == 1
    assert lanes.take(NOW + 9, retries=True) is None
    early = lanes.take(NOW + 9, retries=True, early=True)
    assert early is not None
    assert early.offset == 0


def test_the_progress_hears_of_what_waits_and_of_nothing_that_went_well_at_once() -> None:
    lanes = lanes_with("a", "b")
    lanes.delivered(taken(lanes), NOW)
    fail(lanes, taken(lanes), NOW + 1)
    assert list(lanes.changes()) == ["waiting/0/1"]
    assert lanes.changes() == {}
    lanes.delivered(taken(lanes, NOW + 1), NOW)
    assert lanes.changes() == {"waiting/0/1": None}


def test_another_life_goes_on_in_order_with_attempts_and_times() -> None:
    lanes = lanes_with("a", "b", "a")
    fail(lanes, taken(lanes), NOW + 9000)
    progress = json.loads(json.dumps(lanes.changes()))
    again = Lanes(dict(reversed(progress.items())), NOW)  # as compaction leaves them: in any order
    assert again.waiting == 3
    assert taken(again).offset == 1
    assert again.take(NOW, retries=True) is None
    assert again.due_ms() == NOW + 9000
    first = taken(again, NOW + 9000)
    assert (first.offset, first.attempts, first.first_failed_ms) == (0, 1, NOW)


def test_what_a_person_asks_for_is_tried_anew_and_nothing_else_is() -> None:
    given_up = {"key": "a", "attempts": 8, "first_failed_ms": 1, "given_up_ms": 2, "reason": "x", "status": None}
    progress: dict[str, Any] = {f"undelivered/0/{offset}": given_up for offset in (4, 5)}
    progress |= {f"redeliver/0/{offset}": {"asked_ms": NOW} for offset in (4, 99)}
    lanes = Lanes(progress, NOW)
    assert (lanes.waiting, lanes.undelivered) == (1, 1)
    pointer = taken(lanes)
    assert (pointer.offset, pointer.attempts) == (4, 0)
    changes = lanes.changes()
    assert changes.pop("waiting/0/4") == {"key": "a", "behind_since_ms": NOW}
    assert changes == {"undelivered/0/4": None, "redeliver/0/4": None, "redeliver/0/99": None}


def test_an_event_that_waits_already_is_not_taken_twice() -> None:
    lanes = lanes_with("a")
    lanes.changes()
    lanes.add(Pointer(0, 0, "a"), NOW)
    assert lanes.waiting == 1


def test_when_the_receiver_is_in_order_again_what_waits_is_due_soon() -> None:
    lanes = lanes_with("a", "b", "c")
    for _ in range(3):
        fail(lanes, taken(lanes), NOW + 7_200_000)
    lanes.wake(NOW, 3000)
    due = []
    for _ in range(3):
        at = lanes.due_ms()
        assert at is not None
        due.append(at - NOW)
        taken(lanes, at)
    assert due == [0, 1000, 2000]


def test_what_was_taken_and_not_tried_is_due_as_before() -> None:
    lanes = lanes_with("a")
    first = taken(lanes)
    lanes.untried(first)
    assert taken(lanes) is first
    fail(lanes, first, NOW + 1)
    again = taken(lanes, NOW + 1)
    lanes.untried(again)
    assert taken(lanes, NOW + 1) is again


def test_nobody_finds_a_key_by_its_digest_and_events_without_a_key_wait_for_none() -> None:
    assert len(key_digest(b"3210142211266547", 0)) == 5  # 20 bits: thousands of numbers share it
    assert key_digest(None, 1) != key_digest(None, 2)


@given(st.data())
def test_whatever_happens_each_key_stays_in_order_and_counts_add_up(data: st.DataObject) -> None:
    keys = data.draw(st.lists(st.sampled_from("abcd"), min_size=1, max_size=30))
    chance = data.draw(st.randoms(use_true_random=False))
    lanes, progress, now, arrived = Lanes({}, NOW), dict[str, Any](), NOW, 0
    under_way: list[Pointer] = []
    ended: dict[str, list[int]] = {key: [] for key in keys}
    while arrived < len(keys) or lanes.waiting:
        step = chance.random()
        if arrived < len(keys) and step < 0.3:
            lanes.add(Pointer(0, arrived, keys[arrived]), now)
            arrived += 1
        elif under_way and step < 0.8:
            pointer = under_way.pop(chance.randrange(len(under_way)))
            if chance.random() < 0.5:
                lanes.delivered(pointer, now)
                ended[pointer.key].append(pointer.offset)
            elif chance.random() < 0.2:
                lanes.failed(pointer, "r", None, now)
                lanes.give_up(pointer, now)
                ended[pointer.key].append(pointer.offset)
            else:
                fail(lanes, pointer, now + chance.randrange(10))
        elif (found := lanes.take(now, retries=chance.random() < 0.7)) is not None:
            assert all(found.lane != other.lane for other in under_way)
            under_way.append(found)
        elif chance.random() < 0.1 and not under_way:  # a crash after a commit: another life
            lanes = Lanes(progress, now)
        elif chance.random() < 0.2:
            lanes.put_off(now)
        now += 1
        for name, value in json.loads(json.dumps(lanes.changes())).items():
            if value is None:
                progress.pop(name)
            else:
                progress[name] = value
    assert all(offsets == sorted(offsets) for offsets in ended.values())
    assert sorted(offset for offsets in ended.values() for offset in offsets) == list(range(len(keys)))
    assert not [name for name in progress if name.startswith("waiting/")]
