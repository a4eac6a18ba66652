"""``lintas lanes resize``: another number of lanes for a running bus, exactly once all the while.

The order is what makes it safe (docs/decisions/0007): control topic, plan, fence, open. Killed at any point, the same
call or any worker finishes it.
"""

import asyncio
import dataclasses
from collections.abc import Callable

from lintas import names
from lintas.errors import ResizeOvertaken
from lintas.settings import Settings
from schemas.cluster import Cluster
from schemas.desired import control_topic
from schemas.generations import now, read_plans
from schemas.lane_plans import LanePlan
from schemas.lane_reports import wait_for_generation
from schemas.provision import ensure_bus
from schemas.publication import read_log
from schemas.topic_writer import append
from streams.generations import finish

Progress = Callable[[str], None]


@dataclasses.dataclass(frozen=True, slots=True)
class Resized:
    """What a resize found and did."""

    plan: LanePlan  # in force now
    before: int | None  # the number of lanes that it replaced; None where nothing was to do
    finished: LanePlan | None  # somebody else's resize that had not been finished


def resize(
    settings: Settings,
    lanes: int,
    *,
    author: str,
    wait_seconds: float | None = None,
    progress: Progress = lambda _: None,
) -> Resized:
    """Change the number of lanes. An earlier resize that was not finished is finished first.

    Args:
        settings: of the bus.
        lanes: how many there are to be, from 1 on.
        author: who answers for it; kept for ever.
        wait_seconds: wait so long for every lane to run, if a catalogue is in force; ``None`` does not wait.
        progress: told what is being done.

    Raises:
        ResizeOvertaken: somebody else resized at the same time; what they asked for counts.
        ResizeBehind: the number is changed, but lanes do not run.
        BusUnavailable: Kafka does not answer. Resizing again is harmless.
    """
    progress("looking at the lanes")
    ensure_bus(settings)
    plans = read_plans(settings)
    unfinished = plans.unfinished
    if unfinished is not None:
        progress(f"finishing generation {unfinished.generation} ({unfinished.lanes} lanes)")
        asyncio.run(finish(settings, plans))
        plans = read_plans(settings)
    old = plans.latest
    assert old is not None, "a bus has lanes"
    if old.lanes == lanes:
        resized = Resized(old, None, unfinished)
        if unfinished is None:
            return resized
    else:
        resized = Resized(_replace(settings, old, lanes, author, progress), old.lanes, unfinished)
    if wait_seconds is not None and read_log(settings).current is not None:
        progress("waiting for the lanes")
        wait_for_generation(settings, resized.plan, wait_seconds)
    return resized


def _replace(settings: Settings, old: LanePlan, lanes: int, author: str, progress: Progress) -> LanePlan:
    plan = LanePlan(old.generation + 1, lanes, author, now())
    progress(f"planning generation {plan.generation}")
    Cluster(settings).create_topics([control_topic(settings, plan.generation, lanes)])
    append(settings, names.LANES_PLANS, plan.as_record())
    plans = read_plans(settings)
    if not plans.won(plan):
        winner = plans.latest
        assert winner is not None, "somebody's plan came first"
        raise ResizeOvertaken(author=winner.author, lanes=winner.lanes, generation=winner.generation, asked=lanes)
    progress(f"fencing the {old.lanes} lanes of generation {old.generation}")
    asyncio.run(finish(settings, plans))
    return plan
