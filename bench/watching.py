"""What it costs a lane to be watched: the same events with and without counting, in turns, in one process.

Counting is part of the loop that decides events (one note for each); without it, the same loop is run with those lines
taken out of its source. What is done once for each batch is the observer's.
"""

import datetime as dt
import inspect
import re
import tempfile
import textwrap
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final
from unittest import mock

from bench import catalogue, report, steps
from bench.jobs import JOBS, PARTITIONS, Job
from bench.machine import moment
from monitoring.worker_health import WorkerWatch
from schemas.compose import compose, numbering
from streams import carrier
from streams.audit import AuditWriter, Decided
from streams.batch import Batch
from streams.decide import Plans
from streams.observer import UNWATCHED, LaneObserver
from streams.producer import BATCH_BYTES
from streams.record_format import RawBatch, content, filled_batches
from streams.window import DuplicateWindow

ROUNDS: Final = 31
BATCHES: Final = (20_000, 500)  # events in a transaction: of a backlog, and of a steady flow
_COUNTING: Final = re.compile(r".*\bleft_out\b.*\n")


def measure() -> None:
    """Time both and write it down."""
    jobs = [JOBS[name] for name in steps.STEPS]
    with tempfile.TemporaryDirectory(prefix="lintas-bench-") as folder:
        plans = Plans(compose(catalogue.write(Path(folder), jobs), numbering()), steps._KEYS)
    rows: list[list[str]] = []
    for job in reversed(jobs):
        raws = steps._publish(plans, job)
        rows += [[job.name, f"{size:,}", *_compared(plans, job, raws, size)] for size in BATCHES]
    head = ["job", "events in a batch", "unwatched, us an event", "watched, us an event", "more"]
    text = (
        f"Best of {ROUNDS} rounds, in turns, of {steps.EVENTS:,} events; processor time of deciding and of making "
        f"record batches, without Kafka.\n\n{report.table(head, rows)}\n\n{moment()}"
    )
    report.write_section("watching", text)
    print(text)


def _compared(plans: Plans, job: Job, raws: Sequence[tuple[int, bytes]], size: int) -> tuple[str, str, str]:
    watch = WorkerWatch()
    watch.took_up(plans)
    without, with_it = [], []
    plain = _uncounted()
    for _ in range(ROUNDS + 1):
        with mock.patch.object(carrier.Carrier, "_decide", plain):
            without.append(_carry(plans, job, raws, size, UNWATCHED))
        with_it.append(_carry(plans, job, raws, size, watch))
    del without[0], with_it[0]  # the first learns the shape of the headers
    a, b = (min(times) / steps.EVENTS * 1e6 for times in (without, with_it))
    return f"{a:.2f}", f"{b:.2f}", f"{b / a - 1:+.1%}"


def _uncounted() -> Callable[..., Any]:
    """The loop that decides events, without the lines that count them."""
    source = textwrap.dedent(inspect.getsource(carrier.Carrier._decide))
    plain, taken_out = _COUNTING.subn("", source)
    assert taken_out == 3, "the loop counts otherwise than this bench knows"  # noqa: PLR2004  lines that are there
    made: dict[str, Any] = {}
    exec(compile(plain, carrier.__file__, "exec"), vars(carrier), made)
    return made["_decide"]  # type: ignore[no-any-return]  # a function


def _carry(plans: Plans, job: Job, raws: Sequence[tuple[int, bytes]], size: int, observer: LaneObserver) -> float:
    """Seconds of processor time for all events in batches of so many."""
    windows = {(job.topic, number): DuplicateWindow(records=10_000, seconds=900) for number in range(PARTITIONS)}
    held = [(partition, RawBatch(raw, from_offset=0)) for partition, raw in raws]
    begun = time.process_time()
    while held:
        batch = Batch(plans, windows, {}, at=dt.datetime.now(dt.UTC))
        while held and batch.events < size:
            partition, raw = held[0]
            batch.add(job.topic, partition, raw, min(steps.AT_ONCE, size - batch.events))
            if not raw.left:
                del held[0]
        decided = Decided(batch.id, 1, 0, "bench", plans.digest, batch.at)
        records = AuditWriter(1).records(decided, list(batch.decided.values()))
        for contents in (*batch.outputs.values(), [content(b"lane-0", record, []) for record in records]):
            for filled in filled_batches(contents, BATCH_BYTES):
                filled._build()
        observer.committed(plans, batch, decide_seconds=0.01, commit_seconds=0.01)
    return time.process_time() - begun
