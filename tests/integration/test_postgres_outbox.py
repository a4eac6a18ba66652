"""The outbox source on a real PostgreSQL: whatever happens, each row is published once, in order per key."""

import asyncio
import os
import socket
import threading
import time
from collections import defaultdict
from pathlib import Path

import postgres_outbox_program
import psycopg
import pytest
from postgres_runs import EVENT_TYPE, Bus, Victim, context, history, run, until
from postgres_server import Database, Server

from connectors.plugins.postgres.database import DatabaseConfig, connected
from connectors.plugins.postgres.outbox import OutboxConfig, OutboxSource
from connectors.plugins.postgres.statements import installation
from lintas.errors import ConnectorFailed

INSERT = "INSERT INTO lintas.outbox (event_type, payload, subject, key) VALUES (%s, %s::jsonb, %s, %s)"
STATES = "SELECT state, count(*) FROM lintas.outbox GROUP BY 1"


@pytest.fixture
def database(postgres_server: Server, tmp_path: Path) -> Database:
    made = postgres_server.database(tmp_path)
    made.run(installation("outbox"))
    made.run(f"GRANT USAGE ON SCHEMA lintas TO {made.role}")
    made.run(f"GRANT SELECT, UPDATE, DELETE ON lintas.outbox TO {made.role}")
    return made


def source(database: Database, **settings: object) -> OutboxSource:
    config = OutboxConfig.model_validate({"dsn_file": database.dsn_file, **settings})
    return OutboxSource(config, context())


def write(database: Database, *numbers: int, who: str = "somebody") -> None:
    for n in numbers:
        database.run(INSERT, EVENT_TYPE, f'{{"who": "{who}", "n": {n}}}', None, None)


def states(database: Database) -> dict[str, int]:
    return dict(database.run(STATES))


def test_each_row_is_published_once_in_order_and_marked(database: Database) -> None:
    write(database, 1, 2, 3)
    bus = Bus()
    run(source(database, rows=2), bus, lambda: states(database) == {"published": 3})
    assert [event["n"] for event in bus.events] == [1, 2, 3]
    assert bus.ids == [found for (found,) in database.run("SELECT event_id FROM lintas.outbox ORDER BY id")]


def test_a_row_that_is_committed_late_with_a_lower_id_is_not_passed_over(database: Database) -> None:
    bus = Bus()
    with database.own() as late:
        late.execute(INSERT, (EVENT_TYPE, '{"who": "late", "n": 1}', None, None))
        write(database, 2)
        run(source(database), bus, lambda: len(bus.events) == 1)
        late.commit()
    run(source(database), bus, lambda: len(bus.events) == 2)
    assert [event["n"] for event in bus.events] == [2, 1]


def test_what_is_behind_a_locked_row_of_its_key_waits_and_other_keys_go_on(database: Database) -> None:
    for n, key in enumerate(("a", "a", "b", "a", "b")):
        database.run(INSERT, EVENT_TYPE, f'{{"who": "{key}", "n": {n}}}', key, None)
    bus = Bus()
    with database.own() as somebody:
        somebody.execute("SELECT FROM lintas.outbox WHERE payload->>'n' = '1' FOR UPDATE")
        run(source(database), bus, lambda: len(bus.events) == 3)
        assert [event["n"] for event in bus.events] == [0, 2, 4]
    run(source(database), bus, lambda: len(bus.events) == 5)
    assert [event["n"] for event in bus.events] == [0, 2, 4, 1, 3]


def test_rows_on_their_way_are_in_one_hand(database: Database) -> None:
    write(database, 1)

    async def both() -> None:
        first, second = source(database), source(database)
        try:
            await first.start({})
            assert await first.poll() is not None
            await second.start({})
            assert await second.poll() is None
        finally:
            await first.stop()
        assert await second.poll() is not None, "the first is gone, and its locks with it"
        await second.stop()

    asyncio.run(both())


class Crash(Exception):
    pass


@pytest.mark.parametrize("step", ["polled", "refused", "committed", "written"])
def test_a_crash_after_any_step_loses_and_repeats_nothing(database: Database, step: str) -> None:
    write(database, 1, 2)
    database.run(INSERT, EVENT_TYPE, '{"who": 5}', None, None)
    write(database, 3)
    bus = Bus()

    def crash(at: str) -> None:
        if at == step:
            raise Crash

    with pytest.raises(Crash):
        run(source(database), bus, lambda: False, crash)
    run(source(database), bus, lambda: states(database) == {"published": 3, "refused": 1})
    assert [event["n"] for event in bus.events] == [1, 2, 3]


