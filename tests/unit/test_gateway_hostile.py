"""Malformed and hostile requests: none makes the gateway fail, and none has an effect that its answer does not tell."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import schemathesis
from gateway_hostile import Hostile, requests
from gateway_memory import BMKG, BNPB, QUAKE, URL, MemoryBus, Visitor, visiting
from schemathesis.core.result import Ok

from connectors.gateway import token_issuer
from connectors.gateway.app import build
from lintas.settings import Settings

AGREEMENT = "bnpb.early-warning.earthquake-measured"
RELEASED = {name: value for name, value in QUAKE.items() if name != "magnitude_tenths"}
UNLIMITED: dict[str, Any] = {
    "gateway_events_per_second": 1e9,
    "gateway_stream_seconds": 0.02,
    "gateway_request_seconds": 5,
}
SLOW = list(hypothesis.HealthCheck)
CHECKS = [
    schemathesis.checks.not_a_server_error,
    schemathesis.checks.status_code_conformance,
    schemathesis.checks.content_type_conformance,
    schemathesis.checks.response_schema_conformance,
]
FEW, MANY = 500, 9_000
EXAMPLES, MANY_EXAMPLES = 3, 150  # for each operation of the OpenAPI


async def ask(visitor: Visitor, request: Hostile) -> tuple[int, dict[str, str], bytes]:
    """The request given to the application as a server does, whatever its bytes."""
    parts = [{"type": "http.request", "body": request.body, "more_body": False}]
    told: list[Any] = []

    async def receive() -> Any:
        return parts.pop(0) if parts else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        told.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": "http",
        "path": request.path,
        "raw_path": request.path.encode(),
        "query_string": request.query,
        "root_path": "",
        "headers": [(b"host", b"127.0.0.1:8090"), *request.headers],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8090),
    }
    await visitor.app(scope, receive, send)
    headers = {name.decode(): value.decode() for name, value in told[0]["headers"]}
    return told[0]["status"], headers, b"".join(one.get("body", b"") for one in told[1:])


def published_of(request: Hostile, status: int, body: bytes) -> int:
    """How many events an answer says were published."""
    if request.path != "/events" or status != 200:
        return 0
    return int(json.loads(body).get("published") if b'"results"' in body else 1)


async def attack(folder: Path, seed: int, count: int) -> Counter[int]:
    """How many answers had each status."""
    bus = MemoryBus()
    for number in range(20):
        bus.deliver(AGREEMENT, RELEASED, f"q{number}")
    found: Counter[int] = Counter()
    async with visiting(folder, bus, gateway_requests_at_once=10**9, **UNLIMITED) as visitor:
        for request in requests(seed, count, visitor.app.state.issuer.token):
            before = (len(bus.sent), dict(bus.positions[BNPB]))
            status, headers, body = await ask(visitor, request)
            found[status] += 1
            assert status in {200, 204} or 400 <= status < 500, (status, body, request)
            assert len(bus.sent) - before[0] == published_of(request, status, body), request
            if status >= 400 and not request.path.startswith("/issuer") and request.method != "HEAD":
                assert headers["content-type"] == "application/problem+json", request
                assert json.loads(body)["status"] == status
                assert bus.positions[BNPB] == before[1], request
    assert {event.topic for event in bus.sent} <= {"events.bmkg.earthquake.measured.v1"}
    return found


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_issuer, "WRONG_SECRET_SECONDS", 0.0)


async def test_a_few_hundred_hostile_requests_leave_no_failure_and_no_hidden_effect(tmp_path: Path) -> None:
    found = await attack(tmp_path, 7, FEW)
    assert found.keys() >= {200, 400, 401, 403, 404, 405, 415, 422}


@pytest.mark.long
@pytest.mark.timeout(1_200)
async def test_many_hostile_requests_leave_no_failure_and_no_hidden_effect(tmp_path: Path) -> None:
    found = await attack(tmp_path, 2026, MANY)
    print(dict(sorted(found.items())))  # noqa: T201  shown by `make long` and in its log
    assert sum(found.values()) == MANY


def drive(folder: Path, examples: int) -> int:
    """Schemathesis's requests to every operation, good and bad; how many they were."""
    bus = MemoryBus()
    for number in range(3):
        bus.deliver(AGREEMENT, RELEASED, f"q{number}")
    app = build(Settings(home=folder, gateway_requests_at_once=10**9, **UNLIMITED), bus, URL)
    schema = schemathesis.openapi.from_asgi("/openapi.json", app)
    operations: list[Any] = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
    assert len(operations) == 8
    return sum(
        asked_of(operation, bus, examples, lambda system=system: app.state.issuer.token(system))  # type: ignore[misc]
        for operation in operations
        for system in (BMKG, BNPB)
    )


def asked_of(operation: Any, bus: MemoryBus, examples: int, token: Callable[[], str]) -> int:
    """Requests to one operation, answered as it says; how many they were."""
    asked = 0
    both = [operation.as_strategy(generation_mode=mode) for mode in schemathesis.GenerationMode]

    @hypothesis.settings(
        max_examples=examples, deadline=None, derandomize=True, database=None, suppress_health_check=SLOW
    )
    @hypothesis.given(case=hypothesis.strategies.one_of(both))
    def check(case: "schemathesis.Case[Any]") -> None:
        nonlocal asked
        asked += 1
        before = len(bus.sent)
        answer = case.call(headers={"authorization": f"Bearer {token()}"})
        case.validate_response(answer, checks=CHECKS)
        if answer.status_code != 200:
            assert len(bus.sent) == before

    check()
    return asked


def test_what_schemathesis_makes_of_the_openapi_is_answered_as_the_openapi_says(tmp_path: Path) -> None:
    assert drive(tmp_path, EXAMPLES) >= 30


@pytest.mark.long
@pytest.mark.timeout(1_200)
def test_much_that_schemathesis_makes_of_the_openapi_is_answered_as_the_openapi_says(tmp_path: Path) -> None:
    assert drive(tmp_path, MANY_EXAMPLES) + MANY >= 10_000
