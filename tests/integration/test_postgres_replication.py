"""The replication source on a real PostgreSQL: each committed change once, in order, or a stop with a reason."""

import asyncio
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import postgres_replication_program
import psycopg
import pytest
from postgres_replication_program import source
from postgres_runs import EVENT_TYPE, Bus, Victim, history, run, until
from postgres_server import Database, Server

from connectors.plugins.postgres import statements
from connectors.plugins.postgres.statements import installation
from connectors.runtime.contract import Portion
from lintas.errors import ConnectorDisabled, ConnectorFailed

SLOT = "SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = %s"


@pytest.fixture
def database(postgres_server: Server, tmp_path: Path) -> Iterator[Database]:
    """With a table that is published; its slot is called as it is."""
    made = postgres_server.database(tmp_path, replication=True)
    made.run(installation("replication"))
    made.run(f"GRANT USAGE ON SCHEMA lintas TO {made.role}")
    made.run(f"GRANT SELECT, INSERT ON lintas.refused TO {made.role}")
    made.run("CREATE TABLE things (who text, n numeric, weight float8, seal bytea, at timestamptz, price numeric)")
    made.run("CREATE PUBLICATION lintas FOR TABLE things")
    yield made
    postgres_server.run(
        f"SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = '{made.name}'"
    )


def begin(database: Database, bus: Bus, **settings: Any) -> None:
    """Make the slot, from which on changes are published."""
    run(source(database.dsn_file, database.name, **settings), bus, lambda: bool(bus.progress))


def go_on(database: Database, bus: Bus, count: int, **settings: Any) -> None:
    run(source(database.dsn_file, database.name, **settings), bus, lambda: len(bus.events) >= count)


def insert(database: Database, *numbers: int) -> None:
    for n in numbers:
        database.run("INSERT INTO things (who, n) VALUES ('somebody', %s)", n)


def numbers(bus: Bus) -> list[int]:
    return [event["n"] for event in bus.events]


def test_every_committed_insert_is_published_once_in_commit_order(database: Database) -> None:
    bus = Bus()
    begin(database, bus)
    insert(database, 1)
    with database.own() as late, database.own() as undone:
        late.execute("INSERT INTO things (who, n) VALUES ('late', 3), ('late', 4)")
        undone.execute("INSERT INTO things (who, n) VALUES ('undone', 5)")
        insert(database, 2)
        undone.rollback()
        go_on(database, bus, 2)
        late.commit()
    go_on(database, bus, 4)
    assert numbers(bus) == [1, 2, 3, 4]
    assert len(set(bus.ids)) == 4


