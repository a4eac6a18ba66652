"""Log files of the parts: kept to a size, however long a part runs."""

import shutil
from pathlib import Path

MAX_BYTES = 20 * 1024 * 1024
_KEEP = 3


def rotate(log: Path) -> None:
    """Move a log that has grown too large aside and empty it.

    The part goes on appending to the same file, which is why the file is copied and cut, not renamed.
    """
    if not log.exists() or log.stat().st_size < MAX_BYTES:
        return
    for number in range(_KEEP - 1, 0, -1):
        older = log.with_name(f"{log.name}.{number}")
        if older.exists():
            older.replace(log.with_name(f"{log.name}.{number + 1}"))
    shutil.copy2(log, log.with_name(f"{log.name}.1"))
    with log.open("r+b") as file:
        file.truncate()


def tail(log: Path, lines: int = 15, most_bytes: int = 64 * 1024) -> str:
    """The last lines of a log, for an error message."""
    try:
        with log.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - most_bytes))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return "(there is no log)"
    return "\n".join(f"  {line}" for line in text.splitlines()[-lines:]) or "(the log is empty)"
