import secrets
from pathlib import Path

from lintas.credentials import write_private


def secret(file: Path) -> str:
    """A password made at random the first time and kept in a file that only its owner can read."""
    if not file.exists():
        write_private(file, secrets.token_urlsafe(24) + "\n")
    return file.read_text().strip()
