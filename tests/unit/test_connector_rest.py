"""The REST API answers as Kafka Connect's does: paths, shapes, codes, errors."""

import asyncio
import functools
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from connector_kinds import KINDS
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.middleware import Middleware

from connectors.runtime.rest.app import Connectors, rest_routes
from connectors.runtime.rest.errors import not_there
from connectors.runtime.rest.guard import Guard
from connectors.runtime.runtime import ConnectorRuntime
from connectors.runtime.state import ConnectorsState, Kept, State, Status, progress_records
from connectors.runtime.validation import Plugins
from lintas.cli.connector_run import _app
from lintas.settings import Settings
from monitoring.connector_metrics import ConnectorMetrics
from schemas.connector_configs import Configured, Record

OFFICE, READER = "office.desk", "users.reader"
NAME, SETTINGS = "permits", {"event_type": "id.go.office.permit.issued.v1", "until": 10}
CONFIG = {"connector.class": "counting", "system": OFFICE, **SETTINGS}
BASE = "http://127.0.0.1:8083"


class InMemory(Connectors):
    """Two systems whose topics are kept here."""

    def __init__(self) -> None:
        self.known = {OFFICE: ConnectorsState(), READER: ConnectorsState()}
        self.runs = True

    @property
    def plugins(self) -> Plugins:
        return KINDS

    async def cluster_id(self) -> str:
        return "lintas-1"

    async def states(self) -> Mapping[str, ConnectorsState]:
        return self.known

    async def owned(self, system: str) -> bool:
        return system in self.known and self.runs

    async def write(self, system: str, *records: Record) -> None:
        self.known[system].of(records)

    def becomes(self, state: State, restarts: int = 0, trace: str | None = None) -> None:
        """The runtime says how the connector is."""
        self.known[OFFICE].of([Status(state, "2026-11-26T16:00:00Z", "here:8083", trace, restarts).record(NAME)])


class Client:
    """Asks an application as a program of some address does."""

    def __init__(self, app: Starlette, base_url: str = BASE) -> None:
        self._app, self._base_url = app, base_url
        self.get, self.put = functools.partial(self.ask, "GET"), functools.partial(self.ask, "PUT")
        self.post, self.delete = functools.partial(self.ask, "POST"), functools.partial(self.ask, "DELETE")

    def ask(self, method: str, path: str, **terms: Any) -> httpx.Response:
        async def asked() -> httpx.Response:
            transport = httpx.ASGITransport(app=self._app)
            async with httpx.AsyncClient(transport=transport, base_url=self._base_url) as client:
                return await client.request(method, path, **terms)

        return asyncio.run(asked())


@pytest.fixture
def bus() -> InMemory:
    return InMemory()


def app(bus: InMemory, token: str | None = None) -> Starlette:
    return Starlette(
        routes=rest_routes(bus),
        middleware=[Middleware(Guard, token=token)],
        exception_handlers={404: not_there, 405: not_there},
    )


@pytest.fixture
def client(bus: InMemory) -> Client:
    return Client(app(bus), base_url=BASE)


@pytest.fixture
def running(bus: InMemory, client: Client) -> Client:
    assert client.post("/connectors", json={"name": NAME, "config": CONFIG}).status_code == 201
    bus.becomes(State.RUNNING)
    return client


def error(answer: Any) -> tuple[int, str]:
    """Code and message; the shape is Connect's."""
    body = answer.json()
    assert set(body) == {"error_code", "message"}
    assert body["error_code"] == answer.status_code
    return answer.status_code, body["message"]


def test_the_root_tells_version_and_cluster(client: Client) -> None:
    root = client.get("/").json()
    assert set(root) == {"version", "commit", "kafka_cluster_id"}
    assert root["kafka_cluster_id"] == "lintas-1"


