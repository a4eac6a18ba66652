"""Files become events: every row once, whatever dies and whenever; bad rows are listed, files put away."""

import asyncio
import csv
import datetime as dt
import errno
import hashlib
import io
import json
import logging
import os
import random
import re
import threading
import time
import zipfile
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from driven import EARTHQUAKE, DrivenSource, context
from lintas_client.wire.codec import Codec
from openpyxl.chart import BarChart
from pydantic import ValidationError

from connectors.mapping import EventMapping, Mapper
from connectors.plugins.files import source as module
from connectors.plugins.files import table_rows
from connectors.plugins.files.folder import Folder
from connectors.plugins.files.json_rows import json_rows
from connectors.plugins.files.lines import FileLines
from connectors.plugins.files.rows import UnreadableFile
from connectors.plugins.files.settings import Files
from connectors.plugins.files.source import PLUGIN, FolderSource
from connectors.plugins.files.stream import StreamSource
from connectors.runtime.validation import read
from lintas.errors import ConnectorFailed
from schemas.snapshot import canonical

HEADER = "id,at,lat,lon,depth,mag,region"
MAPPING = {
    "event_type": EARTHQUAKE,
    "id": "id",
    "time": "at",
    "data": {
        "event_id": "id",
        "origin_time": "at",
        "latitude": "lat",
        "longitude": "lon",
        "depth_km": "depth",
        "magnitude": "mag",
        "magnitude_tenths": {"cel": "int(double(record.mag) * 10.0 + 0.5)"},
        "region": "region",
    },
}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_IDLE_SECONDS", 0.0)


def row(number: int, **other: str) -> dict[str, str]:
    good = {
        "id": f"q{number}",
        "at": "2026-11-24T01:02:03Z",
        "lat": "-7.1",
        "lon": "106.2",
        "depth": "10",
        "mag": "5.6",
    }
    return good | {"region": "Banda Sea"} | other


def line(number: int, **other: str) -> str:
    return ",".join(row(number, **other).values())


def csv_text(*numbers: int) -> str:
    return "\n".join([HEADER, *map(line, numbers)]) + "\n"


def settings(folder: Path, **other: Any) -> Files:
    return Files.model_validate({"folder": folder, "settle_seconds": 0, "mapping": MAPPING} | other)


def source(folder: Path, **other: Any) -> FolderSource:
    return FolderSource(settings(folder, **other), context())


def ids(driven: DrivenSource) -> list[str]:
    return [event.id for event in driven.events]


