"""What is not live is read while live events are carried; what changes meanwhile is noticed."""

import asyncio
import collections
import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import KafkaError

from streams.backlog import Owed
from streams.catch_up import CatchUp
from streams.chunk import Chunk
from streams.pace import Pace
from streams.redrive_log import Redrives
from streams.replay_log import Replays
from streams.slots import SetAside, Slot
from streams.status import LanesStatus

AT = dt.datetime(2026, 11, 26, tzinfo=dt.UTC)
PLACE = ("events.a.t.v1", 0)
SLOT: Slot = ("one", *PLACE)
WHY = SetAside(5, "refuses", "2026-11-25T00:00:00Z")


class SlowBacklog:
    """Reads when it is told to."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.owed: collections.deque[Owed | Exception] = collections.deque()
        self.stopped = False

    async def resumed(self, aside: Mapping[Slot, SetAside]) -> Slot | None:
        return next(iter(aside), None)

    async def next(self, *_: object) -> Owed:
        await self.go_on.wait()
        owed = self.owed.popleft()
        if isinstance(owed, Exception):
            raise owed
        return owed

    def forget(self, _: Slot) -> None: ...
    def forget_all(self) -> None: ...

    async def stop(self) -> None:
        self.stopped = True


def every_agreement_in_force() -> Any:
    """A catalogue as far as it is asked here."""
    return SimpleNamespace(in_force=lambda *_: True, backfills=lambda _: {})


@pytest.fixture
def backlog(monkeypatch: pytest.MonkeyPatch) -> SlowBacklog:
    slow = SlowBacklog()
    monkeypatch.setattr(CatchUp, "_new_backlog", lambda _: slow)

    async def decide(*_: object, **__: object) -> Any:
        return SimpleNamespace()

    monkeypatch.setattr("streams.catch_up.decide", decide)
    return slow


@pytest.fixture
def plans() -> Any:
    return every_agreement_in_force()


@pytest.fixture
def catch_up(backlog: SlowBacklog, plans: Any) -> CatchUp:
    assert backlog.owed == collections.deque()
    duties: Any = SimpleNamespace(redrives=Redrives, replays=Replays, pace=Pace(), options={})
    made = CatchUp(duties, "lane", {}, {PLACE: 9}, {}, lambda work: work.close())
    made.take_up(LanesStatus({}, {SLOT: WHY}, {}, {}, {}, {}), [PLACE], plans)
    return made


def live(waiting: Mapping[Slot, Sequence[int]]) -> Any:
    """A live batch that is committed."""
    return SimpleNamespace(waiting=lambda: waiting)


async def given(catch_up: CatchUp, plans: Any, meanwhile: Callable[[], None]) -> Chunk | None:
    """What is ready, if something happens while it is being read."""
    assert await catch_up.next(plans, AT) is None
    assert catch_up.is_reading
    meanwhile()
    backlog: Any = catch_up._backlog
    backlog.go_on.set()
    await asyncio.sleep(0.01)
    return await catch_up.next(plans, AT)


async def test_a_slot_goes_live_behind_the_last_event_that_waits(
    catch_up: CatchUp, backlog: SlowBacklog, plans: Any
) -> None:
    backlog.owed.append(Owed([(6, None), (8, None)], all_of_it=True))
    chunk = await given(catch_up, plans, lambda: catch_up.note_live(live({("another", *PLACE): [9]})))
    assert chunk is not None
    assert [value for _, value in chunk.status] == [None, None]
    chunk.committed()
    assert catch_up.aside == {}


async def test_a_slot_for_which_a_live_event_came_to_wait_meanwhile_is_not_live_yet(
    catch_up: CatchUp, backlog: SlowBacklog, plans: Any
) -> None:
    backlog.owed.append(Owed([(6, None), (8, None)], all_of_it=True))
    chunk = await given(catch_up, plans, lambda: catch_up.note_live(live({SLOT: [9]})))
    assert chunk is not None
    chunk.committed()
    assert catch_up.aside[SLOT].from_offset == 9
    backlog.go_on.clear()
    backlog.owed.append(Owed([], all_of_it=True))
    asyncio.get_running_loop().call_later(0.1, backlog.go_on.set)
    last = await catch_up.next(plans, AT)  # nothing live is carried until this is read
    assert last is not None
    last.committed()
    assert catch_up.aside == {}


async def test_a_reading_that_fails_before_it_has_a_slot_rests_as_a_whole(
    catch_up: CatchUp, backlog: SlowBacklog, plans: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(_: object) -> Slot | None:
        raise TimeoutError

    monkeypatch.setattr(backlog, "resumed", away)
    redrives: Any = SimpleNamespace(slots=lambda: [("idle", *PLACE)], tasks=lambda *_: [])
    catch_up._duties.redrives = lambda: redrives  # type: ignore[misc]  # a slot that was asked before and has nothing to do
    for turn in range(3):  # whichever kind comes first
        catch_up._turn, catch_up._not_before = turn, 0
        assert await catch_up.next(plans, AT) is None
        assert catch_up._not_before > 0
        assert catch_up._rests == {}
    assert not catch_up.is_reading


async def test_what_was_read_is_not_given_if_its_slot_is_set_aside_anew_or_the_catalogue_has_changed(
    catch_up: CatchUp, backlog: SlowBacklog, plans: Any
) -> None:
    backlog.owed.append(Owed([(6, None)], all_of_it=False))
    assert await given(catch_up, plans, lambda: catch_up.aside.update({SLOT: WHY.again(5, "flood", "now")})) is None
    backlog.go_on.clear()
    backlog.owed.append(Owed([(6, None)], all_of_it=False))
    assert await catch_up.next(plans, AT) is None
    backlog.go_on.set()
    await asyncio.sleep(0.01)
    assert await catch_up.next(every_agreement_in_force(), AT) is None


@pytest.mark.parametrize("error", [KafkaError(), TimeoutError(), ValueError("of Siti")])
async def test_whatever_cannot_be_read_is_left_alone_for_a_while(
    catch_up: CatchUp, backlog: SlowBacklog, plans: Any, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    backlog.owed.append(error)
    assert await given(catch_up, plans, lambda: None) is None
    assert "one in events.a.t.v1 [0] cannot be given" in caplog.text
    assert "Siti" not in caplog.text
    await catch_up.next(plans, AT)  # nothing else is behind
    assert not catch_up.is_reading
