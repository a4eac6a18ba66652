"""Where the time of one event goes, step by step: each step alone, over the same events, without Kafka."""

import dataclasses
import datetime as dt
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from bench import catalogue, report
from bench.jobs import JOBS, PARTITIONS, Job, data_of, headers_of, key_of
from bench.machine import moment
from schemas.compose import compose, numbering
from schemas.pseudonyms import PseudonymKeys
from schemas.wire import framing
from schemas.wire.codec import Codec
from schemas.wire.varint import read_varint
from streams.audit import AuditWriter, Decided
from streams.batch import Batch
from streams.decide import Plans
from streams.evidence import LABEL, SALTS_IN, salts
from streams.producer import BATCH_BYTES
from streams.record_format import FilledBatch, RawBatch, content, filled_batches
from streams.traces import traces
from streams.window import DuplicateWindow, identity

EVENTS: Final = 20_000
IN_A_BATCH: Final = 500  # events of a publisher's record batch
AT_ONCE: Final = 500  # as lanes take them
ROUNDS: Final = 7
STEPS: Final = ("C", "E")
_KEYS: Final = PseudonymKeys.fixed({1: b"the bench knows no secrets".ljust(32)})


@dataclasses.dataclass(frozen=True)
class _Place:
    """Where one event lies in its record batch."""

    data: bytes
    begin: int  # of the content
    value: int
    headers: int
    end: int


def measure() -> None:
    """Time the steps of jobs E and C and write them down."""
    jobs = [JOBS[name] for name in STEPS]
    with tempfile.TemporaryDirectory(prefix="lintas-bench-") as folder:
        plans = Plans(compose(catalogue.write(Path(folder), jobs), numbering()), _KEYS)
    figures = {job.name: _steps(plans, job) for job in jobs}
    rows = [[step, *(f"{figures[name][step]:.2f}" for name in sorted(STEPS, reverse=True))] for step in figures["E"]]
    text = report.table(["step", *(f"{name}, us an event" for name in sorted(STEPS, reverse=True))], rows)
    text = f"Best of {ROUNDS} rounds of {EVENTS:,} events; processor time.\n\n{text}\n\n{moment()}"
    report.write_section("steps", text)
    print(text)


def _steps(plans: Plans, job: Job) -> dict[str, float]:
    raws = _publish(plans, job)
    plan = plans.by_topic[job.topic]
    _decide(plans, job, raws)  # learns the shape of the headers
    reading = next(iter(plan.readings.values()))
    match, walk, served = plan.envelopes.latest, reading.walk, [one for one in reading.plans if one is not None]
    places = [place for _, raw in raws for place in _places(raw)]
    salt, trace = os.urandom(32), next(traces(bytes(32), job.topic, 0))
    events = [
        (place.data, walk(place.data, place.value + 5, place.headers), attributes, b"key")
        for place in places
        if (attributes := match(place.data, place.headers, place.end)) is not None
    ]
    ids = [identity(attributes[0], attributes[1]) for _, _, attributes, _ in events]
    mine = [
        (one.deliver, event) for event in events for one in served if one.when is None or one.when(event[1], event[2])
    ]
    steps: dict[str, Callable[[], Any]] = {
        "open record batches (CRC, lz4)": lambda: [_opened(raw) for _, raw in raws],
        "recognise the headers": lambda: [match(at.data, at.headers, at.end) for at in places],
        "walk the payload": lambda: [walk(at.data, at.value + 5, at.headers) for at in places],
        "salts and commitments of what came in": lambda: [
            sha256(LABEL + one + at.data[at.begin : at.end]).digest()
            for at, one in zip(places, salts(bytes(32), SALTS_IN, job.topic, 0), strict=False)
        ],
        "duplicate window": lambda: _window(ids),
        "conditions": lambda: [one.when(found, x) for _, found, x, _ in events for one in served if one.when],
        "deliveries, with their commitments": lambda: [made(*event, salt, trace) for made, event in mine],
    }
    figures = {step: _best(run) / EVENTS for step, run in steps.items()}
    both = [_decide(plans, job, raws) for _ in range(ROUNDS)]
    decided, written = min(one for one, _ in both) / EVENTS, min(one for _, one in both) / EVENTS
    figures["all of deciding (the above, records taken apart, audit entries)"] = decided
    figures["writing record batches (lz4, CRC), audit record"] = written
    return figures


def _publish(plans: Plans, job: Job) -> list[tuple[int, bytes]]:
    """Record batches as a publisher's client makes them, by partition."""
    current = plans.snapshot.event_types[job.event_type].current
    codec = Codec(current.schema)
    contents: list[list[bytes]] = [[] for _ in range(PARTITIONS)]
    for n in range(EVENTS):
        value = framing.frame(current.id, codec.encode(data_of(n)))
        contents[n % PARTITIONS].append(content(key_of(n), value, headers_of(n, f"steps-{n}", job.event_type)))
    return [
        (partition, start.to_bytes(8, "big") + FilledBatch(held[start : start + IN_A_BATCH])._build()[8:])
        for partition, held in enumerate(contents)
        for start in range(0, len(held), IN_A_BATCH)
    ]


def _opened(raw: bytes) -> RawBatch:
    batch = RawBatch(raw, from_offset=0)
    batch.open()
    return batch


def _places(raw: bytes) -> Sequence[_Place]:
    batch = _opened(raw)
    found, at = [], 0
    for _ in range(batch.left):
        size, at = read_varint(batch.data, at, 32)
        end = at + (size >> 1)
        _, at = read_varint(batch.data, at + 1, 64)
        _, begin = read_varint(batch.data, at, 32)
        size, at = read_varint(batch.data, begin, 32)
        size, value = read_varint(batch.data, at + (size >> 1), 32)
        found.append(_Place(batch.data, begin, value, value + (size >> 1), end))
        at = end
    return found


def _window(ids: Sequence[bytes]) -> None:
    window = DuplicateWindow(records=10_000, seconds=900)
    for offset, one in enumerate(ids):
        window.is_repeat(offset, 0, one)


def _decide(plans: Plans, job: Job, raws: Sequence[tuple[int, bytes]]) -> tuple[float, float]:
    """Microseconds of deciding, and of making record batches of it."""
    windows = {(job.topic, number): DuplicateWindow(records=10_000, seconds=900) for number in range(PARTITIONS)}
    begun = time.process_time()
    batch = Batch(plans, windows, {}, at=dt.datetime.now(dt.UTC))
    for partition, raw in raws:
        held = RawBatch(raw, from_offset=0)
        while held.left:
            batch.add(job.topic, partition, held, AT_ONCE)
    decided = time.process_time()
    records = AuditWriter(1).records(
        Decided(batch.id, 1, 0, "bench", plans.digest, batch.at), list(batch.decided.values())
    )
    for contents in (*batch.outputs.values(), [content(b"lane-0", record, []) for record in records]):
        for filled in filled_batches(contents, BATCH_BYTES):
            filled._build()
    return (decided - begun) * 1e6, (time.process_time() - decided) * 1e6


def _best(run: Callable[[], Any]) -> float:
    best = float("inf")
    for _ in range(ROUNDS):
        begun = time.process_time()
        run()
        best = min(best, time.process_time() - begun)
    return best * 1e6
