"""Runs lanes in a worker: who is assigned partition k of the control topic runs lane k."""

import asyncio
import contextlib
import functools
import logging
import random
import time
from collections.abc import Iterable, Mapping
from typing import Any, Final

from mode import Service

from lintas import names
from lintas.errors import LaneStopped, LintasError
from lintas.settings import Settings
from schemas.lane_plans import LanePlan
from schemas.pseudonyms import PseudonymKeys
from schemas.publication import CatalogueFollower
from streams.decide import Plans
from streams.duties import LaneDuties
from streams.generations import finish
from streams.lane import Lane
from streams.log_follower import plan_follower, redrive_follower, replay_follower
from streams.membership import Membership
from streams.observer import UNWATCHED, LaneObserver
from streams.pace import Pace

log = logging.getLogger(__name__)

POLL_SECONDS: Final = 1.0
HAND_OVER_SECONDS: Final = 15.0


class LaneKeeper(Service):  # type: ignore[misc]  # mode ships no types
    """Keeps a membership in the workers' group and runs the lanes that it is assigned.

    A lane that stays with this worker runs on through a rebalance; fencing keeps it honest meanwhile. When the number
    of lanes is changed, the worker leaves the old group at once and joins the new one when that generation is open.
    """

    def __init__(
        self,
        settings: Settings,
        options: Mapping[str, Any],
        worker: str,
        observer: LaneObserver = UNWATCHED,
        **kwargs: Any,
    ) -> None:
        """``options`` are aiokafka's connection arguments; ``worker`` names this process in reports."""
        super().__init__(**kwargs)
        self._settings = settings
        self._options = options
        self._worker = worker
        self._observer = observer
        self._keys = PseudonymKeys.load(settings.secrets / "pseudonym-keys")
        self._catalogue = CatalogueFollower(settings, names.WORKER)
        self._plans: Plans | None = None
        self._changed = asyncio.Event()
        self._ended = asyncio.Event()
        self._lanes: dict[int, Lane] = {}
        self._membership: Membership | None = None
        self._generations = plan_follower(options, self._changed)
        self._redrives = redrive_follower(options, self._changed)
        self._replays = replay_follower(options, self._changed)

    async def on_start(self) -> None:
        """Wait for a first catalogue, then join the group."""
        await self._catalogue.start()

    @Service.task  # type: ignore[untyped-decorator]  # mode ships no types
    async def keep_lanes(self) -> None:
        """Serve one generation of lanes after the other."""
        try:
            if (await self.wait(self._catalogue.wait_first())).stopped:
                return
            await self._generations.start()
            await self._redrives.start()
            await self._replays.start()
            while not self.should_stop:
                plan = await self._next_generation()
                if plan is not None:
                    await self._serve(plan)
        finally:
            await self._leave()
            await self._replays.stop()
            await self._redrives.stop()
            await self._generations.stop()
            await self._catalogue.stop()
            self._ended.set()

    async def on_stop(self) -> None:
        """Let every lane finish its batch, then leave the group so that the others take over at once."""
        self._changed.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(HAND_OVER_SECONDS):
                await self._ended.wait()

    async def _next_generation(self) -> LanePlan | None:
        """The generation to serve, once it is open; None if this worker is to stop.

        A resize whose command has died is finished here, so that nobody has to get up for it.
        """
        patience = random.uniform(1, 2) * self._settings.unfinished_resize_seconds  # noqa: S311  not for secrets
        deadline = time.monotonic() + patience
        while not self.should_stop:
            plans = self._generations.read
            if plans.in_force is not None:
                return plans.in_force
            if plans.unfinished is not None and time.monotonic() > deadline:
                log.warning("generation %d was planned and not opened; opening it", plans.unfinished.generation)
                try:
                    await finish(self._settings, plans, names.WORKER)
                except LintasError as error:
                    log.warning("%s", error)
                deadline = time.monotonic() + patience
            await self._wait_for_change()
        return None

    async def _serve(self, plan: LanePlan) -> None:
        """Join, follow the assignment, keep the membership alive, until there is a newer generation."""
        membership = self._membership = Membership(
            self._settings, self._options, self._worker, plan, self._changed, self._observer
        )
        await membership.join()
        duties = LaneDuties(
            self._settings,
            self._options,
            self._worker,
            plan.generation,
            plan.lanes,
            self.plans,
            self.still_mine,
            functools.partial(self.is_replaced, plan),
            lambda: self._redrives.read,
            lambda: self._replays.read,
            asyncio.Lock(),
            Pace(),
            self._observer,
        )
        while not self.should_stop and self._generations.read.latest == plan:
            await membership.stay()
            await self._follow_assignment(membership, duties)
            self._watch_lanes()
            await self._wait_for_change()
        await self._leave()

    def plans(self) -> Plans:
        """The catalogue in force, compiled once for all lanes of this worker."""
        current = self._catalogue.current
        assert current is not None, "lanes start after the first catalogue"
        _, snapshot = current
        if self._plans is None or self._plans.snapshot is not snapshot:
            try:
                self._plans = Plans(snapshot, self._keys)
            except (LintasError, ValueError) as error:
                raise LaneStopped(
                    lane="of this worker",
                    reason=f"catalogue {snapshot.digest[:12]} cannot be used here: {error}",
                    remedy="bring what is missing to this worker, or apply a catalogue that can be used.",
                ) from error
            self._observer.took_up(self._plans)
        return self._plans

    async def still_mine(self, lane: Lane) -> bool:
        """Whether this worker is still a member that holds the lane: a zombie must not fence the rightful owner."""
        membership = self._membership
        return (
            membership is not None
            and self._lanes.get(lane.number) is lane
            and lane.number in membership.assigned
            and self._generations.read.latest == membership.plan
            and await membership.is_alive()
        )

    async def is_replaced(self, plan: LanePlan) -> bool:
        """Whether a generation is no longer the newest; asks the brokers."""
        return (await self._generations.read_to_end()).latest != plan

    async def _wait_for_change(self) -> None:
        self._observer.beat()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(POLL_SECONDS):
                await self._changed.wait()
        self._changed.clear()

    async def _follow_assignment(self, membership: Membership, duties: LaneDuties) -> None:
        gone = [self._lanes.pop(number) for number in set(self._lanes) - membership.assigned]
        for lane in gone:
            log.info("%s: handed over", lane.label)
        await _stop_all(gone)
        for number in sorted(membership.assigned - set(self._lanes)):
            lane = self._lanes[number] = Lane(number, duties)
            await lane.start()

    def _watch_lanes(self) -> None:
        for lane in self._lanes.values():
            if lane.crashed:
                raise lane.crash_reason
            if lane.ended_unasked:
                raise RuntimeError(f"{lane.label} ended by itself")

    async def _leave(self) -> None:
        lanes, self._lanes = list(self._lanes.values()), {}
        await _stop_all(lanes)
        membership, self._membership = self._membership, None
        if membership is not None:
            self._observer.left()
            await membership.leave()


async def _stop_all(lanes: Iterable[Lane]) -> None:
    lanes = list(lanes)
    if lanes:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(HAND_OVER_SECONDS):
                await asyncio.gather(*(lane.stop() for lane in lanes))
