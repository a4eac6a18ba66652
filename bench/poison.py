"""What an event that crashes the code costs the events around it.

Run by itself it is a lane worker with such a defect: its code crashes at events that hold one word.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any, Final

from bench import report
from bench.backlog import Publisher
from bench.contender import Pace
from bench.jobs import RELEASE, Job
from bench.machine import moment
from bench.measure import Round, carry
from bench.ours import Ours
from bench.stage import Stage, stage
from lintas.cli.worker import worker
from streams.decide import EventTypePlan
from streams.span_plans import Reading

EVENTS = 100_000
_POISON: Final = "INS-2026-{:08d}"  # the number of one inspection


class Poisoned(Ours):
    """A worker whose code crashes at one event."""

    def start(self, stage: Stage, job: Job, pace: Pace) -> Sequence[subprocess.Popen[bytes]]:  # noqa: ARG002  as ours
        """This module as a program."""
        with stage.log(self.name).open("ab") as log:
            return [
                subprocess.Popen(
                    [sys.executable, "-m", "bench.poison", _POISON.format(EVENTS // 2)],
                    env={**os.environ, "LINTAS_HOME": str(stage.settings.home)},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )
            ]


def measure(events: int, rounds: int) -> None:
    """Let a worker with a defect carry ``events`` of job C, without and with one event in their midst that meets it."""
    contender, found = Poisoned(), {False: list[Round](), True: list[Round]()}
    with stage([RELEASE]) as bus:
        for number in range(rounds):
            for is_poisoned in (False, True):
                publisher = Publisher(bus)
                for n in range(events):
                    is_it = is_poisoned and n == events // 2
                    publisher.event(RELEASE, EVENTS // 2 if is_it else n + EVENTS, f"{number}-{is_poisoned}-{n}")
                publisher.flush()
                found[is_poisoned].append(carry(contender, bus, RELEASE, events))
        letters = sum(bus.ends(["quarantine.bench"]).values())
    rows = [
        ["poison" if is_poisoned else "none", report.spread(one.rate for one in of)]
        for is_poisoned, of in found.items()
    ]
    text = (
        f"**Poison**: {events:,} events of job C, and the same with one in their midst at which the code of the worker "
        f"crashes; {rounds} rounds each, in turns. {letters} records in quarantine (with a transaction marker each)."
        f"\n\n{report.table(['', 'events/s, steady'], rows)}\n\n{moment()}"
    )
    report.write_section("poison", text)
    print(text)


def _break(word: bytes) -> None:
    """Let the walk over an event's bytes crash where they hold a word, and the reference path after it."""
    compile_reading, data_of = Reading.__init__, EventTypePlan._data_of

    def compiled(reading: Reading, *arguments: Any) -> None:
        compile_reading(reading, *arguments)
        walk = reading.walk

        def poisoned(data: bytes, at: int, stop: int) -> Any:
            if word in data[at:stop]:
                raise ZeroDivisionError
            return walk(data, at, stop)

        reading.walk = poisoned

    def crash(plan: EventTypePlan, envelope: Any) -> Any:
        made = data_of(plan, envelope)
        if word.decode() in made.values():
            raise ZeroDivisionError
        return made

    Reading.__init__ = compiled  # type: ignore[method-assign, assignment]
    EventTypePlan._data_of = crash  # type: ignore[method-assign, assignment]


if __name__ == "__main__":
    _break(sys.argv[1].encode())
    worker.main(["--log-level", "error"], prog_name="poisoned worker")
