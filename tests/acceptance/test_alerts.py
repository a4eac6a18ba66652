"""A running bus, watched by a real Prometheus and a real Alertmanager: for each fault people are told of that alone."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx
import pytest
from aiokafka import AIOKafkaConsumer
from deployment import Deployment
from lintas_client import BusUnreachable, Connection, NotAcknowledged, Publisher
from watched import Watched, missing_program, wait_until, watching

from lintas import names
from lintas.credentials import aiokafka_options
from lintas.local.bus import LocalBus
from lintas.local.programs import PROGRAMS
from lintas.settings import Settings
from monitoring.listed import metrics

pytestmark = [
    pytest.mark.timeout(1800),
    pytest.mark.long,  # a quarter of an hour: rules and routing run only so much faster that their order stays
    pytest.mark.skipif(bool(missing_program()), reason=f"not installed: {missing_program()}"),
]

SPEED: Final = int(os.environ.get("LINTAS_TEST_SPEED", "6"))  # how many times faster than by the clock
QUIET_SECONDS: Final = 360 / SPEED  # of a fault that has been told of, in which nothing else may be
TOLD_SECONDS: Final = 180 + 900 / SPEED  # programs notice at their own speed: a group is judged by its last ten rounds
EARTHQUAKE: Final = "id.go.bmkg.earthquake.measured.v1"
EARTH_SHOOK: Final = {"event_id": "q", "origin_time": "2026-11-24T01:02:03.000Z", "latitude": -7.1, "longitude": 106.2,
                      "depth_km": 10, "magnitude": "5.6", "magnitude_tenths": 56,
                      "region": "Java, Indonesia"}  # fmt: skip
READER: Final = "bnpb.early-warning"


class Bus:
    """A bus as ``lintas up`` runs it, and what can be broken about it."""

    def __init__(self, local: LocalBus, settings: Settings) -> None:
        self._local = local
        self.settings = settings

    @contextmanager
    def without(self, part: str) -> Iterator[None]:
        """A part is killed, and not started again until this is over."""
        status = self._local.status()
        supervisor = status.supervisor.process()
        process = next(one.process for one in status.parts if one.name == part)
        assert supervisor is not None
        assert process is not None
        supervisor.suspend()
        try:
            os.killpg(process.pid, signal.SIGKILL)
            yield
        finally:
            supervisor.resume()


@pytest.fixture(scope="module")
def bus_up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bus]:
    local = LocalBus(tmp_path_factory.mktemp("watched"), fast_start=True, programs=PROGRAMS)
    settings = local.start(outlive=False)
    try:
        applied = Deployment(settings).lintas("catalogue", "apply", "--wait")
        assert applied.returncode == 0, applied.stderr
        yield Bus(local, settings)
    finally:
        local.stop()


@pytest.fixture
def _earthquakes(bus_up: Bus) -> Iterator[None]:
    """Two a second, published by a program that tries again when the bus is away."""
    connection = Connection.from_properties(bus_up.settings.secrets / "bmkg.inatews.properties")
    ended = threading.Event()

    async def publish() -> None:
        number = 0
        while not ended.is_set():
            with contextlib.suppress(BusUnreachable, NotAcknowledged):
                async with Publisher(connection) as publisher:
                    while not ended.is_set():
                        await publisher.publish(EARTHQUAKE, EARTH_SHOOK, id=f"q{number}")
                        number += 1
                        await asyncio.sleep(0.5)
            await asyncio.sleep(0.5)

    thread = threading.Thread(target=lambda: asyncio.run(publish()))
    thread.start()
    yield
    ended.set()
    thread.join()


class Reader:
    """A consumer's own program: reads its inbox and commits, until it is stuck."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stuck, self._ended = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._read()))
        self._thread.start()

    def get_stuck(self) -> None:
        """Go on living, read nothing more."""
        self._stuck.set()

    def go_on(self) -> None:
        self._stuck.clear()

    def end(self) -> None:
        self._ended.set()
        self._thread.join(30)

    async def _read(self) -> None:
        consumer = AIOKafkaConsumer(
            names.inbox_topic(READER),
            **aiokafka_options(self._settings, READER),
            group_id=f"{READER}.map",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=45_000,
        )
        await consumer.start()
        try:
            while not self._ended.is_set():
                if self._stuck.is_set():
                    await asyncio.sleep(0.1)
                elif await consumer.getmany(timeout_ms=200):
                    await consumer.commit()
        finally:
            await consumer.stop()


