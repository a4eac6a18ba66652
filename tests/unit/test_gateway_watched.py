"""What the gateway counts, what it says of its health, and that a defect of its own tells nothing of an event."""

import json
from pathlib import Path

import pytest
from gateway_memory import BINARY, BMKG, BNPB, QUAKE, MemoryBus, structured, visiting

from connectors.gateway.incoming import BATCH
from monitoring.endpoints import Health
from monitoring.gateway_metrics import GatewayMetrics, routes

JSON = json.dumps(QUAKE).encode()
RELEASED = {name: value for name, value in QUAKE.items() if name != "magnitude_tenths"}


async def test_requests_and_events_are_counted_by_route_and_outcome(tmp_path: Path) -> None:
    metrics, bus = GatewayMetrics(), MemoryBus()
    bus.deliver("bnpb.early-warning.earthquake-measured", RELEASED, "q1")
    served = routes(metrics, Health(ready=lambda: "no catalogue has been read yet"))
    async with visiting(tmp_path, bus, measures=metrics, routes=served, gateway_events_per_second=0.3) as visitor:
        await visitor.post(JSON, BINARY)
        await visitor.post(b"{}", BINARY)
        await visitor.post(json.dumps([structured(1), structured(2)]).encode(), {"content-type": BATCH})
        await visitor.get("/inbox")
        await visitor.get("/nowhere")
        for probe in ("/live", "/ready", "/startup", "/metrics"):  # of whoever watches: no request of a system
            await visitor.http.get(probe)
        assert (await visitor.post(JSON, BINARY)).status_code == 429
        told = (await visitor.http.get("/metrics")).text
    for line in (
        'lintas_gateway_requests_total{route="/events",status="2xx"} 2.0',
        'lintas_gateway_requests_total{route="/events",status="4xx"} 2.0',
        'lintas_gateway_requests_total{route="other",status="4xx"} 1.0',
        'lintas_gateway_request_duration_seconds_count{route="/inbox"} 1.0',
        f'lintas_gateway_events_total{{outcome="published",system="{BMKG}"}} 3.0',
        f'lintas_gateway_events_total{{outcome="refused",system="{BMKG}"}} 1.0',
        f'lintas_gateway_events_total{{outcome="delivered",system="{BNPB}"}} 1.0',
        f'lintas_gateway_limited_total{{system="{BMKG}"}} 1.0',
    ):
        assert line in told.splitlines()
    counted = [line for line in told.splitlines() if line.startswith("lintas_gateway_requests_total")]
    assert len(counted) == 4, counted


async def test_what_is_not_well_is_said_in_words(tmp_path: Path) -> None:
    served = routes(GatewayMetrics(), Health(ready=lambda: "no catalogue has been read yet"))
    async with visiting(tmp_path, routes=served) as visitor:
        answer = await visitor.http.get("/ready")
        assert (answer.status_code, answer.text) == (503, "no catalogue has been read yet\n")
        assert (await visitor.http.get("/live")).text == "ok\n"


async def test_a_defect_is_answered_without_a_value_of_the_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bus = MemoryBus()

    async def broken(_: str) -> None:
        raise RuntimeError("Java, Indonesia")

    monkeypatch.setattr(bus, "outlet", broken)
    async with visiting(tmp_path, bus) as visitor:
        answer = await visitor.post(JSON, BINARY)
        assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
        assert "Java" not in answer.text
        assert answer.json()["type"] == "urn:lintas:problem:fault"
