"""PostgreSQL's connectors over TLS: a server that lets nobody in without, with a certificate of a test's authority."""

import asyncio
import datetime as dt
import os
import pwd
import secrets
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from postgres_replication_program import source as changes
from postgres_runs import EVENT_TYPE, Bus, context, run, until
from postgres_server import free_port
from stack_servers import postgres_binaries

from connectors.plugins.postgres.database import DatabaseConfig, connected
from connectors.plugins.postgres.outbox import OutboxConfig, OutboxSource
from connectors.plugins.postgres.statements import installation
from lintas.errors import ConnectorFailed
from lintas.local.part import User
from lintas.local.spawn import launched
from lintas.stack import certificates

pytestmark = pytest.mark.skipif(postgres_binaries() is None, reason="needs a PostgreSQL with TLS (Debian's postgresql)")
HOST = "db.example.test"  # what the certificate says; the address is given besides


class TlsServer:
    """One that takes connections over TLS only."""

    def __init__(self, folder: Path) -> None:
        programs = postgres_binaries()
        assert programs is not None, "skipped otherwise"
        self.password, self.port = secrets.token_hex(8), free_port()
        data, now = folder / "data", dt.datetime.now(dt.UTC)
        own, strange = (certificates.authority(name, now) for name in ("Ours", "Somebody else's"))
        self.authority, self.stranger = folder / "own.pem", folder / "strange.pem"
        self.authority.write_bytes(own.certificate)
        self.stranger.write_bytes(strange.certificate)
        signed = certificates.server(own, HOST, "Tests", [HOST], now)
        password_file = folder / "password"
        password_file.write_text(self.password)
        data.mkdir(mode=0o700)
        user = None
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            user = User(nobody.pw_uid, nobody.pw_gid, enter=True)
            for path in (data, password_file):
                os.chown(path, user.uid, user.gid)
        initdb = [str(programs / "initdb"), "-D", str(data), "-U", "postgres", "-A", "scram-sha-256", "-E", "UTF8"]
        initdb += ["--no-sync", f"--pwfile={password_file}", "--locale=C"]
        subprocess.run(
            launched(initdb, user=user, death_signal=signal.SIGKILL), cwd="/", check=True, capture_output=True
        )
        (data / "pg_hba.conf").write_text("hostssl all all 127.0.0.1/32 scram-sha-256\n")
        for name, content in (("server.crt", signed.certificate), ("server.key", signed.key)):
            (data / name).touch(mode=0o600)
            (data / name).write_bytes(content)
            os.chown(data / name, data.stat().st_uid, data.stat().st_gid)
        log = folder / "log"
        command = [str(programs / "postgres"), "-D", str(data), "-h", "127.0.0.1", "-p", str(self.port)]
        for setting in ("unix_socket_directories=", "ssl=on", "fsync=off", "wal_level=logical"):
            command += ["-c", setting]
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                launched(command, user=user, death_signal=signal.SIGKILL), cwd="/", stdout=out, stderr=out
            )
        until(lambda: "ready to accept connections" in log.read_text(), "the server runs")

    def dsn(self, rest: str, host: str = HOST) -> str:
        server = f"host={host} hostaddr=127.0.0.1 port={self.port} user=postgres dbname=postgres"
        return f"{server} password={self.password} {rest}"

    def verified(self) -> str:
        return self.dsn(f"sslmode=verify-full sslrootcert={self.authority}")

    def stop(self) -> None:
        self._process.send_signal(signal.SIGINT)
        self._process.wait(30)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsServer]:
    made = TlsServer(tmp_path_factory.mktemp("tls"))
    yield made
    made.stop()


def dsn_file(folder: Path, dsn: str) -> Path:
    file = folder / "a.dsn"
    file.touch(mode=0o600)
    file.write_text(dsn)
    return file


def test_rows_are_published_over_tls_with_the_server_s_name_and_authority_verified(
    server: TlsServer, tmp_path: Path
) -> None:
    with psycopg.connect(server.verified(), autocommit=True) as owner:
        owner.execute(installation("outbox").encode())
        owner.execute(
            "INSERT INTO lintas.outbox (event_type, payload) VALUES (%s, %s)", (EVENT_TYPE, '{"who": "x", "n": 1}')
        )
    config = OutboxConfig.model_validate({"dsn_file": dsn_file(tmp_path, server.verified())})
    bus = Bus()
    run(OutboxSource(config, context()), bus, lambda: len(bus.events) == 1)


def test_changes_are_read_over_tls_too(server: TlsServer, tmp_path: Path) -> None:
    file, bus = dsn_file(tmp_path, server.verified()), Bus()
    with psycopg.connect(server.verified(), autocommit=True) as owner:
        owner.execute(installation("replication").encode())
        owner.execute("CREATE TABLE things (who text, n int, weight float8)")
        owner.execute("CREATE PUBLICATION lintas FOR TABLE things")
        run(changes(file, "tls"), bus, lambda: bool(bus.progress))
        owner.execute("INSERT INTO things VALUES ('x', 1, 0.5)")
        run(changes(file, "tls"), bus, lambda: len(bus.events) == 1)
        owner.execute("SELECT pg_drop_replication_slot('tls')")


@pytest.mark.parametrize(
    ("host", "tls", "cause"),
    [
        (HOST, "sslmode=verify-full sslrootcert={stranger}", "certificate verify failed"),
        (HOST, "sslmode=verify-ca sslrootcert={stranger}", "certificate verify failed"),
        ("other.example.test", "sslmode=verify-full sslrootcert={authority}", f'"{HOST}" does not match host name'),
        (HOST, "sslmode=verify-full sslrootcert=/nowhere.pem", 'root certificate file "/nowhere.pem" does not exist'),
        (HOST, "sslmode=disable", "no pg_hba.conf entry for host .* no encryption"),
    ],
)
def test_what_is_wrong_with_tls_is_told_with_the_remedy(
    server: TlsServer, tmp_path: Path, host: str, tls: str, cause: str
) -> None:
    tls = tls.format(stranger=server.stranger, authority=server.authority)
    config = DatabaseConfig(dsn_file=dsn_file(tmp_path, server.dsn(tls, host)))
    with pytest.raises(ConnectorFailed, match=rf"(?s){cause}.*sslmode and sslrootcert") as told:
        asyncio.run(connected(config, "births"))
    assert server.password not in str(told.value)
