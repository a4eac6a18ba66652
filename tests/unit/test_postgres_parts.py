"""Payloads of rows, places in the log, messages of pgoutput, settings and SQL: what needs no database."""

import decimal
import json
import struct
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from lintas_client.wire.types import read_schema

from connectors.plugins.postgres import outbox, replication, sink
from connectors.plugins.postgres.database import DatabaseConfig, connected
from connectors.plugins.postgres.payload import fitted, parsed
from connectors.plugins.postgres.pgoutput import Begin, Change, Commit, Relation, Unchanged, decoded
from connectors.plugins.postgres.slot import Place, number, written
from connectors.plugins.postgres.statements import installable, installation
from connectors.runtime.plugin import Plugin
from lintas.errors import ConnectorFailed

PLUGINS = [outbox.PLUGIN, replication.PLUGIN, sink.PLUGIN]


@pytest.mark.parametrize(
    ("avro", "text", "value"),
    [
        ("double", "0.1", 0.1),
        ("double", "1" + "0" * 400, decimal.Decimal("1" + "0" * 400)),  # not infinite: left for the schema's check
        ("long", "12.0", 12),
        ("long", "12.5", decimal.Decimal("12.5")),  # left for the schema's check
        ("long", "9007199254740993", 9007199254740993),
        ({"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 2}, "12.50", decimal.Decimal("12.50")),
        ("bytes", '"\\\\x00ff"', b"\x00\xff"),
        ("bytes", '"AP8="', "AP8="),  # base64 stays
        ("bytes", '"\\\\x0g"', "\\x0g"),
        (["null", "double"], "0.5", 0.5),
        (["null", "double", "string"], "0.5", 0.5),
        (["null", "double"], "null", None),
        ({"type": "array", "items": "double"}, "[0.5]", [0.5]),
        ({"type": "map", "values": "double"}, '{"a": 0.5}', {"a": 0.5}),
        ({"type": "record", "name": "R", "fields": [{"name": "a", "type": "float"}]}, '{"a": 1.5}', {"a": 1.5}),
        ("string", "1.5", decimal.Decimal("1.5")),
    ],
)
def test_numbers_and_bytes_are_what_the_schema_asks_for(avro: Any, text: str, value: Any) -> None:
    made = fitted(read_schema(avro), parsed(text))
    assert made == value
    assert type(made) is type(value)


@pytest.mark.parametrize(
    ("text", "readable"),
    [
        ("[" * 100 + "]" * 100, True),
        ("[" * 101 + "]" * 101, False),
        (json.dumps("[" * 200), True),  # brackets in a text
        (json.dumps(['"' + "[" * 200 + "\\"]), True),
        (json.dumps([[]] * 200), True),  # many, not deep
        ("[" * 100_000 + "]" * 100_000, False),
    ],
)
def test_json_that_is_nested_too_deeply_is_not_read(text: str, readable: bool) -> None:
    assert (parsed(text) is not None) == readable


def test_a_number_of_thousands_of_digits_does_not_stop_the_reader() -> None:
    assert isinstance(parsed("1" * 5000), decimal.Decimal)


def test_a_place_in_the_log_is_written_as_postgresql_does() -> None:
    assert number("16/B374D848") == 0x16B374D848
    assert written(0x16B374D848) == "16/B374D848"
    place = Place(0x16B374D848, 0x16B374D900, 3)
    assert Place.of(json.loads(json.dumps(place.progress()))) == place
    assert Place.of({}) is None


def test_messages_of_the_log_are_read() -> None:
    begin = b"B" + struct.pack("!qqi", 100, 0, 7)
    assert decoded(begin) == Begin(100, 946_684_800)
    assert decoded(b"C" + struct.pack("!bqqq", 0, 100, 120, 0)) == Commit(120)
    columns = b"\x01a\0" + struct.pack("!Ii", 23, -1) + b"\0b\0" + struct.pack("!Ii", 25, -1)
    relation = b"R" + struct.pack("!I", 9) + b"public\0things\0f" + struct.pack("!h", 2) + columns
    assert decoded(relation) == Relation(9, "public.things", (("a", 23), ("b", 25)), whole=True)
    row = struct.pack("!h", 2) + b"t" + struct.pack("!i", 2) + b"42" + b"n"
    kept = struct.pack("!h", 2) + b"t" + struct.pack("!i", 2) + b"42" + b"u"
    nine = struct.pack("!I", 9)
    assert decoded(b"I" + nine + b"N" + row) == Change(9, "insert", (b"42", None), None)
    assert decoded(b"U" + nine + b"N" + kept) == Change(9, "update", (b"42", Unchanged.UNCHANGED), None)
    assert decoded(b"U" + nine + b"O" + row + b"N" + kept) == Change(
        9, "update", (b"42", Unchanged.UNCHANGED), (b"42", None)
    )
    assert decoded(b"D" + nine + b"O" + row) == Change(9, "delete", None, (b"42", None))
    assert decoded(b"T" + struct.pack("!ibI", 1, 0, 9)) is None


def test_sql_is_printed_for_another_schema_without_touching_its_words() -> None:
    assert installable() == ["outbox", "replication", "sink"]
    for name in installable():
        own, other = installation(name), installation(name, "Second")
        assert other != own
        assert other.replace('"Second"', "inbox" if name == "sink" else "lintas") == own
    with pytest.raises(LookupError, match="there are outbox, replication, sink"):
        installation("queries")
    for wrong in ('x"; DROP', "x" * 57):  # with ".outbox" it is too long for a channel of NOTIFY
        with pytest.raises(ValueError, match="x"):
            installation("outbox", wrong)


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda plugin: plugin.name)
def test_the_example_of_a_kind_is_valid(plugin: Plugin) -> None:
    assert plugin.config.model_validate(yaml.safe_load(plugin.example))


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda plugin: plugin.name)
@pytest.mark.parametrize(
    ("text", "mode", "problem"),
    [
        ("postgresql://a:secret-word@db/x", 0o600, None),
        ("host=db dbname=x passfile=/etc/pgpass", 0o600, None),
        ("postgresql://a:secret-word@db/x", 0o640, "others may read"),
        ("\n", 0o600, "is empty"),  # libpq would take whatever is on this machine
        ("postgresql://a:secret-word@db/x?nonsense=1", 0o600, "neither a connection string"),
        (None, 0o600, None),  # it may be on the machine where the connector runs
    ],
)
def test_the_file_of_the_connection_is_checked_without_showing_it(
    plugin: Plugin, text: str | None, mode: int, problem: str | None, tmp_path: Path
) -> None:
    file = tmp_path / "a.dsn"
    if text is not None:
        file.touch(mode=mode)
        file.write_text(text)
    config = plugin.config.model_validate({**yaml.safe_load(plugin.example), "dsn_file": str(file)})
    found = plugin.check(config)
    assert [field for field, _ in found] == ([] if problem is None else ["dsn_file"])
    assert problem is None or problem in found[0][1]
    assert "secret-word" not in str(found)


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        ("connection to server at 127.0.0.1 failed: server does not support SSL, but SSL was required", "ssl = on"),
        ("connection to server at 127.0.0.1 failed: Connection refused", "check the address"),
    ],
)
async def test_what_helps_depends_on_why_there_is_no_connection(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said: str, remedy: str
) -> None:
    async def refused(*_: object, **__: object) -> None:
        raise psycopg.OperationalError(said)

    monkeypatch.setattr(psycopg.AsyncConnection, "connect", refused)
    file = tmp_path / "magma.dsn"
    file.touch(0o600)
    file.write_text("host=127.0.0.1 sslmode=require")
    with pytest.raises(ConnectorFailed, match=remedy):
        await connected(DatabaseConfig(dsn_file=file), "births")
