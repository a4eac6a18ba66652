"""Users of the bus through a loss of the broker."""

import time
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from lintas import credentials
from lintas.credentials import confluent_options
from lintas.errors import BusUnavailable
from lintas.local.bus import LocalBus
from lintas.settings import Settings
from schemas.cluster import Cluster

REMAINS, LEAVES = "agency-u.stays", "agency-u.leaves"


def can_log_in(settings: Settings, principal: str) -> bool:
    try:
        AdminClient({**confluent_options(settings, principal), "log_level": 2}).list_topics(timeout=5)
    except KafkaException:
        return False
    return True


def test_a_deleted_user_stays_out_and_everyone_else_can_log_in_after_the_broker_is_killed(tmp_path: Path) -> None:
    bus = LocalBus(tmp_path / "bus", fast_start=True)
    settings = bus.start(outlive=False)
    try:
        cluster = Cluster(settings)
        for principal in (REMAINS, LEAVES):
            cluster.create_user(credentials.create(settings, principal))
        assert can_log_in(settings, LEAVES)
        cluster.delete_user(LEAVES)
        assert cluster.users() >= {REMAINS}
        assert LEAVES not in cluster.users()

        kafka = next(part for part in bus.status().parts if part.name == "kafka")
        assert kafka.process is not None
        process = kafka.process.process()
        assert process is not None
        process.kill()
        deadline = time.monotonic() + 60
        while True:
            try:
                found = Cluster(settings).users()
                break
            except BusUnavailable:
                assert time.monotonic() < deadline
        assert REMAINS in found
        assert can_log_in(settings, REMAINS)
        assert not can_log_in(settings, LEAVES)

        cluster.create_user(credentials.load(settings, LEAVES))  # comes back
        assert can_log_in(settings, LEAVES)
    finally:
        bus.stop()