def told(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def read_all(folder: Path, **other: Any) -> DrivenSource:
    driven = DrivenSource()
    await driven.life(source(folder, **other))
    return driven


async def test_rows_become_events_and_the_file_is_put_away(tmp_path: Path) -> None:
    (tmp_path / "quakes.csv").write_text(csv_text(1, 2))
    driven = await read_all(tmp_path)
    assert ids(driven) == ["q1", "q2"]
    mark = hashlib.sha256(csv_text(1, 2).encode()).hexdigest()[:12]
    assert [event.origin for event in driven.events] == [f"file {mark}:2", f"file {mark}:3"]
    assert names(tmp_path) == ["done"]
    assert (tmp_path / "done" / "quakes.csv").read_text() == csv_text(1, 2)


async def test_ids_that_the_mapping_does_not_give_are_of_content_and_row(tmp_path: Path) -> None:
    mapping = {name: value for name, value in MAPPING.items() if name != "id"}
    found = []
    for name in ("a", "b"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / f"{name}.csv").write_text(csv_text(1, 1))  # two rows that are alike are two events
        found.append(ids(await read_all(folder, mapping=mapping)))
    assert found[0] == found[1]
    assert len(set(found[0])) == 2


async def test_bad_rows_are_listed_beside_the_file_with_line_and_reasons_and_without_values(tmp_path: Path) -> None:
    lines = [HEADER, line(1), line(2, lat="north", depth="deep"), line(3) + ",more", "", line(4, mag="999.9"), line(5)]
    (tmp_path / "quakes.csv").write_text("\r\n".join(lines) + "\r\n", newline="")
    driven = await read_all(tmp_path)
    assert ids(driven) == ["q1", "q5"]
    assert driven.set_aside == 2
    rejected = told(tmp_path / "done" / "quakes.csv.rejected.csv")
    assert [(one["line"], one["record"], one["column"], one["field"], one["rule"]) for one in rejected] == [
        ("3", "2", "lat", "data.latitude", "number"),
        ("3", "2", "depth", "data.depth_km", "number"),
        ("4", "3", "", "", "cells"),
        ("6", "4", "mag", "data.magnitude", "schema"),  # the bus refused it
    ]
    assert not any(value in str(rejected) for value in ("north", "deep", "999.9"))


async def test_rejected_rows_are_shown_if_that_is_wanted(tmp_path: Path) -> None:
    (tmp_path / "quakes.csv").write_text(f"{HEADER}\n{line(1, lat='north')}\n")
    await read_all(tmp_path, rejected_rows=True)
    (one,) = told(tmp_path / "done" / "quakes.csv.rejected.csv")
    assert json.loads(one["row"]) == row(1, lat="north")


@pytest.mark.parametrize("death", range(1, 8))
@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet", "xlsx"])
async def test_a_crash_anywhere_repeats_nothing_and_loses_nothing(tmp_path: Path, suffix: str, death: int) -> None:
    rows = [row(number, **({"depth": "x"} if number % 4 == 0 else {})) for number in range(13)]
    write(tmp_path / f"a.{suffix}", rows[:9])
    write(tmp_path / f"b.{suffix}", rows[9:])
    driven = DrivenSource()
    await driven.life(source(tmp_path, batch=2), death, crash=True)
    while await driven.life(source(tmp_path, batch=2), death, crash=True) == death:
        pass
    assert ids(driven) == [f"q{number}" for number in range(13) if number % 4]
    listed = [one["record"] for name in "ab" for one in told(tmp_path / "done" / f"{name}.{suffix}.rejected.csv")]
    assert listed == ["1", "5", "9", "4"]
    assert names(tmp_path) == ["done"]


def write(path: Path, rows: list[dict[str, str]]) -> None:
    """A file of any format with these rows."""
    if path.suffix == ".csv":
        path.write_text("\n".join([HEADER, *(",".join(one.values()) for one in rows)]))
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(one) + "\n" for one in rows))
    elif path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=3)
    else:
        book = openpyxl.Workbook()
        page = book.active
        assert page is not None
        page.append(list(rows[0]))
        for one in rows:
            page.append(list(one.values()))
        book.save(path)


def parquet_file() -> bytes:
    """A file of some hundred rows."""
    file = io.BytesIO()
    rows = [row(number, region=hashlib.sha256(b"%d" % number).hexdigest()) for number in range(300)]
    pq.write_table(pa.Table.from_pylist(rows), file, compression="zstd")
    return file.getvalue()