@pytest.mark.parametrize(
    ("payload", "rule"),
    [
        ('{"who": "Siti Rahayu", "n": "17"}', "data.n"),
        ('{"who": "Siti Rahayu"}', "data.n"),
        (f'{{"who": "Siti Rahayu", "n": 1, "more": {"[" * 1500}{"]" * 1500}}}', "data"),  # too deep for Python
        (f'{{"who": "Siti Rahayu", "n": 1{"0" * 5000}}}', "data.n"),  # too long for Python
    ],
)
def test_a_row_that_the_bus_refuses_says_why_without_values_and_the_rest_goes_on(
    database: Database, payload: str, rule: str
) -> None:
    database.run(INSERT, EVENT_TYPE, payload, None, None)
    write(database, 1)
    bus = Bus()
    run(source(database), bus, lambda: states(database) == {"published": 1, "refused": 1})
    ((reason,),) = database.run("SELECT reason FROM lintas.outbox WHERE state = 'refused'")
    assert rule in reason
    assert "Siti" not in reason
    database.run(
        """UPDATE lintas.outbox SET payload = '{"who": "x", "n": 2}', state = 'waiting' WHERE state = 'refused'"""
    )
    run(source(database), bus, lambda: states(database) == {"published": 2})
    assert [event["n"] for event in bus.events] == [1, 2]


def test_numbers_and_bytes_arrive_as_the_schema_has_them(database: Database) -> None:
    database.run("ALTER ROLE CURRENT_USER SET bytea_output = escape")  # no matter how the program's session writes them
    database.run(
        "CREATE TABLE goods (who text, n numeric, price numeric(12,2), weight numeric, seal bytea, at timestamptz)"
    )
    database.run(
        "CREATE TRIGGER told AFTER INSERT ON goods FOR EACH ROW EXECUTE FUNCTION "
        f"lintas.outbox_from_row('{EVENT_TYPE}', "
        """'{"who": "who", "n": "n", "price": "price", "weight": "weight", "seal": "seal", "at": "at"}')"""
    )
    database.run(
        r"INSERT INTO goods VALUES ('rice', 9007199254740993, 1234567890.10, 0.1, '\x00ff', '2026-11-24T08:02:03+07')"
    )
    bus = Bus()
    run(source(database), bus, lambda: states(database) == {"published": 1})
    (event,) = bus.events
    assert {name: event[name] for name in ("n", "price", "weight", "seal", "at")} == {
        "n": 9007199254740993,  # more than a float holds
        "price": "1234567890.10",
        "weight": "0.1",
        "seal": str(b"\x00\xff"),
        "at": "2026-11-24 01:02:03+00:00",
    }


def test_a_trigger_makes_events_of_changes_for_programs_without_rights_on_the_outbox(
    postgres_server: Server, database: Database, tmp_path: Path
) -> None:
    program = postgres_server.database(tmp_path).role
    database.run("CREATE TABLE people (name text, address int)")
    database.run(f"GRANT SELECT, INSERT, UPDATE, DELETE ON people TO {program}")
    for when, who in (("INSERT", "name"), ("UPDATE", "old.name"), ("DELETE", "old.name")):
        database.run(
            f"CREATE TRIGGER on_{when} AFTER {when} ON people FOR EACH ROW EXECUTE FUNCTION "
            f"""lintas.outbox_from_row('{EVENT_TYPE}', '{{"who": "{who}", "n": "address", "kind": "={when}", """
            """"deep": [1, {"null": null}]}', '{"key": "name", "time": "=2026-11-24T01:02:03Z"}')"""
        )
    as_program = database.owner_dsn.replace(f"{database.name}_owner:{database.name}", f"{program}:{program[:13]}")
    with psycopg.connect(as_program, autocommit=True) as session:
        session.execute("INSERT INTO people VALUES ('Ani', 1)")
        session.execute("UPDATE people SET name = 'Ani Rahayu', address = 2")
        session.execute("DELETE FROM people")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            session.execute("SELECT FROM lintas.outbox")
    rows = database.run("SELECT payload, key, subject, time::text FROM lintas.outbox ORDER BY id")
    deep = [1, {"null": None}]
    assert rows == [
        ({"who": "Ani", "n": 1, "kind": "INSERT", "deep": deep}, "Ani", None, rows[0][3]),
        ({"who": "Ani", "n": 2, "kind": "UPDATE", "deep": deep}, "Ani Rahayu", None, rows[0][3]),
        ({"who": "Ani Rahayu", "n": 2, "kind": "DELETE", "deep": deep}, "Ani Rahayu", None, rows[0][3]),
    ]
    assert database.run("SELECT DISTINCT time = '2026-11-24T01:02:03Z' FROM lintas.outbox") == [(True,)]


