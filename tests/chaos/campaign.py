"""One campaign: a cluster, publishers, workers, faults meanwhile, and the oracle's verdict on what came out."""

import asyncio
import contextlib
import dataclasses
import json
import logging
import math
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from cluster import ThreeBrokers
from confluent_kafka import KafkaException
from faults import KINDS, SESSION_SECONDS, TRANSACTION_SECONDS, Injected, Scene, inject, plan
from handover import Times, measure
from numbered import INPUTS, PUBLISHERS, RARE
from operators import Deployment, write_addresses
from oracle import Catalogues, History, Oracle, Violations
from publishers import Publisher
from transactions import left_open
from workers import LINTAS_WORKER, Crew

from lintas import names
from lintas.errors import BusUnavailable
from lintas.local.spawn import launched
from schemas.cluster import Cluster
from schemas.provision import ensure_bus

FIRST_LANES = 4
RARE_EVENTS = 60
FLOW_SECONDS = 180.0
STUCK_SECONDS = 120.0
REST_SECONDS = 30.0
ANSWER_SECONDS = 60.0
KEEPING_UP_SECONDS = 2.0
T = TypeVar("T")


@dataclasses.dataclass(frozen=True, slots=True)
class Terms:
    """What is to be done.

    Attributes:
        events: to be published, rounded up to the same number for each publisher.
        rate: events a second, all publishers together.
        faults: how many, ...
        seconds: ... over how long.
        seed: of the faults.
        kinds: of the faults.
        workers: how many.
        program: what a worker runs.
        samples: of each kind of hand-over.
        batch_events: most events in one transaction.
        retention_minutes: how long brokers remember positions that are not committed anew.
        fast_start: servers start sooner and run slower.
        keep_history: keep in memory what the oracle read.
    """

    events: int
    rate: float
    faults: int
    seconds: float
    seed: int = 1
    kinds: Sequence[str] = tuple(KINDS)
    workers: int = 2
    program: Sequence[str] = LINTAS_WORKER
    samples: int = 0
    batch_events: int = 1_000
    retention_minutes: int = 1
    fast_start: bool = True
    keep_history: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """What came out."""

    violations: Violations
    counted: Counter[str]
    injected: Injected
    ended_by_themselves: Sequence[int]
    unacknowledged: int
    killed: Times
    asked: Times
    lanes: int
    restored: int
    seconds: Mapping[str, float]
    history: History
    numbers: int
    catalogues: Catalogues


