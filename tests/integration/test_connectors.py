"""Connectors on a real bus: killed, handed over, paused, failed and begun anew, they lose and double nothing."""

import asyncio
import dataclasses
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from connector_bus import ConnectorBus
from counting_connectors import PROGRAM
from lane_bus import PUBLISHER, catalogue, put_in_force, read, wait_until
from own_systems import OwnSystems, permit

from connectors.runtime.state import State
from connectors.runtime.topics import read_states, write
from lintas import names
from lintas.settings import Settings
from schemas.cluster import Cluster
from schemas.connector_configs import Configured
from schemas.model import Connector
from schemas.provision import diff

EVENTS = 6_000
KILLS = 2


@pytest.fixture
def systems(catalogue_bus: Settings) -> OwnSystems:
    return OwnSystems.create(catalogue_bus).with_connectors()


@pytest.fixture
def publishing(systems: OwnSystems, tmp_path: Path) -> Iterator[ConnectorBus]:
    bus = ConnectorBus(systems.settings, systems.publisher, tmp_path, PROGRAM)
    yield bus
    bus.kill()


@pytest.fixture
def reading(systems: OwnSystems, tmp_path: Path) -> Iterator[ConnectorBus]:
    bus = ConnectorBus(systems.settings, systems.consumer, tmp_path, PROGRAM)
    yield bus
    bus.kill()


def published_ids(systems: OwnSystems) -> list[str]:
    """Ids of every committed event, in the order of each partition."""
    records = asyncio.run(read(systems.settings, systems.registered.topic))
    return [value.decode() for record in records for name, value in record.headers if name == "ce_id"]