def test_a_mapping_that_names_no_column_fails_with_the_column_and_the_way_to_write_constants(
    database: Database,
) -> None:
    database.run("CREATE TABLE people (name text)")
    database.run(
        "CREATE TRIGGER told AFTER INSERT ON people FOR EACH ROW EXECUTE FUNCTION "
        f"""lintas.outbox_from_row('{EVENT_TYPE}', '{{"who": "nmae"}}')"""
    )
    with pytest.raises(psycopg.errors.UndefinedColumn, match=r"column nmae.*\n.*constants begin"):
        database.run("INSERT INTO people VALUES ('Ani')")


@pytest.mark.parametrize("time", ["infinity", "-infinity", "0044-03-15 BC", "12026-11-24"])
def test_a_row_of_a_time_that_events_cannot_have_is_refused_and_the_rest_goes_on(database: Database, time: str) -> None:
    timed = "INSERT INTO lintas.outbox (event_type, payload, time) VALUES (%s, %s::jsonb, %s::timestamptz)"
    database.run(timed, EVENT_TYPE, '{"who": "x", "n": 1}', time)
    database.run(timed, EVENT_TYPE, '{"who": "x", "n": 2}', "2026-11-24T08:02:03.5+07")
    bus = Bus()
    run(source(database), bus, lambda: states(database) == {"published": 1, "refused": 1})
    ((reason,),) = database.run("SELECT reason FROM lintas.outbox WHERE state = 'refused'")
    assert reason == "time: is not a moment as RFC 3339 writes it"


@pytest.mark.parametrize("wrong", ["BEFORE INSERT ON people FOR EACH ROW", "AFTER INSERT ON people"])
def test_a_trigger_that_would_swallow_the_row_or_sees_none_fails_the_statement(database: Database, wrong: str) -> None:
    database.run("CREATE TABLE people (name text)")
    database.run(
        f"CREATE TRIGGER told {wrong} EXECUTE FUNCTION "
        f"""lintas.outbox_from_row('{EVENT_TYPE}', '{{"who": "=x", "n": 1}}')"""
    )
    with pytest.raises(psycopg.errors.TriggerProtocolViolated, match=r"told is not made AFTER ... FOR EACH ROW"):
        database.run("INSERT INTO people VALUES ('Ani')")


def test_under_load_too_rows_are_removed_after_their_time_and_nothing_piles_up(database: Database) -> None:
    write(database, 1, 2)
    run(source(database), Bus(), lambda: states(database) == {"published": 2})
    database.run("UPDATE lintas.outbox SET published_at = now() - interval '8 days'")
    write(database, 3)
    busy, bus = source(database), Bus()
    run(busy, bus, lambda: len(bus.events) == 20, lambda at: write(database, 4) if at == "polled" else None)
    assert states(database) == {"published": 20, "waiting": 1}
    assert busy._connection is not None
    assert len(busy._connection._notifies_backlog or ()) < 5


def test_published_rows_are_removed_after_their_time(database: Database) -> None:
    write(database, 1, 2)
    bus = Bus()
    run(source(database, keep_days=0), bus, lambda: states(database) == {})
    write(database, 3)
    run(source(database), bus, lambda: states(database) == {"published": 1})
    database.run("UPDATE lintas.outbox SET published_at = now() - interval '8 days'")
    run(source(database), bus, lambda: states(database) == {})
    assert [event["n"] for event in bus.events] == [1, 2, 3]


def test_the_outbox_may_be_in_another_schema_and_installing_it_again_changes_nothing(
    database: Database,
) -> None:
    for _ in range(2):
        database.run(installation("outbox", "Second"))
        database.run(installation("outbox"))
    database.run(f'GRANT USAGE ON SCHEMA "Second" TO {database.role}')
    database.run(f'GRANT ALL ON "Second".outbox TO {database.role}')
    database.run(INSERT.replace("lintas.", '"Second".'), EVENT_TYPE, '{"who": "x", "n": 1}', None, None)
    bus = Bus()
    run(source(database, schema="Second"), bus, lambda: len(bus.events) == 1)


