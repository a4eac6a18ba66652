"""What docs/how-to/postgres.md shows is what happens: a new agency joins a real bus by its blocks alone."""

import asyncio
import base64
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import yaml
from connector_bus import ConnectorBus
from lane_bus import Worker, lintas, read, wait_until
from postgres_server import Database, Server, free_port

from connectors.plugins import known
from connectors.plugins.postgres.statements import installation
from connectors.runtime.state import State
from connectors.runtime.validation import by_name, problems
from lintas.settings import Settings
from schemas.model import Connector

REPOSITORY = Path(__file__).parents[2]
PAGES = REPOSITORY / "docs" / "how-to"
PAGE = (PAGES / "postgres.md").read_text()
JOINING = PAGE.partition("## The outbox")[0]


def blocks(language: str, page: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)


CONNECTORS = [yaml.safe_load(block) for block in blocks("yaml", PAGE) if block.startswith("connector:")]


@pytest.mark.parametrize("written", CONNECTORS, ids=lambda written: written["connector"])
def test_every_connector_on_the_page_is_right(written: dict[str, object]) -> None:
    connector = Connector.model_validate(written)
    found = problems(by_name(known.PLUGINS), connector.plugin, connector.config)
    assert [problem for problem in found if problem.path != ("secret_files",)] == []  # no such file here


def test_a_new_agency_needs_fewer_than_thirty_lines() -> None:
    lines = [line for language in ("yaml", "sql") for block in blocks(language, JOINING) for line in block.splitlines()]
    assert len(lines) == 29
    assert "29\nlines of YAML and SQL" in PAGE


def test_the_statements_of_the_page_do_what_it_says(postgres_server: Server, tmp_path: Path) -> None:
    database = postgres_server.database(tmp_path)
    database.run(installation("outbox"))
    database.run("CREATE TABLE eruptions (name text, began timestamptz, column_height int)")
    trigger, ash, insert = blocks("sql", PAGE)[:3]
    for statement in (trigger, ash, insert):
        database.run(statement)
    database.run("INSERT INTO eruptions VALUES ('Semeru', now(), 300)")
    database.run("UPDATE eruptions SET column_height = 200")
    database.run("UPDATE eruptions SET column_height = 900")
    rows = database.run("SELECT payload->>'volcano', payload->'column_m' FROM lintas.outbox ORDER BY id")
    assert rows == [("Merapi", None), ("Semeru", 300), ("Semeru", 900)]
    with pytest.raises(psycopg.errors.UniqueViolation):
        database.run(insert)


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[tuple[str, Path, Path]]:
    """The web service of docs/how-to/webhooks.md, running: its URL, its secret's file, and what it prints."""
    (program,) = [block for block in blocks("python", (PAGES / "webhooks.md").read_text()) if "do_OPTIONS" in block]
    port, told = free_port(), tmp_path / "told"
    secret = tmp_path / "quakes.secret"
    secret.touch(mode=0o600)
    secret.write_text("whsec_" + base64.b64encode(os.urandom(32)).decode())
    with told.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-c", program],
            env={**os.environ, "WEBHOOK_SECRET": secret.read_text(), "PORT": str(port)},
            stdout=out,
            stderr=subprocess.DEVNULL,
        )
    yield f"http://127.0.0.1:{port}/quakes", secret, told
    process.kill()
    process.wait()


def join(folder: Path, database: Database, url: str, secret: Path) -> None:
    """The page's files in a catalogue of BMKG's earthquakes; files and address are where this test has them."""
    example = REPOSITORY / "schemas" / "catalogue"
    quakes = "events/id.go.bmkg.earthquake.measured.v1"
    for name in ("agencies/bmkg.yaml", f"{quakes}.yaml", f"{quakes}.avsc"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(example / name, folder / name)
    text = JOINING.replace("/etc/lintas/magma.dsn", str(database.dsn_file))
    text = text.replace("/etc/lintas/quakes.secret", str(secret))
    text = text.replace(
        'url: "https://magma.example.go.id/quakes"', f'url: "{url}", allow_http: true, allow_private: true'
    )
    files = re.findall(r"`((?:agencies|events|agreements|connectors)/[\w.-]+\.yaml)`", text)
    for file, block in zip(files, blocks("yaml", text), strict=True):
        (folder / file).parent.mkdir(exist_ok=True)
        (folder / file).write_text(block)
    (schema,) = blocks("json", text)
    (folder / "events" / "id.go.pvmbg.volcano.erupted.v1.avsc").write_text(schema)


@pytest.mark.timeout(400)  # a bus of its own starts
def test_a_new_agency_joins_by_the_page_alone(
    settings: Settings, postgres_server: Server, receiver: tuple[str, Path, Path], tmp_path: Path
) -> None:
    url, secret, told = receiver
    database = postgres_server.database(tmp_path)
    postgres_server.run("CREATE ROLE lintas_connector LOGIN PASSWORD 'as asked for'")
    database.dsn_file.write_text(re.sub(r"//[^@]+@", "//lintas_connector:as%20asked%20for@", database.connector_dsn))
    (table,) = re.findall(r"`(CREATE TABLE eruptions .*)`", JOINING)
    database.run(table)
    sql = lintas(settings, "connector", "sql", "outbox").stdout
    for statement in (sql, *blocks("sql", JOINING)):
        database.run(statement)
    join(tmp_path / "catalogue", database, url, secret)
    applied = lintas(settings, "catalogue", "apply", str(tmp_path / "catalogue"))
    assert applied.returncode == 0, applied.stdout + applied.stderr
    worker = Worker(settings, tmp_path / "worker.log")
    runtime = ConnectorBus(settings, "pvmbg.magma", tmp_path)
    try:
        runtime.start()
        for name in ("eruptions", "quakes"):
            runtime.wait_for(name, State.RUNNING)
        database.run("INSERT INTO eruptions VALUES ('Semeru', '2026-11-24T08:02:03+07', 300)")
        wait_until(
            lambda: database.run("SELECT state FROM lintas.outbox") == [("published",)],
            f"the eruption is published; {runtime.text[-2000:]}",
        )
        quake = tmp_path / "quake.jsonl"
        quake.write_text(
            '{"id": "q1", "data": {"event_id": "q1", "origin_time": "2026-11-24T01:02:03.000Z", "latitude": -7.1, '
            '"longitude": 106.2, "depth_km": 10, "magnitude": "5.6", "magnitude_tenths": 56, "region": "Java"}}\n'
        )
        published = lintas(settings, "publish", "id.go.bmkg.earthquake.measured.v1", str(quake), "--as", "bmkg.inatews")
        assert published.returncode == 0, published.stderr
        wait_until(lambda: '"event_id":"q1"' in told.read_text(), f"the receiver is told; {runtime.text[-2000:]}")
    finally:
        runtime.kill()
        worker.kill()
    (record,) = asyncio.run(read(settings, "events.pvmbg.volcano.erupted.v1"))
    assert dict(record.headers)["ce_subject"] == b"Semeru"
