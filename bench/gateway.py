"""What one gateway carries: 200 publishers at once with batches of 100, beside a service that only parses them."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from bench import report
from bench.contender import Failed
from bench.jobs import PUBLISHER, ROUTE, data_of
from bench.machine import moment
from bench.processes import cpu_seconds
from bench.served import running_bare_service, running_gateway
from bench.stage import stage
from lintas.settings import Settings

CONNECTIONS: Final = 200
BATCHES: Final = (100, 1)
BATCH: Final = "application/cloudevents-batch+json"
TOKEN_SECONDS: Final = 30
LONGEST_SECONDS: Final = 10.0  # of one round: a token lasts five minutes


def measure(rounds: int, seconds: float) -> None:
    """Load both, in turns, and write it down."""
    found: dict[tuple[str, int], list[Mapping[str, float]]] = {}
    with stage([ROUTE]) as bus:
        log = bus.log
        with (
            running_gateway(bus.settings, log("gateway")) as (url, ours),
            running_bare_service(log("bare")) as (bare_url, bare),
        ):
            for _ in range(rounds):
                for batch in BATCHES:
                    for name, address, process in (("gateway", url, ours), ("bare", bare_url, bare)):
                        request = _request(batch, _token(bus.settings, url))
                        found.setdefault((name, batch), []).append(_load(address, process, request, batch, seconds))
    text = (
        f"{CONNECTIONS} publishers at once, each on one connection and waiting for its answer; structured events "
        "as JSON with the bench's payload, as one system; one process each of uvicorn (h11, asyncio), one broker, "
        "no worker. "
        f"{rounds} rounds of {seconds:.0f} s in turns; minimum / median / maximum. *Bare* receives the same bytes, "
        "parses them as JSON and answers.\n\n"
        f"{report.table(_HEAD, _rows(found))}\n\n{moment()}"
    )
    report.write_section("gateway", text)
    print(text)


_HEAD: Final = ["", "events a request", "events/s", "CPU us/event", "p50, ms", "p99, ms"]


def _rows(found: Mapping[tuple[str, int], list[Mapping[str, float]]]) -> Iterator[list[str]]:
    for (name, batch), rounds in sorted(found.items(), key=lambda one: (-one[0][1], one[0][0] != "gateway")):
        yield [
            name,
            str(batch),
            report.spread(one["rate"] * batch for one in rounds),
            report.spread((one["cpu_us"] for one in rounds), 1),
            report.spread((one["p50_ms"] for one in rounds), 1),
            report.spread((one["p99_ms"] for one in rounds), 1),
        ]


def _load(
    address: str, process: "subprocess.Popen[bytes]", request: bytes, batch: int, seconds: float
) -> Mapping[str, float]:
    place = urlsplit(address)
    where = (str(place.hostname), str(place.port))
    command = [sys.executable, "-m", "bench.http_load", *where, str(CONNECTIONS), str(seconds)]
    before = cpu_seconds([process])
    ran = subprocess.run(command, input=request, capture_output=True, check=False, timeout=seconds + 120)
    if ran.returncode:
        raise Failed(ran.stderr.decode())
    used = cpu_seconds([process]) - before
    told: dict[str, float] = json.loads(ran.stdout)
    return {**told, "cpu_us": used * 1e6 / (told["answered"] * batch)}


def _token(settings: Settings, url: str) -> str:
    secret = (settings.secrets / f"{PUBLISHER}.client-secret").read_text().strip()
    form = {"grant_type": "client_credentials"}
    answer = httpx.post(f"{url}/issuer/token", data=form, auth=(PUBLISHER, secret), timeout=TOKEN_SECONDS)
    answer.raise_for_status()
    return str(answer.json()["access_token"])


def _request(batch: int, token: str) -> bytes:
    """One request with events whose ids hold the place of a publisher's number."""
    events = [_event(n) for n in range(batch)]
    body = json.dumps(events).encode()
    head = (
        f"POST /events HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {token}\r\n"
        f"content-type: {BATCH}\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _event(n: int) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": f"@@-{n:06d}",
        "source": f"urn:lintas:{PUBLISHER}",
        "type": ROUTE.event_type,
        "time": "2026-11-24T01:02:03.004Z",
        "data": data_of(n),
    }
