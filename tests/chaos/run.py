"""The long campaign, as ``make chaos`` runs it.

.venv/bin/python tests/chaos/run.py --events 5000000 --faults 1400 --seed 1 --minutes 104

Prints what was done and what came out; exit 1 where anything is wrong. Keeps nothing, but the folder of a campaign with
violations, outside the repository. The same seed gives the same faults in the same order at the same times.
"""

import argparse
import dataclasses
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from campaign import Outcome, Terms, run
from faults import KINDS
from workers import LINTAS_WORKER

HAND_OVER_SECONDS = 30  # generously: events must flow as long as hand-overs are measured
BATCH_EVENTS = 4_000
HAND_OVER_RATE = 500  # events a second: few, so that it is the hand-over that takes time and not what has piled up
BROKEN_WORKERS = Path(__file__).with_name("broken_workers.py")


def report(terms: Terms, outcome: Outcome) -> Iterator[str]:
    """What a person wants to know of a campaign."""
    yield f"seed {terms.seed}, {terms.workers} workers, {outcome.lanes} lanes at the end"
    yield f"{outcome.injected.happened.total():,} faults happened, {outcome.injected.in_vain.total():,} met nothing"
    for kind in terms.kinds if terms.faults else ():
        happened, in_vain = outcome.injected.happened[kind], outcome.injected.in_vain[kind]
        yield f"  {kind:<30}{happened:>6}" + (f"  ({in_vain} in vain)" if in_vain else "")
    for what in ("published", "routed", "duplicate", "quarantined", "deliveries", "dead", "filtered", "suspended"):
        yield f"  {what:<30}{outcome.counted[what]:>12,}"
    yield f"  {'waiting, for a time':<30}{outcome.counted['waiting']:>12,}"
    yield f"  {'given at last':<30}{outcome.counted['resumed']:>12,}"
    yield f"  {'past of who came late':<30}{outcome.counted['backfilled']:>12,}"
    yield f"  {'replayed':<30}{outcome.counted['replayed']:>12,}"
    yield f"  {'audit records':<30}{outcome.counted['audit records']:>12,}"
    yield f"events without acknowledgement: {outcome.unacknowledged}"
    yield f"`lintas lanes restore` was called for, after outages in which brokers forgot positions: {outcome.restored}"
    yield f"workers that ended by themselves: {list(outcome.ended_by_themselves) or 'none'}"
    if terms.samples:
        yield f"from kill -9 of a worker to output of another (min / median / max): {outcome.killed}"
        yield f"from SIGTERM to output of another (min / median / max): {outcome.asked}"
    yield "seconds: " + ", ".join(f"{phase} {seconds:.0f}" for phase, seconds in outcome.seconds.items())
    yield f"VIOLATIONS: {outcome.violations}"


def main() -> None:
    """Run a campaign and print what came out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=5_000_000)
    parser.add_argument("--faults", type=int, default=1_400, help="planned; some meet nothing")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=104, help="how long faults are injected")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--samples", type=int, default=5, help="hand-overs measured, of each kind")
    parser.add_argument("--kinds", nargs="*", choices=list(KINDS), default=list(KINDS), metavar="KIND")
    parser.add_argument("--broken", help="run broken workers instead: see broken_workers.py")
    arguments = parser.parse_args()
    program = LINTAS_WORKER if arguments.broken is None else (str(BROKEN_WORKERS), arguments.broken)
    faults = Terms(
        events=arguments.events,
        rate=arguments.events / (arguments.minutes * 60),
        faults=arguments.faults,
        seconds=arguments.minutes * 60,
        seed=arguments.seed,
        kinds=arguments.kinds,
        workers=arguments.workers,
        program=program,
        batch_events=BATCH_EVENTS,
        retention_minutes=2,
        fast_start=True,  # brokers that are killed and started again all the time never get warm
    )
    hand_overs = dataclasses.replace(
        faults,
        events=HAND_OVER_RATE * HAND_OVER_SECONDS * 2 * arguments.samples,
        rate=HAND_OVER_RATE,
        faults=0,
        seconds=0,
        samples=arguments.samples,
    )
    for terms in ([hand_overs] if arguments.samples else []) + ([faults] if arguments.faults else []):
        _campaign(terms)


def _campaign(terms: Terms) -> None:
    """Run one campaign and print what came out; exit with 1, and keep its folder, where anything is wrong."""
    folder = Path(tempfile.mkdtemp(prefix="lintas-chaos-"))
    outcome = run(folder, terms)
    sys.stdout.write("\n".join(report(terms, outcome)) + "\n")
    if outcome.violations:
        sys.stdout.write(f"logs and data are kept in {folder}\n")
        sys.exit(1)
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
