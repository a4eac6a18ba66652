"""Whether a worker's memory grows: it carries events for as long as it is told to, and is looked at now and then."""

import time

from bench import report
from bench.backlog import Publisher
from bench.contender import THROUGHPUT, Failed
from bench.jobs import RELEASE
from bench.machine import moment
from bench.ours import Ours
from bench.processes import check_alive, cpu_seconds, ended, resident_bytes
from bench.stage import Stage, stage
from lintas import names

EVENTS = 1_000_000
PORTION = 100_000
PORTION_SECONDS = 300.0
KEPT = {"segment.bytes": str(64 << 20), "retention.bytes": str(256 << 20)}  # the disk need not hold it all


def measure(events: int) -> None:
    """Let one worker carry ``events`` of job C and write down its resident memory."""
    contender = Ours()
    with stage([RELEASE]) as bus:
        for topic in (
            RELEASE.topic,
            names.AUDIT_DECISIONS,
            *(contender.inbox(RELEASE, desk) for desk in RELEASE.desks),
        ):
            bus.cluster.set_config(topic, KEPT)
        processes = contender.start(bus, RELEASE, THROUGHPUT)
        publisher, rows, sizes = Publisher(bus), [], []
        with ended(processes):
            for done in range(0, events, PORTION):
                for n in range(done, done + PORTION):
                    publisher.event(RELEASE, n, f"memory-{n}")
                publisher.flush()
                deadline = time.monotonic() + PORTION_SECONDS
                while _behind(bus, contender):
                    check_alive(processes, bus.log(contender.name))
                    if time.monotonic() > deadline:
                        raise Failed(f"{_behind(bus, contender):,} events are still waiting")
                    time.sleep(0.2)
                sizes.append(resident_bytes(processes))
                cpu = cpu_seconds(processes)
                rows.append([f"{done + PORTION:,}", f"{sizes[-1] / 2**20:,.1f}", f"{cpu:,.0f}"])
                print(f"memory: {' | '.join(rows[-1])}", flush=True)
    shown = rows[:: max(len(rows) // 20, 1)]
    text = report.table(
        ["events carried", "resident, MiB", "CPU seconds"], shown if rows[-1] in shown else [*shown, rows[-1]]
    )
    settled = sizes[len(sizes) // 4 :]
    growth = (settled[-1] - settled[0]) / 2**20
    text = (
        f"**Memory** of one worker over {len(rows) * PORTION:,} events of job C. From a quarter of the way to the end "
        f"it changed by {growth:+,.1f} MiB (least {min(settled) / 2**20:,.1f}, most {max(settled) / 2**20:,.1f})."
        f"\n\n{text}\n\n{moment()}"
    )
    report.write_section("memory", text)
    print(text)


def _behind(bus: Stage, contender: Ours) -> int:
    partitions = bus.partitions(RELEASE)
    ends, committed = bus.cluster.ends(partitions), bus.cluster.committed(contender.group(RELEASE), partitions)
    return sum(ends[partition] - committed[partition] for partition in partitions)