def changed_workbook(part: str, change: Callable[[bytes], bytes]) -> bytes:
    """A workbook of which a part has been changed."""
    book, file = openpyxl.Workbook(), io.BytesIO()
    page = book.active
    assert page is not None
    for one in (HEADER.split(","), *(list(row(number).values()) for number in range(50))):
        page.append(one)
    book.save(file)
    with zipfile.ZipFile(file) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    assert change(parts[part]) != parts[part]
    with zipfile.ZipFile(made := io.BytesIO(), "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in (parts | {part: change(parts[part])}).items():
            archive.writestr(name, content)
    return made.getvalue()


async def test_large_rows_are_published_in_portions_of_some_megabytes(tmp_path: Path) -> None:
    large = "x" * 500_000
    write(tmp_path / "a.jsonl", [row(number, region=large) for number in range(30)])
    write(tmp_path / "b.parquet", [row(30 + number, region=large) for number in range(30)])
    driven, before = DrivenSource(), 0
    while await driven.life(source(tmp_path), 1):  # a portion in each life
        assert len(driven.events) - before <= 10
        before = len(driven.events)
    assert ids(driven) == [f"q{number}" for number in range(60)]


async def test_the_same_content_is_read_once_whatever_it_is_called(tmp_path: Path) -> None:
    driven = DrivenSource()
    for name in ("quakes.csv", "again.csv", "quakes.csv"):
        (tmp_path / name).write_text(csv_text(1, 2))
        await driven.life(source(tmp_path))
    assert ids(driven) == ["q1", "q2"]
    assert names(tmp_path / "done") == ["again.csv", "quakes-2.csv", "quakes.csv"]


async def test_only_so_many_files_are_remembered(tmp_path: Path) -> None:
    driven = DrivenSource()
    for number in range(5):
        (tmp_path / f"{number}.csv").write_text(csv_text(number))
        await driven.life(source(tmp_path, remember=3))
    assert len(driven.progress) == 3


async def test_a_file_that_grew_goes_on_where_it_was(tmp_path: Path) -> None:
    mapping = {name: value for name, value in MAPPING.items() if name != "id"}
    driven = DrivenSource()
    path = tmp_path / "quakes.csv"
    path.write_text(csv_text(1, 2, 3))
    await driven.life(source(tmp_path, batch=2, mapping=mapping), 1)
    with path.open("a") as file:
        file.write(line(4) + "\n")
    await driven.life(source(tmp_path, batch=2, mapping=mapping))
    assert [event.data["event_id"] for event in driven.events] == ["q1", "q2", "q3", "q4"]
    assert [event.id.partition("-")[2] for event in driven.events] == ["1", "2", "3", "4"]
    assert len({event.id.partition("-")[0] for event in driven.events}) == 1
    assert len(driven.progress) == 1


async def test_a_file_that_grows_while_it_is_read_is_read_to_its_new_end(tmp_path: Path) -> None:
    path = tmp_path / "quakes.csv"
    path.write_text(csv_text(1, 2, 3))
    driven, now = DrivenSource(), source(tmp_path, batch=2)
    await driven.life(Growing(now, lambda: path.write_text(csv_text(1, 2, 3, 4, 5))))
    await driven.life(now)
    assert ids(driven) == ["q1", "q2", "q3", "q4", "q5"]
    assert (tmp_path / "done" / "quakes.csv").exists()


class Growing:
    """A source around which something happens once the first portion is made."""

    def __init__(self, inner: FolderSource, happen: Callable[[], Any]) -> None:
        self._inner, self._happen = inner, happen

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def written(self, portion: Any) -> None:
        await self._inner.written(portion)
        self._happen()
        self._happen = lambda: None


async def test_a_file_that_was_empty_at_first_is_read_when_it_has_grown(tmp_path: Path) -> None:
    path = tmp_path / "quakes.jsonl"
    path.touch()
    driven, now = DrivenSource(), source(tmp_path)
    await now.start({})
    portion = await now.poll()
    assert portion is not None
    await driven.write(now, portion)
    path.write_text(json.dumps(row(1)) + "\n")
    await now.written(portion)
    await now.stop()
    await driven.life(source(tmp_path))
    assert ids(driven) == ["q1"]


async def test_a_file_that_was_replaced_is_another_file(tmp_path: Path) -> None:
    driven = DrivenSource()
    (tmp_path / "quakes.csv").write_text(csv_text(1, 2, 3))
    await driven.life(source(tmp_path, batch=2), 1)
    (tmp_path / "new").write_text(csv_text(7, 8, 9))
    (tmp_path / "new").rename(tmp_path / "quakes.csv")
    await driven.life(source(tmp_path, batch=2))
    assert ids(driven) == ["q1", "q2", "q7", "q8", "q9"]


async def test_a_file_that_went_away_and_comes_back_under_another_name_goes_on_where_it_was(tmp_path: Path) -> None:
    driven = DrivenSource()
    (tmp_path / "quakes.csv").write_text(csv_text(1, 2, 3))
    await driven.life(source(tmp_path, batch=2), 1)
    (tmp_path / "quakes.csv").unlink()
    await driven.life(source(tmp_path))
    (tmp_path / "restored.csv").write_text(csv_text(1, 2, 3))
    await driven.life(source(tmp_path))
    assert ids(driven) == ["q1", "q2", "q3"]


async def test_files_that_are_being_written_wait(tmp_path: Path) -> None:
    (tmp_path / "quakes.csv").write_text(csv_text(1))
    (tmp_path / "other.csv.part").write_text(csv_text(2))
    (tmp_path / ".hidden.csv").write_text(csv_text(3))
    (tmp_path / "notes.md").write_text("no format")
    os.utime(tmp_path / "quakes.csv", (0, 0))  # an old date copied with it does not make it old
    assert ids(await read_all(tmp_path, settle_seconds=3600)) == []
    assert ids(await read_all(tmp_path)) == ["q1"]


async def test_a_file_of_next_year_is_read_today(tmp_path: Path) -> None:
    (tmp_path / "quakes.csv").write_text(csv_text(1))
    os.utime(tmp_path / "quakes.csv", (4e9, 4e9))
    assert ids(await read_all(tmp_path)) == ["q1"]


async def test_a_file_that_vanishes_before_it_is_opened_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (1, 2):
        (tmp_path / f"{number}.csv").write_text(csv_text(number))
    now = source(tmp_path)
    await now.start({})
    waiting = now._folder.waiting()
    monkeypatch.setattr(Folder, "waiting", lambda _: waiting)
    (tmp_path / "1.csv").unlink()
    portion = await now.poll()
    await now.stop()
    assert portion is not None
    assert [event.id for event in portion.events] == ["q2"]


async def test_links_are_not_followed(tmp_path: Path) -> None:
    """Whoever may put files there, by SFTP say, may not read elsewhere with the connector's rights."""
    folder, other = tmp_path / "folder", tmp_path / "elsewhere.csv"
    folder.mkdir()
    other.write_text(csv_text(1))
    (folder / "a.csv").symlink_to(other)
    (folder / "b.csv").symlink_to(folder / "b.csv")
    (folder / "c.csv").write_text(csv_text(2))
    assert ids(await read_all(folder)) == ["q2"]
    assert names(folder) == ["a.csv", "b.csv", "done"]


async def test_a_name_that_is_no_utf8_is_a_name(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"laporan-\xe9.csv")
    path.write_text(csv_text(1, 2))
    driven = DrivenSource()
    await driven.life(source(tmp_path, batch=1), 1)
    for reading in driven.progress.values():
        assert canonical(reading)
    with path.open("a") as file:
        file.write(line(3) + "\n")
    await driven.life(source(tmp_path, batch=1))
    assert ids(driven) == ["q1", "q2", "q3"]
    assert (tmp_path / "done" / path.name).exists()


async def test_logs_and_errors_hold_no_name_of_a_file_and_nothing_that_it_holds(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    (tmp_path / "siti-rahayu.csv").write_text(csv_text(1))
    await read_all(tmp_path)
    assert re.search("file [0-9a-f]{12} has been read: 1 rows", caplog.text)
    (tmp_path / "siti-rahayu.csv").write_text("3210142211266547,Siti Rahayu,Siti Rahayu\n")  # no header
    with pytest.raises(ConnectorFailed) as twice:
        await read_all(tmp_path)
    (tmp_path / "siti-rahayu.csv").write_text("3210142211266547,Siti Rahayu\n")
    with pytest.raises(ConnectorFailed) as absent:
        await read_all(tmp_path)
    told = f"{caplog.text} {twice.value} {absent.value}".lower()
    assert not re.search("siti|3210", told)


async def test_a_list_that_cannot_be_written_fails_the_connector_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "quakes.csv").write_text(csv_text(1) + line(2, lat="north") + "\n")
    now = source(tmp_path)
    await now.start({})
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(ConnectorFailed, match="No space left"):
            await now.poll()
    await now.stop()
    assert ids(await read_all(tmp_path)) == ["q1"]
    assert len(told(tmp_path / "done" / "quakes.csv.rejected.csv")) == 1


def full(_: int) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


async def test_a_list_whose_end_was_torn_by_a_crash_is_mended(tmp_path: Path) -> None:
    (tmp_path / "quakes.csv").write_text(csv_text(1) + line(2, lat="north") + "\n")
    torn = "line,record,column,field,rule,problem\n3,2,lat,é".encode()[:-1]
    (tmp_path / "quakes.csv.rejected.csv").write_bytes(torn)
    assert ids(await read_all(tmp_path)) == ["q1"]
    assert len(told(tmp_path / "done" / "quakes.csv.rejected.csv")) == 1


async def test_files_come_in_the_order_that_is_wanted(tmp_path: Path) -> None:
    for name, number, modified in (("b.csv", 1, 10), ("a.csv", 2, 20), ("c.csv", 3, 5)):
        (tmp_path / name).write_text(csv_text(number))
        os.utime(tmp_path / name, (modified, modified))
    assert ids(await read_all(tmp_path, order="modified")) == ["q3", "q1", "q2"]


@pytest.mark.parametrize(
    ("content", "csv_settings"),
    [
        (b"\xef\xbb\xbf" + f"{HEADER}\r\n{line(1, region='Côte')}\r\n".encode(), {}),
        (f"{HEADER}\n{line(1, region='Côte')}".encode("cp1252"), {"encoding": "cp1252"}),
        (f"{HEADER}\n{line(1, region='Côte')}".replace(",", ";").encode(), {"delimiter": ";"}),
        (line(1, region="Côte").encode(), {"columns": HEADER.split(",")}),
        (f"{HEADER}\n{line(1, region='|Côte|')}".encode(), {"quote": "|"}),
    ],
    ids=["BOM and CRLF", "cp1252", "semicolon", "no header", "other quotes"],
)
async def test_csv_is_read_as_it_is_written(tmp_path: Path, content: bytes, csv_settings: dict[str, Any]) -> None:
    (tmp_path / "quakes.csv").write_bytes(content)
    (event,) = (await read_all(tmp_path, csv=csv_settings)).events
    assert event.data["region"] == "Côte"


async def test_a_broken_row_costs_no_other_row(tmp_path: Path) -> None:
    quoted = line(2, region='"Banda\r\nSea, ""deep"""')
    rows = [HEADER.encode(), line(1).encode(), quoted.encode(), b'"open' + line(3).encode(), line(4).encode()]
    rows += [line(5).encode() + b"\xff", line(6).encode(), b'"a"b,' + line(7).encode(), line(8).encode()]
    (tmp_path / "quakes.csv").write_bytes(b"\r\n".join(rows))
    driven = await read_all(tmp_path, batch=1)
    assert ids(driven) == ["q1", "q2", "q4", "q6", "q8"]
    assert driven.events[1].data["region"] == 'Banda\r\nSea, "deep"'
    rejected = told(tmp_path / "done" / "quakes.csv.rejected.csv")
    assert [(one["line"], one["rule"]) for one in rejected] == [("5", "quote"), ("7", "encoding"), ("9", "quote")]


async def test_titles_above_the_header_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "quakes.csv").write_text(f"BMKG,,\n\n{csv_text(1)}")
    assert ids(await read_all(tmp_path, skip=2)) == ["q1"]


