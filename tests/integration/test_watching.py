"""On a real bus: the exporter sees what is behind, who is set aside, that Kafka is away; canary events come round."""

import asyncio
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import lane_bus
import pytest
from lane_bus import EVENT_TYPE, LINTAS_WORKER, Sent, Worker, publish, put_in_force, wait_until
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from lintas import names
from lintas.local.bus import LocalBus
from lintas.settings import Settings
from monitoring import group_status
from monitoring.endpoints import serve
from monitoring.exporter import Exporter
from schemas.bus_catalogue import with_bus
from schemas.provision import ensure_bus

EVENTS = 40
LANES = names.LANES_OFFSETS_GROUP
LINTAS_CANARY = ("-m", "lintas", "canary", "--every", "0.5", "--listen", "127.0.0.1:0")
Samples = dict[tuple[str, ...], float]


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    ensure_bus(settings)
    put_in_force(settings, lane_bus.catalogue(tmp_path / "catalogue"))
    return settings


@pytest.fixture
def run(settings: Settings, tmp_path: Path) -> Iterator[Callable[..., Worker]]:
    started: list[Worker] = []

    def start(program: tuple[str, ...], **environment: str) -> Worker:
        started.append(Worker(settings, tmp_path / f"{program[2]}-{len(started)}.log", program, **environment))
        return started[-1]

    yield start
    for one in started:
        one.end()


class Watched:
    """An exporter in this process, whose rounds the test makes, and its endpoints."""

    def __init__(self, settings: Settings) -> None:
        self.exporter = Exporter(settings, 1)
        registry = CollectorRegistry()
        registry.register(self.exporter)
        self.port = serve("exporter", registry, self.exporter.health, ("127.0.0.1", 0))

    async def until(self, what: str, condition: Callable[[Samples], bool], seconds: float = 60) -> Samples:
        async with asyncio.timeout(seconds):
            while True:
                await self.exporter.round()
                found = samples(self.port)
                if condition(found):
                    return found
                await asyncio.sleep(0.2)
        raise AssertionError(what)


@contextmanager
def kafka_killed(settings: Settings) -> Iterator[None]:
    """Kafka is dead; its supervisor brings it back only afterwards, or it might never be seen to be away."""
    state = LocalBus(settings.home).status()
    kafka = next(part for part in state.parts if part.name == "kafka")
    assert kafka.process is not None
    process, supervisor = kafka.process.process(), state.supervisor.process()
    assert process is not None
    assert supervisor is not None
    supervisor.suspend()
    try:
        process.kill()
        yield
    finally:
        supervisor.resume()


def get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def samples(port: int) -> Samples:
    families = text_string_to_metric_families(get(port, "/metrics")[1])
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def port_of(program: Worker) -> int:
    wait_until(lambda: "/metrics" in program.text, "it listens")
    return int(program.text.partition("http://127.0.0.1:")[2].partition("/")[0])


def assert_linted(port: int) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian: prometheus)")
    subprocess.run([promtool, "check", "metrics"], input=get(port, "/metrics")[1], text=True, check=True, timeout=30)


def even(start: int, kind: str) -> Iterator[Sent]:
    return (Sent(2 * n, kind) for n in range(start, start + EVENTS))


async def test_a_bus_is_seen_from_outside(
    settings: Settings, tmp_path: Path, run: Callable[..., Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_status, "SHORTEST_SECONDS", 2.0)
    watched = Watched(settings)
    assert get(watched.port, "/ready") == (503, "no round is complete yet\n")
    await publish(settings, even(0, "good"))

    # nobody carries events: they are behind, and get older
    behind = await watched.until(
        "the lanes have stopped", lambda found: found["lintas_group_status", LANES, "stop"] == 1
    )
    assert behind["lintas_lag_events", EVENT_TYPE] == EVENTS
    assert behind["lintas_lag_seconds", EVENT_TYPE] > 2
    assert behind["lintas_kafka_controllers",] == behind["lintas_kafka_brokers",] == 1
    assert behind["lintas_workers",] == behind["lintas_positions_missing", EVENT_TYPE] == 0
    assert get(watched.port, "/ready") == (200, "ok\n")

    # a canary that no catalogue names waits
    canary = run(LINTAS_CANARY)
    canary_port = port_of(canary)
    wait_until(lambda: "does not name the canary" in get(canary_port, "/ready")[1], "it says what it waits for")
    assert samples(canary_port)["lintas_canary_up",] == 0

    # a worker comes; it sets an agreement aside of which every event is dead
    put_in_force(settings, with_bus(lane_bus.catalogue(tmp_path / "with-the-bus")))
    run(LINTAS_WORKER, LINTAS_DEAD_LETTERS_IN_A_ROW="5")
    await watched.until("nothing is behind", lambda found: found["lintas_lag_events", EVENT_TYPE] == 0)
    await publish(settings, even(EVENTS, "nameless"))
    aside = await watched.until("set aside", lambda found: found["lintas_set_aside_partitions", "even", EVENT_TYPE] > 0)
    assert aside["lintas_set_aside_partitions", "all", EVENT_TYPE] == 0
    assert 0 < aside["lintas_letters_waiting", "dead.b.even"] <= EVENTS
    assert aside["lintas_lag_seconds", EVENT_TYPE] < 30  # only markers of transactions are behind, if anything is
    assert aside["lintas_workers",] == 1
    assert aside["lintas_group_status", LANES, "ok"] == 1

    # canary events come round, and the canary's group is seen to read them
    wait_until(lambda: get(canary_port, "/ready")[0] == 200, "a canary event has come round")
    came = samples(canary_port)
    assert came["lintas_canary_up",] == 1
    assert came["lintas_canary_sent_total",] >= came["lintas_canary_received_total",] >= 1
    assert {value for key, value in came.items() if key[0] == "lintas_canary_wrong_total"} == {0}
    await watched.until("it reads", lambda found: ("lintas_group_lag_events", names.CANARY, names.CANARY) in found)
    assert_linted(watched.port)
    assert_linted(canary_port)

    with kafka_killed(settings):
        gone = await watched.until("Kafka is away", lambda found: found["lintas_exporter_up",] == 0)
    assert gone["lintas_part_up", "kafka"] == 0
    assert gone["lintas_part_up", "registry"] == gone["lintas_part_up", "postgres"] == 1
    assert gone["lintas_letters_waiting", "dead.b.even"] == aside["lintas_letters_waiting", "dead.b.even"]
    await watched.until("Kafka is back", lambda found: found["lintas_exporter_up",] == 1)
    before = samples(canary_port)["lintas_canary_received_total",]
    wait_until(lambda: samples(canary_port)["lintas_canary_received_total",] > before, "canary events come again")
    assert samples(canary_port)["lintas_canary_wrong_total", "altered"] == 0
