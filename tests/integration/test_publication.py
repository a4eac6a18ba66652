import asyncio
import dataclasses
import itertools
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from confluent_kafka import Producer

from lintas import names
from lintas.credentials import confluent_options
from lintas.errors import BusUnavailable, CatalogueError, CatalogueMoved
from lintas.local.bus import LocalBus
from lintas.settings import Settings
from schemas.compose import compose, numbering
from schemas.load import Catalogue
from schemas.provision import ensure_bus
from schemas.publication import CatalogueFollower, publish, read_current, read_log
from schemas.snapshot import Snapshot

Build = Callable[[str], Catalogue]
DEADLINE_SECONDS = 120.0
_numbers = itertools.count(1)


@pytest.fixture
def bus(catalogue_bus: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A bus with a catalogue topic that no other test writes to."""
    monkeypatch.setattr(names, "CATALOGUE", f"lintas.catalogue.{next(_numbers)}")
    ensure_bus(catalogue_bus)
    return catalogue_bus


@pytest.fixture
def first(small_catalogue: Build) -> Snapshot:
    """A catalogue without event types, so that no topics are needed."""
    whole = compose(small_catalogue("p"), numbering())
    return dataclasses.replace(whole, event_types={}, agreements={})


@pytest.fixture
def second(first: Snapshot) -> Snapshot:
    return dataclasses.replace(first, agencies=dict(list(first.agencies.items())[:1]))


@pytest.fixture
async def follower(bus: Settings) -> AsyncIterator[CatalogueFollower]:
    started = CatalogueFollower(bus, names.WORKER)
    await started.start()
    yield started
    await started.stop()


async def until_in_force(follower: CatalogueFollower, digest: str) -> None:
    async with asyncio.timeout(DEADLINE_SECONDS):
        while follower.current is None or follower.current[0].manifest != digest:  # noqa: ASYNC110  no event to wait for
            await asyncio.sleep(0.05)


def test_nothing_is_in_force_before_the_first_catalogue(bus: Settings) -> None:
    assert read_current(bus) is None


def test_a_bus_that_has_no_catalogue_topic_yet_is_one_without_catalogue(
    bus: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(names, "CATALOGUE", "lintas.catalogue.never")
    started = time.monotonic()
    assert read_current(bus) is None
    assert time.monotonic() - started < 10


async def test_a_follower_waits_for_a_bus_that_has_no_catalogue_topic_yet(
    bus: Settings, first: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(names, "CATALOGUE", "lintas.catalogue.later")
    follower = CatalogueFollower(bus, names.WORKER)
    await follower.start()
    await asyncio.sleep(1)  # it has asked, and there was nothing
    await asyncio.to_thread(ensure_bus, bus)
    await asyncio.to_thread(publish, bus, first, author="a", expected=None)
    await until_in_force(follower, first.digest)
    await follower.stop()


def test_catalogues_follow_each_other_and_earlier_ones_stay_readable(
    bus: Settings, first: Snapshot, second: Snapshot
) -> None:
    publish(bus, first, author="ani@bus", expected=None)
    pointer = publish(bus, second, author="budi@bus", expected=first.digest)
    assert (pointer.number, pointer.previous, pointer.author) == (2, first.digest, "budi@bus")
    assert read_current(bus) == (pointer, second)
    earlier = read_current(bus, as_of=first.digest[:12])
    assert earlier is not None
    assert (earlier[0].author, earlier[1]) == ("ani@bus", first)


def test_a_catalogue_that_is_not_the_expected_one_in_between_is_refused(
    bus: Settings, first: Snapshot, second: Snapshot
) -> None:
    publish(bus, first, author="a", expected=None)
    with pytest.raises(CatalogueMoved, match=first.digest):
        publish(bus, second, author="b", expected=None)
    found = read_current(bus)
    assert found is not None
    assert found[0].manifest == first.digest


def test_of_many_publications_at_once_exactly_one_follows_each_catalogue(
    bus: Settings, first: Snapshot, second: Snapshot
) -> None:
    publish(bus, first, author="a", expected=None)

    def one(number: int) -> bool:
        try:
            publish(bus, second, author=str(number), expected=first.digest)
        except CatalogueMoved:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        won = list(pool.map(one, range(4)))
    assert won.count(True) == 1
    assert [pointer.author for pointer in read_log(bus).history] == [str(won.index(True)), "a"]


async def test_a_follower_waits_for_the_first_catalogue_and_takes_up_the_next(
    bus: Settings, follower: CatalogueFollower, first: Snapshot, second: Snapshot
) -> None:
    assert follower.current is None
    await asyncio.to_thread(publish, bus, first, author="a", expected=None)
    async with asyncio.timeout(DEADLINE_SECONDS):
        assert (await follower.wait_first())[1] == first
    same = follower.current
    await asyncio.sleep(0.5)
    assert follower.current is same  # built once: lanes compare by identity
    await asyncio.to_thread(publish, bus, second, author="a", expected=first.digest)
    await until_in_force(follower, second.digest)


async def test_a_follower_that_starts_late_sees_only_what_is_in_force(
    bus: Settings, first: Snapshot, second: Snapshot, follower: CatalogueFollower
) -> None:
    await asyncio.to_thread(publish, bus, first, author="a", expected=None)
    await asyncio.to_thread(publish, bus, second, author="a", expected=first.digest)
    late = CatalogueFollower(bus, names.WORKER)
    await late.start()
    async with asyncio.timeout(DEADLINE_SECONDS):
        assert (await late.wait_first())[0].manifest == second.digest
    await late.stop()
    await until_in_force(follower, second.digest)


async def test_a_follower_survives_the_loss_of_the_broker(
    bus: Settings, local_bus: LocalBus, follower: CatalogueFollower, first: Snapshot, second: Snapshot
) -> None:
    await asyncio.to_thread(publish, bus, first, author="a", expected=None)
    await until_in_force(follower, first.digest)
    kafka = next(part for part in local_bus.status().parts if part.name == "kafka")
    assert kafka.process is not None
    process = kafka.process.process()
    assert process is not None
    process.kill()
    await asyncio.to_thread(publish_when_kafka_is_back, bus, second, first.digest)
    await until_in_force(follower, second.digest)


def publish_when_kafka_is_back(bus: Settings, snapshot: Snapshot, expected: str) -> None:
    deadline = time.monotonic() + 120
    while True:
        try:
            publish(bus, snapshot, author="a", expected=expected)
        except BusUnavailable:
            assert time.monotonic() < deadline
        else:
            return


@pytest.mark.parametrize(
    "forged", [b"not json", b'{"manifest": "0", "previous": null, "author": "", "at": "", "number": 2}']
)
async def test_a_forged_pointer_leaves_no_catalogue_in_force(
    bus: Settings, follower: CatalogueFollower, first: Snapshot, forged: bytes
) -> None:
    await asyncio.to_thread(publish, bus, first, author="a", expected=None)
    await until_in_force(follower, first.digest)
    forger = Producer(dict(confluent_options(bus, names.ADMIN)))
    forger.produce(names.CATALOGUE, forged, b"current")
    forger.flush(30)
    with pytest.raises(CatalogueError):
        await until_in_force(follower, "never")
    with pytest.raises(CatalogueError):
        await follower.wait_first()
    with pytest.raises(CatalogueError):
        await asyncio.to_thread(read_current, bus)
