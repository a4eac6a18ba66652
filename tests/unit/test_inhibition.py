"""For one fault one alert is sent: a real Alertmanager with the configuration of the bus gets what fires after it."""

import datetime as dt
import json
import re
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import alert_rules as given
import pytest
import yaml

CONFIGURATION = given.REPOSITORY / "monitoring/alertmanager/alertmanager.yaml"
FAULTS = {
    case["name"]: case["promql_expr_test"][0]["exp_samples"]
    for case in yaml.load((given.RULES / "tests/faults.yaml").read_text(), yaml.CSafeLoader)["tests"]
}
TOLD = {
    "nothing is wrong": set[str](),
    "the only worker is stopped": {"LintasNoWorker"},
    "one of two workers is stopped": {"LintasWorkerDown"},
    "a consumer is stuck": {"LintasReaderStuck"},
    "the registry is stopped": {"LintasRegistryDown"},
    "PostgreSQL is stopped, and with it the registry": {"LintasPostgresDown"},
    "the only broker is killed": {"LintasKafkaDown"},
    "one of three brokers is killed": {"LintasKafkaBrokerDown"},
    "two of three brokers are killed": {"LintasKafkaUnderMinIsr"},
    "the exporter is stopped": {"LintasExporterDown"},
    "the canary is stopped": {"LintasCanaryDown"},
    "the bookkeeper is stopped": {"LintasBookkeeperDown"},
    "positions of a lane are lost": {"LintasPositionsMissing"},
    "most events of an agreement die": {"LintasAgreementSetAside"},
}
PROGRAM = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
needs_alertmanager = pytest.mark.skipif(PROGRAM is None, reason="Debian's prometheus-alertmanager is not installed")


@needs_alertmanager
def test_amtool_accepts_the_configuration() -> None:
    ran = subprocess.run(["amtool", "check-config", str(CONFIGURATION)], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


def test_every_alert_that_is_held_back_or_holds_others_back_exists() -> None:
    named = set()
    for rule in yaml.safe_load(CONFIGURATION.read_text())["inhibit_rules"]:
        for matcher in rule["source_matchers"] + rule["target_matchers"]:
            named |= _names(matcher)
    assert named
    assert named <= given.alerts().keys()


def test_a_broken_promise_is_always_told() -> None:
    held_back = {
        name
        for rule in yaml.safe_load(CONFIGURATION.read_text())["inhibit_rules"]
        for matcher in rule["target_matchers"]
        for name in _names(matcher)
    }
    assert not held_back & {"LintasBooksDiffer", "LintasCanaryLost", "LintasCanaryWrong", "LintasLanesRewound"}


def test_an_alert_waits_at_least_as_long_as_those_that_hold_it_back() -> None:
    """Else it would be sent before it is held back; group_wait is for scrapes that come one by one."""
    early = set()
    for rule in yaml.safe_load(CONFIGURATION.read_text())["inhibit_rules"]:
        sources = {name for matcher in rule["source_matchers"] for name in _names(matcher)}
        targets = {name for matcher in rule["target_matchers"] for name in _names(matcher)}
        early |= {(s, t) for s in sources for t in targets if _seconds(s) > _seconds(t)}
    assert early == set()


def _names(matcher: str) -> set[str]:
    """The alerts that a matcher of names means."""
    pattern = re.fullmatch(r'alertname=~?"(.+)"', matcher)
    assert pattern, matcher
    found = {name for name in given.alerts() if re.fullmatch(pattern[1], name)}
    assert found, f"no alert is called {pattern[1]}"
    return found


def _seconds(alert: str) -> int:
    waits = given.alerts()[alert].waits
    return int(waits[:-1]) * {"m": 60, "h": 3600}[waits[-1]] if waits else 0


class Alertmanager:
    """A running Alertmanager."""

    def __init__(self, address: str) -> None:
        self._url = f"http://{address}/api/v2/alerts"

    def give(self, alerts: list[dict[str, Any]]) -> None:
        """Hand alerts over as Prometheus does."""
        body = json.dumps(alerts).encode()
        request = urllib.request.Request(self._url, body, {"Content-Type": "application/json"})
        urllib.request.urlopen(request, timeout=5).close()

    def told(self) -> tuple[set[str], set[str]]:
        """Names of the alerts that are sent, and of those that are held back."""
        with urllib.request.urlopen(self._url, timeout=5) as answer:
            alerts = json.load(answer)
        sent = {alert["labels"]["alertname"] for alert in alerts if not alert["status"]["inhibitedBy"]}
        return sent, {alert["labels"]["alertname"] for alert in alerts} - sent


@pytest.fixture(scope="module")
def alertmanager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alertmanager]:
    assert PROGRAM
    folder = tmp_path_factory.mktemp("alertmanager")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    arguments = ["--config.file", CONFIGURATION, "--storage.path", folder, "--web.listen-address", address]
    with (folder / "log").open("w") as log:
        running = subprocess.Popen(
            [PROGRAM, *map(str, arguments), "--cluster.listen-address="], stdout=log, stderr=subprocess.STDOUT
        )
    try:
        _until_ready(address, folder / "log")
        yield Alertmanager(address)
    finally:
        running.terminate()
        running.wait(10)


def _until_ready(address: str, log: Path) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            urllib.request.urlopen(f"http://{address}/-/ready", timeout=1).close()
        except (urllib.error.URLError, TimeoutError):
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        else:
            return


def test_every_fault_of_the_cases_is_judged() -> None:
    assert FAULTS.keys() == TOLD.keys()


@needs_alertmanager
@pytest.mark.parametrize("fault", TOLD)
def test_one_fault_is_one_message(fault: str, alertmanager: Alertmanager) -> None:
    labels = [dict(re.findall(r'(\w+)="([^"]*)"', sample["labels"])) for sample in FAULTS[fault]]
    firing = [{name: value for name, value in alert.items() if name != "alertstate"} for alert in labels]
    now = dt.datetime.now(dt.UTC)
    until = (now + dt.timedelta(minutes=5)).isoformat()
    alertmanager.give([{"labels": alert, "startsAt": now.isoformat(), "endsAt": until} for alert in firing])
    try:
        expected = (TOLD[fault], {alert["alertname"] for alert in firing} - TOLD[fault])
        deadline = time.monotonic() + 10  # Alertmanager takes note of what holds others back in a thread of its own
        while (told := alertmanager.told()) != expected and time.monotonic() < deadline:
            time.sleep(0.05)
        assert told == expected
    finally:  # what is over is over for the next fault
        over = dt.datetime.now(dt.UTC).isoformat()
        alertmanager.give([{"labels": alert, "startsAt": now.isoformat(), "endsAt": over} for alert in firing])
