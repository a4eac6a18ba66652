"""The sink on a real PostgreSQL: its tables are the inbox, whatever dies and however schemas change."""

import asyncio
import datetime as dt
import os
from pathlib import Path
from typing import Any

import postgres_inbox
import pytest
from aiokafka import TopicPartition
from lintas_client.wire.codec import Codec
from postgres_inbox import AGREEMENT, INBOX, PARTITIONS, SCHEMA, data, delivery, give, sink
from postgres_runs import Victim, until
from postgres_server import Database, Server

from connectors.plugins.postgres.sink import PostgresSink
from connectors.plugins.postgres.statements import installation
from lintas.errors import ConnectorFailed

COLUMNS = (
    "SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'inbox.{}'::regclass"
)


@pytest.fixture
def database(postgres_server: Server, tmp_path: Path) -> Database:
    made = postgres_server.database(tmp_path)
    made.run("CREATE SCHEMA inbox")
    made.run(f"GRANT USAGE, CREATE ON SCHEMA inbox TO {made.role}")
    made.run(f"ALTER DEFAULT PRIVILEGES FOR ROLE {made.name}_owner IN SCHEMA inbox GRANT ALL ON TABLES TO {made.role}")
    return made


def read(database: Database, statement: str) -> list[Any]:
    """As the connector's role, whose tables they are."""
    as_connector = Database(database.name, database.connector_dsn, "", database.dsn_file, database.role)
    return as_connector.run(statement)


def deliver(to: PostgresSink, *portions: list[Any]) -> dict[TopicPartition, int]:
    async def all_of_them() -> dict[TopicPartition, int]:
        try:
            began = await to.start({}, None)  # type: ignore[arg-type]  # this sink asks its inbox nothing
            for portion in portions:
                await give(to, portion)
            return dict(began)
        finally:
            await to.stop()

    return asyncio.run(all_of_them())


def test_a_table_holds_what_was_delivered_in_the_types_of_its_schema(database: Database) -> None:
    deliver(sink(database.dsn_file), [delivery(0, 0), delivery(1, 0), delivery(0, 1)])
    types = dict(read(database, COLUMNS.format("things") + " AND attnum > 10"))
    assert types == {
        "n": "integer",
        "child": "jsonb",
        "select": "text",
        "price": "numeric(9,2)",
        "born": "date",
        "at": "timestamp with time zone",
        "ticket": "uuid",
        "seal": "bytea",
        "weight": "double precision",
        "fine": "boolean",
    }
    names = ", ".join(f'"{name}"' for name in types)
    rows = read(database, f"SELECT {names} FROM inbox.things ORDER BY n")
    assert rows == [tuple(data(n)[name] for name in types) for n in (0, 1, 3)]
    envelope = (
        "ce_id, ce_source, ce_type, ce_subject, ce_time, ce_agreement, ce_extensions, inbox_partition, inbox_offset"
    )
    (row,) = read(database, f"SELECT {envelope}, delivered_at FROM inbox.things WHERE n = 3")
    happened = dt.datetime(2026, 11, 24, 1, 2, 3, 1000, dt.UTC)
    delivered = dt.datetime(2026, 11, 24, 1, 2, 4, tzinfo=dt.UTC)
    told = ("event-3", "urn:lintas:a.pub", "id.go.a.thing.v1", "3", happened, AGREEMENT, {"channel": "G2G"})
    assert row == (*told, 0, 1, delivered)


def test_positions_are_where_the_rows_end_and_are_what_a_new_instance_begins_with(database: Database) -> None:
    assert deliver(sink(database.dsn_file), [delivery(0, 0), delivery(0, 1), delivery(2, 0)]) == {}
    assert deliver(sink(database.dsn_file)) == {TopicPartition(INBOX, 0): 2, TopicPartition(INBOX, 2): 1}


def test_an_event_that_comes_again_replaces_its_row(database: Database) -> None:
    again = {**data(0), "select": "corrected"}
    deliver(sink(database.dsn_file), [delivery(0, 0), delivery(0, 1, again, id="event-0", replay="1")])
    assert read(database, 'SELECT ce_id, "select", inbox_offset FROM inbox.things') == [("event-0", "corrected", 1)]


