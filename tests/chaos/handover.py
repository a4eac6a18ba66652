"""How long lanes stand still when their worker goes: from its end to the first committed output of another."""

import asyncio
import contextlib
import dataclasses
import io
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Self

import fastavro
from aiokafka import AIOKafkaConsumer
from cluster import ThreeBrokers
from workers import Crew

from lintas import names
from schemas.wire import framing
from streams.audit import AUDIT_SCHEMA

WARM_SECONDS = 120.0
LIMIT_SECONDS = 60.0


@dataclasses.dataclass(slots=True)
class Times:
    """Seconds until the first, and until the last, of the lanes that a worker left had output again."""

    first: list[float] = dataclasses.field(default_factory=list)
    last: list[float] = dataclasses.field(default_factory=list)

    def __str__(self) -> str:
        return f"first lane {_figures(self.first)}; all lanes {_figures(self.last)}; {len(self.first)} samples"


def _figures(seconds: Sequence[float]) -> str:
    return f"{min(seconds):.1f} / {statistics.median(seconds):.1f} / {max(seconds):.1f} s" if seconds else "-"


class AuditTail:
    """Follows committed audit records: which worker had each lane last, and since when."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = options
        self._schema = fastavro.parse_schema(dict(AUDIT_SCHEMA))
        self._task: asyncio.Task[None] | None = None
        self.owner: dict[tuple[int, int], str] = {}  # of (generation, lane)
        self.since: dict[tuple[int, int], float] = {}

    async def __aenter__(self) -> Self:
        self._consumer = AIOKafkaConsumer(
            names.AUDIT_DECISIONS,
            **self._options,
            isolation_level="read_committed",
            auto_offset_reset="latest",
        )
        await self._consumer.start()
        self._task = asyncio.create_task(self._follow())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self._consumer.stop()

    async def _follow(self) -> None:
        async for record in self._consumer:
            value = io.BytesIO(framing.unframe(record.value)[1])
            batch: Any = fastavro.schemaless_reader(value, self._schema, None)
            lane = (batch["generation"], batch["lane"])
            if self.owner.get(lane) != batch["worker"]:
                self.owner[lane], self.since[lane] = batch["worker"], time.monotonic()


async def measure(
    cluster: ThreeBrokers, crew: Crew, samples: int, keep_up: Callable[[], Awaitable[bool]]
) -> tuple[Times, Times]:
    """Kill a worker, and ask one to stop, ``samples`` times each while events flow; nothing else may be going on.

    Each time only once the workers ``keep_up`` with the events, so that a backlog is not measured instead.
    """
    killed, asked = Times(), Times()
    async with AuditTail(cluster.aiokafka(names.ADMIN)) as tail:
        for sample in range(samples):
            for times in (killed, asked):
                place = sample % len(crew.workers)
                await _until(lambda place=place: _lanes_of(tail, crew, place), WARM_SECONDS)
                await _keeping_up(keep_up)
                async with crew.to_itself(place) as worker:
                    orphans, gone = _lanes_of(tail, crew, place), worker.id
                    begun = time.monotonic()
                    if times is killed:
                        worker.kill()
                    else:
                        stopping = asyncio.create_task(worker.end())
                    await _until(
                        lambda orphans=orphans, gone=gone: all(tail.owner[lane] != gone for lane in orphans),
                        LIMIT_SECONDS,
                    )
                    since = [tail.since[lane] - begun for lane in orphans]
                    times.first.append(min(since))
                    times.last.append(max(since))
                    if times is asked:
                        await stopping
    return killed, asked


def _lanes_of(tail: AuditTail, crew: Crew, place: int) -> list[tuple[int, int]]:
    return [lane for lane, owner in tail.owner.items() if owner == crew.workers[place].id]


async def _keeping_up(keep_up: Callable[[], Awaitable[bool]]) -> None:
    deadline = time.monotonic() + WARM_SECONDS
    while not await keep_up():
        assert time.monotonic() < deadline, f"the workers are behind for {WARM_SECONDS} s"
        await asyncio.sleep(0.5)


async def _until(condition: Any, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        await asyncio.sleep(0.01)
