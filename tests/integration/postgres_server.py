"""A PostgreSQL of its own for tests of its connectors: started in a second, with databases and roles for each test."""

import contextlib
import dataclasses
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
from psycopg.sql import SQL, Identifier, Literal

from lintas.local import postgres
from lintas.local.home import Home
from lintas.local.ports import LOOPBACK, Ports
from lintas.local.secret import secret
from lintas.local.spawn import launched


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


@dataclasses.dataclass(frozen=True)
class Database:
    """One database with its owner and the role of a connector."""

    name: str
    owner_dsn: str
    connector_dsn: str
    dsn_file: Path  # of the connector
    role: str  # of the connector

    def run(self, statement: str, *parameters: Any) -> list[Any]:
        """As the owner, to its end; the rows if there are any."""
        with psycopg.connect(self.owner_dsn, autocommit=True) as connection:
            done = connection.execute(statement.encode(), parameters or None)
            return done.fetchall() if done.description else []

    def own(self) -> psycopg.Connection[Any]:
        """A session of the owner, whose transactions the test ends itself."""
        return psycopg.connect(self.owner_dsn)


class Server:
    """PostgreSQL with a log that can be decoded."""

    def __init__(self, folder: Path) -> None:
        self._home = Home.of(folder)
        self._home.make()
        self._ports = Ports(postgres=free_port())
        self._part = postgres.part(self._home, self._ports)
        self._part.prepare()
        self.start()

    def start(self) -> None:
        command = [*self._part.argv, "-c", "wal_level=logical", "-c", "fsync=off"]
        with self._part.log.open("ab") as log:
            self._process = subprocess.Popen(
                launched(command, user=self._part.user, death_signal=signal.SIGKILL),
                env=dict(self._part.env),
                stdout=log,
                stderr=log,
                cwd="/",
            )
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(psycopg.OperationalError), psycopg.connect(self.superuser_dsn()):
                return
            assert time.monotonic() < deadline, self._part.log.read_text()
            time.sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End it: SIGINT ends sessions, SIGQUIT is a crash."""
        self._process.send_signal(how)
        self._process.wait(30)

    def superuser_dsn(self, database: str = "postgres") -> str:
        password = secret(self._home.secrets / "postgres-superuser")
        return f"postgresql://postgres:{password}@{LOOPBACK}:{self._ports.postgres}/{database}"

    def run(self, statement: Any) -> None:
        """As the superuser."""
        with psycopg.connect(self.superuser_dsn(), autocommit=True) as connection:
            connection.execute(statement)

    def database(self, folder: Path, *, replication: bool = False, encoding: str | None = None) -> Database:
        """A new database with two new roles; an ``encoding`` other than the cluster's brings its own locale."""
        name = f"t{secrets.token_hex(6)}"
        dsns = []
        for role in (f"{name}_owner", f"{name}_connector"):
            may = SQL("REPLICATION" if replication and role.endswith("connector") else "NOREPLICATION")
            self.run(SQL("CREATE ROLE {} LOGIN PASSWORD {} {}").format(Identifier(role), Literal(name), may))
            dsns.append(f"postgresql://{role}:{name}@{LOOPBACK}:{self._ports.postgres}/{name}")
        made = SQL("CREATE DATABASE {} OWNER {}").format(Identifier(name), Identifier(f"{name}_owner"))
        other = SQL(" TEMPLATE template0 LOCALE_PROVIDER libc LOCALE 'C' ENCODING {}")
        self.run(made if encoding is None else made + other.format(Literal(encoding)))
        file = folder / f"{name}.dsn"
        file.touch(mode=0o600)
        file.write_text(dsns[1] + "\n")
        return Database(name, dsns[0], dsns[1], file, f"{name}_connector")


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Server]:
    server = Server(folder)
    try:
        yield server
    finally:
        server.stop()