def test_a_declared_key_keeps_the_newest_of_each_across_agreements(database: Database) -> None:
    births = {"table": "children", "columns": {"nik": "child.nik"}, "key": ["nik"]}
    settings = {"agreements": {AGREEMENT: births, "b.all.corrected": births}}
    at = "2026-11-24T01:02:0{}Z"
    nik = {"nik": "1" * 16}
    correction = Codec({**SCHEMA, "fields": [*SCHEMA["fields"][:3], {"name": "why", "type": "string"}]})
    corrected = {"n": 2, "child": nik, "select": "Ani", "why": "misspelt"}
    first = {**data(1), "child": nik, "select": "Ain"}
    rows = [
        delivery(0, 0, first, time=at.format(1)),
        delivery(0, 1, corrected, codec=correction, agreement="b.all.corrected", time=at.format(3)),
        delivery(0, 2, first, time=at.format(2)),  # a replay of what was corrected since
        delivery(1, 2, {**first, "child": {"nik": "2" * 16}}),
    ]
    deliver(sink(database.dsn_file, **settings), rows)
    kept = read(database, 'SELECT nik, n, "select", why, price FROM inbox.children ORDER BY nik')
    price = data(1)["price"]
    assert kept == [("1" * 16, 2, "Ani", "misspelt", price), ("2" * 16, 1, "Ain", None, price)]


def test_a_table_follows_its_schema_without_losing_what_it_holds(database: Database) -> None:
    fields = {field["name"]: field for field in SCHEMA["fields"]}
    wider = {
        **fields,
        "n": {"name": "n", "type": "long"},
        "price": {"name": "price", "type": {**fields["price"]["type"], "precision": 12}},
        "colour": {"name": "colour", "type": {"type": "enum", "name": "Colour", "symbols": ["RED"]}, "default": "RED"},
    }
    del wider["weight"]
    newer = Codec({**SCHEMA, "fields": list(wider.values())})
    more = {name: value for name, value in data(3).items() if name != "weight"} | {"n": 1 << 40, "colour": "RED"}
    deliver(
        sink(database.dsn_file),
        [delivery(0, 0)],
        [delivery(0, 1, more, codec=newer), delivery(0, 2)],  # lanes may deliver the older schema again
    )
    types = dict(read(database, COLUMNS.format("things")))
    assert (types["n"], types["price"], types["colour"]) == ("bigint", "numeric(12,2)", "text")
    rows = read(database, "SELECT n, colour, weight FROM inbox.things ORDER BY inbox_offset")
    assert rows == [(0, None, 0.0), (1 << 40, "RED", None), (6, None, 6 / 7)]


def test_a_column_that_cannot_hold_the_new_type_stops_the_sink_and_changes_nothing(database: Database) -> None:
    fields = [field if field["name"] != "born" else {"name": "born", "type": "string"} for field in SCHEMA["fields"]]
    other = Codec({**SCHEMA, "fields": [*fields, {"name": "extra", "type": "string"}]})
    odd = delivery(0, 1, {**data(3), "born": "yesterday", "extra": "x"}, codec=other)
    with pytest.raises(ConnectorFailed, match=r"born is date, not text.*\n*.*rename those columns") as told:
        deliver(sink(database.dsn_file), [delivery(0, 0)], [odd])
    assert "yesterday" not in str(told.value)
    assert "extra" not in dict(read(database, COLUMNS.format("things")))
    assert deliver(sink(database.dsn_file)) == {TopicPartition(INBOX, 0): 1}


def test_what_postgresql_cannot_hold_is_listed_with_its_place_and_the_rest_goes_on(database: Database) -> None:
    odd = {**data(0), "select": "Si\0ti"}
    deeper = {**data(0), "child": {"nik": "1\0"}}
    settings = {"agreements": {AGREEMENT: {"key": ["select"]}}}
    nothing = {**data(0), "select": None}
    long = {**data(0), "select": "x" * 3000}
    to = sink(database.dsn_file, **settings)
    deliver(
        to, [delivery(0, 0, odd), delivery(1, 0, deeper), delivery(2, 0, nothing), delivery(2, 1, long), delivery(0, 1)]
    )
    assert read(database, "SELECT n FROM inbox.things") == [(3,)]
    listed = read(database, 'SELECT partition, "offset", ce_id, reason FROM inbox.lintas_refused ORDER BY 1, 2')
    assert listed == [
        (0, 0, "event-0", "a text holds the character NUL"),
        (1, 0, "event-1", "a text holds the character NUL"),
        (2, 0, "event-2", "the key column select is null"),
        (2, 1, "event-5", "the key column select is longer than 1000 bytes"),
    ]
    assert to.holding() == {"person": 4}
    assert deliver(sink(database.dsn_file))[TopicPartition(INBOX, 2)] == 2


