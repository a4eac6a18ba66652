"""How long an event is on its way at a steady rate: from the call that publishes it to its committed arrival."""

import dataclasses
import threading
import time
from collections.abc import Callable

from confluent_kafka import Consumer

from bench.backlog import Publisher
from bench.contender import LATENCY, Contender, Failed
from bench.jobs import TIMED
from bench.outputs import at_end, reader
from bench.processes import check_alive, ended
from bench.stage import Stage
from lintas import names

EVENTS_PER_SECOND = 1_000
SETTLE_SECONDS = 10.0  # processes warm up while events flow
READY_SECONDS = 90.0
KEEPS_UP_MS = 3_000.0
DRAIN_SECONDS = 30.0


@dataclasses.dataclass(frozen=True)
class Delays:
    """What was measured, in milliseconds."""

    events: int
    p50: float
    p99: float
    p999: float
    most: float


class Flow(threading.Thread):
    """Publishes events at a steady rate until told to stop; each carries the moment of its publishing in its id."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(daemon=True)
        self.sent: list[int] = []  # moments, in nanoseconds
        self._publisher = Publisher(stage, linger_ms=1)
        self._over = threading.Event()

    def run(self) -> None:
        """Publish."""
        begun = time.perf_counter()
        while not self._over.is_set():
            moment, n = time.time_ns(), len(self.sent)
            self.sent.append(moment)
            self._publisher.event(TIMED, n, f"{moment}-{n}")
            if (early := begun + (n + 1) / EVENTS_PER_SECOND - time.perf_counter()) > 0:
                time.sleep(early)

    def stop(self) -> None:
        """Publish no more; returns when all is published."""
        self._over.set()
        self.join()
        self._publisher.flush()


def delays(contender: Contender, stage: Stage, seconds: float) -> Delays:
    """Measure one contender for some seconds after it has settled.

    Raises:
        Failed: it ended, does not keep up, or loses events.
    """
    contender.rewind(stage, TIMED, 0)
    arrivals = reader(stage, stage.ends(contender.inbox(TIMED, desk) for desk in TIMED.desks))
    processes = contender.start(stage, TIMED, LATENCY)
    flow = Flow(stage)
    try:
        with ended(processes):
            flow.start()
            try:
                wait_until_ready(arrivals, lambda: check_alive(processes, stage.log(contender.name)))
                gather(arrivals, SETTLE_SECONDS)
                return of_span(arrivals, flow, seconds)
            finally:
                flow.stop()
    finally:
        arrivals.close()


def of_span(arrivals: Consumer, flow: Flow, seconds: float) -> Delays:
    """The delays of the events that are published within the next seconds.

    Raises:
        Failed: some do not arrive.
    """
    first = time.time_ns()
    measured = gather(arrivals, seconds)
    last = time.time_ns()
    wanted = sum(first <= moment < last for moment in list(flow.sent))
    deadline = time.monotonic() + DRAIN_SECONDS
    while sum(first <= moment < last for moment in measured) < wanted:
        if time.monotonic() > deadline:
            missing = wanted - sum(first <= moment < last for moment in measured)
            raise Failed(f"{missing:,} of {wanted:,} events did not arrive")
        measured |= gather(arrivals, 1)
    return _delays([delay for moment, delay in measured.items() if first <= moment < last])


def wait_until_ready(arrivals: Consumer, check: Callable[[], None]) -> None:
    """Return once events arrive in time.

    Raises:
        Failed: they do not.
    """
    deadline = time.monotonic() + READY_SECONDS
    while not any(delay < KEEPS_UP_MS for delay in gather(arrivals, 1).values()):
        check()
        if time.monotonic() > deadline:
            raise Failed(f"it does not keep up with {EVENTS_PER_SECOND:,} events/s")


def gather(arrivals: Consumer, seconds: float) -> dict[int, float]:
    """The delay in milliseconds of every live event that arrives, by its moment of publishing."""
    found: dict[int, float] = {}
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        message = arrivals.poll(0.1)
        if message is None or at_end(message):
            continue
        now = time.time_ns()
        headers = dict(message.headers() or [])
        if names.HEADER_REPLAY in headers:
            continue
        moment = int(headers["ce_id"].partition(b"-")[0])
        found[moment] = (now - moment) / 1e6
    return found


def _delays(found: list[float]) -> Delays:
    found.sort()

    def quantile(share: float) -> float:
        return found[min(int(len(found) * share), len(found) - 1)]

    return Delays(len(found), quantile(0.5), quantile(0.99), quantile(0.999), found[-1])
