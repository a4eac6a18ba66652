"""Ours and the peers on the same events, on the same broker, in turns."""

from collections.abc import Mapping, Sequence

from bench import report
from bench.backlog import publish
from bench.contender import Contender, Failed
from bench.jobs import PARTITIONS, TIMED, Job
from bench.latency import Delays, delays
from bench.measure import Round, carry
from bench.outputs import Outputs
from bench.stage import Stage
from lintas.errors import BusUnavailable

EVENTS = 500_000
LEAST_EVENTS = 20_000  # fewer would come in a few commits, which measure little


def entrants(contenders: Sequence[Contender]) -> dict[str, str]:
    """Why some contenders cannot run here, by name; builds those that are to be built."""
    return {contender.name: why for contender in contenders if (why := contender.lacks()) is not None}


def run_job(
    stage: Stage, job: Job, contenders: Sequence[Contender], absent: Mapping[str, str], *, events: int, rounds: int
) -> dict[str, list[Round] | str]:
    """Let every contender carry the same events, round by round, each time in another order.

    Returns:
        the rounds of each contender; or why there are none: it is absent, or it FAILED in some round.
    """
    results: dict[str, list[Round] | str] = {contender.name: absent.get(contender.name, []) for contender in contenders}
    events = whole(events * job.share)
    present = [contender for contender in contenders if contender.name not in absent]
    for contender in present:
        contender.prepare(stage, job)
    for number in range(rounds):
        publish(stage, [job], events)
        first = number % len(present)
        for contender in present[first:] + present[:first]:
            rounds_so_far = results[contender.name]
            if isinstance(rounds_so_far, str):
                continue
            try:
                rounds_so_far.append(_one(contender, stage, job, events))
                said = f"{rounds_so_far[-1].rate:,.0f} events/s"
            except (Failed, BusUnavailable) as error:
                results[contender.name] = f"FAILED: {str(error).splitlines()[0]}"
                said = f"FAILED: {error}"
            print(f"{job.name}, round {number + 1}: {contender.name}: {said}", flush=True)
    return results


def run_latency(
    stage: Stage, contenders: Sequence[Contender], absent: Mapping[str, str], seconds: float
) -> dict[str, Delays | str]:
    """Measure every contender's delays, ours first: the others' events wait for our lanes afterwards."""
    results: dict[str, Delays | str] = {}
    for contender in contenders:
        if contender.name in absent:
            results[contender.name] = absent[contender.name]
            continue
        contender.prepare(stage, TIMED)
        try:
            results[contender.name] = delays(contender, stage, seconds)
        except (Failed, BusUnavailable) as error:
            results[contender.name] = f"FAILED: {str(error).splitlines()[0]}"
        print(f"latency: {contender.name}: {results[contender.name]}", flush=True)
    return results


def describe(
    job: Job, results: Mapping[str, Sequence[Round] | str], contenders: Sequence[Contender], rounds: int
) -> str:
    """A job's section of the page."""
    caveats = {contender.name: contender.caveat for contender in contenders}
    text = report.contest(results, caveats)
    return f"**{job.name}**: {job.title}. Minimum / median / maximum of {rounds} rounds.\n\n{text}"


def whole(events: float) -> int:
    """A number of events that fills all partitions alike."""
    return max(int(events) // PARTITIONS, 1) * PARTITIONS


def _one(contender: Contender, stage: Stage, job: Job, events: int) -> Round:
    own = min(events, max(whole(events * contender.share), LEAST_EVENTS))
    outputs = Outputs(contender, stage, job)
    measured = carry(contender, stage, job, own)
    outputs.check(events - own, own)
    return measured
