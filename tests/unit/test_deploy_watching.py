"""What watches the production stack: each configuration file is read by its own program, as its container sees it."""

import json
import re
import shutil
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml
from stack_file import REPOSITORY, made_secrets, mounts, read_stack

from lintas.local.ports import Reservation

needs = {
    name: pytest.mark.skipif(shutil.which(name) is None, reason=f"{name} is not installed (Debian's packages have it)")
    for name in ("docker-compose", "promtool", "prometheus", "amtool")
}


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_secrets(tmp_path_factory.mktemp("stack") / "secrets")


@pytest.fixture(scope="module")
def stack(secrets: Path) -> dict[str, Any]:
    """The stack as docker-compose reads it."""
    return read_stack(secrets)


def test_everything_that_is_mounted_is_there(stack: dict[str, Any]) -> None:
    for name, service in stack["services"].items():
        for target, source in mounts(service).items():
            assert source.exists(), f"{name} mounts {source} at {target}"


@pytest.fixture
def prometheus(stack: dict[str, Any], tmp_path: Path) -> Path:
    """Prometheus's configuration laid out as its container sees it."""
    for target, source in mounts(stack["services"]["prometheus"]).items():
        place = tmp_path / target.removeprefix("/etc/prometheus").lstrip("/")
        if source.is_dir():
            shutil.copytree(source, place)
        else:
            shutil.copy(source, place)
    return tmp_path / "prometheus.yaml"


@needs["promtool"]
def test_promtool_accepts_the_configuration_with_all_rules(prometheus: Path) -> None:
    checked = subprocess.run(
        ["promtool", "check", "config", str(prometheus)], capture_output=True, text=True, timeout=60, check=False
    )
    assert checked.returncode == 0, checked.stderr
    rules = list((REPOSITORY / "monitoring/rules").glob("*.yaml"))
    assert rules
    assert f"{len(rules)} rule files found" in checked.stdout


@needs["prometheus"]
def test_prometheus_starts_with_it(prometheus: Path, tmp_path: Path) -> None:
    with Reservation() as ports:
        port = next(port for port in range(23_000, 24_000) if ports.claim(port))
    command = ["prometheus", f"--config.file={prometheus}", f"--storage.tsdb.path={tmp_path / 'data'}"]
    command += [f"--web.listen-address=127.0.0.1:{port}", "--enable-feature=exemplar-storage"]
    with (tmp_path / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            asked = answer(process, f"http://127.0.0.1:{port}/api/v1/rules", tmp_path / "log")
        finally:
            process.kill()
    assert asked["data"]["groups"]
    assert not [rule for group in asked["data"]["groups"] for rule in group["rules"] if rule["health"] == "err"]


def answer(process: "subprocess.Popen[bytes]", url: str, log: Path) -> Any:
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as response:
                return json.load(response)
        except OSError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)


@needs["amtool"]
def test_amtool_accepts_alertmanagers_configuration(stack: dict[str, Any]) -> None:
    source = mounts(stack["services"]["alertmanager"])["/etc/alertmanager/alertmanager.yaml"]
    checked = subprocess.run(
        ["amtool", "check-config", str(source)], capture_output=True, text=True, timeout=60, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_alertmanager_has_every_file_that_its_configuration_names(stack: dict[str, Any]) -> None:
    service = stack["services"]["alertmanager"]
    text = mounts(service)["/etc/alertmanager/alertmanager.yaml"].read_text()
    named = set(re.findall(r"/run/secrets/[\w.-]+", text))
    assert named == {f"/run/secrets/{secret.get('target') or secret['source']}" for secret in service["secrets"]}


def test_grafana_is_given_every_dashboard_and_the_source_they_ask(stack: dict[str, Any]) -> None:
    mounted = mounts(stack["services"]["grafana"])
    provisioning = mounted["/etc/grafana/provisioning"]
    sources = yaml.safe_load((provisioning / "datasources/prometheus.yaml").read_text())["datasources"]
    [provider] = yaml.safe_load((provisioning / "dashboards/lintas.yaml").read_text())["providers"]
    dashboards = [json.loads(path.read_text()) for path in mounted[provider["options"]["path"]].glob("*.json")]
    assert {dashboard["uid"] for dashboard in dashboards} >= {"lintas-overview", "lintas-kafka"}
    asked = set(re.findall(r'"type": ?"prometheus", ?"uid": ?"([^"]+)"', json.dumps(dashboards, sort_keys=True)))
    assert {uid for uid in asked if not uid.startswith("$")} <= {source["uid"] for source in sources}
    assert all(source["url"].removeprefix("http://").split(":")[0] in stack["services"] for source in sources)
