"""The status of a group follows from its last commits, by rules without thresholds."""

import pytest

from monitoring.group_status import SHORTEST_SECONDS, WINDOW, Commit, GroupHistory, Status, status

PLACE = ("inbox.a.b", 0)
LONG = SHORTEST_SECONDS * 2


def commits(*seen: tuple[float, int, int]) -> list[Commit]:
    return [Commit(*one) for one in seen]


FALLING = commits(*((10.0 * n, 100 * n, 50 - n) for n in range(WINDOW)))  # over 90 s
STEADY = commits(*((10.0 * n, 100 * n, 50) for n in range(WINDOW)))
GROWING = commits(*((10.0 * n, 100 * n, 50 + n) for n in range(WINDOW)))


@pytest.mark.parametrize(
    ("seen", "behind_since", "now", "members", "expected"),
    [
        (commits((0, 5, 0)), None, 10_000, False, Status.OK),  # nobody is there, and there is nothing to read
        (FALLING, 0, 100, True, Status.OK),
        (STEADY, 0, 100, True, Status.WARN),  # it commits and never catches up
        (GROWING, 0, 100, True, Status.WARN),
        (GROWING[1:], 0, 100, True, Status.OK),  # too few commits to tell
        (
            commits((0, 0, 9), *((10.0 * n, n, 0) for n in range(1, 5)), (50, 9, 9)),
            50,
            60,
            True,
            Status.OK,
        ),  # lag was 0
        (commits((0, 100, 5), (10, 90, 15)), 10, 20, True, Status.REWIND),
        (commits((0, 100, 0), (10, 90, 15)), 10, 20, True, Status.OK),  # lag was 0 in the window
        (FALLING, 90, 180, True, Status.OK),  # silent for just as long as the window
        (FALLING, 90, 181, True, Status.STALL),  # its members are there and do not come on
        (FALLING, 90, 181, False, Status.STOP),  # nobody is there
        (FALLING, 150, 181, False, Status.OK),  # idle until an event came 31 s ago: no false stop of a slow topic
        (commits((0, 5, 0)), 0, SHORTEST_SECONDS, False, Status.OK),  # one commit: the shortest window
        (commits((0, 5, 0)), 0, SHORTEST_SECONDS + 1, False, Status.STOP),  # lag was 0, and it is gone all the same
    ],
)
def test_a_status_follows_from_the_last_commits(
    seen: list[Commit], behind_since: float | None, now: float, members: bool, expected: Status
) -> None:
    assert status(seen, behind_since, now, members=members) is expected


def test_a_group_is_as_its_worst_partition() -> None:
    history, other = GroupHistory(), ("inbox.a.b", 1)
    for n in range(WINDOW):
        history.see(10.0 * n, {PLACE: n, other: 7}, {PLACE: 5 + n, other: 0})
    assert history.status(95, members=True) is Status.WARN
    history.see(100, {PLACE: WINDOW, other: 7}, {PLACE: 0, other: 3})
    assert history.status(100, members=True) is Status.OK
    assert history.status(500, members=True) is Status.STALL
    assert history.status(500, members=False) is Status.STOP


def test_a_partition_that_the_group_has_left_is_forgotten() -> None:
    history = GroupHistory()
    history.see(0, {PLACE: 1}, {PLACE: 5})
    assert history.status(LONG, members=False) is Status.STOP
    history.see(LONG, {}, {})
    assert history.status(LONG, members=False) is Status.OK


def test_only_events_that_have_waited_for_long_make_a_stop() -> None:
    history = GroupHistory()
    history.see(0, {PLACE: 1}, {})
    history.see(10_000, {PLACE: 1}, {PLACE: 1})
    assert history.status(10_000, members=False) is Status.OK
    for waited in (40, 80, LONG):
        history.see(10_000 + waited, {PLACE: 1}, {PLACE: 1})
    assert history.status(10_000 + LONG, members=False) is Status.STOP


def test_a_group_of_which_nothing_was_seen_is_well() -> None:
    assert GroupHistory().status(0, members=False) is Status.OK


def test_an_outage_of_the_bus_does_not_make_a_group_that_gets_stuck_after_it_seem_slow() -> None:
    history, outage = GroupHistory(), 3600.0
    for n in range(WINDOW):
        at = 10.0 * n if n < WINDOW // 2 else 10.0 * n + outage
        history.see(at, {PLACE: n}, {PLACE: 0})
    stuck_at = 10.0 * WINDOW + outage
    for n in range(20):
        history.see(stuck_at + 10.0 * n, {PLACE: WINDOW}, {PLACE: 1 + n})
    assert history.status(stuck_at + 190, members=True) is Status.STALL
