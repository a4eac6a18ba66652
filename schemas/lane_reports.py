"""Waiting for every lane to run, or to run a catalogue, by what lanes report on their status topic."""

import json
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from lintas import names
from lintas.errors import LanesBehind, ResizeBehind, ResizeOvertaken
from lintas.settings import Settings
from schemas.generations import latest_plan
from schemas.lane_plans import LanePlan
from schemas.topic_reader import read_to_end

POLL_SECONDS: Final = 0.3
Report = Mapping[str, Any]


def wait_for_lanes(settings: Settings, digest: str, seconds: float) -> None:
    """Wait until every lane reports a catalogue.

    Raises:
        LanesBehind: some do not within ``seconds``.
    """
    plan, behind = _wait(settings, lambda report: bool(report["catalogue"] == digest), seconds, latest_plan)
    if behind:
        raise LanesBehind(digest=digest, seconds=f"{seconds:g}", behind=_listed(behind), lanes=plan.lanes)


def wait_for_generation(settings: Settings, plan: LanePlan, seconds: float) -> None:
    """Wait until every lane of an open generation runs.

    Raises:
        ResizeBehind: some do not within ``seconds``.
        ResizeOvertaken: there is a newer generation.
    """

    def still_latest(settings: Settings) -> LanePlan:
        latest = latest_plan(settings)
        if latest != plan:
            raise ResizeOvertaken(
                author=latest.author, lanes=latest.lanes, generation=latest.generation, asked=plan.lanes
            )
        return latest

    _, behind = _wait(settings, lambda _: True, seconds, still_latest)
    if behind:
        raise ResizeBehind(lanes=plan.lanes, generation=plan.generation, seconds=f"{seconds:g}", behind=_listed(behind))


def _wait(
    settings: Settings, is_well: Callable[[Report], bool], seconds: float, plan_of: Callable[[Settings], LanePlan]
) -> tuple[LanePlan, list[int]]:
    """The newest generation, and which of its lanes do not report what they should when the time is over."""
    deadline = time.monotonic() + seconds
    while True:
        plan = plan_of(settings)
        well = {report["lane"] for report in _reports(settings, plan.generation) if is_well(report)}
        behind = [lane for lane in range(plan.lanes) if lane not in well]
        if not behind or time.monotonic() > deadline:
            return plan, behind
        time.sleep(POLL_SECONDS)


def _reports(settings: Settings, generation: int) -> list[Report]:
    """What each lane of a generation said last; lanes of earlier ones are gone, though their words remain."""
    reports = {
        key: json.loads(value)
        for key, value in read_to_end(settings, names.ADMIN, names.LANES_STATUS)
        if key.startswith(b"lane/") and value is not None
    }
    return [report for report in reports.values() if report["generation"] == generation]


def _listed(lanes: list[int]) -> str:
    return ", ".join(map(str, lanes))
