"""How ours behaves as a bus grows: workers, lanes, agreements, event types, inboxes. Each question is one section."""

import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from bench import report
from bench.backlog import Publisher, publish
from bench.catalogue import EventTypes
from bench.contender import THROUGHPUT, Failed
from bench.contest import whole
from bench.jobs import ALL, ROUTE, Desk, Job
from bench.machine import moment
from bench.measure import Round, watch
from bench.ours import Ours
from bench.outputs import at_end, reader
from bench.processes import check_alive, cpu_seconds, ended
from bench.stage import Stage, stage
from lintas.errors import BusUnavailable

EVENTS: Final = 100_000
WORKERS: Final = (1, 2)
LANES: Final = (1, 2, 4, 8, 16, 32, 64)
AGREEMENTS: Final = (1, 10, 50, 100, 200)
EVENT_TYPES: Final = (1, 10, 100)
UNASKED: Final = 99
INBOXES: Final = (1, 10, 100, 1_000)
SINGLE_EVENTS: Final = 15
IDLE_SECONDS: Final = 30.0
START_SECONDS: Final = 60.0
ARRIVAL_SECONDS: Final = 60.0
ONE_INBOX_PARTITION: Final = EventTypes(inbox_partitions=1)


def measure(part: str, events: int, rounds: int) -> None:
    """Answer one question, or all of them where ``part`` is ``scaling``."""
    for name, (title, answer) in QUESTIONS.items():
        if part in ("scaling", name):
            try:
                answered = answer(events, rounds)
            except (Failed, BusUnavailable) as error:
                answered = f"FAILED: {str(error).splitlines()[0]}"
            text = f"**{title}**\n\n{answered}\n\n{moment()}"
            report.write_section(name, text)
            print(text, flush=True)


def workers(events: int, rounds: int) -> str:
    """Job E with one worker process and with two."""
    found: dict[str, list[Round]] = {str(count): [] for count in WORKERS}
    with stage([ROUTE]) as bus:
        for _ in range(rounds):
            for count in WORKERS:
                found[str(count)].append(_carried(bus, [ROUTE], events, workers=count))
    return _rounds("workers", found)


def lanes(events: int, rounds: int) -> str:
    """Job E on buses with more and more lanes, one worker, 64 input partitions."""
    found: dict[str, list[Round]] = {}
    for count in LANES:
        with stage([ROUTE], EventTypes(partitions=64), lanes=count) as bus:
            found[str(count)] = [_carried(bus, [ROUTE], events) for _ in range(rounds)]
    return _rounds("lanes", found)


def agreements(events: int, rounds: int) -> str:
    """One agreement takes every event; more and more others ask for regions that none has."""
    found: dict[str, list[Round]] = {}
    jobs = {
        count: Job("A", "", [Desk(f"a{n}", ALL, None if n == 0 else f"{1000 + n}") for n in range(count)])
        for count in AGREEMENTS
    }
    with stage([jobs[AGREEMENTS[0]]], ONE_INBOX_PARTITION) as bus:
        for count, job in jobs.items():
            bus.put_in_force([job], ONE_INBOX_PARTITION)
            found[str(count)] = [_carried(bus, [job], events) for _ in range(rounds)]
    costs = {int(count): statistics.median(one.steady_cpu_us for one in all_of) for count, all_of in found.items()}
    last = AGREEMENTS[-1] - AGREEMENTS[-2]
    each = (costs[AGREEMENTS[-1]] - costs[AGREEMENTS[-2]]) / last
    return (
        f"{_rounds('agreements', found)}\n\nThe first agreement, with all that is done once for an event, costs "
        f"{costs[AGREEMENTS[0]]:,.1f} us an event; each of the last {last} costs {each:,.2f} us."
    )


def event_types(events: int, rounds: int) -> str:
    """The same number of events spread over more and more event types; then event types without agreements."""
    found: dict[str, list[Round]] = {}
    jobs = [Job(f"t{n}", "", [Desk("all", ALL)]) for n in range(max(EVENT_TYPES))]
    unasked = [Job(f"u{n}", "", []) for n in range(UNASKED)]
    with stage(jobs[:1]) as bus:
        for count in EVENT_TYPES:
            bus.put_in_force(jobs[:count])
            found[str(count)] = [_carried(bus, jobs[:count], events) for _ in range(rounds)]
    with stage([*jobs[:1], *unasked]) as bus:
        found[f"1 and {UNASKED} that nobody asked for"] = [_carried(bus, jobs[:1], events) for _ in range(rounds)]
        idle = _cpu_of_waiting(bus)
        publish(bus, unasked, whole(events))
        busy = _cpu_of_waiting(bus)
        read = sum(_read(bus, job) for job in unasked)
    return (
        f"{_rounds('event types', found)}\n\nA worker that has nothing to do used {idle:,.2f} CPU seconds in its first "
        f"{IDLE_SECONDS:.0f} s, start-up included; with {whole(events):,} events waiting of types that nobody asked "
        f"for it used {busy:,.2f}, and its lanes read {read:,} of them."
    )


