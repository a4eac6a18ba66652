"""Brokers, database and registry of the production stack: what their images do around the stack's own files."""

import os
import pwd
import shutil
import signal
import subprocess
from pathlib import Path

from composed import Composed, Container

from lintas.local import jre
from lintas.local.artefacts import Cache, locked
from lintas.local.part import User
from lintas.local.spawn import launched

BROKERS = ("kafka-1", "kafka-2", "kafka-3")
SMALL = "-Xmx320m -XX:TieredStopAtLevel=1 -XX:+UseSerialGC"


def postgres_binaries() -> Path | None:
    """The newest PostgreSQL of Debian: unlike the package of the local bus it is built with TLS."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent if found else None


def broker(composed: Composed, name: str) -> Container:
    """A broker, started by the stack's own script; its class path and memory are this machine's."""
    composed.mount(name)
    jars = Cache().ensure(locked("kafka"))
    machine = {
        "KAFKA_CLASSPATH": ":".join(map(str, jars)),
        "KAFKA_HEAP_OPTS": SMALL,
        "KAFKA_INTERNAL_PARTITIONS": "5",  # 50 are for a cluster that stays: here they cost seconds at each start
        "PATH": f"{jre.java().parent}:{os.environ['PATH']}",
    }
    return Container(composed, name, ["/bin/sh", *composed.entrypoint(name)], machine)


def postgres(composed: Composed) -> Container:
    """The database, with the cluster made and the stack's databases in it, as the image does at the first start."""
    name, root = "postgres", composed.root("postgres")
    composed.mount(name)
    programs = postgres_binaries()
    assert programs is not None
    user = None
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        user = User(nobody.pw_uid, nobody.pw_gid, enter=True)
        for path in (root, *root.rglob("*")):
            os.chown(path, nobody.pw_uid, nobody.pw_gid)
    environment = composed.environment(name) | {"PATH": f"{programs}:{os.environ['PATH']}"}
    data, superuser = environment["PGDATA"], environment["POSTGRES_PASSWORD_FILE"]
    arguments = environment["POSTGRES_INITDB_ARGS"].split()
    made = subprocess.run(
        launched(
            [str(programs / "initdb"), "-D", data, "-U", "postgres", f"--pwfile={superuser}", *arguments],
            user=user,
            death_signal=signal.SIGKILL,
        ),
        env=environment,
        cwd="/",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    _, *command = composed.command(name)
    sockets = ["-c", f"unix_socket_directories={environment['TMPDIR']}"]
    return Container(composed, name, [str(programs / "postgres"), "-D", data, *command, *sockets], environment, user)


def make_databases(composed: Composed) -> None:
    """What the image does with /docker-entrypoint-initdb.d at the first start."""
    environment = composed.environment("postgres")
    run = sql(composed, "postgres", "postgres", "-f", str(composed.root("postgres") / "deploy/databases.sql"))
    assert run.returncode == 0, f"{run.stderr} ({environment['PGDATA']})"


def sql(composed: Composed, role: str, database: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Ask the database as a role, over TLS with its certificate verified; the superuser where the server is."""
    programs = postgres_binaries()
    assert programs is not None
    environment = composed.environment("postgres")
    password = composed.secret("postgres-superuser" if role == "postgres" else f"postgres-{role}")
    connection = f"user={role} dbname={database} "
    if role == "postgres":
        connection += f"host={environment['TMPDIR']}"
    else:
        connection += f"host={composed.addresses['postgres']} sslmode=verify-full sslrootcert={composed.secret('ca')}"
    return subprocess.run(
        [str(programs / "psql"), "-v", "ON_ERROR_STOP=1", "-X", "-A", "-t", connection, *arguments],
        env=environment | {"PGPASSWORD": password.read_text().strip()},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def registry(composed: Composed) -> Container:
    """The registry, from the archive that the local bus runs too."""
    composed.mount("registry")
    program = Cache().unpacked(locked("registry")[0])
    java = [str(jre.java()), "-Xmx256m", *jre.FAST_START, "-jar", str(program / "quarkus-run.jar")]
    assert shutil.which("curl"), "its health check asks with curl"
    return Container(composed, "registry", java, {})
