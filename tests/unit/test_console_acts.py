"""The page of acts, and what is taken along of it."""

import csv
import dataclasses
import datetime as dt
import io
from pathlib import Path
from typing import Any

import pytest
from console_letters import (
    AT,
    bus_with,
    example,
    home_with_keys,
)
from console_visits import browser

from monitoring.console.pages import acts as acts_pages
from streams.acts_log import DONE, REDRIVE, UNFINISHED, UNMASK, Act, Actor, Acts


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return home_with_keys(tmp_path)


def act(name: str, subject: str, agency: str, **changed: Any) -> Act:
    return dataclasses.replace(
        Act(name, AT, Actor(subject, "operator"), REDRIVE, f"dead.{agency}.x: 1", agency, "mended", DONE, "", AT),
        **changed,
    )


LOGGED = (
    act("1", "rina", "dukcapil"),
    act("2", "budi", "kemenkes", act=UNMASK, reason="=1+1"),
    act("3", "steward-dukcapil", "kemenkes"),
    act("4", "rina", "", outcome=UNFINISHED, ended=None, at=AT + dt.timedelta(days=2)),
)


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> None:
    log = Acts()
    for number, one in enumerate(LOGGED):
        log.add(number, *one.begun())
        if one.ended is not None:
            log.add(number, *one.ending())
    monkeypatch.setattr(acts_pages, "acts_of", lambda _: log)


async def found(home: Path, who: str, form: dict[str, str]) -> list[list[str]]:
    """Subject and act of what an export holds."""
    async with browser(home, bus_with(example())) as visitor:
        await visitor.log_in(who)
        shown = (await visitor.post("/acts", form)).text
        rows = list(csv.DictReader(io.StringIO((await visitor.post("/acts.csv", form)).text)))
    assert shown.count("<tr>") - 1 == max(len(rows), 1), "the page and the export hold the same"
    return [[row["subject"], row["act"], row["outcome"]] for row in rows]


ALL = [
    ["rina", REDRIVE, UNFINISHED],
    ["steward-dukcapil", REDRIVE, DONE],
    ["budi", UNMASK, DONE],
    ["rina", REDRIVE, DONE],
]


@pytest.mark.usefixtures("logged")
@pytest.mark.parametrize(
    ("who", "form", "expected"),
    [
        ("auditor", {}, ALL),
        ("operator", {}, ALL),
        ("steward-dukcapil", {}, [ALL[1], ALL[3]]),  # what concerns the own agency, and what they did themselves
        ("auditor", {"who": "RIN"}, [ALL[0], ALL[3]]),
        ("auditor", {"act": UNMASK}, [ALL[2]]),
        ("auditor", {"outcome": UNFINISHED}, [ALL[0]]),
        ("auditor", {"agency": "kemenkes", "text": "MENDED"}, [ALL[1]]),
        ("auditor", {"since": "2026-11-27T00:00"}, [ALL[0]]),
        ("auditor", {"until": "2026-11-27T00:00"}, ALL[1:]),
        ("auditor", {"who": "nobody"}, []),
    ],
)
async def test_acts_are_found_by_who_what_and_when(
    home: Path, who: str, form: dict[str, str], expected: list[list[str]]
) -> None:
    assert await found(home, who, form) == expected


@pytest.mark.usefixtures("logged")
async def test_an_export_has_nothing_that_a_spreadsheet_computes(home: Path) -> None:
    async with browser(home, bus_with(example())) as visitor:
        await visitor.log_in("auditor")
        answer = await visitor.post("/acts.csv", {"act": UNMASK})
    assert answer.headers["content-type"].startswith("text/csv")
    (row,) = csv.DictReader(io.StringIO(answer.text))
    assert row["reason"] == "'=1+1"
