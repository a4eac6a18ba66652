"""Whether the servers that the settings name answer: the registry and PostgreSQL. Kafka is asked all the time."""

import shlex
import socket
import ssl
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

import httpx

from lintas.settings import Settings

TIMEOUT_SECONDS: Final = 3.0
USUAL_PORT: Final = 5432
SSL_REQUEST: Final = struct.pack(">ii", 8, 80_877_103)  # PostgreSQL protocol 3.0, 55.2.10: answered before any login


def answering(settings: Settings) -> Iterator[tuple[str, bool]]:
    """Each server that the settings name, and whether it answers within a few seconds."""
    if settings.registry_url is not None:
        yield "registry", registry_answers(settings.registry_url, settings.ca_file)
    if settings.postgres_dsn is not None:
        yield "postgres", postgres_answers(settings.postgres_dsn)


def registry_answers(url: str, ca_file: Path | None = None) -> bool:
    """Whether the registry knows its configuration, which it keeps in its storage; ``ca_file`` is trusted for https."""
    try:
        verify = ssl.create_default_context(cafile=ca_file) if url.startswith("https") else False
        return httpx.get(f"{url.rstrip('/')}/config", timeout=TIMEOUT_SECONDS, verify=verify).is_success
    except httpx.HTTPError:
        return False


def postgres_answers(dsn: str) -> bool:
    """Whether a PostgreSQL server says if it speaks TLS; nobody logs in.

    ``dsn`` is a connection URI or libpq's ``keyword=value`` pairs, with one host.
    """
    try:
        with _connected(*_address(dsn)) as server:
            server.sendall(SSL_REQUEST)
            return server.recv(1) in (b"S", b"N")
    except (OSError, ValueError):
        return False


def _address(dsn: str) -> tuple[str, int]:
    """Host (or the folder of its socket) and port.

    Raises:
        ValueError: it is no connection string.
    """
    if "://" in dsn:
        parts = urlsplit(dsn)
        found = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        host, port = unquote(parts.hostname or found.get("host", "")), parts.port or found.get("port")
    else:
        found = dict(pair.split("=", 1) for pair in shlex.split(dsn))
        host, port = found.get("host", ""), found.get("port")
    return host or "localhost", int(port or USUAL_PORT)


def _connected(host: str, port: int) -> socket.socket:
    if not host.startswith("/"):
        return socket.create_connection((host, port), TIMEOUT_SECONDS)
    server = socket.socket(socket.AF_UNIX)
    server.settimeout(TIMEOUT_SECONDS)
    try:
        server.connect(f"{host}/.s.PGSQL.{port}")
    except OSError:
        server.close()
        raise
    return server