class Campaign:
    """Runs once, in a folder of its own."""

    def __init__(self, folder: Path, terms: Terms) -> None:
        self._terms = terms
        each = -(-terms.events // PUBLISHERS)
        self._each, self._numbers = each, each * PUBLISHERS
        self._publishers: list[subprocess.Popen[bytes]] = []
        self._seconds: dict[str, float] = {}
        self._operators: list[asyncio.Task[None]] = []
        self._cluster = ThreeBrokers(
            folder,
            fast_start=terms.fast_start,
            # positions of a partition without events are forgotten soon, unless lanes commit them anew
            overrides={
                "offsets.retention.minutes": str(terms.retention_minutes),
                "offsets.retention.check.interval.ms": "5000",
            },
        )
        self._settings = self._cluster.settings.model_copy(update={"lanes": FIRST_LANES})
        home = {"LINTAS_HOME": str(folder)}
        self._environment = home | {
            "LINTAS_BOOTSTRAP_SERVERS": self._cluster.worker_addresses,
            "LINTAS_SESSION_TIMEOUT_SECONDS": str(SESSION_SECONDS),
            "LINTAS_TRANSACTION_TIMEOUT_SECONDS": str(TRANSACTION_SECONDS),
            "LINTAS_BATCH_EVENTS": str(terms.batch_events),
            "LINTAS_IDLE_RECOMMIT_SECONDS": "10",
            "LINTAS_STOPPED_LANE_SECONDS": "3",
        }
        self._kafka = Cluster(self._settings)
        self._deployment = Deployment(self._cluster, home, lanes=FIRST_LANES)
        self._crew = Crew(terms.workers, folder, self._environment, terms.program)

    async def run(self) -> Outcome:
        """Do all of it.

        Raises:
            AssertionError: something other than the bus did not do its part.
        """
        try:
            with self._timed("start"):
                await self._start()
            scene = Scene(self._cluster, self._crew, self._deployment, self._environment)
            with self._timed("hand-overs"):
                killed, asked = await measure(self._cluster, self._crew, self._terms.samples, self._keeping_up)
            with self._timed("faults"):
                planned = plan(self._terms.seed, self._terms.faults, self._terms.kinds)
                injected = await inject(scene, planned, self._terms.seconds)
            violations = Violations()
            with self._timed("publishing"):
                unacknowledged = await self._published()
            with self._timed("draining"):
                await self._drain(violations)
                await self._deployment.recover_all()
                await self._deployment.end_replays()
                codes = await self._crew.end()
            for operator in self._operators:
                if operator.done():
                    operator.result()  # it was to go on to the end: what ended it?
            for code in codes:
                if code != 0:
                    violations.add("a worker that was asked to stop did not end well", str(code))
            with self._timed("reading back"):
                await self._at_rest(violations)
                history = await asyncio.to_thread(History.read, self._settings)
                if self._terms.keep_history:
                    history = await asyncio.to_thread(history.kept)
                oracle = await asyncio.to_thread(self._oracle, unacknowledged, history)
            oracle.violations.found.update(violations.found)
            return Outcome(
                oracle.violations,
                oracle.counted,
                injected,
                self._crew.by_themselves,
                len(unacknowledged),
                killed,
                asked,
                self._deployment.lanes,
                self._deployment.restored,
                self._seconds,
                history,
                self._numbers + RARE_EVENTS,
                oracle.catalogues,
            )
        finally:
            self._crew.kill()
            for publisher in self._publishers:
                publisher.kill()
                publisher.wait()
            for operator in self._operators:
                operator.cancel()
            await self._cluster.stop()

    @contextlib.contextmanager
    def _timed(self, phase: str) -> Any:
        begun = time.monotonic()
        sys.stderr.write(f"{phase} ...\n")
        yield
        self._seconds[phase] = time.monotonic() - begun

    async def _start(self) -> None:
        await self._cluster.start()
        write_addresses(self._settings, self._cluster.folder / "bus.json")
        await _answered(lambda: ensure_bus(self._settings))
        await self._deployment.apply()
        self._crew.start()
        logs = [worker.log for worker in self._crew.workers]
        self._operators.append(asyncio.create_task(self._deployment.look_after_positions(logs)))
        self._operators.append(asyncio.create_task(self._look()))
        for index in range(PUBLISHERS):
            self._publishers.append(self._publisher(index))
        deadline = time.monotonic() + FLOW_SECONDS
        while not any((await _answered(self._committed)).values()):
            assert time.monotonic() < deadline, f"nothing flows: see the workers' logs in {self._cluster.folder}"
            await asyncio.sleep(0.5)

    async def _look(self) -> None:
        """Look at the lanes' positions all the time, as operators do; librdkafka's own way has crashed here."""
        while True:
            with contextlib.suppress(BusUnavailable):
                await asyncio.to_thread(self._committed)
            await asyncio.sleep(1)

    def _publisher(self, index: int) -> subprocess.Popen[bytes]:
        folder = self._cluster.folder
        command = [sys.executable, str(Path(__file__).with_name("publishers.py")), "--home", str(folder)]
        command += ["--index", str(index), "--events", str(self._each), "--rate", str(self._terms.rate / PUBLISHERS)]
        command += ["--report", str(self._report(index))]
        with (folder / f"publisher-{index}.log").open("ab") as log:
            return subprocess.Popen(
                launched(command, user=None, death_signal=signal.SIGKILL), stdout=log, stderr=subprocess.STDOUT
            )

    def _report(self, index: int) -> Path:
        return self._cluster.folder / f"publisher-{index}.json"

    async def _published(self) -> set[int]:
        """Wait until everything is published; the numbers that were not acknowledged."""
        unacknowledged: set[int] = set()
        for index, publisher in enumerate(self._publishers):
            code = await asyncio.to_thread(publisher.wait)
            assert code == 0, f"publisher {index} failed: see {self._cluster.folder}/publisher-{index}.log"
            unacknowledged.update(json.loads(self._report(index).read_text())["unacknowledged"])
        await asyncio.to_thread(self._publish_rare)
        return unacknowledged

    def _publish_rare(self) -> None:
        """Events for partitions that had none all the time."""
        for index in range(PUBLISHERS):
            publisher = Publisher(self._settings, index)
            for number in range(self._numbers + index, self._numbers + RARE_EVENTS, PUBLISHERS):
                publisher.publish(number, RARE)
            publisher.finish()
            assert not publisher.unacknowledged, "nothing was broken at that time"

    async def _drain(self, violations: Violations) -> None:
        """Wait until the lanes have decided everything, as long as they get on."""
        moved, least = time.monotonic(), math.inf
        while behind := await _answered(self._behind):
            undecided = _undecided(behind)
            if undecided < least:
                moved, least = time.monotonic(), undecided
            if time.monotonic() > moved + STUCK_SECONDS:
                for place, (committed, end) in behind.items():
                    violations.add("stuck: undecided at the end", f"{place} at {committed} of {end}")
                return
            await asyncio.sleep(0.5)

    def _committed(self) -> dict[tuple[str, int], int]:
        return self._kafka.committed(names.LANES_OFFSETS_GROUP, INPUTS)

    def _behind(self) -> dict[tuple[str, int], tuple[int | None, int]]:
        """Positions and ends of partitions where they differ."""
        ends, committed = self._kafka.ends(INPUTS), self._committed()
        return {place: (committed.get(place), end) for place, end in ends.items() if committed.get(place) != end}

    async def _keeping_up(self) -> bool:
        """Whether no more is undecided than what was published lately."""
        return _undecided(await _answered(self._behind)) < KEEPING_UP_SECONDS * self._terms.rate

    async def _at_rest(self, violations: Violations) -> None:
        """Wait until no transaction is left open, those of killed workers included."""
        deadline = time.monotonic() + REST_SECONDS
        while open_ones := await _answered(lambda: list(left_open(self._cluster))):
            if time.monotonic() > deadline:
                for one in open_ones:
                    violations.add("transaction left open", one)
                return

    def _oracle(self, unacknowledged: set[int], history: History) -> Oracle:
        oracle = Oracle(self._numbers + RARE_EVENTS, Catalogues.read(self._settings))
        oracle.enter(history)
        for number in range(self._numbers + RARE_EVENTS):
            if number not in unacknowledged:
                oracle.acknowledge(number)
        oracle.judge()
        return oracle


def _undecided(behind: Mapping[tuple[str, int], tuple[int | None, int]]) -> int:
    return sum(end - (committed or 0) for committed, end in behind.values())


async def _answered(question: Callable[[], T]) -> T:
    """Ask in a thread, again while brokers are still finding together."""
    deadline = time.monotonic() + ANSWER_SECONDS
    while True:
        try:
            return await asyncio.to_thread(question)
        except (BusUnavailable, KafkaException):
            if time.monotonic() > deadline:
                raise
        await asyncio.sleep(0.5)


def run(folder: Path, terms: Terms) -> Outcome:
    """Run a campaign from the main thread."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # brokers are away: that is the point

    async def life() -> Outcome:
        return await Campaign(folder, terms).run()

    return asyncio.run(life())
