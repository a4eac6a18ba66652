"""The folder of secrets of one production stack: what docker-compose.yml hands to each service, made at random once.

Nothing that exists is made anew, but certificates if asked; so the same call brings what a newer version or one more
broker needs.
"""

import base64
import datetime as dt
import os
import secrets
import uuid
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

from lintas import credentials, names
from lintas.credentials import write_private
from lintas.errors import BadSettings
from lintas.settings import Settings
from lintas.stack import certificates
from lintas.stack.certificates import Signed
from schemas.provision import PSEUDONYM_KEYS
from schemas.pseudonyms import KeyFiles

NODES: Final = "Lintas nodes"  # deploy/kafka/server.properties knows a node's certificate by it
SERVERS: Final = "Lintas servers"
PROGRAMS: Final = "programs"  # the folder that programs of the bus have as LINTAS_SECRETS_DIR
CONNECTORS: Final = "connectors"  # credentials of systems whose connectors the bus runs; who runs it puts them there
GATEWAY: Final = "gateway"  # of credentials of the systems that the gateway speaks for; people put them there
SETTINGS: Final = "stack.env"
_PASSWORDS: Final = ("postgres-superuser", "postgres-registry", "postgres-lintas", "grafana-admin", "connector-token")
_TO_BE_GIVEN: Final = ("oidc-client-secret", "alertmanager-webhook-url")  # by whoever runs the other side


class StackFolder:
    """The folder at ``path``, of a stack with ``nodes`` brokers whose servers are named below ``domain``."""

    def __init__(self, path: Path, domain: str, nodes: int, also: Collection[str] = ()) -> None:
        """``also`` are more names and addresses that every server is reached by."""
        self.path = path.absolute()
        self._domain, self._nodes, self._also = domain, nodes, tuple(also)

    @property
    def programs(self) -> Path:
        """Credentials and keys of the programs of the bus; of systems too, once a catalogue is applied."""
        return self.path / PROGRAMS

    def make(self, owner: tuple[int, int], now: dt.datetime, *, renew: bool = False) -> list[Path]:
        """Make what is missing, all of it readable by ``owner`` alone.

        Args:
            owner: user and group that every service of the stack runs as.
            now: the time.
            renew: make the servers' certificates anew, signed by the same authority.

        Returns:
            the files that were made.

        Raises:
            BadSettings: certificates are to be signed and the authority's key is not there.
        """
        before = self._files()
        self._certificates(now, renew=renew)
        for name in _PASSWORDS:
            self._once(name, secrets.token_urlsafe(24) + "\n")
        for name in _TO_BE_GIVEN:
            self._once(name, "")
        password = (self.path / "postgres-registry").read_text().strip()
        self._once(
            "registry.properties",
            f"apicurio.datasource.username=registry\napicurio.datasource.password={password}\n",
        )
        settings = self._settings()
        for principal in (names.ADMIN, names.WORKER, names.GATEWAY, names.CANARY):
            credentials.create(settings, principal)
        KeyFiles(self.programs / PSEUDONYM_KEYS).create(1)
        (self.path / CONNECTORS).mkdir(mode=0o700, exist_ok=True)
        (self.path / GATEWAY).mkdir(mode=0o700, exist_ok=True)
        self._once(SETTINGS, "".join(f"{name}={value}\n" for name, value in self._variables(owner)))
        if os.geteuid() == 0:
            for path in (self.path, *self.path.rglob("*")):
                os.chown(path, *owner)
        return sorted(path for path, changed in self._files().items() if before.get(path) != changed)

    def expiries(self) -> dict[Path, dt.datetime]:
        """When each certificate ends."""
        public = (path for path in sorted(self.path.glob("*.pem")) if not path.stem.endswith("-key"))
        return {path: certificates.expires(path.read_bytes()) for path in public}

    def _certificates(self, now: dt.datetime, *, renew: bool) -> None:
        certificate, key = self.path / "ca.pem", self.path / "ca-key.pem"
        if not certificate.exists():
            made = certificates.authority(f"Lintas authority of {self._domain}", now)
            write_private(key, made.key.decode())
            write_private(certificate, made.certificate.decode())
        for name, file, organisation in self._servers():
            if (self.path / file).exists() and not renew:
                continue
            if not key.exists():
                raise BadSettings(
                    name="ca-key.pem",
                    reason=f"{file} is to be signed and {key} is not there",
                    remedy="bring the authority's key back from where it is kept, for this one command.",
                )
            signer = Signed(certificate.read_bytes(), key.read_bytes())
            hosts = (f"{name}.{self._domain}", name, *self._also)
            signed = certificates.server(signer, name, organisation, hosts, now)
            if organisation == NODES:  # Kafka takes both from one file
                write_private(self.path / file, signed.key.decode() + signed.certificate.decode())
            else:
                write_private(self.path / f"{name}-key.pem", signed.key.decode())
                write_private(self.path / file, signed.certificate.decode())

    def _servers(self) -> Iterator[tuple[str, str, str]]:
        """Name, file and organisation of each."""
        for node in range(1, self._nodes + 1):
            yield f"kafka-{node}", f"kafka-{node}.pem", NODES
        for name in ("registry", "postgres"):
            yield name, f"{name}.pem", SERVERS

    def _settings(self) -> Settings:
        """Under which addresses systems reach the bus: what stands in their files of credentials."""
        brokers = [f"kafka-{node}.{self._domain}:{node * 10_000 + 9_092}" for node in range(1, self._nodes + 1)]
        return Settings(
            bootstrap_servers=",".join(brokers),
            security_protocol="SASL_SSL",
            registry_url=f"https://registry.{self._domain}:8443/apis/ccompat/v7",
            secrets_dir=self.programs,
        )

    def _variables(self, owner: tuple[int, int]) -> Iterator[tuple[str, str]]:
        yield "LINTAS_SECRETS", str(self.path)
        yield "LINTAS_UID", str(owner[0])
        yield "LINTAS_GID", str(owner[1])
        yield "LINTAS_DOMAIN", self._domain
        yield "KAFKA_CLUSTER_ID", _kafka_id()
        for node in range(1, self._nodes + 1):
            yield f"KAFKA_DIRECTORY_{node}", _kafka_id()

    def _once(self, name: str, text: str) -> None:
        if not (self.path / name).exists():
            write_private(self.path / name, text)

    def _files(self) -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in self.path.rglob("*") if path.is_file()}


def _kafka_id() -> str:
    """A random id as Kafka makes them; it refuses those that begin with a dash."""
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "0")