def test_a_written_row_wakes_the_connector(database: Database) -> None:
    async def between() -> float:
        reader = source(database)
        await reader.start({})
        try:
            await reader.poll()
            waiting = asyncio.create_task(reader.poll())
            await asyncio.sleep(0.2)
            begun = time.monotonic()
            await asyncio.to_thread(write, database, 1)
            assert await waiting is not None
            return time.monotonic() - begun
        finally:
            await reader.stop()

    assert asyncio.run(between()) < 0.6, "it would have looked again after 0.8 s"


def test_what_is_missing_is_told_with_the_remedy(postgres_server: Server, tmp_path: Path) -> None:
    empty = postgres_server.database(tmp_path)
    with pytest.raises(ConnectorFailed, match=r'"lintas.outbox" does not exist.*\n*.*lintas connector sql outbox'):
        run(source(empty), Bus(), lambda: True)
    empty.dsn_file.write_text(empty.connector_dsn.replace(f":{empty.name}@", ":secret-word@"))
    with pytest.raises(ConnectorFailed, match="password authentication failed") as told:
        run(source(empty), Bus(), lambda: True)
    assert "secret-word" not in str(told.value)
    empty.dsn_file.unlink()
    with pytest.raises(ConnectorFailed, match="cannot be read: No such file"):
        run(source(empty), Bus(), lambda: True)


def test_a_server_that_is_gone_without_a_word_is_noticed_though_it_owes_an_acknowledgement(
    database: Database,
) -> None:
    async def patience_ms() -> int:
        connection = await connected(DatabaseConfig(dsn_file=database.dsn_file), "births")
        try:
            with socket.socket(fileno=os.dup(connection.fileno())) as seen:
                return seen.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
        finally:
            await connection.close()

    assert asyncio.run(patience_ms()) == 60_000


def under_fire(database: Database, folder: Path, *, seconds: float, every: float) -> int:
    """Write rows for so long while the connector is killed again and again; how often it was."""
    bus_file = folder / "bus.jsonl"
    program = Path(postgres_outbox_program.__file__)
    victim = Victim(program, str(database.dsn_file), str(bus_file), log=folder / "program.log")
    over = threading.Event()

    def load(writer: int) -> None:
        with psycopg.connect(database.owner_dsn) as session:
            n = 0
            while not over.is_set():
                for _ in range(20):
                    session.execute(INSERT, (EVENT_TYPE, f'{{"who": "w{writer}-{n % 5}", "n": {n}}}', None, None))
                    n += 1
                session.rollback() if n % 140 == 0 else session.commit()
                over.wait(0.02)

    writers = [threading.Thread(target=load, args=(writer,)) for writer in range(3)]
    for writer in writers:
        writer.start()
    end = time.monotonic() + seconds
    try:
        victim.kill_again_and_again(lambda: time.monotonic() > end, every=every, seconds=seconds + 30)
    finally:
        over.set()
        for writer in writers:
            writer.join()
    try:
        until(lambda: set(states(database)) == {"published"}, "all rows are published", 60)
    finally:
        victim.kill()
    events = history(bus_file).events
    rows = database.run("SELECT event_id, payload->>'who', (payload->>'n')::int FROM lintas.outbox")
    assert sorted((event["id"], event["who"], event["n"]) for event in events) == sorted(rows)
    assert len(rows) > 50 * seconds
    by_key: dict[str, list[int]] = defaultdict(list)
    for event in events:
        by_key[event["key"]].append(event["n"])
    assert all(numbers == sorted(numbers) for numbers in by_key.values())
    return victim.kills


def test_killed_again_and_again_under_load_every_row_is_published_once_in_order(
    database: Database, tmp_path: Path
) -> None:
    assert under_fire(database, tmp_path, seconds=4, every=0.5) >= 2


@pytest.mark.long
@pytest.mark.timeout(600)
def test_killed_for_long_under_load_every_row_is_published_once_in_order(database: Database, tmp_path: Path) -> None:
    assert under_fire(database, tmp_path, seconds=90, every=4) >= 15
