"""The faults: what is done to workers, brokers and the network, each mended by the function that did it."""

import asyncio
import dataclasses
import datetime as dt
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from aiokafka.client import AIOKafkaClient, CoordinationType
from aiokafka.errors import KafkaError
from cluster import BROKERS, Server, ThreeBrokers
from operators import Deployment
from proxy import ADD_OFFSETS, ADD_PARTITIONS, COMMIT_OFFSETS, END, INIT, PRODUCE, Trap
from workers import Crew, Worker

from lintas import names

SESSION_SECONDS: Final = 6.0
TRANSACTION_SECONDS: Final = 10.0
TRAP_SECONDS: Final = 10.0
FULL_DISK_SECONDS: Final = 20.0
LANES: Final = range(3, 9)


@dataclasses.dataclass(slots=True)
class Scene:
    """What faults are done to."""

    cluster: ThreeBrokers
    crew: Crew
    deployment: Deployment
    environment: Mapping[str, str]
    broker_away: asyncio.Lock = dataclasses.field(default_factory=asyncio.Lock)  # never two at a time
    registry_away: asyncio.Lock = dataclasses.field(default_factory=asyncio.Lock)
    begun: dt.datetime = dataclasses.field(default_factory=lambda: dt.datetime.now(dt.UTC))


# Returns whether it happened; what it broke is whole again.
Fault = Callable[[Scene, random.Random], Awaitable[bool]]


async def kill_worker(scene: Scene, rng: random.Random) -> bool:
    async with scene.crew.to_itself(rng.randrange(len(scene.crew.workers))) as worker:
        worker.kill()
        await asyncio.sleep(rng.choice([0, 0, rng.uniform(1, 2 * SESSION_SECONDS)]))
    return True


async def end_worker(scene: Scene, rng: random.Random) -> bool:
    async with scene.crew.to_itself(rng.randrange(len(scene.crew.workers))) as worker:
        await worker.end()
        await asyncio.sleep(rng.choice([0, rng.uniform(0, SESSION_SECONDS)]))
    return True


async def make_zombie(scene: Scene, rng: random.Random) -> bool:
    """Stop a worker for longer than the group and the brokers wait for it; then it goes on as if nothing had been."""
    async with scene.crew.to_itself(rng.randrange(len(scene.crew.workers))) as worker:
        worker.signal(signal.SIGSTOP)
        await asyncio.sleep(max(SESSION_SECONDS, TRANSACTION_SECONDS) + rng.uniform(0.5, 3))
        worker.signal(signal.SIGCONT)
    return True


async def two_owners(scene: Scene, rng: random.Random) -> bool:
    """A second worker that holds itself for the owner of every lane."""
    program = (str(Path(__file__).with_name("broken_workers.py")), "everything-is-mine")
    rival = Worker(scene.cluster.folder / "rival.log", scene.environment, program)
    rival.spawn()
    try:
        await asyncio.sleep(rng.uniform(4, 9))
    finally:
        rival.kill()
    return True


async def kill_broker(scene: Scene, rng: random.Random) -> bool:
    async with scene.broker_away:
        await _kill_and_start(scene.cluster.brokers[rng.choice(BROKERS)], rng)
    return True


async def kill_coordinator(scene: Scene, rng: random.Random) -> bool:
    """Kill the broker that coordinates the transactions of one lane."""
    async with scene.broker_away:
        node = await _coordinator(
            scene, names.transactional_id(scene.deployment.generation, rng.randrange(LANES.start))
        )
        if node is not None:
            await _kill_and_start(scene.cluster.brokers[node], rng)
    return node is not None


async def freeze_broker(scene: Scene, rng: random.Random) -> bool:
    async with scene.broker_away:
        broker = scene.cluster.brokers[rng.choice(BROKERS)]
        broker.signal(signal.SIGSTOP)
        await asyncio.sleep(rng.uniform(1, 8))
        broker.signal(signal.SIGCONT)
        await broker.ready()
    return True


async def fill_disk(scene: Scene, rng: random.Random) -> bool:
    """Let a broker's writes fail as on a full disk, by a limit on the size of its files; it gives up by itself."""
    async with scene.broker_away:
        broker = scene.cluster.brokers[rng.choice(BROKERS)]
        broker.refuse_writes()
        gave_up = await broker.ended(FULL_DISK_SECONDS)
        await _kill_and_start(broker, rng)
    return gave_up


async def _kill_and_start(broker: Server, rng: random.Random) -> None:
    broker.kill()
    await asyncio.sleep(rng.choice([0, rng.uniform(0, 4)]))
    broker.spawn()
    await broker.ready()


async def _coordinator(scene: Scene, transactional_id: str) -> int | None:
    client = AIOKafkaClient(**scene.cluster.aiokafka(names.ADMIN))
    try:
        async with asyncio.timeout(10):
            await client.bootstrap()
            return int(await client.coordinator_lookup(CoordinationType.TRANSACTION, transactional_id))
    except (KafkaError, TimeoutError):
        return None
    finally:
        await client.close()


async def delay_answers(scene: Scene, rng: random.Random) -> bool:
    await scene.cluster.proxies[rng.choice(BROKERS)].delay(rng.uniform(0.05, 2), rng.uniform(1, 4))
    return True


async def hold_everything(scene: Scene, rng: random.Random) -> bool:
    await scene.cluster.proxies[rng.choice(BROKERS)].hold(rng.uniform(0.5, TRANSACTION_SECONDS + 2))
    return True


async def cut_connections(scene: Scene, rng: random.Random) -> bool:
    for node in rng.sample(BROKERS, rng.choice([1, 3])):
        scene.cluster.proxies[node].cut()
    return True


