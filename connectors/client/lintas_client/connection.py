"""How a system reaches the bus: addresses, name, password."""

import os
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self, cast

from .exceptions import BadConnection

SecurityProtocol = Literal["SASL_PLAINTEXT", "SASL_SSL"]
_MECHANISM = "SCRAM-SHA-512"
_JAAS = re.compile(r'username="(?P<username>[^"]+)"\s+password="(?P<password>[^"]+)"')
_SYSTEM = re.compile(r"[a-z][a-z0-9-]*\.[a-z][a-z0-9-]*")
_CREDENTIALS_FILE = "LINTAS_CREDENTIALS_FILE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """Where the bus is, and as whom to speak to it.

    Attributes:
        bootstrap_servers: Kafka brokers, ``host:port``, separated by commas.
        registry_url: the schema registry's Confluent-compatible API.
        system: the system's id, ``agency.system``.
        password: its password; never shown in a representation.
        security_protocol: ``SASL_SSL`` in production.
        ca_file: certificate authority of the bus in PEM; the machine's own authorities if none is given.
        principal: the name towards Kafka if it is not the system's (a gateway that speaks for systems).
    """

    bootstrap_servers: str
    registry_url: str
    system: str
    password: str = field(repr=False)
    security_protocol: SecurityProtocol = "SASL_PLAINTEXT"
    ca_file: Path | None = None
    principal: str = ""

    def __post_init__(self) -> None:
        """Refuse what can never work.

        Raises:
            BadConnection: with every setting that is missing or malformed.
        """
        wrong = [
            f"{name} is empty" for name in ("bootstrap_servers", "registry_url", "password") if not getattr(self, name)
        ]
        if not _SYSTEM.fullmatch(self.system):
            wrong.append("the system is not of the form agency.system")
        if self.security_protocol not in ("SASL_PLAINTEXT", "SASL_SSL"):
            wrong.append("the security protocol is neither SASL_PLAINTEXT nor SASL_SSL")
        if wrong:
            raise BadConnection(source="these settings", reason="; ".join(wrong))
        object.__setattr__(self, "registry_url", self.registry_url.rstrip("/"))
        object.__setattr__(self, "principal", self.principal or self.system)

    @classmethod
    def from_properties(cls, path: str | os.PathLike[str]) -> Self:
        """Read the credentials file of a system: Java properties, as stock Kafka clients take it.

        Raises:
            BadConnection: the file cannot be read or says too little.
        """
        return cls._of(_read_properties(path), source=str(path))

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Take the connection from LINTAS_* variables.

        LINTAS_CREDENTIALS_FILE names a credentials file; LINTAS_BOOTSTRAP_SERVERS, LINTAS_REGISTRY_URL, LINTAS_SYSTEM,
        LINTAS_PASSWORD, LINTAS_SECURITY_PROTOCOL and LINTAS_CA_FILE override what it says.

        Raises:
            BadConnection: with everything that is missing.
        """
        path = environment.get(_CREDENTIALS_FILE)
        found = {} if path is None else _read_properties(path)
        for name in ("bootstrap_servers", "registry_url", "system", "password", "security_protocol", "ca_file"):
            if value := environment.get(f"LINTAS_{name.upper()}"):
                found[name] = value
        return cls._of(found, source="the environment")

    @classmethod
    def _of(cls, found: Mapping[str, str], *, source: str) -> Self:
        missing = [name for name in ("bootstrap_servers", "registry_url", "system", "password") if not found.get(name)]
        if missing:
            raise BadConnection(source=source, reason=f"it does not say {', '.join(missing)}")
        try:
            return cls(
                bootstrap_servers=found["bootstrap_servers"],
                registry_url=found["registry_url"],
                system=found["system"],
                password=found["password"],
                security_protocol=cast("SecurityProtocol", found.get("security_protocol", "SASL_SSL")),
                ca_file=Path(found["ca_file"]) if found.get("ca_file") else None,
            )
        except BadConnection as error:
            raise BadConnection(source=source, reason=error.details["reason"]) from None

    def ssl_context(self) -> ssl.SSLContext:
        """The certificates to trust.

        Raises:
            BadConnection: the certificate authority's file cannot be used.
        """
        try:
            return ssl.create_default_context(cafile=self.ca_file)
        except (OSError, ssl.SSLError) as error:
            raise BadConnection(source=str(self.ca_file), reason=error.strerror or "not a PEM file") from None

    def kafka_options(self) -> dict[str, Any]:
        """Connection arguments for aiokafka's producer and consumer."""
        options: dict[str, Any] = {
            "bootstrap_servers": [address.strip() for address in self.bootstrap_servers.split(",")],
            "security_protocol": self.security_protocol,
            "sasl_mechanism": _MECHANISM,
            "sasl_plain_username": self.principal,
            "sasl_plain_password": self.password,
            "client_id": self.system,
        }
        if self.security_protocol == "SASL_SSL":
            options["ssl_context"] = self.ssl_context()
        return options


def _read_properties(path: str | os.PathLike[str]) -> dict[str, str]:
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadConnection(source=str(path), reason=getattr(error, "strerror", None) or "it is not UTF-8") from None
    properties = {
        name.strip(): value.strip()
        for name, separator, value in (line.partition("=") for line in lines)
        if separator and not name.lstrip().startswith(("#", "!"))
    }
    jaas = _JAAS.search(properties.get("sasl.jaas.config", ""))
    return {
        "bootstrap_servers": properties.get("bootstrap.servers", ""),
        "registry_url": properties.get("schema.registry.url", ""),
        "system": jaas["username"] if jaas else "",
        "password": jaas["password"] if jaas else "",
        "security_protocol": properties.get("security.protocol", "SASL_SSL"),
        "ca_file": properties.get("ssl.truststore.location", ""),
    }
