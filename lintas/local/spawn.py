import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from lintas.local import launch
from lintas.local.part import User


def launched(command: Sequence[str], *, user: User | None, death_signal: signal.Signals) -> list[str]:
    """How this process starts ``command`` so that it gets ``death_signal`` if this process dies."""
    identity = [] if user is None else ["--user", str(user.uid), str(user.gid), *(["--enter"] if user.enter else [])]
    launcher = [sys.executable, "-I", "-S", str(Path(launch.__file__).resolve())]
    return [
        *launcher,
        "--parent",
        str(os.getpid()),
        "--signal",
        str(int(death_signal)),
        *identity,
        "--",
        *command,
    ]