def test_a_connector_is_created_listed_shown_and_deleted(client: Client) -> None:
    created = client.post("/connectors", json={"name": NAME, "config": CONFIG})
    assert created.status_code == 201
    assert created.headers["location"] == f"/connectors/{NAME}"
    assert created.json() == {
        "name": NAME,
        "config": {**CONFIG, "name": NAME},
        "tasks": [{"connector": NAME, "task": 0}],
        "type": "source",
        "origin": "rest",
    }
    assert client.get("/connectors").json() == [NAME]
    assert client.get(f"/connectors/{NAME}").json() == created.json()
    assert client.get(f"/connectors/{NAME}/config").json() == {**CONFIG, "name": NAME}
    assert client.get(f"/connectors/{NAME}/tasks").json() == [
        {"id": {"connector": NAME, "task": 0}, "config": {**CONFIG, "name": NAME}}
    ]
    assert client.delete(f"/connectors/{NAME}").status_code == 204
    assert client.get("/connectors").json() == []
    assert error(client.get(f"/connectors/{NAME}"))[0] == 404


def test_put_config_creates_and_then_updates(client: Client) -> None:
    path = f"/connectors/{NAME}/config"
    assert client.put(path, json=CONFIG).status_code == 201
    assert client.put(path, json=CONFIG).status_code == 200
    assert client.put(path, json={**CONFIG, "until": 20}).json()["config"]["until"] == 20
    assert error(client.put(path, json={**CONFIG, "system": READER}))[0] == 409


def test_expand_gives_status_and_info_of_all(running: Client) -> None:
    found = running.get("/connectors?expand=status&expand=info").json()
    assert found[NAME]["status"]["connector"]["state"] == "RUNNING"
    assert found[NAME]["info"]["type"] == "source"


def test_a_status_has_connect_s_shape(bus: InMemory, running: Client) -> None:
    path = f"/connectors/{NAME}/status"
    part = {"state": "RUNNING", "worker_id": "here:8083"}
    assert running.get(path).json() == {
        "name": NAME,
        "connector": part,
        "tasks": [{"id": 0, **part}],
        "type": "source",
        "since": "2026-11-26T16:00:00Z",
    }
    bus.becomes(State.FAILED, trace="ConnectorFailed: why\n  at where")
    failed = running.get(path).json()
    assert failed["tasks"] == [
        {"id": 0, "state": "FAILED", "worker_id": "here:8083", "trace": "ConnectorFailed: why\n  at where"}
    ]
    assert running.get(f"/connectors/{NAME}/tasks/0/status").json() == failed["tasks"][0]
    assert error(running.get(f"/connectors/{NAME}/tasks/1/status"))[0] == 404
    bus.runs = False
    assert running.get(path).json()["connector"]["state"] == "UNASSIGNED"


@pytest.mark.parametrize(("verb", "code", "wanted"), [("pause", 202, "PAUSED"), ("stop", 204, "STOPPED")])
def test_a_connector_is_paused_or_stopped_and_goes_on(
    bus: InMemory, running: Client, verb: str, code: int, wanted: str
) -> None:
    assert running.put(f"/connectors/{NAME}/{verb}").status_code == code
    assert bus.known[OFFICE].target(NAME).state == wanted
    assert running.put(f"/connectors/{NAME}/resume").status_code == 202
    assert bus.known[OFFICE].target(NAME).state == "RUNNING"


def test_restart_answers_204_without_parameters_and_202_with_the_parts_that_restart(
    bus: InMemory, running: Client
) -> None:
    path = f"/connectors/{NAME}/restart"
    assert running.post(path).status_code == 204
    assert bus.known[OFFICE].target(NAME).restarts == 1
    bus.becomes(State.RUNNING, 1)
    spared = running.post(f"{path}?includeTasks=true&onlyFailed=true")
    assert (spared.status_code, spared.json()["connector"]["state"]) == (202, "RUNNING")
    bus.becomes(State.FAILED, 1)
    begun = running.post(f"{path}?includeTasks=true&onlyFailed=true")
    assert (begun.status_code, begun.json()["connector"]["state"]) == (202, "RESTARTING")
    assert running.post(f"/connectors/{NAME}/tasks/0/restart").status_code == 204
    assert error(running.post(f"/connectors/{NAME}/tasks/1/restart"))[0] == 404
    assert error(running.post(f"{path}?onlyFailed=perhaps"))[0] == 400