async def test_bad_lines_of_json_are_told_apart(tmp_path: Path) -> None:
    deep = "[" * 700 + "]" * 700
    lines = [json.dumps(row(1)), "{", "[1]", '{"id": NaN}', json.dumps(row(2))]
    more = ['{"id": "a", "id": "b"}', f'{{"a": {deep}}}', f'{{"a": {"9" * 5000}}}', json.dumps(row(3))]
    content = "\n".join(lines).encode() + b'\n{"id": "\xff"}\n\n' + "\n".join(more).encode()
    (tmp_path / "quakes.jsonl").write_bytes(content)
    driven = await read_all(tmp_path, rejected_rows=True)
    assert ids(driven) == ["q1", "q2", "q3"]
    rejected = told(tmp_path / "done" / "quakes.jsonl.rejected.csv")
    assert [(one["line"], one["rule"]) for one in rejected] == [
        ("2", "json"),
        ("3", "object"),
        ("4", "json"),
        ("6", "encoding"),
        ("8", "json"),
        ("9", "depth"),
        ("10", "json"),
    ]


@pytest.mark.parametrize(
    ("written", "made"),
    [
        ("5.6", "5.6"),
        ("99999999999999.999", "99999999999999.999"),
        ("3600000000000000.10", "3600000000000000.10"),
        ("1e2", "1E+2"),
    ],
)
def test_json_numbers_keep_their_digits(written: str, made: str) -> None:
    (found,) = json_rows(FileLines(io.BytesIO(f'{{"n": {written}}}'.encode())))
    assert found.record is not None
    kind = {"type": "bytes", "logicalType": "decimal", "precision": 30, "scale": 3}
    codec = Codec({"type": "record", "name": "R", "fields": [{"name": "n", "type": kind}]})
    mapped = Mapper(EventMapping.model_validate({"event_type": "x.v1", "data": {"n": "n"}}), codec).event(found.record)
    assert mapped is not None
    assert mapped.data["n"] == Decimal(made)


