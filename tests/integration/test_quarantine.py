"""Events come out of quarantine as themselves: to everybody entitled, once, whatever was published again meanwhile."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from lane_bus import SCHEMA, TOPIC, Sent, catalogue, inbox, lintas, publish, put_in_force, wait_until
from lane_promises import Workers

from lintas import names
from lintas.settings import Settings
from schemas.cluster import Cluster
from schemas.registry import Registry
from schemas.snapshot import RegisteredSchema
from streams.balance import balance

EVENTS = 3_000
LATER = {"fields": [*SCHEMA["fields"], {"name": "note", "type": ["null", "string"], "default": None}]}
NEWER = {**SCHEMA, **LATER}
PARTITIONS = [(TOPIC, number) for number in range(4)]

pytestmark = pytest.mark.timeout(300)


def decided(settings: Settings) -> int:
    return sum(Cluster(settings).committed(names.LANES_OFFSETS_GROUP, PARTITIONS).values())


def outcomes(settings: Settings, *options: str) -> dict[tuple[str, str], int]:
    found = lintas(settings, "quarantine", "redrive", "a", "--all", "-o", "json", *options)
    assert found.returncode == 0, found.stderr
    return {(row["agreement"], row["outcome"]): row["letters"] for row in json.loads(found.stdout)}


def letters(settings: Settings, *options: str) -> list[dict[str, Any]]:
    found = lintas(settings, "quarantine", "list", "a", "-o", "json", *options)
    assert found.returncode == 0, found.stderr
    told: list[dict[str, Any]] = json.loads(found.stdout)
    return told


def send(settings: Settings, *numbers: int, schema: RegisteredSchema | None = None) -> None:
    before = sum(Cluster(settings).ends(PARTITIONS).values())
    asyncio.run(publish(settings, (Sent(n) for n in numbers), schema=schema))
    wait_until(lambda: decided(settings) >= before + len(numbers), "every event")


def test_events_of_a_schema_that_came_later_are_given_once(
    settings: Settings, workers: Workers, tmp_path: Path
) -> None:
    first = workers.start(LINTAS_BATCH_EVENTS="500")
    with Registry(settings.registry) as registry:
        newer = RegisteredSchema(registry.register(f"{TOPIC}-value", NEWER), NEWER)
    early = [n for n in range(EVENTS) if n % 3 == 0]
    send(settings, *(n for n in range(EVENTS) if n % 3))
    send(settings, *early, schema=newer)
    assert {(one["stage"], one["rule"]) for one in letters(settings)} == {("framing", "unknown-schema")}
    assert len(letters(settings)) == len(early)
    send(settings, 0)  # published again, well-formed: what is malformed is not in the window
    assert {(*key, count) for key, count in outcomes(settings, "--dry-run").items()} == {
        ("everybody", "quarantined: framing: unknown-schema", len(early) - 1),
        ("everybody", "stays: published again since", 1),
    }

    # Not mended yet: what is tried comes back, as another letter.
    before = {one["letter"] for one in letters(settings)}
    lintas(settings, "quarantine", "redrive", "a", "1")
    assert [one["attempt"] for one in letters(settings) if one["letter"] not in before] == [2]
    assert len(letters(settings)) == len(early)

    put_in_force(settings, catalogue(tmp_path / "newer", schema=NEWER), wait_seconds=60)
    even = len([n for n in early[1:] if n % 2 == 0])
    assert outcomes(settings, "--dry-run") == {
        ("all", "delivered"): len(early) - 1,
        ("even", "delivered"): even,
        ("even", "filtered"): len(early) - 1 - even,
        ("everybody", "stays: published again since"): 1,
    }
    asked = lintas(settings, "quarantine", "redrive", "a", "--all", "--no-wait")
    assert asked.returncode == 0, asked.stderr
    first.kill()
    send_again = workers.start(LINTAS_BATCH_EVENTS="500")
    outcomes(settings)  # waits for what the first call asked for
    assert [one["attempt"] for one in letters(settings)] == [1]  # the one that stays

    send(settings, 3, 6)  # published again behind what came out of quarantine
    send_again.kill()
    workers.start()
    send(settings, 9, 12)  # as well, after another worker has read the window again
    assert asyncio.run(inbox(settings, "b.all")).numbers == list(range(EVENTS))
    assert asyncio.run(inbox(settings, "b.even")).numbers == [n for n in range(EVENTS) if n % 2 == 0]
    books = balance(settings)
    assert [str(difference) for difference in books.differences()] == []
    counted = books.event_types[TOPIC].outcomes
    assert (counted["routed"], counted["duplicate"], counted["quarantined"]) == (EVENTS, 4, 1)

    gone = lintas(settings, "quarantine", "discard", "a", "--all", "--reason", "published again")
    assert gone.stdout == "1 letter(s) discarded\n"
    assert letters(settings) == []
