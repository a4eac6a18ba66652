"""The SQL of these connectors, kept in files beside this one."""

import functools
import re
from pathlib import Path
from typing import Final, LiteralString, cast

from psycopg.sql import SQL, Composable, Composed

FOLDER: Final = Path(__file__).parent / "sql"
SCHEMA_NAME: Final = r"^[A-Za-z_][A-Za-z0-9_]{0,55}$"  # the channel of its outbox fits into 63 bytes too
_NAME = re.compile(SCHEMA_NAME)
_QUERY = re.compile(r"^-- name: (\w+)\n((?:.+\n?)+)", re.MULTILINE)


def installation(name: str, schema: str | None = None) -> str:
    """What an agency runs in its database: ``outbox``, ``replication`` or ``sink``.

    Args:
        name: of the file.
        schema: where it is installed, if not where the file says.

    Raises:
        LookupError: there is no such file.
        ValueError: the schema is not called by letters, digits and underscores, 56 at most.
    """
    if name not in installable():
        raise LookupError(f"there is no SQL called {name}; there are {', '.join(installable())}")
    text = (FOLDER / f"{name}.sql").read_text(encoding="utf-8")
    if schema is None:
        return text
    if not _NAME.fullmatch(schema):
        raise ValueError(schema)
    (own,) = re.findall(r"^SET LOCAL search_path = (\w+),", text, re.MULTILINE)
    places = rf"(?:(?<=SCHEMA )|(?<=EXISTS )|(?<=search_path = )|(?<=regnamespace\(')){own}\b|\b{own}(?=\.\w)"
    return re.sub(places, f'"{schema}"', text)


def installable() -> list[str]:
    """The names of what can be installed."""
    return sorted(path.stem for path in FOLDER.glob("*.sql") if path.stem != "queries")


def query(name: str, **parts: Composable) -> Composed:
    """A statement of ``queries.sql`` with its identifiers filled in."""
    return SQL(_queries()[name]).format(**parts)


@functools.cache
def _queries() -> dict[str, LiteralString]:
    text = (FOLDER / "queries.sql").read_text(encoding="utf-8")
    # What stands in our own file is as trustworthy as a literal of this program.
    return {name: cast("LiteralString", body) for name, body in _QUERY.findall(text)}
