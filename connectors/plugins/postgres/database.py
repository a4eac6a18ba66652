"""A connection to an agency's PostgreSQL, and its errors told without anything personal."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from pydantic import Field

from connectors.plugins.postgres.statements import query
from connectors.runtime.plugin import Config
from lintas.errors import ConnectorFailed

Connection = psycopg.AsyncConnection[Any]
_DEFAULTS: Final = {
    "connect_timeout": "10",
    "target_session_attrs": "read-write",
    # A server that is gone is noticed within half a minute while we wait for it, within one if it owes us an
    # acknowledgement: then keepalives are not sent.
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "60000",
    "client_encoding": "UTF8",  # whatever the database's own is
}
# Classes of SQLSTATE whose messages name tables, columns, roles and servers, but no value of a row (Appendix A).
_TELLING: Final = ("08", "0A", "25", "28", "3D", "3F", "40", "42", "53", "54", "55", "57", "58")
_CONNECT_REMEDY: Final = (
    "check the address, role, password, sslmode and sslrootcert in the file that dsn_file names. With verify-full the "
    "server's certificate bears the host name written there, and an authority in the file of sslrootcert has signed it."
)
_NO_TLS: Final = "server does not support SSL"  # in libpq's words
_NO_TLS_REMEDY: Final = (
    "switch TLS on at the server (ssl = on); or, where nobody else reaches the way to it, say sslmode=disable in the "
    "file that dsn_file names."
)
_OTHERS_MAY_READ: Final = 0o077


class DatabaseConfig(Config):
    """What every PostgreSQL connector is told about its database."""

    dsn_file: Path = Field(
        description="file with libpq's connection string or URI, password and TLS settings included "
        "(`postgresql://lintas:...@db.example/births?sslmode=verify-full&sslrootcert=/etc/ssl/db-ca.pem`)"
    )


def problems_of(config: DatabaseConfig) -> list[tuple[str, str]]:
    """What is wrong with the file of the connection, as (field, message).

    That it is not there says nothing: settings are checked on other machines than the connector runs on.
    """
    return [("dsn_file", reason) for reason in _problems_of_file(config.dsn_file)] if config.dsn_file.exists() else []


def _problems_of_file(file: Path) -> Iterator[str]:
    try:
        if not conninfo_to_dict(file.read_text(encoding="utf-8").strip()):
            yield f"{file} is empty"
        if file.stat().st_mode & _OTHERS_MAY_READ:
            yield f"others may read {file}, which holds a password: chmod 600"
    except (OSError, UnicodeDecodeError) as error:
        yield f"{file} cannot be read: {getattr(error, 'strerror', None) or 'not UTF-8'}"
    except psycopg.ProgrammingError:
        yield f"{file} holds neither a connection string nor a URI of libpq"


async def connected(config: DatabaseConfig, connector: str) -> Connection:
    """A session in autocommit mode.

    Raises:
        ConnectorFailed: the file cannot be used, or the server does not let us in.
    """
    for reason in _problems_of_file(config.dsn_file):
        raise ConnectorFailed(
            connector=connector, reason=reason, remedy="mend the file that dsn_file names; it is read at each start."
        )
    text = config.dsn_file.read_text(encoding="utf-8").strip()
    given = conninfo_to_dict(text)
    ours = {**_DEFAULTS, "application_name": f"lintas {connector}"}
    try:
        connection = await psycopg.AsyncConnection.connect(
            make_conninfo(text, **{name: value for name, value in ours.items() if name not in given}), autocommit=True
        )
        await connection.execute(query("session"))
    except psycopg.Error as error:
        reason = _reason(error)
        remedy = _NO_TLS_REMEDY if _NO_TLS in reason else _CONNECT_REMEDY
        raise ConnectorFailed(connector=connector, reason=reason, remedy=remedy) from None
    return connection


@contextlib.contextmanager
def told(connector: str, remedy: str) -> Iterator[None]:
    """Tell PostgreSQL's errors as the connector's, without the values that they may quote.

    Raises:
        ConnectorFailed: in place of any error of PostgreSQL.
    """
    try:
        yield
    except psycopg.Error as error:
        raise ConnectorFailed(connector=connector, reason=_reason(error), remedy=remedy) from None


def _reason(error: psycopg.Error) -> str:
    """What PostgreSQL says, or only what kind of error it is where its words may quote a row."""
    diagnosis = error.diag
    if error.sqlstate is None:
        if isinstance(error, psycopg.DataError):  # from psycopg, with the value
            return "a value cannot be read or written"
        return " ".join(str(error).split()) or type(error).__name__  # from libpq: about the connection
    if error.sqlstate[:2] in _TELLING:
        return f"{diagnosis.message_primary} ({error.sqlstate})"
    places = {
        "table": diagnosis.table_name,
        "column": diagnosis.column_name,
        "constraint": diagnosis.constraint_name,
    }
    where = ", ".join(f"{kind} {name}" for kind, name in places.items() if name)
    return f"PostgreSQL refused with {type(error).__name__} ({error.sqlstate}){f' at {where}' if where else ''}"
