"""Events of the past are given once more to one inbox: in order per key, marked, each once, others undisturbed."""

import asyncio
import datetime as dt
import json
import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import lane_bus
import pytest
from aiokafka.structs import ConsumerRecord
from lane_bus import TOPIC, Sent, catalogue, in_force, inbox, lintas, mixed, publish, put_in_force, wait_until
from lane_promises import Workers, expected

from lintas import names
from lintas.errors import CatalogueError
from lintas.settings import Settings
from schemas.cluster import Cluster
from schemas.wire import framing
from schemas.wire.codec import Codec
from streams.balance import balance

PAST, LIVE = 6_000, 3_000
PARTITIONS = [(TOPIC, number) for number in range(4)]
FULL = {"release": {"who": "pseudonym", "n": "keep", "name": "keep"}, "personal_data_in_clear": ["name"]}
BRIEF = {"release": {"who": "pseudonym", "n": "keep"}, "when": "data.n % 2 == 0"}

pytestmark = pytest.mark.timeout(300)


def decided(settings: Settings) -> int:
    return sum(Cluster(settings).committed(names.LANES_OFFSETS_GROUP, PARTITIONS).values())


def moment() -> str:
    """The present, with some room to what is published before and after it."""
    time.sleep(0.05)
    now = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
    time.sleep(0.05)
    return now


def replayed(settings: Settings, system: str) -> dict[str, list[ConsumerRecord]]:
    """What an inbox holds, by the replay that it was given for; live events under no name."""
    found: dict[str, list[ConsumerRecord]] = defaultdict(list)
    for record in asyncio.run(lane_bus.read(settings, names.inbox_topic(system))):
        found[dict(record.headers).get(names.HEADER_REPLAY, b"").decode()].append(record)
    return found


def numbers(settings: Settings, records: Iterable[ConsumerRecord], agreement: str = "all") -> list[int]:
    """The numbers of the events, once their order per key is checked."""
    codec = Codec(in_force(settings).agreements[agreement].released.schema)
    by_key: dict[tuple[int, bytes], list[int]] = defaultdict(list)
    for record in records:
        by_key[record.partition, record.key].append(codec.decode(framing.unframe(record.value)[1])["n"])
    assert all(of == sorted(of) for of in by_key.values())
    return sorted(number for of in by_key.values() for number in of)