def written(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


@pytest.mark.timeout(240)
def test_kill_9_and_hand_over_lose_nothing_and_double_nothing(
    systems: OwnSystems, publishing: ConnectorBus, reading: ConnectorBus, tmp_path: Path
) -> None:
    file = tmp_path / "written.jsonl"
    publishing.configure("counter", "counting", {"event_type": systems.event_type, "until": EVENTS})
    reading.configure("writer", "writing", {"file": str(file)})
    asyncio.run(systems.deliver_many([permit(number) for number in range(EVENTS)]))
    owner, waits = publishing.start(), publishing.start()
    reading.start()

    def goes_on() -> None:
        source, sink = publishing.progress("counter").get("next", 0), len(written(file))
        wait_until(lambda: publishing.progress("counter").get("next", 0) > source, "the source goes on")
        wait_until(lambda: len(written(file)) > sink, "the sink goes on")

    for _ in range(KILLS):
        goes_on()
        owner.kill()
        reading.kill()
        owner, waits = waits, publishing.start()
        reading.start()

    wait_until(lambda: publishing.progress("counter").get("next") == EVENTS, "the source comes to its end", 120)
    assert sorted(published_ids(systems)) == sorted(f"permit-{number}" for number in range(EVENTS))
    assert publishing.state().kept["counter"].topics == (systems.registered.topic,)

    wait_until(lambda: reading.progress("writer").get("count", 0) >= EVENTS, "the sink comes to its end", 120)
    taken = [(line["partition"], line["offset"]) for line in written(file)]
    assert {line["number"] for line in written(file)} == {f"P-{number}" for number in range(EVENTS)}
    assert len(set(taken)) == EVENTS
    assert max(Counter(taken).values()) <= KILLS + 1  # what was given before a crash and not committed is given again
    for partition in {partition for partition, _ in taken}:
        firsts = list(dict.fromkeys(offset for own, offset in taken if own == partition))
        assert firsts == sorted(firsts), "in order"
    assert reading.status("writer") is not None


def test_failed_connectors_are_begun_anew_and_people_have_their_way_by_rest(
    systems: OwnSystems, reading: ConnectorBus, tmp_path: Path
) -> None:
    block, file = tmp_path / "block", tmp_path / "failing.jsonl"
    asyncio.run(systems.deliver_many([permit(number) for number in range(20)]))
    block.touch()
    reading.start()
    with httpx.Client(base_url=reading.address, timeout=40) as rest:
        wait_until(lambda: rest.get("/startup").status_code == 200, "it has read what is to be done")
        system = {"system": systems.consumer}
        settings = {"connector.class": "writing", **system, "file": str(file), "fail_while": str(block)}
        wrong = rest.put("/connectors/failing/config", json={**settings, "fiel": "x"})
        assert (wrong.status_code, "did you mean file?" in wrong.json()["message"]) == (400, True)

        def state_of(name: str) -> str:
            return str(rest.get(f"/connectors/{name}/status").json()["connector"]["state"])

        assert rest.put("/connectors/failing/config", json=settings).status_code == 201
        well = {"connector.class": "writing", **system, "file": str(tmp_path / "well.jsonl")}
        assert rest.put("/connectors/well/config", json=well).status_code == 201
        wait_until(lambda: state_of("failing") == "FAILED", "it fails")
        wait_until(lambda: state_of("well") == "RUNNING", "the other one works")
        trace = rest.get("/connectors/failing/status").json()["tasks"][0]["trace"]
        assert "the file stands in the way" in trace
        assert "counting_connectors.py" in trace

        block.unlink()
        since = rest.get("/connectors/well/status").json()["since"]
        for name in ("failing", "well"):
            assert rest.post(f"/connectors/{name}/restart?includeTasks=true&onlyFailed=true").status_code == 202
        wait_until(lambda: state_of("failing") == "RUNNING", "it is begun anew")
        wait_until(lambda: len(written(file)) >= 20, "it goes on")
        assert rest.get("/connectors/well/status").json()["since"] == since

        assert rest.put("/connectors/failing/pause").status_code == 202
        wait_until(lambda: state_of("failing") == "PAUSED", "it pauses")
        assert rest.delete("/connectors/failing/offsets").status_code == 409
        assert rest.put("/connectors/failing/stop").status_code == 204
        wait_until(lambda: state_of("failing") == "STOPPED", "it stops")
        taken = len(written(file))
        assert rest.delete("/connectors/failing/offsets").status_code == 200
        assert rest.get("/connectors/failing/offsets").json() == {"offsets": []}
        rest.put("/connectors/failing/resume")
        wait_until(lambda: len(written(file)) == 2 * taken, "it begins at the beginning")
        metrics = rest.get("/metrics").text
        labels = f'connector="failing",plugin="writing",state="RUNNING",system="{systems.consumer}"'
        assert f"lintas_connector_state{{{labels}}} 1.0" in metrics
        groups, own = Cluster(systems.settings), names.connector_id(systems.consumer, "failing")
        wait_until(lambda: own in groups.groups(), "its positions are committed")
        assert rest.delete("/connectors/failing").status_code == 204
        wait_until(lambda: own not in groups.groups(), "nobody takes it for a reader that is stuck")
        assert names.connector_id(systems.consumer, "well") in groups.groups()
        wait_until(lambda: 'connector="failing"' not in rest.get("/metrics").text, "nothing is told of it any more")
    assert reading.end() == 0
    status = reading.status("well")
    assert status is not None
    assert status.state is State.UNASSIGNED


def test_what_the_bus_would_not_take_is_set_aside_and_the_rest_goes_on(
    systems: OwnSystems, publishing: ConnectorBus, tmp_path: Path
) -> None:
    refused, of_others = tmp_path / "refused", OwnSystems.create(systems.settings).event_type
    settings = {"event_type": systems.event_type, "until": 60, "broken": [3, 30], "refused": str(refused)}
    settings |= {"foreign": {"40": of_others}}
    publishing.configure("sorting", "counting", settings)
    publishing.configure("strict", "counting", {**settings, "refused": None})
    publishing.start()
    wait_until(lambda: publishing.progress("sorting").get("next") == 60, "it comes to its end")
    reasons = dict(line.split(maxsplit=1) for line in refused.read_text().splitlines())
    assert set(reasons) == {"permit-3", "permit-30", "permit-40"}
    assert reasons["permit-40"] == f"{systems.publisher} may not publish {of_others}"
    failed = publishing.wait_for("strict", State.FAILED)
    assert failed.trace is not None
    assert "number 3: data.fee" in failed.trace
    assert publishing.progress("strict") == {}


def test_apply_writes_a_catalogue_s_connectors_mends_and_removes_them(catalogue_bus: Settings, tmp_path: Path) -> None:
    plain = catalogue(tmp_path / "catalogue")
    named = Connector(connector="things", system=PUBLISHER, plugin="files", config={"folder": "/srv/things"})
    whole = dataclasses.replace(plain, connectors={"things": named})

    def configs() -> dict[str, Configured]:
        return read_states(catalogue_bus, [PUBLISHER])[PUBLISHER].configs

    put_in_force(catalogue_bus, whole)
    ours = Configured("files", {"folder": "/srv/things"}, "catalogue")
    assert configs() == {"things": ours}
    assert [change for change in diff(catalogue_bus, whole) if not change.only_pruned] == []

    others = Configured("files", {"folder": "/tmp"}, "rest")
    write(catalogue_bus, PUBLISHER, [others.record("things"), others.record("own")])
    (told,) = [change for change in diff(catalogue_bus, whole) if not change.only_pruned]
    assert (told.action, told.kind, told.name) == ("update", "connector", "things")
    put_in_force(catalogue_bus, whole)
    assert configs() == {"things": ours, "own": others}

    put_in_force(catalogue_bus, plain)
    assert configs() == {"own": others}
