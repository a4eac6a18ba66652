"""Another number of lanes while events flow, under kills: exactly once and in order all the while."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from typing import Any, Self

import lane_bus
import pytest
from confluent_kafka import IsolationLevel, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec
from lane_bus import Sent, Worker, mixed, publish, running_bus, wait_until
from lane_promises import Workers, assert_exactly_once

from lintas import names
from lintas.credentials import aiokafka_options, confluent_options
from lintas.errors import LanePlansBroken, ResizeBehind, ResizeOvertaken
from lintas.settings import Settings
from schemas.cluster import Cluster
from schemas.generations import latest_plan, now, read_plans
from schemas.lane_plans import LanePlan
from schemas.provision import ensure_bus
from schemas.pseudonyms import PseudonymKeys
from schemas.topic_writer import append
from streams.decide import Plans
from streams.duties import LaneDuties
from streams.lane import Lane
from streams.log_follower import plan_follower
from streams.observer import UNWATCHED
from streams.pace import Pace
from streams.producer import OnceProducer
from streams.redrive_log import Redrives
from streams.replay_log import Replays
from streams.resize import resize

pytestmark = pytest.mark.timeout(300)

CHUNK = 300
PACE_SECONDS = 0.5


@pytest.fixture(scope="module")
def idle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A bus without workers, for tests of what a resize decides; each begins with the lanes that the last one left."""
    with running_bus(tmp_path_factory.mktemp("idle")) as settings:
        yield settings


class Publishing:
    """Publishes in a thread, some hundred events a second, until the block ends."""

    def __init__(self, settings: Settings) -> None:
        self.sent: list[Sent] = []
        self._settings = settings
        self._enough = Event()
        self._pool = ThreadPoolExecutor(1)
        self._future: Future[None] | None = None

    def __enter__(self) -> Self:
        self._future = self._pool.submit(self._publish)
        return self

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        assert self._future is not None
        self._future.result(60)
        self._pool.shutdown()

    def _publish(self) -> None:
        while not self._enough.is_set():
            chunk = list(mixed(len(self.sent), CHUNK))
            assert asyncio.run(publish(self._settings, iter(chunk))) == len(chunk)
            self.sent += chunk
            self._enough.wait(PACE_SECONDS)


KILLED = """
import os, signal, sys
from lintas.settings import Settings
from streams import generations, resize

home, lanes, place, turn = sys.argv[1:]
module, name = {
    "create": (resize, "control_topic"),
    "plan": (resize, "append"),
    "fence": (generations, "_initialise"),
    "open": (generations, "append"),
}[place]
original, calls = getattr(module, name), 0

def count():
    global calls
    calls += 1
    if calls == int(turn):
        os.kill(os.getpid(), signal.SIGKILL)

def deadly(*args, **kwargs):
    result = original(*args, **kwargs)
    count()
    return result

async def deadly_async(*args, **kwargs):
    await original(*args, **kwargs)
    count()

setattr(module, name, deadly_async if place == "fence" else deadly)
resize.resize(Settings(home=home), int(lanes), author="killed")
"""