async def test_excel_gives_dates_numbers_and_what_formulas_last_gave(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    page = book.active
    assert page is not None
    page.title = "Gempa"
    book.create_sheet("Notes")
    page.append(["Earthquakes of November"])
    page.append(["id", "at", "lat", "lon", "depth", "mag", "region", None])
    moment = dt.datetime(2026, 11, 24, 8, 2, 3)  # noqa: DTZ001  Excel knows no zones
    page.append(["q1", moment, -7.1, 106, 10, 5.6, "Banda Sea"])
    page.append([])
    page.append(["q2", moment, -7.1, 106, 10, "#N/A", "Banda Sea"])
    page.append([3210142211266547, moment, -7.1, 106, 10, 5.6, "Banda Sea"])
    page.append(["q3", moment, -7.1, "=100+6", 10, 5.6, "Banda Sea"])  # never computed: no value is kept with it
    book.save(tmp_path / "quakes.xlsx")
    data = MAPPING["data"] | {"origin_time": {"column": "at", "zone": "+07:00"}}  # type: ignore[operator]  # a table
    data |= {"magnitude_tenths": {"cel": "int(record.mag * 10.0 + 0.5)"}}
    mapping = MAPPING | {"data": data, "time": {"column": "at", "zone": "+07:00"}}
    driven = await read_all(tmp_path, sheet="Gempa", skip=1, mapping=mapping)
    (event,) = driven.events
    assert event.time == dt.datetime(2026, 11, 24, 1, 2, 3, tzinfo=dt.UTC)
    assert (event.data["longitude"], event.data["depth_km"], event.data["magnitude_tenths"]) == (106.0, 10, 56)
    rejected = told(tmp_path / "done" / "quakes.xlsx.rejected.csv")
    assert [(one["line"], one["column"], one["rule"]) for one in rejected] == [
        ("5", "mag", "formula"),
        ("6", "id", "precision"),
        ("6", "id", "precision"),
        ("7", "lon", "required"),
    ]


async def test_a_sheet_is_one_with_rows_and_a_workbook_no_larger_than_it_may_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = openpyxl.Workbook()
    page = book.active
    assert page is not None
    for one in (HEADER.split(","), [*row(1).values()]):
        page.append(one)
    book.create_chartsheet("Chart").add_chart(BarChart())
    book.save(tmp_path / "quakes.xlsx")
    with pytest.raises(ConnectorFailed, match="none of its 1 sheets is called Chart"):
        await read_all(tmp_path, sheet="Chart")
    with monkeypatch.context() as patched:
        patched.setattr(table_rows, "MOST_BYTES", 1000)
        with pytest.raises(ConnectorFailed, match="save it as CSV"):
            await read_all(tmp_path)
    assert ids(await read_all(tmp_path)) == ["q1"]


async def test_parquet_gives_maps_and_refuses_the_rows_that_python_has_no_values_for(tmp_path: Path) -> None:
    rows = [
        row(number) | {"names": [("id", f"Laut {number}")], "took": dt.timedelta(seconds=number)} for number in range(3)
    ]
    kinds = [(name, pa.string()) for name in row(1)]
    table = pa.Table.from_pylist(
        rows, pa.schema([*kinds, ("names", pa.map_(pa.string(), pa.string())), ("took", pa.duration("s"))])
    )
    moments = pa.array([1_000, 1_001, 2_000], pa.timestamp("ns"))  # the second has nanoseconds
    pq.write_table(table.append_column("read", moments), tmp_path / "quakes.parquet")
    data = MAPPING["data"] | {"region": "names.id"}  # type: ignore[operator]  # a table
    driven = await read_all(tmp_path, mapping=MAPPING | {"id": {"digest": ["id", "took"]}, "data": data})
    assert [event.data["region"] for event in driven.events] == ["Laut 0", "Laut 2"]
    (one,) = told(tmp_path / "done" / "quakes.parquet.rejected.csv")
    assert (one["line"], one["rule"]) == ("2", "value")


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.csv", b"", "empty"),
        ("a.csv", b"id,at\n1,2\n", "no column depth, lat, lon, mag, region"),
        ("a.csv", HEADER.encode("utf-16"), "UTF-16"),
        ("a.csv", HEADER.replace(",", "\r").encode(), "line end where none may be"),  # of old Macs
        ("a.csv", f"{HEADER},id\n".encode(), "its columns 1, 8 do not each have a name of their own"),
        ("a.parquet", b"PAR1 no", "no Parquet file"),
        ("a.parquet", b"PAR1" + b"x" * 100 + b"\x40\0\0\0PAR1", "no Parquet file"),
        ("a.parquet", parquet_file()[:500] + bytes(200) + parquet_file()[700:], "not whole"),
        ("a.xlsx", b"PK no", "no Excel workbook"),
        (
            "a.xlsx",
            changed_workbook("xl/styles.xml", lambda text: text.replace(b'numFmtId="0"', b'numFmtId="x"')),
            "no Excel",
        ),
        (
            "a.xlsx",
            changed_workbook("xl/worksheets/sheet1.xml", lambda text: text[: len(text) // 2]),
            "its rows cannot",
        ),
    ],
)
async def test_a_file_that_cannot_be_read_stops_the_connector_with_the_reason(
    tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConnectorFailed, match=re.escape(reason)):
        await read_all(tmp_path)
    assert (tmp_path / name).exists()
    (tmp_path / name).unlink()
    (tmp_path / "b.csv").write_text(csv_text(1))
    assert ids(await read_all(tmp_path)) == ["q1"]


@pytest.mark.parametrize("suffix", ["csv", "xlsx"])
async def test_a_cell_holds_nothing_that_a_way_could_lead_to(tmp_path: Path, suffix: str) -> None:
    """`region.name` would be empty in each row, in silence if it may be."""
    write(tmp_path / f"a.{suffix}", [row(1)])
    data = MAPPING["data"] | {"region": "region.name"}  # type: ignore[operator]  # a table
    with pytest.raises(ConnectorFailed, match=r"no column region\.name"):
        await read_all(tmp_path, mapping=MAPPING | {"data": data})


async def test_a_missing_folder_and_a_mapping_that_does_not_fit_stop_the_connector(tmp_path: Path) -> None:
    with pytest.raises(ConnectorFailed, match="No such file"):
        await read_all(tmp_path / "absent")
    mapping = MAPPING | {"data": MAPPING["data"] | {"dept": "depth"}}  # type: ignore[operator]  # a table
    with pytest.raises(ConnectorFailed, match="did you mean depth_km"):
        await read_all(tmp_path, mapping=mapping)


async def test_kills_at_random_while_files_arrive_leave_every_row_once(tmp_path: Path) -> None:
    rng = random.Random(4)
    driven, made = DrivenSource(), 0
    for _ in range(60):
        if rng.random() < 0.4:
            numbers = range(made, made := made + rng.randint(1, 9))
            write(tmp_path / f"{made:05}.{rng.choice(['csv', 'jsonl', 'parquet'])}", [row(one) for one in numbers])
        await driven.life(source(tmp_path, batch=2), rng.randint(1, 4), crash=rng.random() < 0.7)
    await driven.life(source(tmp_path))
    assert ids(driven) == [f"q{number}" for number in range(made)]
    assert made > 50


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "quakes")
    return tmp_path / "quakes"


