"""Connectors at the console: seen by those who may, acted on for the own systems, recorded first."""

import dataclasses
import html
from pathlib import Path

import pytest
from console_letters import Kafka, bus_with, example, home_with_keys, kafka_that_remembers
from console_visits import StillBus, browser

from connectors.runtime.state import ConnectorsState, Kept, State, Status, Target, progress_records
from monitoring.console import connectors
from schemas.connector_configs import Configured, Record
from schemas.model import Connector
from streams.acts_log import CONNECTOR_PAUSE, CONNECTOR_RESTART, DONE

SIAK, SATUSEHAT = "dukcapil.siak", "kemenkes.satusehat"
TRACE = "ConnectorFailed: the folder is away\n  at files/source.py:17 poll"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return home_with_keys(tmp_path)


@pytest.fixture
def kafka(monkeypatch: pytest.MonkeyPatch) -> Kafka:
    return kafka_that_remembers(monkeypatch)


@pytest.fixture
def bus() -> StillBus:
    named = {
        name: Connector(connector=name, system=system, plugin="files")
        for name, system in (("births", SIAK), ("to-clinic", SATUSEHAT))
    }
    return bus_with(dataclasses.replace(example(), connectors=named))


@pytest.fixture
def states(monkeypatch: pytest.MonkeyPatch) -> dict[str, ConnectorsState]:
    """What the systems' topics say."""

    def status(state: State, trace: str | None = None) -> Status:
        return Status(state, "2026-11-26T10:00:00+00:00", "here:8083", trace)

    found = {
        SIAK: ConnectorsState().of(
            [
                Configured("files", {"folder": "/srv/births"}, "catalogue").record("births"),
                status(State.FAILED, TRACE).record("births"),
                *progress_records("births", {"births.csv": {"line": 4711, "done": False}, "long": "x" * 301}),
            ]
        ),
        SATUSEHAT: ConnectorsState().of(
            [
                Configured("webhook", {"url": "https://clinic.example"}, "rest").record("to-clinic"),
                status(State.RUNNING).record("to-clinic"),
                Kept("webhook", {2: 812}).record("to-clinic"),
            ]
        ),
    }

    def write(_: object, system: str, records: list[Record], *, principal: str) -> None:
        assert principal == "admin"
        found[system].of(records)

    monkeypatch.setattr(connectors, "read_states", lambda _, systems, **__: {one: found[one] for one in systems})
    monkeypatch.setattr(connectors, "owned_of", lambda _, systems, *__: set(systems))
    monkeypatch.setattr(connectors, "write", write)
    return found


@pytest.mark.usefixtures("states")
async def test_connectors_are_listed_and_one_tells_why_it_failed_and_how_far_it_is(home: Path, bus: StillBus) -> None:
    async with browser(home, bus) as visitor:
        await visitor.log_in("auditor")
        listed = (await visitor.get("/connectors")).text
        failed = (await visitor.get(f"/connectors/births?system={SIAK}")).text
        running = (await visitor.get("/connectors/to-clinic")).text
    assert "births" in listed
    assert "to-clinic" in listed
    assert "FAILED" in failed
    assert "the folder is away" in failed
    assert '{"done": false, "line": 4711}' in html.unescape(failed)
    assert f"{'x' * 300}... (301 characters)" in failed
    assert "/srv/births" in failed
    assert "812" in running
    assert '<button name="act"' not in failed, "auditors act on nothing"


@pytest.mark.usefixtures("states")
async def test_a_steward_sees_the_own_agency_s_connectors_only(home: Path, bus: StillBus) -> None:
    async with browser(home, bus, language="id") as visitor:
        await visitor.log_in("steward-kemenkes")
        listed = (await visitor.get("/connectors")).text
        missing = await visitor.get("/connectors/births")
    assert "membawa keluar" in listed
    assert "births" not in listed
    assert missing.status_code == 404


async def test_an_act_is_recorded_with_its_reason_and_asked_of_the_runtime(
    home: Path, bus: StillBus, kafka: Kafka, states: dict[str, ConnectorsState]
) -> None:
    async with browser(home, bus) as visitor:
        await visitor.log_in("steward-dukcapil")
        form = {"system": SIAK, "act": CONNECTOR_RESTART, "reason": "the folder is back"}
        answer = await visitor.post("/connectors/births", form, follow_redirects=False)
        assert answer.headers["location"] == f"/connectors/births?system={SIAK}&did={CONNECTOR_RESTART}"
        assert states[SIAK].target("births") == Target(State.RUNNING, 1)
        await visitor.post("/connectors/births", form | {"act": CONNECTOR_PAUSE})
        assert states[SIAK].target("births") == Target(State.PAUSED, 1)
        refused = await visitor.post("/connectors/births", form)
    assert refused.status_code == 409
    found = [(act.act, act.target, act.agency, act.reason) for act in kafka.acts if act.outcome == DONE]
    assert found == [
        (act, f"births of {SIAK}", "dukcapil", "the folder is back") for act in (CONNECTOR_PAUSE, CONNECTOR_RESTART)
    ]


@pytest.mark.parametrize(("who", "code"), [("steward-kemenkes", 404), ("auditor", 403), ("viewer", 403)])
async def test_who_may_not_act_changes_nothing(
    home: Path, bus: StillBus, kafka: Kafka, states: dict[str, ConnectorsState], who: str, code: int
) -> None:
    async with browser(home, bus) as visitor:
        await visitor.log_in(who)
        answer = await visitor.post("/connectors/births", {"system": SIAK, "act": CONNECTOR_PAUSE})
    assert answer.status_code == code
    assert states[SIAK].target("births") == Target()
    assert kafka.written == []
