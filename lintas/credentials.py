"""Who a program is towards Kafka: one properties file per principal, readable by its owner only.

The file is what stock clients (Java's ``--command-config``, librdkafka) take as it is.
"""

import contextlib
import os
import re
import secrets
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lintas.errors import MissingCredentials
from lintas.settings import Settings

SASL_MECHANISM = "SCRAM-SHA-512"
_LOGIN_MODULE = "org.apache.kafka.common.security.scram.ScramLoginModule"
_JAAS = re.compile(r'username="(?P<username>[^"]+)" password="(?P<password>[^"]+)"')


@dataclass(frozen=True, slots=True)
class Credentials:
    """A principal and its password; the password never shows in a representation."""

    principal: str
    password: str = field(repr=False)


def path_of(settings: Settings, principal: str) -> Path:
    """The credentials file of a principal."""
    return settings.secrets / f"{principal}.properties"


def load(settings: Settings, principal: str) -> Credentials:
    """Read the credentials of a principal.

    Raises:
        MissingCredentials: there is no such file.
    """
    path = path_of(settings, principal)
    try:
        found = _JAAS.search(path.read_text())
    except FileNotFoundError:
        raise MissingCredentials(principal=principal, path=path) from None
    if found is None:
        raise MissingCredentials(principal=principal, path=path)
    return Credentials(found["username"], found["password"])


def create(settings: Settings, principal: str) -> Credentials:
    """Make a principal's credentials at random and write them, or return those that exist."""
    with contextlib.suppress(MissingCredentials):
        return load(settings, principal)
    credentials = Credentials(principal, secrets.token_urlsafe(24))
    write_private(
        path_of(settings, principal),
        "\n".join(
            [
                f"bootstrap.servers={settings.bootstrap_servers or ''}",
                f"security.protocol={settings.security_protocol}",
                f"sasl.mechanism={SASL_MECHANISM}",
                f'sasl.jaas.config={_LOGIN_MODULE} required username="{principal}" password="{credentials.password}";',
                f"schema.registry.url={settings.registry_url or ''}",
                "",
            ]
        ),
    )
    return credentials


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:  # noqa: PTH123  mode at creation
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def aiokafka_options(settings: Settings, principal: str) -> dict[str, Any]:
    """Connection arguments for aiokafka's consumer, producer and admin client."""
    credentials = load(settings, principal)
    options: dict[str, Any] = {
        "bootstrap_servers": settings.brokers,
        "security_protocol": settings.security_protocol,
        "sasl_mechanism": SASL_MECHANISM,
        "sasl_plain_username": credentials.principal,
        "sasl_plain_password": credentials.password,
    }
    if settings.security_protocol == "SASL_SSL":
        options["ssl_context"] = ssl.create_default_context(cafile=settings.ca_file)
    return options


def confluent_options(settings: Settings, principal: str) -> Mapping[str, str]:
    """Connection settings for confluent-kafka (librdkafka)."""
    credentials = load(settings, principal)
    options = {
        "bootstrap.servers": settings.brokers,
        "security.protocol": settings.security_protocol,
        "sasl.mechanism": SASL_MECHANISM,
        "sasl.username": credentials.principal,
        "sasl.password": credentials.password,
    }
    if settings.ca_file is not None:
        options["ssl.ca.location"] = str(settings.ca_file)
    return options
