"""The console on a real bus: read why letters are dead, mend it, redrive them, and every act is on record."""

import asyncio
import csv
import datetime as dt
import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from console_visits import Browser, browser
from lane_bus import TOPIC, Sent, catalogue, inbox, lintas, publish, put_in_force, read, wait_until
from lane_promises import Workers

from lintas import names
from lintas.settings import Settings
from monitoring.console.bus import LiveBus
from schemas.cluster import Cluster
from streams.balance import balance

RELEASE = {"release": {"who": "pseudonym", "n": "keep"}}
STRICT = RELEASE | {"require": {"name-there": 'data.name != ""'}}
HERE = "/dead-letters/b.strict"
REASON = "mended by catalogue 2, ticket 17"
EVENTS = 8
KILLED = f"""
import os, signal
from lintas.settings import Settings
from streams.acts import recorded
from streams.acts_log import DISCARD, Actor
with recorded(Settings(), Actor("budi", "operator"), DISCARD, "dead.b.strict: 0", agency="b", reason="{REASON}"):
    os.kill(os.getpid(), signal.SIGKILL)
"""

pytestmark = pytest.mark.timeout(300)


def decided(settings: Settings) -> int:
    places = [(TOPIC, number) for number in range(4)]
    return sum(Cluster(settings).committed(names.LANES_OFFSETS_GROUP, places).values())


async def until(condition: Callable[[], bool], what: str) -> None:
    await asyncio.to_thread(wait_until, condition, what)


async def test_letters_are_read_redriven_and_on_record(settings: Settings, workers: Workers, tmp_path: Path) -> None:
    workers.start()
    strict = catalogue(tmp_path / "strict", consumers={"strict": STRICT})
    await asyncio.to_thread(put_in_force, settings, strict, wait_seconds=60)
    await publish(settings, (Sent(n, "good" if n % 2 else "nameless") for n in range(EVENTS)))
    await until(lambda: decided(settings) == EVENTS, "every event")
    bus = LiveBus(settings, dt.datetime.fromtimestamp(0, dt.UTC))
    bus.start()
    try:
        await until(lambda: bus.catalogue.value is not None, "the catalogue")
        async with browser(settings.home, bus) as visitor:
            await visitor.log_in("operator")
            await letters_are_read(visitor)
            before = bus.catalogue.value
            lenient = catalogue(tmp_path / "lenient", consumers={"strict": RELEASE})
            await asyncio.to_thread(put_in_force, settings, lenient, wait_seconds=60)
            await until(lambda: bus.catalogue.value != before, "the new catalogue")
            await letters_are_redriven_by_two_at_once(visitor)
            received = await inbox(settings, "b.strict")
            assert received.numbers == list(range(EVENTS))
            assert_killed(settings)
            ended = await asyncio.to_thread(lintas, settings, "replay", "b.strict", "--cancel", "--author", "rina")
            assert ended.returncode == 0, ended.stderr
            await acts_are_on_record(visitor)
    finally:
        bus.stop()
    books = await asyncio.to_thread(balance, settings)
    assert [str(difference) for difference in books.differences()] == []
    outcomes = books.agreements["strict"].outcomes
    assert (outcomes["delivered"], outcomes["dead"]) == (EVENTS, 0)
    logged = b"".join(record.value for record in await read(settings, names.ACTS))
    assert b"person-" not in logged
    assert b"Siti" not in logged


async def letters_are_read(visitor: Browser) -> None:
    owners = (await visitor.get("/dead-letters")).text
    assert f'<span class="tag bad">{EVENTS // 2}</span>' in owners
    listed = (await visitor.get(HERE)).text
    assert "name-there" in listed
    shown = (await visitor.get(f"{HERE}/0")).text
    assert "the requirement is not met" in shown
    assert "person-" not in shown
    clear = (await visitor.post(f"{HERE}/0/unmask", {"reason": REASON})).text
    assert "person-" in clear
    delivered = (
        await visitor.post("/inboxes/b.strict", {"agreement": "strict", "where": "data.n < 4", "step": "try"})
    ).text
    assert f"would match 2 of the newest {EVENTS // 2} deliveries" in delivered
    tried = (await visitor.post(f"{HERE}/redrive", {"step": "try", "all": "1"})).text
    assert "dead: require: name-there" in tried


async def letters_are_redriven_by_two_at_once(visitor: Browser) -> None:
    form = {"step": "do", "all": "1", "reason": REASON}
    answers = await asyncio.gather(*(visitor.post(f"{HERE}/redrive", form) for _ in range(2)))
    assert f"{HERE}?did=redrive&count={EVENTS // 2}" in {answer.headers.get("location") for answer in answers}
    for _ in range(120):
        progress = await visitor.get(f"{HERE}/progress", headers={"hx-request": "true"})
        if "has been given" in progress.text:
            return
        await asyncio.sleep(0.5)
    pytest.fail("letters were not given")


def assert_killed(settings: Settings) -> None:
    environment = {**os.environ, "LINTAS_HOME": str(settings.home)}
    killed = subprocess.run([sys.executable, "-c", KILLED], env=environment, timeout=60, check=False)
    assert killed.returncode == -signal.SIGKILL


async def acts_are_on_record(visitor: Browser) -> None:
    rows = list(csv.DictReader(io.StringIO((await visitor.post("/acts.csv")).text)))
    told = [(row["subject"], row["act"], row["outcome"], row["reason"]) for row in rows]
    assert told[:2] == [("rina", "cancel", "done", ""), ("budi", "discard", "unfinished", REASON)]
    assert [row["role"] for row in rows[:2]] == ["command line", "operator"]
    assert ("operator", "redrive", "done", REASON) in told
    assert told[-1] == ("operator", "unmask", "done", REASON)
    assert "unfinished" in (await visitor.get("/acts")).text
