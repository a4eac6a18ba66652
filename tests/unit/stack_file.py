"""docker-compose.yml as docker-compose reads it."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

REPOSITORY = Path(__file__).parents[2]


def made_secrets(folder: Path) -> Path:
    """A folder of secrets, made as its operator makes it."""
    subprocess.run([sys.executable, "-m", "lintas", "stack", "secrets", str(folder)], check=True, capture_output=True)
    return folder


def composed(secrets: Path, **more: str) -> "subprocess.CompletedProcess[str]":
    """What docker-compose says of the file, with the variables that come with the secrets."""
    command = ["docker-compose", "--env-file", str(secrets / "stack.env"), "--profile", "tools", "config"]
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(secrets)} | more
    return subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def read_stack(secrets: Path) -> dict[str, Any]:
    """The whole file, read; skips the test where there is no docker-compose."""
    if shutil.which("docker-compose") is None:
        pytest.skip("docker-compose is not installed (Debian's package of that name has it)")
    found = composed(secrets, LINTAS_OIDC_ISSUER="https://login.example.go.id")
    assert found.returncode == 0, found.stderr
    read: dict[str, Any] = yaml.safe_load(found.stdout)
    return read


def mounts(service: dict[str, Any]) -> dict[str, Path]:
    """Files and folders of the host that a service sees, by where it sees them."""
    pairs = [volume.split(":")[:2] for volume in service.get("volumes", [])]
    return {target: Path(source) for source, target in pairs if source.startswith("/")}
