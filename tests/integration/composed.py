"""The services of docker-compose.yml as processes of this machine: same settings, commands and files, no Docker.

A service gets a folder that stands for the root of its container, with what it mounts in it, and an address of its own
(127.X.Y.N) where it would have a container's. Both are put into its settings, its command and its configuration files
where these name the container's; nothing else is changed.
"""

import asyncio
import contextlib
import copy
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from lintas.local.part import User
from lintas.local.spawn import launched

REPOSITORY = Path(__file__).parents[2]
COMPOSE = REPOSITORY / "docker-compose.yml"
READY_SECONDS = 240.0
_MOUNTS = ("data", "deploy", "run", "catalogue", "etc/prometheus", "etc/alertmanager", "etc/grafana")
_CONTAINER = re.compile(rf"(?<![\w./-])/({'|'.join(_MOUNTS)})(?=[/:;\"',\s]|$)")
_EVERYWHERE = re.compile(r"\b(0\.0\.0\.0|127\.0\.0\.1)\b")
_NETWORK = random.Random(os.getpid()).sample(range(1, 255), 2)


def address(number: int) -> str:
    """The address that stands for a service's container; another process's tests have others."""
    return f"127.{_NETWORK[0]}.{_NETWORK[1]}.{number}"


def configuration(variables: Path, **more: str) -> dict[str, Any]:
    """The stack as docker-compose understands it.

    Args:
        variables: what ``lintas stack secrets`` wrote for ``--env-file``.
        more: further variables.
    """
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    found = subprocess.run(
        ["docker-compose", "--env-file", str(variables), "-f", str(COMPOSE), "--profile", "tools", "config"],
        env=environment | more,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    read: dict[str, Any] = yaml.safe_load(found.stdout)
    return read


class Composed:
    """All services, below one folder."""

    def __init__(self, folder: Path, stack: Mapping[str, Any], domain: str) -> None:
        self._folder, self._stack = folder, stack
        self.addresses = {name: address(number) for number, name in enumerate(sorted(stack["services"]), 1)}
        names = "|".join(map(re.escape, self.addresses))
        self._hosts = re.compile(rf"(?<![\w.-])({names})(\.{re.escape(domain)}\b|(?=:\d))")

    def replica(self, service: str, number: int) -> "Composed":
        """The same stack as one replica of a service sees it, which has an address and a folder of its own."""
        other = copy.copy(self)
        other.addresses = {**self.addresses, service: address(100 + number)}
        other._folder = self._folder / f"replica-{number}"
        return other

    def root(self, service: str) -> Path:
        """The folder that stands for the root of the container."""
        return self._folder / service

    def here(self, service: str, text: str) -> str:
        """A text of the service with the folders and addresses of this machine."""
        text = _CONTAINER.sub(lambda found: f"{self.root(service)}{found[0]}", text)
        text = _EVERYWHERE.sub(self.addresses[service], text)
        return self._hosts.sub(lambda found: self.addresses[found[1]], text)

    def mount(self, service: str) -> None:
        """Lay the files that the service mounts where it looks for them; those of text name this machine's folders."""
        described = self._stack["services"][service]
        for volume in described.get("volumes", []):
            source, target = volume.split(":")[:2] if isinstance(volume, str) else (volume["source"], volume["target"])
            self._lay(service, Path(source), target)
        for secret in described.get("secrets", []):
            self._lay(service, self.secret(secret["source"]), self._target(secret))

    def secret(self, name: str) -> Path:
        """The file of a secret, as `lintas stack secrets` made it."""
        return Path(self._stack["secrets"][name]["file"])

    def _target(self, secret: Mapping[str, str]) -> str:
        return f"/run/secrets/{secret.get('target') or secret['source']}"

    def _lay(self, service: str, source: Path, target: str) -> None:
        place = self.root(service) / target.lstrip("/")
        if not source.is_absolute():  # a volume
            place.mkdir(parents=True, exist_ok=True)
            return
        assert source.exists(), f"{service} mounts {source}, which is not there"
        place.parent.mkdir(parents=True, exist_ok=True)
        if service in PROGRAMS and source.is_dir():
            if not place.is_symlink():
                place.symlink_to(source)  # what one program writes there, others read
        elif source.is_dir():
            shutil.copytree(source, place, dirs_exist_ok=True, copy_function=lambda a, b: self._copy(service, a, b))
        else:
            self._copy(service, str(source), str(place))

    def _copy(self, service: str, source: str, place: str) -> None:
        text = Path(source).read_text()
        Path(place).write_text(text if "secrets" in place else self.here(service, text))
        Path(place).chmod(Path(source).stat().st_mode)

    def environment(self, service: str) -> dict[str, str]:
        """What the service finds in its environment."""
        described = self._stack["services"][service].get("environment", {})
        own = {name: self.here(service, str(value)) for name, value in described.items()}
        inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LINTAS_CACHE") if name in os.environ}
        temporary = self.root(service) / "tmp"
        temporary.mkdir(parents=True, exist_ok=True)
        image = {"LINTAS_HOME": str(temporary / "lintas")} if service in PROGRAMS else {}  # the Dockerfile sets it
        return inherited | {"TMPDIR": str(temporary), "LC_ALL": "C.UTF-8"} | image | own

    def command(self, service: str) -> list[str]:
        """The command of the service, after what its image runs by itself."""
        described = self._stack["services"][service]
        return [self.here(service, word) for word in described.get("command", [])]

    def entrypoint(self, service: str) -> list[str]:
        """What the service runs instead of what its image does."""
        return [self.here(service, word) for word in self._stack["services"][service]["entrypoint"]]

    def healthcheck(self, service: str) -> list[str]:
        """The command that tells whether the service is well: its own, or that of the bus's image."""
        if "healthcheck" not in self._stack["services"][service]:
            return [sys.executable, str(REPOSITORY / "deploy/healthy")]
        kind, *words = self._stack["services"][service]["healthcheck"]["test"]
        assert kind == "CMD", f"{service} is asked through a shell"
        return [self.here(service, word) for word in words]


PROGRAMS: Final = ("catalogue", "worker", "exporter", "canary", "bookkeeper", "console", "connector", "operator")


class Container:
    """A process that stands for a container; it ends with the tests."""

    def __init__(
        self,
        composed: Composed,
        service: str,
        command: Sequence[str],
        more: Mapping[str, str],
        user: User | None = None,
    ) -> None:
        """``command`` stands for what its image and its command make; ``more`` for what its image sets."""
        self.service = service
        self._command, self._user = list(command), user
        self._environment = {**composed.environment(service), **more}
        self._healthcheck = composed.healthcheck(service)
        self.log = composed.root(service) / "log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                launched(self._command, user=self._user, death_signal=signal.SIGKILL),
                env=self._environment,
                cwd=self.log.parent,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def healthy(self) -> bool:
        """What Docker would find by its health check."""
        asked = subprocess.run(self._healthcheck, env=self._environment, capture_output=True, timeout=30, check=False)
        return asked.returncode == 0

    async def ready(self) -> None:
        """Wait until its health check passes."""
        deadline = time.monotonic() + READY_SECONDS
        while not await asyncio.to_thread(self.healthy):
            assert self.running, f"{self.service} ended: see {self.log}"
            assert time.monotonic() < deadline, f"{self.service} does not become healthy: see {self.log}"
            await asyncio.sleep(0.3)

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    async def stop(self, seconds: float = 60) -> int:
        """Stop it as Docker does: ask, and kill if it does not stop in time; its exit code."""
        assert self._process is not None
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            await asyncio.to_thread(self._process.wait, seconds)
        self.kill()
        return self._process.wait()

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()


def program(composed: Composed, service: str) -> Container:
    """A program of the bus, as the image's entry point runs it."""
    composed.mount(service)
    return Container(composed, service, [sys.executable, "-m", "lintas", *composed.command(service)], {})