def test_the_slot_is_made_when_transactions_that_are_open_have_ended_however_long_that_takes(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = statements._queries()["session"]
    monkeypatch.setitem(statements._queries(), "session", session.replace("'10s'", "'1s'"))
    bus = Bus()
    with database.own() as long:
        long.execute("INSERT INTO things (who, n) VALUES ('early', 0)")
        ending = threading.Timer(2.5, long.commit)
        ending.start()
        begin(database, bus)
        ending.join()
    insert(database, 1)
    go_on(database, bus, 1)
    assert numbers(bus) == [1]


class Crash(Exception):
    pass


@pytest.mark.parametrize("step", ["polled", "committed", "written"])
@pytest.mark.parametrize("portion", [1, 2])
def test_a_crash_after_any_step_also_within_a_transaction_loses_and_repeats_nothing(
    database: Database, step: str, portion: int
) -> None:
    bus = Bus()
    begin(database, bus)
    database.run("INSERT INTO things (who, n) SELECT 'many', n FROM generate_series(1, 25) AS n")
    insert(database, 26)
    seen = []

    def crash(at: str) -> None:
        seen.append(at)
        if at == step and seen.count(step) == portion:
            raise Crash

    with pytest.raises(Crash):
        run(source(database.dsn_file, database.name, rows=10), bus, lambda: False, crash)
    go_on(database, bus, 26, rows=7)
    assert numbers(bus) == list(range(1, 27))
    assert len(set(bus.ids)) == 26


def test_the_server_may_forget_what_is_on_the_bus_and_nothing_else(database: Database) -> None:
    bus = Bus()
    begin(database, bus)
    ((before,),) = database.run(SLOT, database.name)
    insert(database, 1)

    def crash(at: str) -> None:
        if at == "committed" and bus.events:
            raise Crash

    with pytest.raises(Crash):
        run(source(database.dsn_file, database.name), bus, lambda: False, crash)
    assert database.run(SLOT, database.name) == [(before,)]
    insert(database, 2)
    go_on(database, bus, 2)
    ((behind,),) = database.run(SLOT, database.name)
    assert behind == bus.progress["place"]["done"]


def test_updates_and_deletions_know_the_row_before_and_types_arrive_exactly(database: Database) -> None:
    bus = Bus()
    mapped: dict[str, Any] = {
        "table": "public.things",
        "event_type": EVENT_TYPE,
        "data": {name: name for name in ("n", "price", "weight", "seal", "at")},
    }
    events = [
        {**mapped, "data": {**mapped["data"], "who": "who"}},
        {**mapped, "on": ["update"], "when": "record.old.n != record.n", "data": {"who": "old.who", "n": "old.n"}},
        {**mapped, "on": ["delete"], "data": {"who": "who", "n": {"cel": "int(record.old.n) * 10"}}},
    ]
    database.run("ALTER TABLE things REPLICA IDENTITY FULL")
    begin(database, bus, events=events)
    long = "x" * 100_000  # kept apart from the row; an update of other columns does not repeat it
    database.run(
        "INSERT INTO things VALUES (%s, 9007199254740993, 0.1, '\\x00ff', '2026-11-24T08:02:03+07', 1234567890.10)",
        long,
    )
    database.run("UPDATE things SET price = 1")
    database.run("UPDATE things SET n = 2")
    database.run("DELETE FROM things")
    go_on(database, bus, 3, events=events)
    inserted, updated, deleted = bus.events
    del inserted["id"], inserted["key"]
    assert inserted == {
        "who": long,
        "n": 9007199254740993,
        "price": "1234567890.10",
        "weight": "0.1",
        "seal": str(b"\x00\xff"),
        "at": "2026-11-24 01:02:03+00:00",
    }
    assert (updated["who"], updated["n"]) == (long, 9007199254740993)
    assert (deleted["who"], deleted["n"]) == (long, 20)


def test_what_cannot_be_an_event_is_listed_without_values_and_the_rest_goes_on(database: Database) -> None:
    bus = Bus()
    mapped = {"table": "public.things", "event_type": EVENT_TYPE, "data": {"who": "who", "n": "n", "at": "at"}}
    begin(database, bus, events=[mapped])
    database.run("INSERT INTO things (who, n) VALUES ('Siti', 1.5)")
    database.run("INSERT INTO things (n) VALUES (2)")
    database.run("INSERT INTO things (who, n, at) VALUES ('Siti', 3, 'infinity')")
    insert(database, 4)
    go_on(database, bus, 1, events=[mapped])
    assert numbers(bus) == [4]
    listed = database.run("SELECT event_type, origin, reason FROM lintas.refused ORDER BY event_id")
    assert [event_type for event_type, _, _ in listed] == [EVENT_TYPE] * 3
    assert all(origin.startswith("insert of public.things at 0/") for _, origin, _ in listed)
    reasons = [reason for _, _, reason in listed]
    assert [reason.split(":")[0] for reason in reasons[:2]] == ["data.n", "data.who"]
    assert reasons[2].startswith("data.at: must be a moment")
    assert "Siti" not in str(listed)


def test_what_does_not_fit_the_database_is_told_all_at_once(database: Database) -> None:
    events = [
        {"table": "public.nothing", "event_type": EVENT_TYPE, "data": {"who": "who", "n": "n"}},
        {"table": "public.things", "event_type": EVENT_TYPE, "data": {"who": "whom", "n": "n", "oops": "n"}},
        {"table": "public.things", "on": ["update"], "event_type": EVENT_TYPE, "data": {"who": "old.whom", "n": "n"}},
    ]
    with pytest.raises(ConnectorFailed) as told:
        begin(database, Bus(), events=events)
    for problem in (
        "events.0.table: public.nothing is not in the publication lintas",
        "events.1.data.oops",
        "events.2: public.things has no column old.whom",
        "events.2.on: ALTER TABLE public.things REPLICA IDENTITY FULL is needed",
    ):
        assert problem in str(told.value)


def test_a_slot_that_is_gone_or_moved_stops_the_connector_for_a_person(
    postgres_server: Server, database: Database
) -> None:
    bus = Bus()
    begin(database, bus)
    insert(database, 1)
    postgres_server.run(f"SELECT pg_replication_slot_advance('{database.name}', pg_current_wal_flush_lsn())")
    with pytest.raises(ConnectorDisabled, match="somebody else has moved"):
        go_on(database, bus, 1)
    postgres_server.run(f"SELECT pg_drop_replication_slot('{database.name}')")
    with pytest.raises(ConnectorDisabled, match="is gone, and with it whatever was committed since"):
        go_on(database, bus, 1)
    assert bus.events == []


def test_a_slot_that_is_moved_while_it_is_read_stops_the_connector_too(
    postgres_server: Server, database: Database
) -> None:
    bus = Bus()
    begin(database, bus)
    insert(database, 1)

    def moved() -> bool:
        if bus.events:
            insert(database, 2)
            postgres_server.run(f"SELECT pg_replication_slot_advance('{database.name}', pg_current_wal_flush_lsn())")
            insert(database, 3)
        return False

    with pytest.raises(ConnectorDisabled, match="somebody else has moved"):
        run(source(database.dsn_file, database.name), bus, moved)
    assert numbers(bus) == [1], "or the second was lost in silence"


def test_a_database_that_was_set_back_stops_the_connector_for_a_person(database: Database) -> None:
    bus = Bus()
    begin(database, bus)
    bus.progress["place"]["done"] = "FFFF/0"
    with pytest.raises(ConnectorDisabled, match="the database was set back: its log ends at 0/"):
        go_on(database, bus, 1)


def test_after_a_look_that_took_long_the_database_is_left_alone_as_long(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def rested() -> float:
        reader = source(database.dsn_file, database.name)
        try:
            await reader.start({})
            await reader.poll()
            assert reader._slot is not None
            release = reader._slot.release

            async def slow() -> None:
                await asyncio.sleep(1.0)
                await release()

            monkeypatch.setattr(reader._slot, "release", slow)
            begun = time.monotonic()
            assert await reader.poll() in (None, Portion((), reader._slot.place.progress()))
            return time.monotonic() - begun
        finally:
            await reader.stop()

    assert asyncio.run(rested()) >= 2.0


@pytest.mark.parametrize("rows", [1, 1000])
def test_what_is_on_the_bus_is_looked_for_once(database: Database, rows: int) -> None:
    bus = Bus()
    begin(database, bus)
    insert(database, 1)

    def crash(at: str) -> None:
        if at == "committed" and bus.events:
            raise Crash

    with pytest.raises(Crash):
        run(source(database.dsn_file, database.name, rows=rows), bus, lambda: False, crash)
    end, polls = time.monotonic() + 3, []

    def over() -> bool:
        polls.append(time.monotonic())
        return polls[-1] > end

    run(source(database.dsn_file, database.name, rows=rows), bus, over)
    assert len(polls) < 20, "it rests half a second each time"
    assert numbers(bus) == [1]


def test_a_publication_may_be_called_anything(database: Database) -> None:
    database.run('CREATE PUBLICATION "Second, and last" FOR TABLE things')
    bus = Bus()
    begin(database, bus, publication="Second, and last")
    insert(database, 1)
    go_on(database, bus, 1, publication="Second, and last")


def test_rows_are_taken_by_their_size(database: Database) -> None:
    bus = Bus()
    begin(database, bus)
    database.run("INSERT INTO things (who, n) SELECT repeat('x', 500000), n FROM generate_series(1, 20) AS n")
    portions = []
    run(
        source(database.dsn_file, database.name),
        bus,
        lambda: len(bus.events) == 20,
        lambda at: portions.append(len(bus.events)) if at == "polled" else None,
    )
    assert len(portions) >= 3
    assert numbers(bus) == list(range(1, 21))


def test_tables_may_be_called_anything_and_hold_anything_beside_what_is_mapped(database: Database) -> None:
    odd = '"Odd ""Things"""'
    database.run("CREATE TYPE mood AS ENUM ('calm')")
    database.run("CREATE DOMAIN worth AS numeric(12,2)")
    database.run(
        f"CREATE TABLE {odd} (\"Who am I\" mood, n int, price worth, at timestamptz DEFAULT 'infinity', "
        "long interval DEFAULT '1 day', host inet DEFAULT '10.0.0.1', days tstzrange DEFAULT '[2026-01-01,infinity)', "
        "hours interval[] DEFAULT '{1 hour}', born date DEFAULT '0044-03-15 BC', void numeric DEFAULT 'NaN', "
        "deep jsonb DEFAULT '{\"a\": [1.50]}', tags text[] DEFAULT '{a,b}')"
    )
    database.run(f"ALTER PUBLICATION lintas ADD TABLE {odd}")
    when = "record.host == '10.0.0.1' && record.hours[0] == 'PT1H' && record.deep.a[0] == '1.50' && 'b' in record.tags"
    mapped = {
        "table": 'public.Odd "Things"',
        "event_type": EVENT_TYPE,
        "when": when,
        "data": {"who": "Who am I", "n": "n", "price": "price"},
    }
    bus = Bus()
    begin(database, bus, events=[mapped])
    database.run(f"INSERT INTO {odd} VALUES ('calm', 1, 2.50)")
    go_on(database, bus, 1, events=[mapped])
    (event,) = bus.events
    assert (event["who"], event["n"], event["price"]) == ("calm", 1, "2.50")
    assert database.run("SELECT * FROM lintas.refused") == []


def test_a_table_that_changes_while_it_is_read_gives_no_event_with_nulls_and_none_is_lost(database: Database) -> None:
    mapped = {"table": "public.things", "event_type": EVENT_TYPE, "data": {"who": "who", "n": "n", "price": "price"}}
    bus = Bus()
    begin(database, bus, events=[mapped])
    insert(database, 1)

    def changed() -> bool:
        if len(bus.events) == 1 and not bus.set_aside:
            database.run("ALTER TABLE things RENAME COLUMN price TO cost")
            insert(database, 2)
            database.run("ALTER TABLE things RENAME COLUMN cost TO price")
            database.run("ALTER TABLE things RENAME TO renamed")
            database.run("INSERT INTO renamed (who, n, price) VALUES ('somebody', 3, 1)")
        return len(bus.events) == 2

    run(source(database.dsn_file, database.name, events=[mapped]), bus, changed)
    assert numbers(bus) == [1, 3]
    assert bus.set_aside == 1
    assert database.run("SELECT reason FROM lintas.refused") == [("public.things: has no column price",)]


def test_an_old_row_that_is_not_there_whole_is_not_taken_for_nulls(database: Database) -> None:
    mapped = {
        "table": "public.things",
        "event_type": EVENT_TYPE,
        "on": ["update"],
        "data": {"who": "who", "n": "n", "price": "old.price"},
    }
    database.run("ALTER TABLE things ADD PRIMARY KEY (n), REPLICA IDENTITY FULL")
    bus = Bus()
    begin(database, bus, events=[mapped])
    database.run("INSERT INTO things (who, n, price) VALUES ('somebody', 1, 1)")
    database.run("ALTER TABLE things REPLICA IDENTITY DEFAULT")
    database.run("UPDATE things SET price = 2")
    database.run("ALTER TABLE things REPLICA IDENTITY FULL")
    database.run("UPDATE things SET price = 3")
    go_on(database, bus, 1, events=[mapped])
    assert [event["price"] for event in bus.events] == ["2.00"]
    ((reason,),) = database.run("SELECT reason FROM lintas.refused")
    assert "REPLICA IDENTITY FULL" in reason


def test_a_role_without_the_right_is_told_which(postgres_server: Server, tmp_path: Path) -> None:
    made = postgres_server.database(tmp_path)
    made.run("CREATE TABLE things (who text, n int, weight float8)")
    made.run("CREATE PUBLICATION lintas FOR TABLE things")
    with pytest.raises(ConnectorFailed, match=r"permission denied.*replication.*\n*.*attribute REPLICATION"):
        run(source(made.dsn_file, made.name), Bus(), lambda: False)


def under_fire(database: Database, folder: Path, *, seconds: float, every: float) -> int:
    """Insert rows for so long while the connector is killed again and again; how often it was."""
    bus_file = folder / "bus.jsonl"
    program = Path(postgres_replication_program.__file__)
    victim = Victim(program, str(database.dsn_file), database.name, str(bus_file), log=folder / "program.log")
    until(lambda: bool(history(bus_file).progress), "the slot is there")
    over = threading.Event()

    def load(writer: int) -> None:
        with psycopg.connect(database.owner_dsn) as session:
            n = 0
            while not over.is_set():
                for _ in range(1 + n % 130):
                    session.execute("INSERT INTO things VALUES (%s, %s, 0.5)", (f"w{writer}", n))
                    n += 1
                session.rollback() if n % 7 == 0 else session.commit()
                over.wait(0.05)

    writers = [threading.Thread(target=load, args=(writer,)) for writer in range(2)]
    for writer in writers:
        writer.start()
    end = time.monotonic() + seconds
    try:
        victim.kill_again_and_again(lambda: time.monotonic() > end, every=every, seconds=seconds + 60)
    finally:
        over.set()
        for writer in writers:
            writer.join()
    rows = database.run("SELECT who, n::int FROM things")
    try:
        until(lambda: len(history(bus_file).events) >= len(rows), f"all {len(rows)} rows are published", 240)
        time.sleep(1)  # whatever came twice would come now
    finally:
        victim.kill()
    events = history(bus_file).events
    assert sorted((event["who"], event["n"]) for event in events) == sorted(rows)
    assert len({event["id"] for event in events}) == len(events)
    by_key: dict[str, list[int]] = defaultdict(list)
    for event in events:
        by_key[event["key"]].append(event["n"])
    assert all(own == sorted(own) for own in by_key.values())
    return victim.kills


def test_killed_again_and_again_under_load_every_change_is_published_once_in_order(
    database: Database, tmp_path: Path
) -> None:
    assert under_fire(database, tmp_path, seconds=4, every=0.3) >= 2


@pytest.mark.long
@pytest.mark.timeout(600)
def test_killed_for_long_under_load_every_change_is_published_once_in_order(database: Database, tmp_path: Path) -> None:
    assert under_fire(database, tmp_path, seconds=90, every=4) >= 15
