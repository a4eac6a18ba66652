"""Inboxes at the console: masked, and searched without telling what is masked."""

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from console_letters import (
    AGREEMENT,
    AT,
    BIRTH,
    SYSTEM,
    Kafka,
    births,
    bus_with,
    example,
    home_with_keys,
    kafka_that_remembers,
    values_of,
)
from console_visits import browser

from lintas import names
from monitoring.console.pages import inboxes
from schemas.wire import json_data
from schemas.wire.codec import Codec
from streams.acts_log import UNMASK
from streams.inbox import Delivery, Looked

REASON = "a complaint was made, number 17"
BIRTHS = births()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return home_with_keys(tmp_path)


def delivered(number: int) -> Delivery:
    released = example().agreements[AGREEMENT].released.schema
    codec = Codec(released)
    whole = {
        **BIRTHS[number].data,
        "mother": {"nik": BIRTHS[number].data["mother"]["nik"]},
        "registered_at": "2026-11-25",
    }
    kept = {field["name"] for field in released["fields"]}
    child = {name: value for name, value in whole["child"].items() if name != "birth_order"}
    data = json_data.from_json(codec, {name: value for name, value in whole.items() if name in kept} | {"child": child})
    attributes = {**BIRTHS[number].attributes, "agreement": AGREEMENT, "type": BIRTH}
    return Delivery(0, number, AT, attributes, data, codec)


class Lying:
    """An inbox in which some deliveries lie; remembers how it was looked into."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Any]] = []

    def __call__(self, *_: Any) -> "Lying":
        return self

    def newest(self, wanted: Any, budget: Any, before: Any = None, page: int = 50) -> Looked:
        self.asked.append(("newest", before))
        found = [one for one in map(delivered, range(3)) if wanted(one)]
        return Looked(found[:page], 3, wanted.failed, {0: 3}, {0: 0}, cut=budget.most == 0)

    def onward(self, wanted: Any, _: Any, start: Any, __: int = 50) -> Looked:
        self.asked.append(("onward", start))
        return Looked([one for one in [delivered(0)] if wanted(one)], 1, 0, {0: 1}, None, cut=False)


@pytest.fixture
def lying(monkeypatch: pytest.MonkeyPatch) -> Lying:
    lying = Lying()
    monkeypatch.setattr(inboxes, "Inbox", lying)
    return lying


@pytest.fixture
def kafka(monkeypatch: pytest.MonkeyPatch) -> Kafka:
    return kafka_that_remembers(monkeypatch)


def is_masked(page: str) -> bool:
    return not any(value in page for value in values_of(BIRTHS[0].data) | {BIRTHS[0].attributes["id"]})


HERE = f"/inboxes/{SYSTEM}"


@pytest.mark.parametrize(
    ("form", "asked"),
    [
        ({}, ("newest", None)),
        ({"start": "beginning"}, ("onward", None)),
        ({"start": "offset", "partition": "2", "offset": "17"}, ("onward", {2: 17})),
        (
            {"start": "time", "at": "2026-11-26T08:00"},
            ("onward", dt.datetime(2026, 11, 26, 1, tzinfo=dt.UTC)),  # in Jakarta's time
        ),
        ({"start": "beginning", "step": "older", "place": "0:12"}, ("newest", {0: 12})),
        ({"step": "newer", "place": "0:12,1:7"}, ("onward", {0: 12, 1: 7})),
        ({"start": "beginning", "step": "follow"}, ("newest", None)),
    ],
)
async def test_an_inbox_is_looked_into_from_where_somebody_wants_and_is_masked(
    home: Path, lying: Lying, form: dict[str, str], asked: Any
) -> None:
    async with browser(home, bus_with(example())) as visitor:
        await visitor.log_in("steward-kemenkes")
        answer = await visitor.post(HERE, form)
    assert answer.status_code == 200
    assert lying.asked == [asked]
    assert is_masked(answer.text)
    assert AGREEMENT in answer.text
    assert ('hx-trigger="every 3s' in answer.text) == (form.get("step") == "follow")


async def test_a_condition_is_tried_on_a_sample_first(home: Path, lying: Lying) -> None:
    province = BIRTHS[0].data["province"]
    matches = sum(one.data["province"] == province for one in BIRTHS)
    async with browser(home, bus_with(example())) as visitor:
        await visitor.log_in("operator")
        form = {"step": "try", "agreement": AGREEMENT, "where": f"data.province == '{province}'"}
        answer = await visitor.post(HERE, form)
    assert f"would match {matches} of the newest 3 deliveries" in answer.text
    assert 'id="deliveries"' not in answer.text
    assert lying.asked == [("newest", None)]


@pytest.mark.parametrize(
    ("where", "told"),
    [
        ("data.province = '32'", "Line 1, column 15"),
        ("data.nothing == 1", "has no field nothing"),
        ("data.child.nik == '1'", "data.child.nik is masked for you"),
        ("event.id == '1'", "event.id is masked for you"),
    ],
)
async def test_a_condition_that_cannot_be_used_says_why(home: Path, lying: Lying, where: str, told: str) -> None:
    async with browser(home, bus_with(example())) as visitor:
        await visitor.log_in("operator")
        answer = await visitor.post(HERE, {"agreement": AGREEMENT, "where": where})
    assert answer.status_code == 400
    assert told in answer.text
    assert lying.asked == []


@pytest.mark.usefixtures("lying")
async def test_masked_headers_cannot_be_searched(home: Path) -> None:
    identity = BIRTHS[0].attributes["id"]
    async with browser(home, bus_with(example())) as visitor:
        await visitor.log_in("operator")
        by_text = await visitor.post(HERE, {"header": identity[:8]})
        by_type = await visitor.post(HERE, {"header": BIRTH.upper()})
        whole = await visitor.post(HERE, {"event_id": identity})
    assert "None was found" in by_text.text
    assert "None was found" not in by_type.text
    assert "None was found" not in whole.text, "who knows an id may look for it"


@pytest.mark.usefixtures("lying")
async def test_it_is_recorded_which_deliveries_somebody_saw_in_clear(home: Path, kafka: Kafka) -> None:
    async with browser(home, bus_with(example())) as visitor:
        await visitor.log_in("steward-kemenkes")
        short = await visitor.post(HERE, {"unmask": "1", "reason": "no"})
        assert (short.status_code, is_masked(short.text), kafka.written) == (400, True, [])
        answer = await visitor.post(HERE, {"unmask": "1", "reason": REASON})
        kafka.refuses = frozenset({names.ACTS})
        refused = await visitor.post(HERE, {"unmask": "1", "reason": REASON})
    assert BIRTHS[0].data["child"]["nik"] in answer.text
    assert [(one.act, one.target, one.reason, one.detail) for one in kafka.acts] == [
        (UNMASK, f"inbox.{SYSTEM}", REASON, "shown: 0:0, 0:1, 0:2")
    ]
    assert (refused.status_code, is_masked(refused.text)) == (503, True)


@pytest.mark.usefixtures("lying")
async def test_a_part_is_rows_and_the_place_that_comes_next(home: Path) -> None:
    async with browser(home, bus_with(example())) as visitor:
        await visitor.log_in("operator")
        answer = await visitor.post(HERE, {"step": "newer", "place": "0:0"}, headers={"hx-request": "true"})
    assert "<html" not in answer.text
    assert 'hx-swap-oob="true"><input type="hidden" name="place" value="0:1">' in answer.text