def killed_resize(settings: Settings, lanes: int, place: str, turn: int = 1) -> None:
    """Resize, and be killed with signal 9 just after a step."""
    arguments = [str(settings.home), str(lanes), place, str(turn)]
    done = subprocess.run([sys.executable, "-c", KILLED, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr


def resize_command(settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lintas", "lanes", "resize", *arguments],
        env={**os.environ, "LINTAS_HOME": str(settings.home)},
        capture_output=True,
        text=True,
        check=False,
    )


def shown(settings: Settings) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "lintas", "lanes", "show", "-o", "json"],
        env={**os.environ, "LINTAS_HOME": str(settings.home)},
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def in_force(settings: Settings) -> tuple[int, int] | None:
    """Generation and number of lanes, if it is open."""
    plan = read_plans(settings).in_force
    return None if plan is None else (plan.generation, plan.lanes)


def generations_of_decisions(settings: Settings) -> set[tuple[int, int]]:
    """Generation and lane of every audit record."""
    return {(batch["generation"], batch["lane"]) for batch in asyncio.run(lane_bus.audit_batches(settings))}


def wait_until_decided(settings: Settings, generation: int) -> None:
    wait_until(
        lambda: any(of == generation for of, _ in generations_of_decisions(settings)),
        f"a batch of generation {generation}",
    )


def wait_until_everything_is_decided(settings: Settings, sent: list[Sent]) -> None:
    wait_until(lambda: lane_bus.decided(settings) >= len(sent), "every event", 90)


def assert_nothing_hangs(settings: Settings) -> None:
    """No transaction is left open: what readers of committed records reach is the end, everywhere."""
    admin = AdminClient(dict(confluent_options(settings, names.ADMIN)))
    partitions = [
        TopicPartition(topic, number)
        for topic, count in Cluster(settings).partitions().items()
        if not topic.startswith("__")
        for number in range(count)
    ]

    def ends(level: IsolationLevel) -> dict[tuple[str, int], int]:
        found = admin.list_offsets(dict.fromkeys(partitions, OffsetSpec.latest()), isolation_level=level)
        return {(at.topic, at.partition): future.result(30).offset for at, future in found.items()}

    wait_until(
        lambda: ends(IsolationLevel.READ_COMMITTED) == ends(IsolationLevel.READ_UNCOMMITTED), "no open transaction"
    )


def test_8_to_3_to_12_lanes_under_kills_loses_nothing_and_doubles_nothing(settings: Settings, workers: Workers) -> None:
    patience = {"LINTAS_BATCH_EVENTS": "200", "LINTAS_UNFINISHED_RESIZE_SECONDS": "2"}
    first, second = workers.start(**patience), workers.start(**patience)
    with Publishing(settings) as publishing:
        wait_until_decided(settings, 1)
        killed_resize(settings, 3, "plan")
        first.kill()
        third = workers.start(**patience)
        wait_until(lambda: in_force(settings) == (2, 3), "the workers to finish what the command began")
        wait_until_decided(settings, 2)

        killed_resize(settings, 12, "fence", turn=2)
        done = resize_command(settings, "12")
        assert done.returncode == 0, done.stderr
        assert in_force(settings) == (3, 12)
        wait_until_decided(settings, 3)
        second.kill()
        wait_until(lambda: len(publishing.sent) > 10 * CHUNK, "enough events")
    wait_until_everything_is_decided(settings, publishing.sent)
    assert_exactly_once(settings, publishing.sent)
    assert_nothing_hangs(settings)
    assert {of for of, _ in generations_of_decisions(settings)} == {1, 2, 3}
    assert all(lane < {1: 8, 2: 3, 3: 12}[of] for of, lane in generations_of_decisions(settings))
    assert third.end() == 0
    assert "never retrieved" not in second.text + third.text  # being replaced is no defect of ours


def test_a_zombie_of_the_old_generation_doubles_nothing(settings: Settings, workers: Workers) -> None:
    # Its transactions last longer than it is frozen: nothing but the fence holds it back.
    frozen = workers.start(LINTAS_BATCH_EVENTS="200", LINTAS_TRANSACTION_TIMEOUT_SECONDS="60")
    with Publishing(settings) as publishing:
        wait_until(lambda: lane_bus.decided(settings) > 1_000, "some batches")
        frozen.process.send_signal(signal.SIGSTOP)
        try:
            workers.start()
            resize(settings, 3, author="test")
            wait_until_decided(settings, 2)
        finally:
            frozen.process.send_signal(signal.SIGCONT)
        wait_until(lambda: shown(settings)["workers"] == 2, "the zombie to join the new generation")
    wait_until_everything_is_decided(settings, publishing.sent)
    assert_exactly_once(settings, publishing.sent)
    assert_nothing_hangs(settings)
    assert frozen.end() == 0
    assert "never retrieved" not in frozen.text


async def test_a_lane_that_is_replaced_just_before_it_initialises_reads_no_position(
    settings: Settings, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its id is not fenced by the resize, since it comes later: that it reads the plans after it is what stops it."""
    sent = list(mixed(0, 400))
    await publish(settings, iter(sent))
    plan = await asyncio.to_thread(latest_plan, settings)
    follower = plan_follower(aiokafka_options(settings, names.WORKER), asyncio.Event())
    await follower.start()
    start, resizing, answers = OnceProducer.start, asyncio.Event(), list[bool]()

    async def resize_then_start(producer: OnceProducer) -> None:
        if not resizing.is_set():
            resizing.set()
            await asyncio.to_thread(resize, settings, 3, author="test")
        await start(producer)

    async def still_mine(_: Lane) -> bool:
        return follower.read.latest == plan

    async def replaced() -> bool:
        answers.append((await follower.read_to_end()).latest != plan)
        return answers[-1]

    monkeypatch.setattr(OnceProducer, "start", resize_then_start)
    plans = Plans(lane_bus.in_force(settings), PseudonymKeys.load(settings.secrets / "pseudonym-keys"))
    options = aiokafka_options(settings, names.WORKER)
    duties = LaneDuties(
        settings,
        options,
        "late",
        plan.generation,
        plan.lanes,
        plans=lambda: plans,
        still_mine=still_mine,
        replaced=replaced,
        redrives=Redrives,
        replays=Replays,
        turn=asyncio.Lock(),
        pace=Pace(),
        observer=UNWATCHED,
    )
    lane = Lane(names.lane_of(lane_bus.TOPIC, 0, plan.lanes), duties)
    await lane.start()
    try:
        await asyncio.to_thread(wait_until, resizing.is_set, "the lane to initialise its id")
        workers.start()
        await asyncio.to_thread(wait_until_everything_is_decided, settings, sent)
    finally:
        await lane.stop()
        await follower.stop()
    await asyncio.to_thread(assert_exactly_once, settings, sent)
    assert {of for of, _ in await asyncio.to_thread(generations_of_decisions, settings)} == {2}
    assert answers == [True]


@pytest.mark.parametrize(
    ("place", "turn", "planned", "opened"),
    [
        ("create", 1, False, False),
        ("plan", 1, True, False),
        ("fence", 1, True, False),
        ("fence", 4, True, False),
        ("open", 1, True, True),
    ],
)
def test_a_resize_that_was_killed_is_finished_by_the_next_whatever_it_asks_for(
    idle: Settings, place: str, turn: int, *, planned: bool, opened: bool
) -> None:
    resize(idle, 4, author="test")
    before = latest_plan(idle).generation
    killed_resize(idle, 3, place, turn)
    done = resize_command(idle, "5", "--no-wait")
    assert done.returncode == 0, done.stderr
    assert in_force(idle) == (before + 1 + planned, 5)
    assert "lanes became 5" in done.stdout
    finished = f"finished what killed began: generation {before + 1}, 3 lanes" in done.stdout
    assert finished == (planned and not opened)


def test_what_is_asked_for_already_is_nothing_to_do_and_what_is_impossible_is_misuse(idle: Settings) -> None:
    resize(idle, 4, author="test")
    before = latest_plan(idle)
    done = resize_command(idle, "4")
    assert (done.returncode, done.stdout) == (0, f"nothing to do: there are 4 lanes (generation {before.generation})\n")
    for number in ("0", "-3", "many", "1001"):
        assert resize_command(idle, number).returncode == 2
    assert latest_plan(idle) == before


def test_of_two_who_plan_at_once_one_is_told_that_the_other_won(
    idle: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    resize(idle, 4, author="test")
    other = LanePlan(latest_plan(idle).generation + 1, 12, "budi@ops", now())

    def append_after_the_other(settings: Settings, topic: str, record: tuple[bytes, bytes]) -> None:
        append(settings, topic, other.as_record(), record)

    monkeypatch.setattr("streams.resize.append", append_after_the_other)
    with pytest.raises(ResizeOvertaken, match="budi@ops changed the number of lanes to 12"):
        resize(idle, 3, author="ani@ops")
    assert read_plans(idle).unfinished == other


def test_lanes_that_do_not_run_are_named_though_the_number_is_changed(idle: Settings) -> None:
    resize(idle, 4, author="test")
    with pytest.raises(ResizeBehind, match=r"lane\(s\) 0, 1, 2 do not run"):
        resize(idle, 3, author="test", wait_seconds=0.1)
    assert latest_plan(idle).lanes == 3
    assert read_plans(idle).unfinished is None


def test_lost_plans_are_not_made_up(settings: Settings) -> None:
    Cluster(settings).delete_topics([names.LANES_PLANS])
    wait_until(lambda: names.LANES_PLANS not in Cluster(settings).partitions(), "the topic to be gone")
    with pytest.raises(LanePlansBroken, match="this bus has had lanes"):
        ensure_bus(settings)


def test_set_aside_agreements_and_duplicate_windows_survive(settings: Settings, workers: Workers) -> None:
    worker: Worker = workers.start()
    sent = list(mixed(0, 60))
    asyncio.run(publish(settings, iter(sent)))
    wait_until_everything_is_decided(settings, sent)
    Cluster(settings).delete_topics([names.inbox_topic("b.even")])
    later = list(mixed(60, 80))
    asyncio.run(publish(settings, iter(later)))
    wait_until_everything_is_decided(settings, sent + later)
    aside = shown(settings)["aside"]
    assert {each["agreement"] for each in aside} == {"even"}

    resize(settings, 5, author="test", wait_seconds=60)

    asyncio.run(publish(settings, iter(sent)))  # once more, in another generation
    wait_until_everything_is_decided(settings, sent + later + sent)
    assert shown(settings)["aside"] == aside
    events, agreements = asyncio.run(lane_bus.decisions(settings))
    strangers = sum(one.kind == "stranger" for one in sent)
    assert events["duplicate"] == len(sent) - strangers + sum(one.kind == "repeat" for one in later)
    assert agreements["even", "waiting"] == sum(one.n % 2 == 0 for one in later)
    assert worker.end() == 0
