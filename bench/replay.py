"""Whether live events are held up by a replay: their delays before it and beside it, in one run."""

import datetime as dt
import time

from bench import report
from bench.backlog import publish
from bench.contender import LATENCY, Failed
from bench.jobs import TIMED
from bench.latency import EVENTS_PER_SECOND, SETTLE_SECONDS, Flow, gather, of_span, wait_until_ready
from bench.machine import moment
from bench.measure import DEADLINE_SECONDS
from bench.ours import Ours
from bench.outputs import reader
from bench.processes import check_alive, ended
from bench.stage import Stage, stage
from lintas import names
from streams import replay
from streams.balance import balance
from streams.replay_log import Replay

EVENTS = 1_000_000  # of the past: more than are replayed while it is measured
BEGIN_SECONDS = 30.0


def measure(events: int, seconds: float) -> None:
    """Replay ``events`` beside a steady flow, and write down the delays of ``seconds`` without it and with it."""
    contender = Ours()
    with stage([TIMED]) as bus:
        since = dt.datetime.now(dt.UTC)
        publish(bus, [TIMED], events)
        until = dt.datetime.now(dt.UTC)
        processes = contender.start(bus, TIMED, LATENCY)
        with ended(processes):
            _wait_until_decided(bus)
            arrivals = reader(bus, bus.ends(contender.inbox(TIMED, desk) for desk in TIMED.desks))
            flow = Flow(bus)
            flow.start()
            try:
                wait_until_ready(arrivals, lambda: check_alive(processes, bus.log(contender.name)))
                gather(arrivals, SETTLE_SECONDS)
                calm = of_span(arrivals, flow, seconds)
                one = _begin(bus, since, until)
                gather(arrivals, SETTLE_SECONDS)
                begun, before = time.monotonic(), _replayed(bus, one)
                beside = of_span(arrivals, flow, seconds)
                rate = (_replayed(bus, one) - before) / (time.monotonic() - begun)
                if _has_ended(bus, one):
                    raise Failed("the replay ended while it was measured: more --events are wanted")
                differences = balance(bus.settings).differences()
            finally:
                flow.stop()
                arrivals.close()
    rows = [
        [what, *(f"{value:,.1f}" for value in (found.p50, found.p99, found.p999, found.most)), f"{found.events:,}"]
        for what, found in (("without", calm), ("beside a replay", beside))
    ]
    text = (
        f"**Replay**: delays of live events ({TIMED.title}), and beside the replay of one inbox, which gave "
        f"{rate:,.0f} events/s meanwhile; the p99 is {beside.p99 / calm.p99:.2f} times that without. "
        f"`lintas balance` while both went on: {len(differences)} differences.\n\n"
        f"{report.table(['ms', 'p50', 'p99', 'p99.9', 'most', 'events'], rows)}\n\n{moment()}"
    )
    report.write_section("replay", text)
    print(text)


def _wait_until_decided(bus: Stage) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    partitions = bus.partitions(TIMED)
    while bus.cluster.committed(names.LANES_OFFSETS_GROUP, partitions) != bus.cluster.ends(partitions):
        if time.monotonic() > deadline:
            raise Failed("the events of the past are not decided in time")
        time.sleep(0.5)


def _begin(bus: Stage, since: dt.datetime, until: dt.datetime) -> Replay:
    asked = replay.Asked(TIMED.desks[0].system, since, until)
    one = replay.replay(bus.settings, asked, author="bench")
    deadline = time.monotonic() + BEGIN_SECONDS
    while not _replayed(bus, one):
        if time.monotonic() > deadline:
            raise Failed(f"the replay has not begun after {BEGIN_SECONDS:.0f} s, at {EVENTS_PER_SECOND:,} events/s")
        time.sleep(0.2)
    return one


def _replayed(bus: Stage, one: Replay) -> int:
    """How many events were given or did not concern the consumer."""
    reached = replay.state(bus.settings, replay.replays_of(bus.settings), one)
    return sum(now.delivered + now.filtered for now in reached.values() if now is not None)


def _has_ended(bus: Stage, one: Replay) -> bool:
    replays = replay.replays_of(bus.settings)
    return replay.has_ended(replays, one, replay.state(bus.settings, replays, one))
