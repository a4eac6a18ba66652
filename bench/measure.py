"""One contender carries one backlog: how fast, and at what price in processor time."""

import dataclasses
import time
from collections.abc import Sequence

from bench.contender import THROUGHPUT, Contender, Failed
from bench.jobs import Job
from bench.processes import check_alive, cpu_seconds, ended
from bench.stage import Stage

POLL_SECONDS = 0.1
DEADLINE_SECONDS = 300.0
STEADY_FROM = 0.25  # what lies before is start-up: processes, connections, JIT compilation
STEADY_UNTIL = 0.9  # what lies behind is the last commits, of lanes that have less and less to do
LEAST_COMMITS = 3


@dataclasses.dataclass(frozen=True)
class Round:
    """One measurement.

    Attributes:
        events: that were carried.
        rate: events a second, of the steady part.
        cpu_us: processor microseconds an event, of the whole life of the processes.
        steady_cpu_us: the same of the steady part.
    """

    events: int
    rate: float
    cpu_us: float
    steady_cpu_us: float


@dataclasses.dataclass(frozen=True)
class Sample:
    """How far a contender was at a moment."""

    at: float
    done: int
    cpu: float


def carry(contender: Contender, stage: Stage, job: Job, events: int) -> Round:
    """Let a contender carry the last ``events`` of a job's topic.

    Raises:
        Failed: it ended early or did not finish in time.
    """
    contender.rewind(stage, job, events)
    return watch(contender, stage, [job], events)


def watch(contender: Contender, stage: Stage, jobs: Sequence[Job], events: int) -> Round:
    """Start a contender and measure it until it has carried the backlog of ``events`` in the topics of some jobs.

    Raises:
        Failed: it ended early or did not finish in time.
    """
    partitions = [partition for job in jobs for partition in stage.partitions(job)]
    ends, group = stage.cluster.ends(partitions), contender.group(jobs[0])
    processes = contender.start(stage, jobs[0], THROUGHPUT)
    samples: list[Sample] = []
    with ended(processes):
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not samples or samples[-1].done < events:
            check_alive(processes, stage.log(contender.name))
            if time.monotonic() > deadline:
                done = samples[-1].done if samples else 0
                raise Failed(f"{done:,} of {events:,} events within {DEADLINE_SECONDS:.0f} s")
            committed = stage.cluster.committed(group, partitions)
            behind = sum(ends[partition] - committed[partition] for partition in partitions)
            samples.append(Sample(time.perf_counter(), events - behind, cpu_seconds(processes)))
            time.sleep(POLL_SECONDS)
    return of_samples(events, samples)


def of_samples(events: int, samples: Sequence[Sample]) -> Round:
    """The figures of a run.

    The steady part begins and ends where a mark is first passed: at both, about as much work is done and not committed.

    Raises:
        Failed: there are too few commits in it.
    """
    first = next(sample for sample in samples if sample.done >= events * STEADY_FROM)
    last = next(sample for sample in samples if sample.done >= events * STEADY_UNTIL)
    commits = {sample.done for sample in samples if first.done <= sample.done <= last.done}
    if len(commits) < LEAST_COMMITS:
        raise Failed(f"{events:,} events came in {len(commits)} commits: too few to measure")
    steady = last.done - first.done
    return Round(
        events=events,
        rate=steady / (last.at - first.at),
        cpu_us=samples[-1].cpu / events * 1e6,
        steady_cpu_us=(last.cpu - first.cpu) / steady * 1e6,
    )