def test_what_the_encoding_or_an_index_has_no_room_for_is_listed_and_the_rest_goes_on(
    postgres_server: Server, tmp_path: Path
) -> None:
    made = postgres_server.database(tmp_path, encoding="LATIN1")
    made.run("CREATE SCHEMA inbox")
    made.run(f"GRANT USAGE, CREATE ON SCHEMA inbox TO {made.role}")
    codec = Codec({"type": "record", "name": "T", "fields": [{"name": name, "type": "string"} for name in "abc"]})
    rows = [
        {"a": "Ani", "b": "Élise", "c": "é"},
        {"a": "Siti", "b": "日本", "c": ""},
        {name: os.urandom(490).hex() for name in "abc"},  # each is short enough, together they are not
        {"a": "Budi", "b": "", "c": ""},
    ]
    to = sink(made.dsn_file, agreements={AGREEMENT: {"key": ["a", "b", "c"]}})
    deliver(to, [delivery(0, n, row, codec=codec) for n, row in enumerate(rows)])
    assert read(made, "SELECT a, b FROM inbox.things ORDER BY a") == [("Ani", "Élise"), ("Budi", "")]
    listed = read(made, 'SELECT "offset", reason FROM inbox.lintas_refused ORDER BY 1')
    assert [offset for offset, _ in listed] == [1, 2]
    assert "encoding" in listed[0][1]
    assert "index" in listed[1][1]


def test_who_has_seen_to_a_refused_event_deletes_its_row_and_it_is_held_no_more(database: Database) -> None:
    async def seen_to() -> None:
        to = sink(database.dsn_file)
        try:
            await to.start({}, None)  # type: ignore[arg-type]  # this sink asks its inbox nothing
            await give(to, [delivery(0, 0, {**data(0), "select": "Si\0ti"})])
            assert to.holding() == {"person": 1}
            read(database, "DELETE FROM inbox.lintas_refused")
            await to.idle()
            assert to.holding() == {"person": 0}
        finally:
            await to.stop()

    asyncio.run(seen_to())


def test_names_are_written_as_they_are_given(database: Database) -> None:
    odd = {"table": 'Things "of" all', "columns": {'Nik "No"': "child.nik"}, "key": ['Nik "No"']}
    own = {"schema": "Second", "agreements": {AGREEMENT: odd}}
    database.run('CREATE SCHEMA "Second"')
    database.run(f'GRANT USAGE, CREATE ON SCHEMA "Second" TO {database.role}')
    for n in (0, 7):  # of the same nik
        deliver(sink(database.dsn_file, **own), [delivery(0, n, data(n))])
    assert read(database, 'SELECT "Nik ""No""", n FROM "Second"."Things ""of"" all"') == [("0" * 16, 7)]


def test_a_column_that_a_view_shows_is_named_where_it_is_in_the_way(database: Database) -> None:
    fields = [field if field["name"] != "n" else {"name": "n", "type": "long"} for field in SCHEMA["fields"]]
    wider = delivery(0, 1, {**data(3), "n": 1 << 40}, codec=Codec({**SCHEMA, "fields": fields}))
    deliver(sink(database.dsn_file), [delivery(0, 0)])
    read(database, "CREATE VIEW inbox.shown AS SELECT n FROM inbox.things")
    with pytest.raises(ConnectorFailed, match="cannot alter type of a column used by a view"):
        deliver(sink(database.dsn_file), [wider])


