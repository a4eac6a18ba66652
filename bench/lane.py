"""How much one worker carries on this machine: deciding alone, and the whole lane through a local Kafka.

    make bench        or        .venv/bin/python bench/lane.py --events 50000 --rounds 3

Events are a generated day of the example deployment (24 event types, 67 agreements). Prints minimum, median and maximum
over the rounds; figures of shared machines differ from run to run.
"""

import argparse
import dataclasses
import datetime as dt
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
from confluent_kafka import Producer

import schemas
from connectors.generator.day import day
from connectors.generator.records import to_record
from lintas import names
from lintas.credentials import confluent_options
from lintas.local.bus import LocalBus
from lintas.settings import Settings
from schemas.cluster import Cluster
from schemas.load import load
from schemas.provision import apply, ensure_bus
from schemas.pseudonyms import PseudonymKeys
from schemas.publication import read_current
from schemas.snapshot import Snapshot
from schemas.wire.codec import Codec
from streams.batch import Batch
from streams.decide import Plans
from streams.overview import input_partitions
from streams.records import InputRecord
from streams.window import DuplicateWindow

DAY = dt.date(2026, 11, 24)
DEADLINE_SECONDS = 600


@dataclasses.dataclass(frozen=True)
class Round:
    """One measurement."""

    events: int
    seconds: float
    cpu_seconds: float


def records(snapshot: Snapshot, events: int, seed: int) -> list[InputRecord]:
    """A generated day as records, spread over partitions as a publisher would by key."""
    codecs = {name: Codec(one.current.schema) for name, one in snapshot.event_types.items()}
    made = []
    for offset, event in enumerate(day(seed, DAY, events)):
        published = snapshot.event_types[event.event_type]
        record = to_record(event, codecs[event.event_type], published.current.id)
        partition = hash(record.key) % published.contract.partitions
        made.append(InputRecord(published.topic, partition, offset, 0, record.key, record.value, list(record.headers)))
    return made


def decide(plans: Plans, inputs: Sequence[InputRecord], settings: Settings) -> Round:
    """Decide every record in batches, without any I/O."""
    windows = {
        partition: DuplicateWindow(records=settings.duplicate_window_records, seconds=settings.duplicate_window_seconds)
        for partition in input_partitions(plans.snapshot)
    }
    wall, cpu = time.perf_counter(), time.process_time()
    for start in range(0, len(inputs), settings.batch_events):
        batch = Batch(plans, windows, {}, at=dt.datetime.now(dt.UTC))
        for record in inputs[start : start + settings.batch_events]:
            batch.add(record)
    return Round(len(inputs), time.perf_counter() - wall, time.process_time() - cpu)


def publish(settings: Settings, inputs: Sequence[InputRecord]) -> None:
    """Write records to their topics, as the operator: what publishers do is not measured here."""
    producer = Producer(
        {
            **confluent_options(settings, names.ADMIN),
            "linger.ms": 50,
            "compression.type": "lz4",
            "queue.buffering.max.messages": 1_000_000,
        }
    )
    for record in inputs:
        producer.produce(
            record.topic, record.value, record.key, partition=record.partition, headers=list(record.headers)
        )
        producer.poll(0)
    producer.flush()


def behind(settings: Settings, snapshot: Snapshot) -> int:
    """Records that lanes have not decided yet."""
    cluster = Cluster(settings)
    inputs = input_partitions(snapshot)
    ends, committed = cluster.ends(inputs), cluster.committed(names.LANES_OFFSETS_GROUP, inputs)
    return sum(ends[partition] - committed[partition] for partition in inputs)


def carry(settings: Settings, snapshot: Snapshot, inputs: Sequence[InputRecord]) -> Round:
    """A worker carries a backlog: seconds from its first batch to its last, processor time of the whole process."""
    publish(settings, inputs)
    total = behind(settings, snapshot)
    worker = subprocess.Popen(
        [sys.executable, "-m", "lintas", "worker", "--log-level", "error"],
        env={**os.environ, "LINTAS_HOME": str(settings.home)},
    )
    try:
        process, deadline = psutil.Process(worker.pid), time.monotonic() + DEADLINE_SECONDS
        while behind(settings, snapshot) == total:
            time.sleep(0.05)
        begun, rest = time.perf_counter(), behind(settings, snapshot)
        cpu = sum(process.cpu_times()[:2])
        while behind(settings, snapshot):
            if time.monotonic() > deadline:
                raise TimeoutError("the worker did not finish; see its log")
            time.sleep(0.1)
        return Round(rest, time.perf_counter() - begun, sum(process.cpu_times()[:2]) - cpu)
    finally:
        worker.terminate()
        worker.wait()


def row(what: str, rounds: Sequence[Round]) -> str:
    """One line of the table."""
    rates = sorted(one.events / one.seconds for one in rounds)
    costs = sorted(one.cpu_seconds / one.events * 1e6 for one in rounds)
    figures = [rates[0], statistics.median(rates), rates[-1], costs[0], statistics.median(costs), costs[-1]]
    return f"{what:<28}" + "".join(f"{figure:>10,.0f}" for figure in figures)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    catalogue, problems = load(Path(schemas.__path__[0]) / "catalogue")
    if problems:
        raise SystemExit("the example deployment is not valid")
    with tempfile.TemporaryDirectory(prefix="lintas-bench-") as folder:
        bus = LocalBus(Path(folder))
        settings = bus.start(outlive=False)
        try:
            ensure_bus(settings)
            apply(settings, catalogue, author="bench")
            current = read_current(settings)
            assert current is not None, "just applied"
            snapshot = current[1]
            plans = Plans(snapshot, PseudonymKeys.load(settings.secrets / "pseudonym-keys"))
            decided, carried = [], []
            for number in range(arguments.rounds):
                inputs = records(snapshot, arguments.events, number)
                decided.append(decide(plans, inputs, settings))
                carried.append(carry(settings, snapshot, inputs))
        finally:
            bus.stop()
    print(
        f"{os.cpu_count()} processors, Python {sys.version.split()[0]}, "
        f"{arguments.events:,} events, {arguments.rounds} rounds"
    )
    print(f"{'':<28}{'events/s':^30}{'CPU us per event':^30}")
    print(f"{'':<28}" + "".join(f"{name:>10}" for name in ("min", "median", "max") * 2))
    print(row("decide, no I/O", decided))
    print(row("one worker, whole lane", carried))


if __name__ == "__main__":
    main()
