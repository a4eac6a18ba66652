"""Positions of idle partitions: committed anew in time, and never guessed once they are lost."""

import asyncio
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import lane_bus
import pytest
from lane_bus import Sent, Worker, catalogue, publish, put_in_force, wait_until

from lintas import names
from lintas.local.bus import LocalBus
from lintas.settings import Settings
from schemas.cluster import Cluster
from schemas.provision import ensure_bus

RETENTION = {"offsets.retention.minutes": "1", "offsets.retention.check.interval.ms": "1000"}
FORGOTTEN_AFTER_SECONDS = 75


def positions(settings: Settings) -> int:
    return len(
        Cluster(settings).committed(names.LANES_OFFSETS_GROUP, [(lane_bus.TOPIC, number) for number in range(4)])
    )


def with_a_bus(folder: Path, recommit_seconds: str) -> None:
    """Idle for longer than the broker keeps positions; then what must be true with and without recommits."""
    bus = LocalBus(folder / "bus", fast_start=True, kafka_overrides=RETENTION)
    settings = bus.start(outlive=False)
    worker = None
    try:
        ensure_bus(settings)
        put_in_force(settings, catalogue(folder / "catalogue"))
        worker = Worker(settings, folder / "worker.log", LINTAS_IDLE_RECOMMIT_SECONDS=recommit_seconds)
        asyncio.run(publish(settings, iter([Sent(0), Sent(2)])))
        wait_until(lambda: lane_bus.decided(settings) >= 2, "the events")
        if recommit_seconds == "10":
            idle_since = time.monotonic()
            wait_until(lambda: time.monotonic() - idle_since > FORGOTTEN_AFTER_SECONDS, "idleness", 90)
            assert positions(settings) == 4
            assert worker.end() == 0
            worker = Worker(settings, folder / "again.log")
            asyncio.run(publish(settings, iter([Sent(4)])))
            wait_until(lambda: lane_bus.decided(settings) >= 3, "the event after idleness")
        else:
            wait_until(lambda: positions(settings) == 0, "the broker to forget", 120)
            assert worker.end() == 0
            worker = Worker(settings, folder / "again.log", LINTAS_STOPPED_LANE_SECONDS="2")
            asyncio.run(publish(settings, iter([Sent(4)])))
            _the_alarm_is_given_until_a_person_mends_it(settings, worker)
    finally:
        if worker is not None:
            worker.kill()
        bus.stop()


def _the_alarm_is_given_until_a_person_mends_it(settings: Settings, worker: Worker) -> None:
    alarm = "the committed position of events.a.thing.v1"
    wait_until(lambda: worker.text.count(alarm) > 4, "every lane's alarm, and again")
    assert "lintas lanes restore events.a.thing.v1" in worker.text
    assert worker.process.poll() is None  # lanes without lost positions go on
    assert lane_bus.decided(settings) == 2
    restored = subprocess.run(
        [sys.executable, "-m", "lintas", "lanes", "restore", "--all"],
        env={**os.environ, "LINTAS_HOME": str(settings.home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert restored.returncode == 0, restored.stderr
    wait_until(lambda: lane_bus.decided(settings) >= 3, "the event after the restoration")
    assert asyncio.run(lane_bus.inbox(settings, "b.all")).numbers == [0, 2, 4]


@pytest.mark.timeout(300)
def test_positions_outlive_idleness_by_recommits_and_a_lost_one_stops_the_lane(tmp_path: Path) -> None:
    for name in ("recommitted", "forgotten"):
        (tmp_path / name).mkdir()
    with ThreadPoolExecutor() as pool:
        done = [
            pool.submit(with_a_bus, tmp_path / "recommitted", "10"),
            pool.submit(with_a_bus, tmp_path / "forgotten", "86400"),
        ]
        for one in done:
            one.result()