def rows(found: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    assert found.returncode == 0, found.stderr
    told: list[dict[str, Any]] = json.loads(found.stdout)
    return told


def test_an_hour_is_replayed_beside_live_events_though_command_and_worker_are_killed(
    settings: Settings, workers: Workers
) -> None:
    first = workers.start(LINTAS_BATCH_EVENTS="500")
    early = list(mixed(0, 500))
    asyncio.run(publish(settings, iter(early)))
    begin = moment()
    past = list(mixed(500, PAST))
    asyncio.run(publish(settings, iter(past)))
    end = moment()
    wait_until(lambda: decided(settings) == 500 + PAST, "every event")
    good, _, _ = expected(past)
    options = ("b.all", "--from", begin, "--to", end)
    dry = {
        row["outcome"]: row["events"] for row in rows(lintas(settings, "replay", *options, "--dry-run", "-o", "json"))
    }
    assert dry == {"delivered": len(good), "left out: a repeat": 60, "left out: in quarantine": 60}
    assert lintas(settings, "replay", "b.all").stdout == "nothing has been replayed for b.all\n"

    live = list(mixed(500 + PAST, LIVE))
    with ThreadPoolExecutor() as pool:
        flowing = pool.submit(lambda: asyncio.run(publish_slowly(settings, live)))
        command = subprocess.Popen(
            [sys.executable, "-m", "lintas", "replay", *options],
            env={**os.environ, "LINTAS_HOME": str(settings.home)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while not (given := balance(settings).agreements["all"].replayed["delivered"]):
            time.sleep(0.1)
        command.kill()
        command.wait()
        first.kill()
        workers.start(LINTAS_BATCH_EVENTS="500")
        assert given < len(good), "it was to be killed half-way"
        two = [pool.submit(lintas, settings, "replay", *options, "-o", "json") for _ in range(2)]
        while not (flowing.done() and all(one.done() for one in two)):
            assert [str(difference) for difference in balance(settings).differences()] == []
        (done,), (also,) = (rows(one.result()) for one in two)
        flowing.result()
    assert done == also
    assert (done["delivered"], done["filtered"], done["not_given"], done["state"]) == (len(good), 0, 0, "done")
    wait_until(lambda: decided(settings) == 500 + PAST + LIVE, "every event")
    found = replayed(settings, "b.all")
    assert set(found) == {"", "0"}
    assert numbers(settings, found["0"]) == good
    assert numbers(settings, found[""]) == sorted(one for part in (early, past, live) for one in expected(part)[0])
    assert set(replayed(settings, "b.even")) == {""}
    assert [str(difference) for difference in balance(settings).differences()] == []


def test_a_replay_can_be_looked_at_slowed_down_ended_early_and_asked_for_again(
    settings: Settings, workers: Workers
) -> None:
    workers.start()
    options: tuple[str, ...] = ("b.all", "--from", moment())
    sent = list(mixed(0, 500))
    asyncio.run(publish(settings, iter(sent)))
    wait_until(lambda: decided(settings) == 500, "every event")
    options = (*options, "--to", moment())
    good, _, _ = expected(sent)
    done = rows(lintas(settings, "replay", *options, "-o", "json"))
    assert [(row["delivered"], row["state"]) for row in done] == [(len(good), "done")]
    again = lintas(settings, "replay", *options, "-o", "json")
    assert rows(again) == done
    assert "--again gives the events once more" in again.stderr

    slow = ("--rate", "10", "--no-wait", "-o", "json")
    assert rows(lintas(settings, "replay", *options, *slow))[0]["state"] == "0 of 4 input partitions done"
    assert lintas(settings, "replay", "b.all", "--cancel").stdout == "1 replay(s) cancelled\n"
    listed = rows(lintas(settings, "replay", "b.all", "-o", "json"))
    assert [(row["replay"], row["state"]) for row in listed] == [(0, "done"), (1, "cancelled")]
    assert rows(lintas(settings, "replay", *options, "--again", "-o", "json"))[0]["delivered"] == len(good)
    assert lintas(settings, "replay", "b.all", "--cancel", "--dry-run").returncode == 2
    assert lintas(settings, "replay", "b.all", "--from", "1969-01-01T00:00+00:00").returncode == 2
    ancient = rows(lintas(settings, "replay", "b.even", "--from", "1970-01-01T00:00+00:00", "-o", "json"))
    assert ancient[0]["state"] == "done"
    assert {number: len(records) for number, records in replayed(settings, "b.all").items() if number != "1"} == {
        "": len(good),
        "0": len(good),
        "3": len(good),  # number 2 of the log cancelled number 1
    }
    assert [str(difference) for difference in balance(settings).differences()] == []


async def publish_slowly(settings: Settings, sent: list[Sent]) -> None:
    for start in range(0, len(sent), 100):
        await publish(settings, iter(sent[start : start + 100]))


def test_a_replay_as_of_then_gives_no_more_than_either_agreement(
    settings: Settings, workers: Workers, tmp_path: Path
) -> None:
    workers.start()
    put_in_force(settings, catalogue(tmp_path / "full", consumers={"all": FULL}), wait_seconds=60)
    begin = moment()
    asyncio.run(publish(settings, (Sent(n) for n in range(100))))
    wait_until(lambda: decided(settings) == 100, "every event")
    then = moment()
    put_in_force(settings, catalogue(tmp_path / "brief", consumers={"all": BRIEF}), wait_seconds=60)
    brief = moment()

    tried = rows(lintas(settings, "replay", "b.all", "--from", begin, "--as-of", then, "--dry-run", "-o", "json"))
    assert {row["outcome"]: row["events"] for row in tried} == {"delivered": 50, "filtered": 50}
    done = rows(lintas(settings, "replay", "b.all", "--from", begin, "--as-of", then, "-o", "json"))[0]
    assert (done["delivered"], done["filtered"]) == (50, 50)
    put_in_force(settings, catalogue(tmp_path / "full", consumers={"all": FULL}), wait_seconds=60)
    done = rows(lintas(settings, "replay", "b.all", "--from", begin, "--as-of", brief, "-o", "json"))[0]
    assert (done["delivered"], done["filtered"]) == (50, 50)
    done = rows(lintas(settings, "replay", "b.all", "--from", begin, "--as-of", then, "--again", "-o", "json"))[0]
    assert (done["delivered"], done["filtered"]) == (100, 0)
    found = replayed(settings, "b.all")
    for number in ("0", "1"):
        assert len(found[number]) == 50
        assert all(b"Siti" not in record.value for record in found[number])
    assert all(b"Siti" in record.value for record in found["2"])
    # What is asked for as of then ends when the agreement changes: it may release less by now.
    slow = ("b.all", "--from", begin, "--as-of", then, "--rate", "4", "-o", "json")
    assert "partitions done" in rows(lintas(settings, "replay", *slow, "--no-wait"))[0]["state"]
    put_in_force(settings, catalogue(tmp_path / "brief", consumers={"all": BRIEF}), wait_seconds=60)
    ended = rows(lintas(settings, "replay", *slow))[0]
    assert ended["state"] == "stopped: the agreement or its event type has changed since"
    assert ended["delivered"] < 100
    before = lintas(settings, "replay", "b.all", "--from", begin, "--as-of", "2020-01-01T00:00+07:00")
    assert before.returncode == 1
    assert "none of its agreements of today was in force at 2020-01-01" in before.stderr
    assert [str(difference) for difference in balance(settings).differences()] == []


def test_a_new_agreement_gets_its_past_and_goes_on_live_without_gap_or_repeat(
    settings: Settings, workers: Workers, tmp_path: Path
) -> None:
    first = workers.start(LINTAS_BATCH_EVENTS="500")
    early = list(mixed(0, 500))
    asyncio.run(publish(settings, iter(early)))
    wait_until(lambda: decided(settings) == 500, "every event")  # what is decided later counts as live
    begin = moment()
    past = list(mixed(500, PAST))
    asyncio.run(publish(settings, iter(past)))
    late = {"release": {"who": "pseudonym", "n": "keep"}, "backfill": {"from": begin}}
    everyone = {"all": {"release": {"who": "pseudonym", "n": "keep"}}, "late": late}
    live = list(mixed(500 + PAST, LIVE))
    with ThreadPoolExecutor() as pool:
        flowing = pool.submit(lambda: asyncio.run(publish_slowly(settings, live)))
        put_in_force(settings, catalogue(tmp_path / "late", consumers=everyone), wait_seconds=60)
        wait_until(lambda: balance(settings).agreements["late"].outcomes["delivered"] > 0, "the first events")
        first.kill()
        workers.start(LINTAS_BATCH_EVENTS="500")
        flowing.result()
    wanted = sorted(one for part in (past, live) for one in expected(part)[0])
    wait_until(lambda: balance(settings).agreements["late"].outcomes["delivered"] >= len(wanted), "everything")
    received = asyncio.run(inbox(settings, "b.late"))
    assert received.numbers == wanted
    assert received.ordered
    assert set(replayed(settings, "b.late")) == {""}
    asyncio.run(publish(settings, (Sent(20_000 + n) for n in range(100))))
    wait_until(lambda: len(asyncio.run(inbox(settings, "b.late")).numbers) == len(wanted) + 100, "what is live")
    books = balance(settings)
    assert [str(difference) for difference in books.differences()] == []
    assert books.agreements["late"].outcomes["waiting"] == 0
    assert lintas(settings, "lanes", "show").stdout.count("late") == 0
    everyone["all"] = {**everyone["all"], "backfill": {"from": begin}}
    with pytest.raises(CatalogueError, match="agreement all was there before without this backfill"):
        put_in_force(settings, catalogue(tmp_path / "all", consumers=everyone))
