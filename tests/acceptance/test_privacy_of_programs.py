"""What programs say of themselves holds no value of an event: logs, metrics, complaints about bad input."""

import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
import pytest
from deployment import wait_until
from marked_day import MarkedDay
from test_privacy import seen_in_text

from lintas import logs

PROGRAMS = ("bookkeeper", "exporter")
BIRTH, PUBLISHER = "id.go.dukcapil.birth.registered.v1", "dukcapil.siak"


@pytest.fixture(scope="module")
def pages(marked_day: MarkedDay) -> Iterator[Mapping[str, bytes]]:
    """Metrics pages, checks and logs of all that watches the marked day, by name."""
    home = marked_day.deployment.settings.home
    running, addresses = [], {"worker": _address(home / "logs" / "worker.log")}
    for program in PROGRAMS:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            addresses[program] = f"http://127.0.0.1:{free.getsockname()[1]}"
        with (home / "logs" / f"{program}.log").open("wb") as log:
            command = [sys.executable, "-m", "lintas", program, "--listen", addresses[program].removeprefix("http://")]
            environment = {**os.environ, "LINTAS_HOME": str(home)}
            running.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))
    try:
        for program, address in addresses.items():
            wait_until(lambda address=address: _answer(f"{address}/ready") == b"ok\n", f"{program} is ready", 60)  # type: ignore[misc]  # mypy does not infer lambdas with defaults
        found = {
            f"{program}{path}": _answer(address + path) or b""
            for program, address in addresses.items()
            for path in ("/metrics", "/live", "/ready", "/startup")
        }
        yield found | {path.name: path.read_bytes() for path in (home / "logs").iterdir()}
    finally:
        for process in running:
            process.send_signal(signal.SIGTERM)
        for process in running:
            process.wait(30)


def _address(log: Path) -> str:
    found = re.search(r"http://[0-9.:]+", log.read_text())
    assert found is not None
    return found[0]


def _answer(url: str) -> bytes | None:
    try:
        answer = httpx.get(url, timeout=5, trust_env=False)
    except httpx.HTTPError:
        return None
    return answer.content if answer.is_success else None


def test_no_metrics_page_and_no_log_holds_a_value_of_an_event(
    marked_day: MarkedDay, pages: Mapping[str, bytes]
) -> None:
    assert b"lintas_decisions_total{" in pages["worker/metrics"]
    assert b"lintas_books_decided_events{" in pages["bookkeeper/metrics"]
    assert b"lintas_lag_events{" in pages["exporter/metrics"]
    assert {"worker.log", "bookkeeper.log", "exporter.log"} <= pages.keys()
    found = {(name, marker.path) for name, page in pages.items() for marker in seen_in_text(marked_day, page)}
    assert found == set()


def test_every_line_that_a_program_logs_is_json_with_time_level_program_and_message(pages: Mapping[str, bytes]) -> None:
    for program in ("worker", *PROGRAMS):
        lines = [json.loads(line) for line in pages[f"{program}.log"].splitlines()]
        assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)
        assert {line["program"] for line in lines} == {program}


def test_a_line_that_leaks_would_be_seen(marked_day: MarkedDay) -> None:
    """Without this, the tests above might look for what no line could hold."""
    formatter = logs.json_lines("worker")
    words, fields = [], []
    for marker in marked_day.markers:
        leaked = next(one.decode() for one in marker.needles if one.isascii() and one.decode().isprintable())
        words.append(logging.LogRecord("streams.lane", logging.INFO, "", 1, "cannot release %s", (leaked,), None))
        fields.append(logging.LogRecord("streams.lane", logging.INFO, "", 1, "cannot release", (), None))
        fields[-1].reason = leaked
    for records in (words, fields):
        leaking = "\n".join(map(formatter.format, records)).encode()
        assert seen_in_text(marked_day, leaking) == marked_day.markers


@pytest.mark.parametrize("spoilt", ["not JSON", "wrong type", "unknown field", "bad identifier", "bad time"])
def test_a_complaint_about_bad_input_repeats_none_of_it(marked_day: MarkedDay, tmp_path: Path, spoilt: str) -> None:
    event = next(one for one in marked_day.events.values() if one.event_type == BIRTH)
    child = dict(event.data["child"])
    line = json.dumps({"id": event.id, "data": event.data, "time": event.attributes["time"]})
    lines = {
        "not JSON": line[:-1] + ",",
        "wrong type": json.dumps({"id": event.id, "data": {**event.data, "child": [child["nik"]]}}),
        "unknown field": json.dumps({"id": event.id, "data": {**event.data, child["nik"]: child["name"]}}),
        "bad identifier": json.dumps(
            {"id": event.id, "data": {**event.data, "child": {**child, "nik": child["name"]}}}
        ),
        "bad time": json.dumps({"id": event.id, "data": event.data, "time": child["name"]}),
    }
    file = tmp_path / "spoilt.jsonl"
    file.write_text(lines[spoilt] + "\n")
    done = marked_day.deployment.lintas("publish", BIRTH, file, "--as", PUBLISHER)
    assert done.returncode == 1
    assert "line 1: " in done.stderr
    assert seen_in_text(marked_day, (done.stdout + done.stderr).encode()) == []
