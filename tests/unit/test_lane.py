"""What a lane does where it may no longer be its own; brokers are not needed for it."""

import collections
import datetime as dt
import math
from types import SimpleNamespace
from typing import Any

import pytest

from lintas.settings import Settings
from streams.lane import Lane
from streams.observer import UNWATCHED
from streams.pace import Pace
from streams.producer import Refused

INPUT = ("events.a.thing.v1", 0)


async def test_a_lane_that_is_lost_while_it_sets_an_agreement_aside_stops_running(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []

    async def not_mine(lane: Lane) -> bool:
        asked.append(lane)
        return False

    plans = object()
    duties: Any = SimpleNamespace(
        settings=Settings(),
        options={},
        worker="w",
        turn=None,
        still_mine=not_mine,
        plans=lambda: plans,
        pace=Pace(),
        observer=UNWATCHED,
    )
    lane = Lane(0, duties)
    lane._consumer, lane._plans, lane._positions = SimpleNamespace(stop=_nothing), plans, {INPUT: 7}  # type: ignore[assignment]
    lane._committed_at = {INPUT: -math.inf}  # to be committed anew
    lane._waiting = collections.deque([(INPUT, SimpleNamespace())])  # type: ignore[list-item]
    batch: Any = SimpleNamespace(
        sources=lambda: {("inbox.b.desk", 0): {("an agreement", *INPUT)}},
        first_offsets={INPUT: 7},
        at=dt.datetime.now(dt.UTC),
    )

    async def carry(*_: object) -> None:
        await lane._set_aside(batch, Refused({("inbox.b.desk", 0): "MessageSizeTooLargeError"}))

    monkeypatch.setattr(lane, "_carry", carry)
    await lane._run()
    assert asked == [lane]


async def _nothing() -> None: ...
