"""`lintas demo` as a newcomer runs it: in an empty folder, with nothing set up."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest

pytestmark = pytest.mark.timeout(300)

EVENTS = 600
DEADLINE_SECONDS = 200.0


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "lintas", "demo", *arguments]


def environment(home: Path) -> dict[str, str]:
    return {**os.environ, "LINTAS_HOME": str(home), "COLUMNS": "160"}


def run(home: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments),
        env=environment(home) | settings,
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )


def running_in(home: Path) -> list[psutil.Process]:
    """Every process that names a home or works in it."""
    found = psutil.process_iter(["cmdline", "cwd"])
    return [one for one in found if str(home) in " ".join(one.info["cmdline"] or []) + (one.info["cwd"] or "")]


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """The demo run once, for people; settings of another bus must not lead it there."""
    home = tmp_path_factory.mktemp("empty") / "home"
    elsewhere = {"LINTAS_BOOTSTRAP_SERVERS": "127.0.0.1:1", "LINTAS_REGISTRY_URL": "http://127.0.0.1:1"}
    return home, run(home, "--events", str(EVENTS), **elsewhere)


def test_it_ends_by_itself_with_everything_in_balance(
    shown: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    _, done = shown
    assert done.returncode == 0, done.stderr
    assert "difference" not in done.stderr
    assert "Everything adds up" in done.stdout


def test_nothing_is_left_running(shown: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    home, _ = shown
    assert running_in(home) == []
    assert not (home / "demo" / "bus.json").exists()


def test_it_touches_nothing_of_the_home_but_its_own_folder(
    shown: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    home, _ = shown
    assert [path.name for path in home.iterdir()] == ["demo"]


@pytest.mark.parametrize(
    "line",
    [
        r"consumer +channel +event type +delivered +filtered +dead +waiting",
        r"bps\.vital-statistics +G2G +birth\.registered +\d+ +- +- +-",
        r"field +as published +kemenkes\.satusehat +rule +jabar\.child-welfare +rule",
        r"child\.name +(\w+(?: \w+)*) +\1 +keep +\*+ +mask",
        r"child\.weight_grams +(\d+) +\1 +keep +\d+\.\.\d+ +band 500",  # of a birth of which all is known
        r"mother\.name .* - +not listed +- +not listed",
        r"  legal basis  .*UU 24/2013.*",
        r"schema +nik +a population number holds a day that does not exist +1 +\d+",
        r"djp\.coretax +(business\.licensed|export\.declared) +require +\S+ +\d+",
        r"event type +published +routed +repeats +quarantined",
        r"events meant as +to be +published +became so",
        r"repeat +dropped as a repeat +12 +12",
    ],
)
def test_the_tables_tell_the_story(shown: tuple[Path, subprocess.CompletedProcess[str]], line: str) -> None:
    _, done = shown
    assert any(re.match(line, shown_line) for shown_line in done.stdout.splitlines()), done.stdout


@pytest.fixture(scope="module")
def counted(shown: tuple[Path, subprocess.CompletedProcess[str]]) -> Mapping[str, Any]:
    """The demo run again in the same home, for programs."""
    home, _ = shown
    done = run(home, "--events", str(EVENTS), "--seed", "7", "-o", "json")
    assert done.returncode == 0, done.stderr
    report: Mapping[str, Any] = json.loads(done.stdout)
    return report


def test_published_is_routed_and_duplicate_and_quarantined(counted: Mapping[str, Any]) -> None:
    for row in counted["event_types"]:
        assert row["published"] == row["routed"] + row["duplicate"] + row["quarantined"], row
    assert sum(row["published"] for row in counted["event_types"]) == EVENTS + counted["derived"]


def test_routed_is_delivered_and_filtered_and_dead_and_waiting_and_not_in_force(counted: Mapping[str, Any]) -> None:
    routed = {row["event_type"]: row["routed"] for row in counted["event_types"]}
    for row in counted["received"]:
        parts = ("delivered", "filtered", "dead", "waiting", "not_in_force")
        assert row["routed"] == routed[row["event_type"]] == sum(row[part] for part in parts), row


def test_every_kind_of_event_became_what_was_meant(counted: Mapping[str, Any]) -> None:
    assert {row["kind"] for row in counted["intended"] if row["published"]} == {
        row["kind"] for row in counted["intended"]
    }
    assert all(row["published"] == row["found"] for row in counted["intended"])
    assert counted["derived"] > 0
    assert counted["differences"] == []


def test_ctrl_c_stops_everything(tmp_path: Path) -> None:
    process = subprocess.Popen(
        command(), env=environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not (tmp_path / "demo" / "supervisor.json").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=DEADLINE_SECONDS)
    assert process.returncode == 128 + signal.SIGINT, output
    assert "Traceback" not in output
    assert running_in(tmp_path) == []


def test_a_folder_that_no_demo_made_is_left_alone(tmp_path: Path) -> None:
    theirs = tmp_path / "demo" / "work"
    theirs.mkdir(parents=True)
    done = run(tmp_path)
    assert done.returncode == 1
    assert "was not made by a demo" in done.stderr
    assert theirs.exists()