def test_a_paused_connector_is_not_restarted(running: Client) -> None:
    running.put(f"/connectors/{NAME}/pause")
    assert error(running.post(f"/connectors/{NAME}/restart"))[0] == 409


def test_offsets_are_shown_and_forgotten_only_when_stopped(bus: InMemory, running: Client) -> None:
    bus.known[OFFICE].of([Kept("counting", {1: 7}, ("events.a",)).record(NAME), *progress_records(NAME, {"next": 5})])
    path = f"/connectors/{NAME}/offsets"
    assert running.get(path).json() == {
        "offsets": [
            {"partition": {"kafka_topic": f"inbox.{OFFICE}", "kafka_partition": 1}, "offset": {"kafka_offset": 7}},
            {"partition": {"name": "next"}, "offset": 5},
        ]
    }
    assert running.get(f"/connectors/{NAME}/topics").json() == {NAME: {"topics": ["events.a"]}}
    assert error(running.delete(path))[0] == 409
    running.put(f"/connectors/{NAME}/stop")
    bus.becomes(State.STOPPED)
    assert running.delete(path).status_code == 200
    assert running.get(path).json() == {"offsets": []}


def test_a_sink_reads_its_inbox(client: Client) -> None:
    config = {"connector.class": "writing", "system": READER, "file": "/tmp/x"}
    assert client.put("/connectors/w/config", json=config).json()["type"] == "sink"
    assert client.get("/connectors/w/topics").json() == {"w": {"topics": [f"inbox.{READER}"]}}


@pytest.mark.parametrize(
    ("body", "code", "told"),
    [
        ({"name": NAME}, 400, "config must be an object"),
        ({"name": "Not A Name", "config": CONFIG}, 400, "lower-case"),
        ({"name": NAME, "config": {**CONFIG, "system": "office.deks"}}, 400, "did you mean office.desk?"),
        ({"name": NAME, "config": {**SETTINGS, "connector.class": "counting"}}, 400, "one of: office.desk"),
        ({"name": NAME, "config": {**SETTINGS, "system": OFFICE}}, 400, "names the kind"),
        ({"name": NAME, "config": {**CONFIG, "connector.class": "countin"}}, 400, "did you mean counting?"),
        ({"name": NAME, "config": {**CONFIG, "until": -3, "pause_ms": "x"}}, 400, "2 error(s)"),
        ({"name": NAME, "config": {**CONFIG, "name": "another"}}, 400, "must be the connector's"),
        ({"name": NAME, "config": CONFIG, "initial_state": "ASLEEP"}, 400, "initial_state"),
        ({"name": NAME, "config": CONFIG, "initial_state": []}, 400, "initial_state"),
        ({"name": [], "config": CONFIG}, 400, "name must be a text"),
        ({"name": 5, "config": CONFIG}, 400, "name must be a text"),
        ({"name": NAME, "config": {**CONFIG, "system": []}}, 400, "one of: office.desk"),
        ([], 400, "JSON object"),
    ],
)
def test_what_is_not_right_changes_nothing_and_is_told(
    bus: InMemory, client: Client, body: Any, code: int, told: str
) -> None:
    found, message = error(client.post("/connectors", json=body))
    assert (found, told in message) == (code, True), message
    assert not bus.known[OFFICE].configs


def test_a_name_is_taken_once(running: Client) -> None:
    assert error(running.post("/connectors", json={"name": NAME, "config": CONFIG}))[0] == 409


def test_a_connector_may_be_created_paused(bus: InMemory, client: Client) -> None:
    client.post("/connectors", json={"name": NAME, "config": CONFIG, "initial_state": "PAUSED"})
    assert bus.known[OFFICE].target(NAME).state is State.PAUSED


def test_a_connector_of_the_catalogue_is_changed_there(bus: InMemory, client: Client) -> None:
    bus.known[OFFICE].of([Configured("counting", SETTINGS, "catalogue").record(NAME)])
    code, message = error(client.put(f"/connectors/{NAME}/config", json={**CONFIG, "until": 11}))
    assert (code, "catalogue" in message) == (409, True)
    assert error(client.delete(f"/connectors/{NAME}"))[0] == 409
    assert client.put(f"/connectors/{NAME}/pause").status_code == 202


