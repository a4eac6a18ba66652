"""Hands lanes out among workers: who is assigned partition k of the control topic runs lane k."""

import asyncio
import contextlib
import logging
from collections.abc import Iterable, Mapping
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import KafkaError
from mode import Service

from lintas import names
from lintas.errors import LaneStopped, LintasError
from lintas.settings import Settings
from schemas.pseudonyms import PseudonymKeys
from schemas.publication import CatalogueFollower
from streams.decide import Plans
from streams.lane import Lane, LaneDuties

log = logging.getLogger(__name__)

GENERATION: Final = 1
POLL_SECONDS: Final = 1.0
HAND_OVER_SECONDS: Final = 15.0


class LaneKeeper(Service):  # type: ignore[misc]  # mode ships no types
    """Keeps a membership in the workers' group and runs the lanes that it is assigned.

    A lane that stays with this worker runs on through a rebalance; fencing keeps it honest meanwhile. Work in the
    rebalance listener is only to note the assignment: no heartbeat is sent while a listener runs.
    """

    def __init__(self, settings: Settings, options: Mapping[str, Any], worker: str, **kwargs: Any) -> None:
        """``options`` are aiokafka's connection arguments; ``worker`` names this process in reports."""
        super().__init__(**kwargs)
        self._settings = settings
        self._options = options
        self._worker = worker
        self._keys = PseudonymKeys.load(settings.secrets / "pseudonym-keys")
        self._follower = CatalogueFollower(settings, names.WORKER)
        self._plans: Plans | None = None
        self._assigned: set[int] = set()
        self._changed = asyncio.Event()
        self._ended = asyncio.Event()
        self._lanes: dict[int, Lane] = {}
        self._membership: AIOKafkaConsumer | None = None
        self._duties: LaneDuties | None = None

    async def on_start(self) -> None:
        """Wait for a first catalogue, then join the group."""
        await self._follower.start()

    @Service.task  # type: ignore[untyped-decorator]  # mode ships no types
    async def keep_lanes(self) -> None:
        """Join, follow the assignment, keep the membership alive."""
        try:
            if (await self.wait(self._follower.wait_first())).stopped:
                return
            await self._join()
            while not self.should_stop:
                await self._poll()
                if self._changed.is_set():
                    self._changed.clear()
                    await self._follow_assignment()
                self._watch_lanes()
        finally:
            await self._leave()
            self._ended.set()

    async def on_stop(self) -> None:
        """Let every lane finish its batch, then leave the group so that the others take over at once."""
        self._changed.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(HAND_OVER_SECONDS):
                await self._ended.wait()

    async def _join(self) -> None:
        consumer = self._membership = AIOKafkaConsumer(
            **self._options,
            client_id=self._worker,
            group_id=names.LANES_GROUP,
            enable_auto_commit=False,
            auto_offset_reset="latest",
            partition_assignment_strategy=(StickyPartitionAssignor,),
            session_timeout_ms=int(self._settings.session_timeout_seconds * 1000),
            heartbeat_interval_ms=int(self._settings.session_timeout_seconds * 1000 / 3),
            rebalance_timeout_ms=10_000,
            request_timeout_ms=15_000,
        )
        await consumer.start()
        topic = names.control_topic(GENERATION)
        self._duties = LaneDuties(
            self._settings,
            self._options,
            self._worker,
            GENERATION,
            len(await consumer._client._wait_on_metadata(topic)),
            self.plans,
            self.still_mine,
        )
        consumer.subscribe([topic], listener=_Listener(self))

    def plans(self) -> Plans:
        """The catalogue in force, compiled once for all lanes of this worker."""
        current = self._follower.current
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
        return self._plans

    async def still_mine(self, lane: Lane) -> bool:
        """Whether this worker is still a member that holds the lane: a zombie must not fence the rightful owner."""
        if self._lanes.get(lane.number) is not lane or lane.number not in self._assigned:
            return False
        assert self._membership is not None, "lanes start after joining"
        coordinator = self._membership._coordinator
        return bool(await coordinator._do_heartbeat())

    def assign(self, lanes: Iterable[int]) -> None:
        """Note the lanes that this worker is to run."""
        self._assigned = set(lanes)
        self._changed.set()

    async def _poll(self) -> None:
        """Stay a member: aiokafka revokes consumers that are not polled."""
        assert self._membership is not None
        with contextlib.suppress(KafkaError):
            await self._membership.getmany(timeout_ms=0)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(POLL_SECONDS):
                await self._changed.wait()

    async def _follow_assignment(self) -> None:
        assert self._duties is not None
        gone = [self._lanes.pop(number) for number in set(self._lanes) - self._assigned]
        for lane in gone:
            log.info("%s: handed over", lane.label)
        await _stop_all(gone)
        for number in sorted(self._assigned - set(self._lanes)):
            lane = self._lanes[number] = Lane(number, self._duties)
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
        if self._membership is not None:
            with contextlib.suppress(TimeoutError, KafkaError):
                async with asyncio.timeout(HAND_OVER_SECONDS):
                    await self._membership.stop()
        await self._follower.stop()


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka ships no types
    """Notes what is assigned; revocation alone changes nothing, since a sticky assignment usually gives it back."""

    def __init__(self, keeper: LaneKeeper) -> None:
        self._keeper = keeper

    async def on_partitions_revoked(self, revoked: list[TopicPartition]) -> None:
        """Lanes run on: their producers are fenced by whoever is given them."""

    async def on_partitions_assigned(self, assigned: list[TopicPartition]) -> None:
        self._keeper.assign(partition.partition for partition in assigned)


async def _stop_all(lanes: Iterable[Lane]) -> None:
    lanes = list(lanes)
    if lanes:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(HAND_OVER_SECONDS):
                await asyncio.gather(*(lane.stop() for lane in lanes))