async def lose_answer(scene: Scene, rng: random.Random) -> bool:
    """A transactional request takes effect, its answer never comes."""
    requests = rng.choice([END, END, ADD_PARTITIONS, ADD_OFFSETS, COMMIT_OFFSETS, PRODUCE, INIT])
    return await _trap(scene, Trap(frozenset({requests}), 0))


async def deliver_late(scene: Scene, rng: random.Random) -> bool:
    """A transactional request gets stuck in the network, its sender sees the connection go, then it arrives."""
    requests = rng.choice([END, END, END, ADD_PARTITIONS, ADD_OFFSETS, COMMIT_OFFSETS, PRODUCE])
    return await _trap(scene, Trap(frozenset({requests}), rng.choice([0.02, 0.05, 0.1, 0.2, 0.5, 1.5])))


async def _trap(scene: Scene, trap: Trap) -> bool:
    """Catch one request, at whichever broker it comes first."""
    caught = asyncio.Event()
    removals = [proxy.set_trap(trap, caught) for proxy in scene.cluster.proxies.values()]
    try:
        async with asyncio.timeout(TRAP_SECONDS):
            await caught.wait()
    except TimeoutError:
        return False
    finally:
        for remove in removals:
            remove()
    return True


async def kill_registry(scene: Scene, rng: random.Random) -> bool:
    async with scene.registry_away:
        scene.cluster.registry.kill()
        await asyncio.sleep(rng.uniform(2, 10))
        scene.cluster.registry.spawn()
        await scene.cluster.registry.ready()
    return True


async def change_catalogue(scene: Scene, _: random.Random) -> bool:
    async with scene.registry_away:
        await scene.deployment.apply(toggle=True)
    return True


async def refuse_inbox(scene: Scene, _: random.Random) -> bool:
    """A new consumer whose inbox then takes no records."""
    async with scene.registry_away:
        await scene.deployment.apply(refusing=1)
    return True


async def accept_again(scene: Scene, _: random.Random) -> bool:
    """An inbox that took no records takes them again, and its consumer is given what waits for it."""
    async with scene.registry_away:
        return await scene.deployment.recover()


async def come_late(scene: Scene, _: random.Random) -> bool:
    """A new consumer that wants everything from the beginning before it goes on live."""
    async with scene.registry_away:
        await scene.deployment.apply(late=1)
    return True


async def replay_the_past(scene: Scene, rng: random.Random) -> bool:
    """The consumer of everything is given a part of what there was so far once more."""
    now = dt.datetime.now(dt.UTC)
    since, until = sorted(scene.begun + (now - scene.begun) * rng.random() for _ in range(2))
    await scene.deployment.replay(since, until + dt.timedelta(milliseconds=1))
    return True


async def resize_lanes(scene: Scene, rng: random.Random) -> bool:
    await scene.deployment.resize(rng.choice([count for count in LANES if count != scene.deployment.lanes]))
    return True


# How often each kind comes, in a thousand: what stops all lanes for many seconds is rare, or they would carry nothing.
KINDS: Final[Mapping[str, tuple[int, Fault]]] = {
    "answer lost": (330, lose_answer),
    "request late": (390, deliver_late),
    "answers delayed": (75, delay_answers),
    "connection held": (30, hold_everything),
    "connections cut": (40, cut_connections),
    "worker killed": (35, kill_worker),
    "worker asked to stop": (15, end_worker),
    "worker stopped and continued": (15, make_zombie),
    "two workers hold every lane": (6, two_owners),
    "broker killed": (10, kill_broker),
    "coordinator killed": (8, kill_coordinator),
    "broker frozen": (8, freeze_broker),
    "disk full": (3, fill_disk),
    "registry killed": (8, kill_registry),
    "catalogue changed": (14, change_catalogue),
    "inbox refuses": (4, refuse_inbox),
    "inbox takes records again": (4, accept_again),
    "lanes resized": (9, resize_lanes),
    "consumer comes late": (2, come_late),
    "past replayed": (4, replay_the_past),
}


@dataclasses.dataclass(frozen=True, slots=True)
class Injected:
    """What was done."""

    happened: Counter[str]
    in_vain: Counter[str]  # no such request came by, or no coordinator could be found


def plan(seed: int, count: int, kinds: Sequence[str]) -> list[tuple[str, random.Random]]:
    """Which faults come, in their order, and what each does: by the seed alone.

    Every kind comes at least once, if they are enough.
    """
    rng = random.Random(seed)
    chosen = list(kinds[:count])
    weights = [KINDS[kind][0] for kind in kinds]
    chosen += rng.choices(kinds, weights, k=count - len(chosen))
    rng.shuffle(chosen)
    return [(kind, random.Random(f"{seed}-{number}")) for number, kind in enumerate(chosen)]


async def inject(scene: Scene, planned: Sequence[tuple[str, random.Random]], seconds: float) -> Injected:
    """Begin one fault after another, evenly over a time, each while earlier ones are still going on."""
    injected = Injected(Counter(), Counter())
    begun = time.monotonic()

    async def one(kind: str, rng: random.Random) -> None:
        happened = await KINDS[kind][1](scene, rng)
        (injected.happened if happened else injected.in_vain)[kind] += 1
        sys.stderr.write(f"{time.monotonic() - begun:8.1f} s {kind}{'' if happened else ' (in vain)'}\n")

    async with asyncio.TaskGroup() as group:
        for number, (kind, rng) in enumerate(planned):
            group.create_task(one(kind, rng))
            await asyncio.sleep(max(0, begun + seconds * (number + 1) / len(planned) - time.monotonic()))
    return injected
