"""An event that crashes the code, among 100,000 that do not: the others arrive as if it were not there."""

import asyncio
import json
from collections import Counter
from pathlib import Path

import lane_bus
import pytest
from aiokafka.structs import ConsumerRecord
from lane_bus import POISON, Sent, decisions, inbox, publish, wait_until
from lane_promises import Workers

from lintas import names
from lintas.settings import Settings
from schemas.cluster import Cluster

EVENTS = 100_000
PROGRAM = str(Path(__file__).with_name("poisoned_worker.py"))
PARTITIONS = [(lane_bus.TOPIC, number) for number in range(4)]

pytestmark = pytest.mark.timeout(240)


def carry(settings: Settings, events: int) -> list[int]:
    """Publish, wait until everything is decided; the numbers of the good events."""
    sent = [Sent(n, "poison" if n == events // 2 else "good") for n in range(events + 1)]
    assert asyncio.run(publish(settings, iter(sent))) == len(sent)
    cluster = Cluster(settings)
    wait_until(
        lambda: sum(cluster.committed(names.LANES_OFFSETS_GROUP, PARTITIONS).values()) == len(sent), "all decided", 120
    )
    return [one.n for one in sent if one.kind == "good"]


def why(record: ConsumerRecord) -> dict[str, str]:
    """The headers by which the bus says why."""
    return {
        name.removeprefix(names.ERROR_PREFIX): value.decode()
        for name, value in record.headers
        if name.startswith(names.ERROR_PREFIX)
    }


@pytest.mark.parametrize(("part", "size"), [("read", EVENTS), ("release", 2_000)])
def test_one_poison_event_is_isolated(settings: Settings, workers: Workers, part: str, size: int) -> None:
    worker = workers.start((PROGRAM, part))
    good = carry(settings, size)
    received = asyncio.run(inbox(settings, "b.all"))
    assert received.numbers == good
    assert received.ordered
    topics = (
        [names.quarantine_topic("a")] if part == "read" else [names.dead_topic("b.all"), names.dead_topic("b.even")]
    )
    for topic in topics:
        (letter,) = asyncio.run(lane_bus.read(settings, topic))
        told = why(letter)
        (problem,) = json.loads(told["problems"])
        assert (told["stage"], told["rule"], problem["rule"]) == ("crash", "crash", "crash")
        kind, _, digest = problem["message"].partition(", trace ")
        assert kind == "ZeroDivisionError"
        assert f"trace {digest}: " in worker.text
        assert POISON.encode() in letter.value  # whole, to be given once the code is mended
    events, agreements = asyncio.run(decisions(settings))
    if part == "read":
        assert events == Counter(routed=size, quarantined=1)
    else:
        assert events == Counter(routed=size + 1)
        assert agreements["all", "dead"] == agreements["even", "dead"] == 1
    assert POISON not in worker.text  # neither the event nor the exception's text is for logs
    assert worker.end() == 0