@pytest.fixture
def reader(bus_up: Bus) -> Iterator[Reader]:
    made = Reader(bus_up.settings)
    yield made
    made.end()


@pytest.fixture
def watched(bus_up: Bus, reader: Reader, _earthquakes: None, tmp_path: Path) -> Iterator[Watched]:
    """Everything is well, and has been since anybody looked: what came late before is not remembered."""
    assert reader
    targets = Path(bus_up.settings.home) / "prometheus-targets.json"
    wait_until(lambda: not not_ready(targets), "all programs are ready", 240, lambda: not_ready(targets))
    with watching(tmp_path, targets, speed=SPEED) as made:
        wait_until(lambda: is_well(made), "everything is well", 180, lambda: (made.firing(), made.query("up == 0")))
        time.sleep(QUIET_SECONDS)
        assert made.told() == set()
        yield made


def not_ready(targets: Path) -> dict[str, str]:
    """What the programs say that keeps them from their work."""
    found = {}
    for job in json.loads(targets.read_text()):
        try:
            answer = httpx.get(f"http://{job['targets'][0]}/ready", timeout=5)
        except httpx.HTTPError as error:
            found[job["labels"]["job"]] = type(error).__name__
        else:
            if answer.status_code != httpx.codes.OK:
                found[job["labels"]["job"]] = answer.text
    return found


def is_well(watched: Watched) -> bool:
    return (
        watched.value("count(up == 1)") == len([program for program in PROGRAMS if program.listens]) + 2
        and watched.value(f'max(lintas_group_status{{group="{READER}.map",status="ok"}})') == 1
        and (watched.value("max(lintas_lag_seconds)") or 0) < 1
        and watched.value("min(lintas_part_up)") == 1
        and watched.firing() == set()
    )


def told_of(watched: Watched, alert: str, broken: Callable[[], object]) -> None:
    """Break something; people must be told of one alert, then of nothing else."""
    since = len(watched.notified)
    broken()
    wait_until(lambda: watched.told(since), f"people are told of {alert}", TOLD_SECONDS, watched.firing)
    time.sleep(QUIET_SECONDS)
    assert watched.told(since) == {alert}, watched.firing()


@pytest.mark.parametrize(
    ("part", "alert"),
    [
        ("worker", "LintasNoWorker"),
        ("registry", "LintasRegistryDown"),
        ("kafka", "LintasKafkaDown"),
    ],
)
def test_people_are_told_of_the_part_that_was_killed_and_of_nothing_else(
    bus_up: Bus, watched: Watched, part: str, alert: str
) -> None:
    with bus_up.without(part):
        told_of(watched, alert, lambda: None)


def test_people_are_told_of_a_consumer_that_is_stuck_and_of_nothing_else(watched: Watched, reader: Reader) -> None:
    told_of(watched, "LintasReaderStuck", reader.get_stuck)
    reader.go_on()


def test_prometheus_finds_no_fault_with_any_page(bus_up: Bus) -> None:
    listed = {one.name for one in metrics().values()}
    for job in json.loads((Path(bus_up.settings.home) / "prometheus-targets.json").read_text()):
        for target in job["targets"]:
            page = httpx.get(f"http://{target}/metrics", timeout=10)
            done = subprocess.run(
                ["promtool", "check", "metrics"], input=page.content, capture_output=True, check=False, timeout=60
            )
            assert (done.returncode, done.stdout, done.stderr) == (0, b"", b""), job
            served = {line.split()[2] for line in page.text.splitlines() if line.startswith("# TYPE ")}
            assert served <= listed, job
