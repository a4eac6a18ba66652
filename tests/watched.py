"""A real Prometheus and a real Alertmanager over a running bus, with the rules and the routing that ship.

Only this is changed: where they listen, and every duration in rules and routing, which a test divides so that it need
not wait for minutes.
"""

import dataclasses
import http.server
import json
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import yaml

ROOT: Final = Path(__file__).parents[1]
RULES: Final = ROOT / "monitoring" / "rules"
ROUTING: Final = ROOT / "monitoring" / "alertmanager" / "alertmanager.yaml"
PROMETHEUS: Final = ROOT / "deploy" / "prometheus" / "prometheus.yaml"

_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_DURATION: Final = re.compile(r"(\d+)([smhd])")
_RANGE: Final = re.compile(r"\[(\d+)([smhd])(:(\d+)([smhd]))?\]")


def missing_program() -> str:
    """Which of the programs is not installed; empty if all are."""
    return next((name for name in ("prometheus", "prometheus-alertmanager") if shutil.which(name) is None), "")


@dataclasses.dataclass(frozen=True)
class Watched:
    """What watches the bus, and what it has told people."""

    prometheus: str  # base address
    notified: list[dict[str, Any]]  # every alert of every notification, in order

    def query(self, expression: str) -> list[dict[str, Any]]:
        answer = httpx.get(f"{self.prometheus}/api/v1/query", params={"query": expression}, timeout=10)
        answer.raise_for_status()
        return answer.json()["data"]["result"]  # type: ignore[no-any-return]  # JSON

    def value(self, expression: str) -> float | None:
        """The value of an expression that has one series, or none."""
        found = self.query(expression)
        assert len(found) <= 1, found
        return float(found[0]["value"][1]) if found else None

    def firing(self) -> set[str]:
        """The alerts that Prometheus has sent, whether anybody was told or not."""
        return {one["metric"]["alertname"] for one in self.query('ALERTS{alertstate="firing"}')}

    def told(self, since: int = 0) -> set[str]:
        """The alerts that people were told of since so many notifications."""
        return {one["labels"]["alertname"] for one in self.notified[since:] if one["status"] == "firing"}


def wait_until(
    condition: Callable[[], object], what: str, seconds: float = 120, state: Callable[[], object] = str
) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not so after {seconds:.0f} s; {state()}"
        time.sleep(0.2)


@contextmanager
def watching(folder: Path, targets: Path, *, speed: int) -> Iterator[Watched]:
    """Watch the programs that a file of targets names; rules and routing run ``speed`` times as fast."""
    notified: list[dict[str, Any]] = []
    people = _people(notified)
    prometheus, alertmanager = _free_port(), _free_port()
    _write_prometheus(folder, targets, prometheus, alertmanager, speed)
    _write_alertmanager(folder, f"http://127.0.0.1:{people.server_port}", speed)
    commands = (
        [
            "prometheus",
            f"--config.file={folder}/prometheus.yaml",
            f"--storage.tsdb.path={folder}/series",
            f"--web.listen-address=127.0.0.1:{prometheus}",
            "--rules.alert.resend-delay=1s",
        ],
        [
            "prometheus-alertmanager",
            f"--config.file={folder}/alertmanager.yaml",
            f"--storage.path={folder}/silences",
            f"--web.listen-address=127.0.0.1:{alertmanager}",
            "--cluster.listen-address=",
        ],
    )
    with (folder / "log").open("w") as log:
        running = [subprocess.Popen(command, stdout=log, stderr=log) for command in commands]
        try:
            for port in (prometheus, alertmanager):
                wait_until(lambda port=port: _is_ready(port), f"port {port} is ready", 60, (folder / "log").read_text)  # type: ignore[misc]  # the default binds the port
            yield Watched(f"http://127.0.0.1:{prometheus}", notified)
        finally:
            for process in running:
                process.terminate()
            for process in running:
                process.wait(30)
            people.shutdown()
            people.server_close()


def _write_prometheus(folder: Path, targets: Path, port: int, alertmanager: int, speed: int) -> None:
    configuration = yaml.safe_load(PROMETHEUS.read_text())
    configuration["global"] |= {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    configuration["alerting"] = {"alertmanagers": [{"static_configs": [{"targets": [f"127.0.0.1:{alertmanager}"]}]}]}
    listed = {
        "worker",
        "exporter",
        "canary",
        "bookkeeper",
        "console",
        "connector",
        "gateway",
        "prometheus",
        "alertmanager",
    }
    assert {one["job_name"] for one in configuration["scrape_configs"]} == listed
    configuration["scrape_configs"] = [
        {"job_name": "bus", "file_sd_configs": [{"files": [str(targets)]}]},
        {"job_name": "prometheus", "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]},
        {"job_name": "alertmanager", "static_configs": [{"targets": [f"127.0.0.1:{alertmanager}"]}]},
    ]
    rules = folder / "rules"
    rules.mkdir()
    for file in RULES.glob("*.yaml"):
        text = yaml.safe_load(file.read_text())
        for group in text["groups"]:
            group.pop("interval", None)
            for rule in group["rules"]:
                for waits in ("for", "keep_firing_for"):
                    if waits in rule:
                        rule[waits] = faster(rule[waits], speed)
                rule["expr"] = _RANGE.sub(lambda found: _faster_range(found, speed), str(rule["expr"]))
        (rules / file.name).write_text(yaml.safe_dump(text))
    configuration["rule_files"] = [f"{rules}/*.yaml"]
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(configuration))


def _write_alertmanager(folder: Path, people: str, speed: int) -> None:
    configuration = yaml.safe_load(ROUTING.read_text())
    configuration["receivers"] = [
        {"name": receiver["name"], "webhook_configs": [{"url": people, "send_resolved": True}]}
        for receiver in configuration["receivers"]
    ]
    routes = [configuration["route"]]
    for route in routes:  # grows meanwhile
        routes += route.get("routes", [])
        for waits in ("group_wait", "group_interval", "repeat_interval"):
            if waits in route:
                route[waits] = faster(route[waits], speed)
    (folder / "alertmanager.yaml").write_text(yaml.safe_dump(configuration))


def faster(duration: str, speed: int) -> str:
    """A duration divided by ``speed``, a second at least."""
    seconds = sum(int(number) * _SECONDS[unit] for number, unit in _DURATION.findall(str(duration)))
    return f"{max(1, round(seconds / speed))}s"


def _faster_range(found: re.Match[str], speed: int) -> str:
    seconds = int(found[1]) * _SECONDS[found[2]]
    step = ":1s" if found[3] else ""
    return f"[{max(8, round(seconds / speed))}s{step}]"  # some scrapes must lie in it


def _people(notified: list[dict[str, Any]]) -> http.server.ThreadingHTTPServer:
    """Somebody to notify."""

    class Ear(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            notified.extend(json.loads(body)["alerts"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nobody asks."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Ear)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _is_ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/-/ready", timeout=2).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False