async def test_a_pipe_is_read_as_it_is_written_to(pipe: Path) -> None:
    def writers() -> None:
        for number in (1, 2):
            with pipe.open("w") as file:
                file.write(f"{HEADER}\n{line(number)}\n{line(number, lat='north')}\n")

    writer = threading.Thread(target=writers)
    stream = StreamSource(Files.model_validate({"stream": pipe, "format": "csv", "mapping": MAPPING}), context())
    driven = DrivenSource()
    writer.start()
    await stream.start({})
    deadline = time.monotonic() + 20
    while ids(driven) != ["q1", "q2"]:
        assert time.monotonic() < deadline
        if (portion := await stream.poll()) is not None:
            await driven.write(stream, portion)
    writer.join()
    await stream.stop()
    assert driven.progress == {}
    assert [one["field"] for one in told(pipe.with_name("quakes.rejected.csv"))] == ["data.latitude"] * 2


async def test_rows_before_what_cannot_be_read_are_published(pipe: Path) -> None:
    stream = StreamSource(Files.model_validate({"stream": pipe, "format": "csv", "mapping": MAPPING}), context())
    driven = DrivenSource()
    await stream.start({})
    await asyncio.to_thread(pipe.write_text, csv_text(1, 2))
    await until(lambda: stream._queue.qsize() == 2)
    stream._give(UnreadableFile("it has no column lat"))  # as of the next writer
    portion = await stream.poll()
    assert portion is not None
    await driven.write(stream, portion)
    assert ids(driven) == ["q1", "q2"]
    with pytest.raises(ConnectorFailed, match="no column"):
        await stream.poll()
    await stream.stop()