def inboxes(_events: int, _rounds: int) -> str:
    """One event at a time that goes to every inbox: how long until it is committed to all of them."""
    rows = []
    with stage([_to_every_inbox(INBOXES[0])], ONE_INBOX_PARTITION) as bus:
        for count in INBOXES:
            begun = time.perf_counter()
            bus.put_in_force([_to_every_inbox(count)], ONE_INBOX_PARTITION)
            applied = time.perf_counter() - begun
            try:
                found = report.spread(_single_events(bus, _to_every_inbox(count)))
            except Failed as error:
                found = f"FAILED: {error}"
            rows.append([f"{count:,}", found, f"{applied:,.0f}"])
            print(f"inboxes: {' | '.join(rows[-1])}", flush=True)
    head = ["inboxes in a transaction", "ms from publishing to committed", "s to apply the catalogues up to here"]
    return f"Minimum / median / maximum of {SINGLE_EVENTS} events.\n\n{report.table(head, rows)}"


QUESTIONS: Final[Mapping[str, tuple[str, Callable[[int, int], str]]]] = {
    "workers": ("One and two workers", workers),
    "lanes": ("1 to 64 lanes in one worker", lanes),
    "agreements": ("1 to 200 agreements on one event type", agreements),
    "event-types": ("1 to 100 event types, and those that nobody asked for", event_types),
    "inboxes": ("1 to 1,000 inboxes in one transaction", inboxes),
}


def _to_every_inbox(count: int) -> Job:
    return Job("I", "", [Desk(f"i{n}", ALL) for n in range(count)])


def _carried(bus: Stage, jobs: list[Job], events: int, *, workers: int = 1) -> Round:
    events = events // (4 * len(jobs)) * 4 * len(jobs)
    publish(bus, jobs, events)
    found = watch(Ours(workers), bus, jobs, events)
    print(f"{len(jobs)} event types, {workers} workers: {found.rate:,.0f}/s, {found.steady_cpu_us:,.1f} us", flush=True)
    return found


def _rounds(what: str, found: Mapping[str, Iterable[Round]]) -> str:
    rows = [
        [name, spread_of(rounds, "rate"), spread_of(rounds, "steady_cpu_us", 1), spread_of(rounds, "cpu_us", 1)]
        for name, rounds in found.items()
    ]
    return report.table([what, "events/s, steady", "CPU us/event, steady", "CPU us/event, with start-up"], rows)


def spread_of(rounds: Iterable[Round], attribute: str, digits: int = 0) -> str:
    """Minimum, median and maximum of one figure of some rounds."""
    return report.spread((getattr(one, attribute) for one in rounds), digits)


def _cpu_of_waiting(bus: Stage) -> float:
    contender = Ours()
    processes = contender.start(bus, ROUTE, THROUGHPUT)
    with ended(processes):
        time.sleep(IDLE_SECONDS)
        check_alive(processes, bus.log(contender.name))
        return cpu_seconds(processes)


def _read(bus: Stage, job: Job) -> int:
    """How many of a job's events the lanes have gone past."""
    return sum(bus.cluster.committed(Ours().group(job), bus.partitions(job)).values())


def _single_events(bus: Stage, job: Job) -> Iterator[float]:
    """Milliseconds from publishing one event to its committed arrival in the first inbox; one after the other."""
    contender, publisher = Ours(), Publisher(bus, linger_ms=0)
    run = time.time_ns()
    arrivals = reader(bus, bus.ends([contender.inbox(job, job.desks[0])]))
    processes = contender.start(bus, job, THROUGHPUT)
    try:
        with ended(processes):
            for n in range(SINGLE_EVENTS + 1):
                begun = time.perf_counter()
                publisher.event(job, n, f"{run}-{n}")
                publisher.flush()
                deadline = begun + (START_SECONDS if n == 0 else ARRIVAL_SECONDS)
                while (message := arrivals.poll(0.1)) is None or at_end(message):
                    check_alive(processes, bus.log(contender.name))
                    if time.perf_counter() > deadline:
                        raise Failed(f"event {n} did not arrive within {ARRIVAL_SECONDS:.0f} s")
                if n:  # the first one waits for the worker to start
                    yield (time.perf_counter() - begun) * 1000
    finally:
        arrivals.close()
