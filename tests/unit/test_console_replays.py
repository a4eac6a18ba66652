"""Replays at the console: tried first, recorded, for the own systems."""

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from console_letters import (
    AGREEMENT,
    SYSTEM,
    Kafka,
    bus_with,
    example,
    home_with_keys,
    kafka_that_remembers,
)
from console_visits import browser

from monitoring.console.pages import replays
from streams import replay as replaying
from streams.acts_log import CANCEL, DONE, REPLAY
from streams.replay import Asked
from streams.replay_log import Replay, Request

REASON = "a complaint was made, number 17"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return home_with_keys(tmp_path)


@pytest.fixture
def kafka(monkeypatch: pytest.MonkeyPatch) -> Kafka:
    return kafka_that_remembers(monkeypatch)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Asked]:
    """What replays were asked for."""
    found: list[Asked] = []

    def replay(_: Any, asked: Asked, *, author: str) -> Replay:
        found.append(asked)
        return Replay(5, "id-0", Request(asked.system, 0, None, None, None, None, {}, {}, author, "2026-11-26"))

    monkeypatch.setattr(replaying, "replay", replay)
    monkeypatch.setattr(replaying, "cancel", lambda *_: [])
    monkeypatch.setattr(replays, "_rows", lambda *_: [])
    monkeypatch.setattr(replays, "_dry_run", lambda *_: {"outcomes": [((AGREEMENT, "delivered"), 7)], "before": None})
    return found


SINCE = {"system": SYSTEM, "since": "2026-11-25T00:00"}


async def test_a_replay_is_tried_then_asked_for_and_recorded(home: Path, kafka: Kafka, asked: list[Asked]) -> None:
    async with browser(home, bus_with(example())) as visitor:
        await visitor.log_in("steward-kemenkes")
        tried = await visitor.post("/replays/try", {**SINCE, "rate": "50"}, follow_redirects=False)
        page = await visitor.get(tried.headers["location"])
        assert asked == []
        assert kafka.written == []
        assert "would become" in page.text
        assert 'name="rate" value="50"' in page.text
        started = await visitor.post("/replays", {**SINCE, "rate": "50", "reason": REASON})
    assert started.headers["location"] == "/replays?did=replay&number=5"
    (one,) = asked
    assert (one.system, one.events_per_second) == (SYSTEM, 50.0)
    assert one.since == dt.datetime(2026, 11, 24, 17, tzinfo=dt.UTC)
    (act,) = kafka.acts
    assert (act.act, act.agency, act.reason, act.detail) == (REPLAY, "kemenkes", REASON, "replay 5")


@pytest.mark.parametrize("path", ["/replays", "/replays/try", "/replays/cancel"])
async def test_a_steward_replays_to_the_own_systems_only(
    home: Path, kafka: Kafka, asked: list[Asked], path: str
) -> None:
    async with browser(home, bus_with(example())) as visitor:
        await visitor.log_in("steward-dukcapil")
        answer = await visitor.post(path, SINCE)
    assert answer.status_code == 403
    assert (asked, kafka.written) == ([], [])


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ({"system": "nobody.nothing"}, "Choose a consumer system"),
        ({"since": ""}, "Say since when"),
        ({"since": "2099-01-01T00:00"}, "not a moment at which events were published"),
        ({"until": "2026-11-24T00:00"}, "does not lie behind the beginning"),
        ({"until": "2099-01-01T00:00"}, "lies in the future"),
        ({"rate": "-1"}, "whole number"),
        ({"type": "id.go.nobody.v1"}, "no such event type"),
    ],
)
async def test_a_replay_that_cannot_be_asked_for_says_why(
    home: Path, kafka: Kafka, asked: list[Asked], form: dict[str, str], told: str
) -> None:
    async with browser(home, bus_with(example())) as visitor:
        await visitor.log_in("operator")
        for path in ("/replays", "/replays/try"):
            answer = await visitor.post(path, {**SINCE, **form})
            assert (answer.status_code, told in answer.text) == (400, True)
    assert (asked, kafka.written) == ([], [])


@pytest.mark.usefixtures("asked")
async def test_ending_replays_is_recorded(home: Path, kafka: Kafka) -> None:
    async with browser(home, bus_with(example())) as visitor:
        await visitor.log_in("operator")
        await visitor.post("/replays/cancel", {"system": SYSTEM})
    assert [(one.act, one.target, one.outcome) for one in kafka.acts] == [(CANCEL, SYSTEM, DONE)]