def test_of_two_instances_only_the_later_writes(database: Database) -> None:
    async def both() -> None:
        first, second = sink(database.dsn_file), sink(database.dsn_file)
        try:
            await first.start({}, None)  # type: ignore[arg-type]  # this sink asks its inbox nothing
            await give(first, [delivery(0, 0)])
            began = await second.start({}, None)  # type: ignore[arg-type]  # as above
            assert began == {TopicPartition(INBOX, 0): 1}
            with pytest.raises(ConnectorFailed, match="another instance has begun"):
                await give(first, [delivery(0, 1)])
            await give(second, [delivery(0, 1)])
        finally:
            await first.stop()
            await second.stop()

    asyncio.run(both())
    assert read(database, "SELECT n FROM inbox.things ORDER BY n") == [(0,), (3,)]


def test_names_too_long_or_taken_are_made_to_fit(database: Database) -> None:
    long = "a" * 70
    fields = [{"name": name, "type": "string"} for name in (long, long + "b", "ce_id", "xmin")]
    codec = Codec({"type": "record", "name": "Odd", "fields": fields})
    deliver(sink(database.dsn_file), [delivery(0, 0, {field["name"]: field["name"] for field in fields}, codec=codec)])
    names = [name for name, _ in read(database, COLUMNS.format("things") + " AND attnum > 10 ORDER BY attnum")]
    assert names[0] != names[1]
    assert all(len(name) == 63 for name in names[:2])
    assert names[2:] == ["ce_id_", "xmin_"]
    assert read(database, "SELECT ce_id_, xmin_ FROM inbox.things") == [("ce_id", "xmin")]


def test_tables_that_a_database_administrator_made_are_enough(postgres_server: Server, tmp_path: Path) -> None:
    made = postgres_server.database(tmp_path)
    made.run(installation("sink"))
    made.run(f"GRANT USAGE ON SCHEMA inbox TO {made.role}")
    made.run(f"GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA inbox TO {made.role}")
    with pytest.raises(ConnectorFailed, match=r"permission denied for schema inbox.*\n*.*USAGE and CREATE on it"):
        deliver(sink(made.dsn_file), [delivery(0, 0)])
    assert deliver(sink(made.dsn_file)) == {}


def under_fire(database: Database, folder: Path, *, each: int, every: float, seconds: float) -> int:
    """Give the sink three partitions of so many deliveries while it is killed; how often it was."""
    program = Path(postgres_inbox.__file__)
    deliver(sink(database.dsn_file), [delivery(0, 0)])  # the table is there; now every write to it is counted
    as_connector = Database(database.name, database.connector_dsn, "", database.dsn_file, database.role)
    as_connector.run("CREATE TABLE inbox.writes (ce_id text)")
    as_connector.run(
        "CREATE FUNCTION inbox.counted() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN INSERT INTO inbox.writes VALUES (NEW.ce_id); RETURN NULL; END'"
    )
    as_connector.run(
        "CREATE TRIGGER counted AFTER INSERT OR UPDATE ON inbox.things FOR EACH ROW EXECUTE FUNCTION inbox.counted()"
    )
    victim = Victim(program, str(database.dsn_file), str(each), log=folder / "program.log")
    total = each * PARTITIONS

    def complete() -> bool:
        return read(database, "SELECT sum(next_offset) FROM inbox.lintas_positions") == [(total,)]

    try:
        victim.kill_again_and_again(complete, every=every, seconds=seconds)
        until(complete, "everything is in the table")
    finally:
        victim.kill()
    rows = read(database, "SELECT inbox_partition, inbox_offset, ce_id, n, child->>'nik', price FROM inbox.things")
    inbox = [delivery(partition, offset) for partition in range(PARTITIONS) for offset in range(each)]
    expected = [
        (one.partition, one.offset, one.event["id"], one.data["n"], one.data["child"]["nik"], one.data["price"])
        for one in inbox
    ]
    assert sorted(rows) == expected
    writes = read(database, "SELECT count(*), count(DISTINCT ce_id) FROM inbox.writes")
    assert writes == [(total - 1, total - 1)], "each row was written once"
    return victim.kills


def test_killed_again_and_again_the_table_equals_the_inbox_row_by_row(database: Database, tmp_path: Path) -> None:
    assert under_fire(database, tmp_path, each=1500, every=0.5, seconds=60) >= 2


@pytest.mark.long
@pytest.mark.timeout(600)
def test_killed_for_long_the_table_equals_the_inbox_row_by_row(database: Database, tmp_path: Path) -> None:
    assert under_fire(database, tmp_path, each=60_000, every=3, seconds=500) >= 10
