"""The processor's promise on a real bus: whatever happens on the way, the counts are those of the registrations."""

import asyncio
import datetime as dt
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from lintas_client import Connection, Delivery, Publisher, Subscriber

import schemas
from connectors.generator import population
from connectors.generator.world import World
from lintas.credentials import aiokafka_options, path_of
from lintas.local.bus import LocalBus
from lintas.settings import Settings
from schemas.load import load
from schemas.provision import apply
from streams.processors.counting import FIELDS
from streams.processors.ledger import COMPUTED
from streams.processors.vital_statistics import INBOX, SYSTEM

EXAMPLE = Path(schemas.__path__[0]) / "catalogue"
PUBLISHER, CONSUMER = "dukcapil.siak", "bappenas.planning"
BIRTH, DEATH, MOVE = (
    "id.go.dukcapil.birth.registered.v1",
    "id.go.dukcapil.death.registered.v1",
    "id.go.dukcapil.resident.moved.v1",
)
EVENTS, PACE, PAUSE_SECONDS = 3_000, 60, 0.4
# A silent instance is taken for gone sooner than usual, so that the test is short.
SESSION_SECONDS = 3
OVERRIDES = {"group.min.session.timeout.ms": "1000"}
PERSONAL = ("nik", "name", "registration_number", "letter_number", "family_card", "phone")
SEARCHED = 300  # registrations whose personal values are looked for in the inbox
Registered = tuple[str, str, dict[str, Any]]  # event type, id, payload
Counts = dict[tuple[str, str], dict[str, int]]  # by day and province


class Program:
    """A verb of the command line as a subprocess."""

    def __init__(self, settings: Settings, log: Path, *arguments: str, **environment: str) -> None:
        self._log = log
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "lintas", *arguments],
                env={**os.environ, "LINTAS_HOME": str(settings.home), **environment},
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    @property
    def text(self) -> str:
        return self._log.read_text(errors="replace")


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    """A bus without a catalogue."""
    bus = LocalBus(tmp_path / "bus", fast_start=True, kafka_overrides=OVERRIDES)
    yield bus.start(outlive=False)
    bus.stop()


@pytest.fixture
def started(settings: Settings, tmp_path: Path) -> Iterator[Callable[..., Program]]:
    """Starts programs that end with the test."""
    programs: list[Program] = []

    def start(*arguments: str, **environment: str) -> Program:
        log = tmp_path / f"{arguments[0]}-{len(programs)}.log"
        environment["LINTAS_SESSION_TIMEOUT_SECONDS"] = str(SESSION_SECONDS)
        programs.append(Program(settings, log, *arguments, **environment))
        return programs[-1]

    yield start
    for program in programs:
        program.kill()


def put_in_force(settings: Settings, folder: Path) -> None:
    """The part of the example deployment that vital statistics need."""
    wanted = (BIRTH, DEATH, MOVE, COMPUTED, SYSTEM, CONSUMER)
    shutil.copytree(EXAMPLE / "agencies", folder / "agencies")
    for kind in ("events", "agreements"):
        (folder / kind).mkdir()
        for file in (EXAMPLE / kind).iterdir():
            if file.name.startswith(wanted) and "trade" not in file.name:
                shutil.copy(file, folder / kind)
    for file in (folder / "agreements").glob(f"{CONSUMER}.*"):
        if not file.name.startswith(f"{CONSUMER}.vital-statistics"):
            file.unlink()
    catalogue, problems = load(folder)
    assert not problems, problems
    apply(settings, catalogue, author="test")


