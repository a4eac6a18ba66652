"""What is not live gives way: small chunks, and a rest behind each as long as live events flow."""

import pytest

from streams.pace import BUSY_SHARE, CHUNK_SECONDS, FEWEST_EVENTS, MOST_EVENTS, Pace, Work


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1_000.0]
    monkeypatch.setattr("streams.pace.time.monotonic", lambda: now[0])
    return now


def test_chunks_grow_to_what_can_be_decided_in_time_and_shrink_at_once() -> None:
    mine = Pace()
    for _ in range(10):
        most = mine.most(Work.PAST)
        mine.decided(Work.PAST, most, most * CHUNK_SECONDS / 400)  # 400 events can
    assert mine.most(Work.PAST) == 400
    assert mine.most(Work.QUARANTINE) == FEWEST_EVENTS  # other work has its own price
    mine.decided(Work.PAST, 400, 40 * CHUNK_SECONDS)
    assert mine.most(Work.PAST) == FEWEST_EVENTS
    for _ in range(20):
        mine.decided(Work.PAST, mine.most(Work.PAST), 0)
    assert mine.most(Work.PAST) == MOST_EVENTS


def test_a_chunk_without_events_says_nothing_about_them() -> None:
    mine = Pace()
    mine.decided(Work.PAST, 0, 5)
    assert mine.most(Work.PAST) == FEWEST_EVENTS


def test_live_events_get_the_greater_share_of_the_time(clock: list[float]) -> None:
    mine = Pace()
    mine.live()
    mine.spent(0.1)
    clock[0] += 0.1 * (1 / BUSY_SHARE - 1) - 0.001
    assert mine.is_rest()
    clock[0] += 0.002
    assert not mine.is_rest()


def test_where_nothing_is_live_there_is_hardly_a_rest(clock: list[float]) -> None:
    mine = Pace()
    mine.live()
    clock[0] += 10
    mine.spent(0.1)
    clock[0] += 0.02
    assert not mine.is_rest()