async def test_rows_of_a_pipe_that_a_stop_leaves_unpublished_are_told(
    pipe: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stream = StreamSource(Files.model_validate({"stream": pipe, "format": "csv", "mapping": MAPPING}), context())
    await stream.start({})
    await asyncio.to_thread(pipe.write_text, csv_text(1, 2))
    await until(lambda: stream._queue.qsize() == 2)
    await stream.stop()
    assert "2 rows were read from the pipe and not published" in caplog.text


async def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def test_what_is_no_pipe_is_no_stream(tmp_path: Path) -> None:
    (tmp_path / "quakes").touch()
    given = {"stream": tmp_path / "quakes", "format": "csv", "mapping": MAPPING}
    with pytest.raises(ConnectorFailed, match="no named pipe"):
        await StreamSource(Files.model_validate(given), context()).start({})


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({}, "either folder or stream"),
        ({"folder": "/a", "stream": "/b"}, "either folder or stream"),
        ({"stream": "/b"}, "must be csv or jsonl"),
        ({"folder": "quakes"}, "must be an absolute path"),
        ({"stream": "/b", "format": "csv", "mapping": MAPPING | {"id": None}}, "mapping.id must be given"),
        ({"folder": "/a", "csv": {"encoding": "utf-16"}}, "save it as UTF-8|keeps ASCII"),
        ({"folder": "/a", "csv": {"encoding": "latin-99"}}, "no known encoding"),
        ({"folder": "/a", "done": "../elsewhere"}, "done"),
        ({"folder": "/a", "done": "."}, "done"),  # it would find there what it has put there
        ({"folder": "/a", "done": ".."}, "done"),
        ({"folder": "/a", "csv": {"delimiter": '"'}}, "two characters"),
        ({"folder": "/a", "csv": {"quote": "\n"}}, "no line ends"),
    ],
)
def test_settings_that_cannot_work_are_refused(given: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        Files.model_validate({"mapping": MAPPING} | given)


def test_what_a_stream_needs_is_told_beside_what_is_wrong_each_at_its_setting() -> None:
    _, found = read(PLUGIN, {"stream": "/b", "bogus": 1, "mapping": MAPPING | {"id": None}})
    assert {problem.path for problem in found} == {("bogus",), ("format",), ("mapping",)}


def test_the_example_is_right() -> None:
    built = PLUGIN.build(PLUGIN.config.model_validate(yaml.safe_load(PLUGIN.example)), context())
    assert isinstance(built, FolderSource)