def registrations() -> list[Registered]:
    """Births, deaths and moves of three days, in no order of days, one in five published again much later."""
    rng = random.Random(7)
    world = World(rng)
    makers = {BIRTH: population.birth, DEATH: population.death, MOVE: population.move}
    registered: list[Registered] = []
    for number in range(EVENTS):
        event_type = rng.choice([BIRTH, BIRTH, DEATH, MOVE])
        at = dt.datetime(2026, 3, rng.randint(1, 3), 3, tzinfo=dt.UTC)
        registered.append((event_type, f"registration-{number}", makers[event_type](world, at)))
        if number % 5 == 0:
            registered.append(rng.choice(registered[: len(registered) // 2 + 1]))
    return registered


def counts_of(registered: Sequence[Registered]) -> Counts:
    """What an undisturbed count gives: each registration once."""
    counts: Counts = defaultdict(lambda: dict.fromkeys(FIELDS, 0))
    for event_type, _, data in {event_id: event for event in registered for event_id in [event[1]]}.values():
        day = data["registered_at"][:10]
        if event_type == MOVE:
            counts[day, data["from_province"]]["moves_out"] += 1
            counts[day, data["to_province"]]["moves_in"] += 1
        else:
            counts[day, data["province"]]["births" if event_type == BIRTH else "deaths"] += 1
    return dict(counts)


def connection(settings: Settings, system: str) -> Connection:
    return Connection.from_properties(path_of(settings, system))


async def publish(settings: Settings, registered: Sequence[Registered]) -> None:
    """A steady stream, so that there is always something under way."""
    async with Publisher(connection(settings, PUBLISHER)) as publisher:
        for start in range(0, len(registered), PACE):
            sent = [
                await publisher.send(event_type, data, id=event_id)
                for event_type, event_id, data in registered[start : start + PACE]
            ]
            await asyncio.gather(*sent)
            await asyncio.sleep(PAUSE_SECONDS)


async def received(settings: Settings) -> list[Delivery]:
    """Everything in the consumer's inbox."""
    async with Subscriber(connection(settings, CONSUMER), remember=False, follow=False) as subscriber:
        return [delivery async for delivery in subscriber]


def newest(deliveries: Sequence[Delivery]) -> Counts:
    """The counts that a consumer has in the end."""
    versions = {(d.data["day"].isoformat(), d.data["province"], d.data["version"]): d.data for d in deliveries}
    counts: Counts = {}
    for (day, province, _), data in sorted(versions.items(), key=lambda item: item[0]):
        counts[day, province] = {field: data[field] for field in FIELDS}
    return counts


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        left = deadline - time.monotonic()
        assert left > 0, f"not within {seconds} s: {what}"
        time.sleep(0.2)


async def raw_inbox(settings: Settings) -> bytes:
    """Every byte of the processor's inbox: keys, values, headers."""
    consumer = AIOKafkaConsumer(**aiokafka_options(settings, SYSTEM), isolation_level="read_committed")
    await consumer.start()
    try:
        partitions = [TopicPartition(INBOX, number) for number in await consumer._client._wait_on_metadata(INBOX)]
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        ends = await consumer.end_offsets(partitions)
        found = b""
        while not all([await consumer.position(at) >= end for at, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=200)).values():
                for record in records:
                    found += b"\n".join([record.key, record.value, *(value for _, value in record.headers), b"\n"])
    finally:
        await consumer.stop()
    return found


def personal_values(data: Any) -> Iterator[str]:
    """Names and numbers that nobody but the registry may see; so long that none occurs by chance."""
    if isinstance(data, dict):
        for field, value in data.items():
            if field in PERSONAL and value is not None and len(value) >= 8:
                yield str(value)
            yield from personal_values(value)
    elif isinstance(data, list):
        for item in data:
            yield from personal_values(item)


@pytest.mark.timeout(180)
def test_kill_9_repeats_and_late_events_leave_the_counts_of_an_undisturbed_run(
    settings: Settings, started: Callable[..., Program], tmp_path: Path
) -> None:
    early = started("processor", "vital-statistics")
    wait_until(lambda: "waiting: no catalogue in force names bps.vital-statistics" in early.text, "a plain log line")
    put_in_force(settings, tmp_path / "catalogue")
    # The bus's own window is made so small that most repeats reach the processor.
    started("worker", LINTAS_DUPLICATE_WINDOW_RECORDS="10")
    wait_until(lambda: "keys in the table" in early.text, "the catalogue lets the processor begin")
    second = started("processor", "vital-statistics")
    registered = registrations()

    with ThreadPoolExecutor() as pool:
        publishing = pool.submit(lambda: asyncio.run(publish(settings, registered)))
        wait_until(lambda: "events counted" in early.text, "the first counts")
        early.kill()
        third = started("processor", "vital-statistics")
        wait_until(lambda: "events counted" in second.text, "the second counts")
        second.kill()
        wait_until(lambda: "events counted" in third.text, "the third counts")
        # Silent for so long that its work is given to another; then it finds itself fenced.
        fourth = started("processor", "vital-statistics")
        third.process.send_signal(signal.SIGSTOP)
        wait_until(lambda: "events counted" in fourth.text, "the fourth counts")
        third.process.send_signal(signal.SIGCONT)
        assert third.process.wait(30) == 1
        # The paused one has disturbed the other: either may have ended, for a supervisor to start it again.
        last = started("processor", "vital-statistics")
        publishing.result()

    expected = counts_of(registered)
    wait_until(lambda: newest(asyncio.run(received(settings))) == expected, "the final counts")
    deliveries = asyncio.run(received(settings))
    versions: dict[tuple[Any, str], list[int]] = defaultdict(list)
    for delivery in deliveries:
        versions[delivery.data["day"], delivery.data["province"]].append(delivery.data["version"])
    assert all(found == list(range(1, len(found) + 1)) for found in versions.values())
    assert max(Counter(delivery.event["id"] for delivery in deliveries).values()) == 1
    assert max(len(found) for found in versions.values()) > 3  # it was a stream, not one batch

    inbox = asyncio.run(raw_inbox(settings))
    assert inbox.count(b"registered.v1") > EVENTS / 2
    searched = [value for _, _, data in registered[:SEARCHED] for value in personal_values(data)]
    assert len(searched) > SEARCHED
    assert not [value for value in searched if value.encode() in inbox]

    assert fourth.process.poll() is not None or fourth.end() == 0
    assert last.end() == 0
    assert '"frames"' not in last.text  # no exception was logged
