"""Measures this machine and writes docs/performance.md.

    make bench                   jobs E, C, F and latency: ours and the peers
    make bench PART=scaling      ours: workers, lanes, agreements, event types, inboxes
    make bench PART=memory       ours: memory over many events
    make bench PART=hostile      ours: damaged payloads, by plan and by the reference path
    make bench PART=replay       ours: delays of live events beside a replay
    make bench PART=poison       ours: a backlog with an event that crashes the code
    make bench PART=steps        ours: where the time of one event goes
    make bench PART=watching     ours: what counting for metrics costs
    make bench PART=console      ours: how soon a page of the console is there (needs a Chromium)
    make bench PART=gateway      ours: events a second over HTTP, beside a service that only parses them

Without make: ``.venv/bin/python -m bench.run --part E --rounds 1 --events 20000``.
"""

import argparse
import signal
import sys
from collections.abc import Sequence

from bench import console, contest, gateway, hostile, memory, poison, replay, report, scaling, steps, watching
from bench.contender import Contender
from bench.jobs import JOBS, TIMED
from bench.machine import machine, moment
from bench.ours import Ours
from bench.peers.programs import peers
from bench.stage import stage

LATENCY = "latency"
PARTS = (
    "jobs",
    *JOBS,
    LATENCY,
    "scaling",
    *scaling.QUESTIONS,
    "memory",
    "hostile",
    "replay",
    "poison",
    "steps",
    "watching",
    "console",
    "gateway",
)


def main() -> None:
    """Measure one part and write its sections."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=PARTS, default="jobs")
    parser.add_argument("--events", type=int, help="a round, for the fast contenders; all events for memory")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=30, help="how long latency is measured")
    parser.add_argument("--only", action="append", help="a contender's name; may be repeated")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # as Ctrl-C does: everything that was started is ended
    report.write_section("machine", machine())
    if arguments.part == "memory":
        memory.measure(arguments.events or memory.EVENTS)
    elif arguments.part == "steps":
        steps.measure()
    elif arguments.part == "watching":
        watching.measure()
    elif arguments.part == "console":
        console.measure(arguments.rounds)
    elif arguments.part == "gateway":
        gateway.measure(arguments.rounds, min(arguments.seconds, gateway.LONGEST_SECONDS))
    elif arguments.part == "hostile":
        hostile.measure(arguments.events or hostile.PAYLOADS)
    elif arguments.part == "replay":
        replay.measure(arguments.events or replay.EVENTS, arguments.seconds)
    elif arguments.part == "poison":
        poison.measure(arguments.events or poison.EVENTS, arguments.rounds)
    elif arguments.part == "scaling" or arguments.part in scaling.QUESTIONS:
        scaling.measure(arguments.part, arguments.events or scaling.EVENTS, arguments.rounds)
    else:
        contenders = [Ours(), *(peer for peer in peers() if not arguments.only or peer.name in arguments.only)]
        _compare(arguments.part, contenders, arguments.events or contest.EVENTS, arguments.rounds, arguments.seconds)
    print(f"written to {report.PAGE}")


def _compare(part: str, contenders: Sequence[Contender], events: int, rounds: int, seconds: float) -> None:
    jobs = [job for name, job in JOBS.items() if part in ("jobs", name)]
    absent = contest.entrants(contenders)
    with stage([*JOBS.values(), TIMED]) as bus:
        for job in jobs:
            results = contest.run_job(bus, job, contenders, absent, events=events, rounds=rounds)
            text = contest.describe(job, results, contenders, rounds)
            _write(job.name, text)
        if part in ("jobs", LATENCY):
            found = contest.run_latency(bus, contenders, absent, seconds)
            text = report.latencies(found, {contender.name: contender.caveat for contender in contenders})
            _write(LATENCY, f"**Latency**: {TIMED.title}.\n\n{text}")


def _write(name: str, text: str) -> None:
    report.write_section(name, f"{text}\n\n{moment()}")
    print(text, flush=True)


if __name__ == "__main__":
    main()