def test_two_systems_with_one_name_are_told_apart_elsewhere(bus: InMemory, client: Client) -> None:
    for state in bus.known.values():
        state.of([Configured("counting", SETTINGS, "command line").record(NAME)])
    assert error(client.get(f"/connectors/{NAME}"))[0] == 409


def test_kinds_are_listed_with_what_they_promise(client: Client) -> None:
    kinds = {kind["class"]: kind for kind in client.get("/connector-plugins").json()}
    assert (kinds["counting"]["type"], kinds["counting"]["guarantee"]) == ("source", "exactly once")
    until = {one["name"]: one for one in client.get("/connector-plugins/counting/config").json()}["until"]
    assert (until["type"], until["required"], until["documentation"]) == ("LONG", True, "the last number is one less")
    assert error(client.get("/connector-plugins/countin/config"))[0] == 404


def test_validation_tells_every_problem_at_its_field(client: Client) -> None:
    config = {"connector.class": "counting", "until": 0, "pause_ms": "x", "untill": 3}
    found = client.put("/connector-plugins/counting/config/validate", json=config).json()
    errors = {entry["value"]["name"]: entry["value"]["errors"] for entry in found["configs"]}
    assert found["error_count"] == 4
    assert errors["event_type"] == ["is missing"]
    assert errors["untill"] == ["there is no such setting; did you mean until?"]
    assert errors["until"]
    assert errors["pause_ms"]
    sound = client.put("/connector-plugins/counting/config/validate", json=SETTINGS).json()
    assert sound["error_count"] == 0
    values = {entry["value"]["name"]: entry["value"]["value"] for entry in sound["configs"]}
    assert values == {**SETTINGS, "pause_ms": 20}


def test_bodies_that_are_no_json_are_refused(client: Client) -> None:
    headers = {"content-type": "application/json"}
    assert error(client.post("/connectors", content=b"{", headers=headers))[0] == 400
    validate = "/connector-plugins/counting/config/validate"
    for value in (b"NaN", b"1e999", b'"\\ud800"'):  # what cannot be answered as JSON in UTF-8
        assert error(client.put(validate, content=b'{"event_type": %s}' % value, headers=headers))[0] == 400
    assert error(client.post("/connectors", content=b'"' + b"x" * 1_000_001, headers=headers))[0] == 413
    assert error(client.post("/connectors", content=b"{}", headers={"content-type": "text/plain"}))[0] == 415


def test_the_program_guards_the_api_and_leaves_its_health_open() -> None:
    async def served() -> Starlette:
        metrics = ConnectorMetrics(CollectorRegistry())
        runtime = ConnectorRuntime(Settings(), KINDS, worker="here:8083")
        return _app(Settings(), runtime, asyncio.get_running_loop(), CollectorRegistry(), metrics, "secret")

    client = Client(asyncio.run(served()))
    assert error(client.get("/connectors"))[0] == 401
    assert error(client.get("/nothing"))[0] == 401
    assert client.get("/connector-plugins", headers={"authorization": "Bearer secret"}).status_code == 200
    assert client.get("/live").status_code == 200


def test_unknown_paths_and_methods_have_the_same_shape(client: Client) -> None:
    assert error(client.get("/nothing"))[0] == 404
    assert error(client.ask("PATCH", "/connectors"))[0] == 405


def test_without_a_token_no_web_page_and_no_other_name_may_ask(bus: InMemory, client: Client) -> None:
    assert error(client.get("/connectors", headers={"origin": "https://evil.example"}))[0] == 403
    assert error(Client(app(bus), base_url="http://evil.example").get("/connectors"))[0] == 403


def test_with_a_token_only_who_has_it_may_ask(bus: InMemory) -> None:
    client = Client(app(bus, token="secret"), base_url="http://connectors.example")
    assert error(client.get("/connectors"))[0] == 401
    assert error(client.get("/connectors", headers={"authorization": "Bearer other"}))[0] == 401
    assert client.get("/connectors", headers={"authorization": "Bearer secret"}).status_code == 200
