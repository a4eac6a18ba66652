"""What an inbox delivers lies in Parquet files once each, whatever dies and whenever, and reads as one data set."""

import datetime as dt
import json
import random
import uuid
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
import yaml
from aiokafka import TopicPartition
from driven import EARTHQUAKE, EVENTS, context
from lintas_client import Delivery
from lintas_client.wire.codec import Codec

from connectors.plugins.parquet import commit as commits
from connectors.plugins.parquet.arrow_types import Columns
from connectors.plugins.parquet.sink import PLUGIN, Parquet, ParquetSink
from lintas.errors import ConnectorDisabled, ConnectorFailed

SYSTEM = "bnpb.early-warning"
INBOX = f"inbox.{SYSTEM}"
VAST = f"1{'0' * 70}.50"
QUAKES = Codec(json.loads((EVENTS / f"{EARTHQUAKE}.avsc").read_text()))


def schema(*fields: tuple[str, Any]) -> Codec:
    return Codec(record("R", *fields))


def record(name: str, *fields: tuple[str, Any]) -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": [{"name": name, "type": kind} for name, kind in fields]}


def delivery(
    codec: Codec, data: Any, offset: int, *, partition: int = 0, time: str | None = None, **other: Any
) -> Delivery:
    attributes = {"id": f"q{partition}-{offset}", "source": "urn:lintas:bmkg.inatews", "type": EARTHQUAKE}
    if time is not None:
        attributes["time"] = time
    at = dt.datetime(2026, 11, 26, 1, 2, 3, tzinfo=dt.UTC)
    return Delivery(attributes | other, data, "an.agreement", "G2G", b"k", INBOX, partition, offset, at, None, codec)


def quake(offset: int, *, partition: int = 0, day: int = 24) -> Delivery:
    moment = dt.datetime(2026, 11, day, 1, 2, 3, tzinfo=dt.UTC)
    data = {"event_id": f"q{partition}-{offset}", "origin_time": moment, "latitude": -7.1, "longitude": 106.2}
    data |= {"depth_km": 10, "magnitude": Decimal("5.6"), "magnitude_tenths": 56, "region": "Banda Sea"}
    return delivery(QUAKES, data, offset, partition=partition, time=f"2026-11-{day}T01:02:03Z")


def sink(folder: Path, system: str = SYSTEM, **settings: Any) -> ParquetSink:
    return ParquetSink(Parquet(folder=folder, **settings), context("parquet", system))


class NoInbox:
    async def read_again(self, place: TopicPartition, offset: int) -> Delivery | None:
        raise NotImplementedError


def read(folder: Path, event_type: str = EARTHQUAKE) -> list[dict[str, Any]]:
    """As an analyst reads it."""
    place = folder / f"event_type={event_type}"
    common = pq.read_schema(place / "_common_metadata")
    rows: list[dict[str, Any]] = ds.dataset(place, schema=common, partitioning="hive").to_table().to_pylist()
    return sorted(rows, key=lambda row: (row["inbox_partition"], row["inbox_offset"]))


def parts(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.glob("event_type=*/day=*/*"))


async def keep(folder: Path, *deliveries: Delivery) -> None:
    """One life of a sink."""
    one = sink(folder)
    await one.start({}, NoInbox())
    await one.deliver(deliveries, {TopicPartition(INBOX, 0): len(deliveries)})
    await one.stop()


async def test_a_file_for_each_event_type_and_day_holds_payload_and_envelope(tmp_path: Path) -> None:
    await keep(tmp_path, quake(0), quake(1, day=25), quake(2))
    assert parts(tmp_path) == [
        f"event_type={EARTHQUAKE}/day=2026-11-24/part-00000001-0000.parquet",
        f"event_type={EARTHQUAKE}/day=2026-11-25/part-00000001-0001.parquet",
    ]
    first = read(tmp_path)[0]
    assert (
        first
        == {
            "ce_id": "q0-0",
            "ce_source": "urn:lintas:bmkg.inatews",
            "ce_subject": None,
            "ce_time": dt.datetime(2026, 11, 24, 1, 2, 3, tzinfo=dt.UTC),
            "agreement": "an.agreement",
            "channel": "G2G",
            "delivered_at": dt.datetime(2026, 11, 26, 1, 2, 3, tzinfo=dt.UTC),
            "inbox_partition": 0,
            "inbox_offset": 0,
            "day": dt.date(2026, 11, 24),
        }
        | quake(0).data
    )


async def test_an_event_without_time_is_of_the_day_of_its_delivery(tmp_path: Path) -> None:
    await keep(tmp_path, delivery(schema(("n", "int")), {"n": 1}, 0))
    assert read(tmp_path)[0]["day"] == dt.date(2026, 11, 26)


def test_every_type_of_the_example_catalogue_has_columns() -> None:
    for path in EVENTS.glob("*.avsc"):
        columns = Columns(Codec(json.loads(path.read_text())))
        assert columns.schema.names[:2] == ["ce_id", "ce_source"]


async def test_values_of_every_type_come_back_as_they_were(tmp_path: Path) -> None:
    person = record("P", ("u", {"type": "string", "logicalType": "uuid"}))
    codec = schema(
        ("boolean", "boolean"), ("long", "long"), ("double", "double"), ("bytes", "bytes"),
        ("fixed", {"type": "fixed", "name": "F", "size": 2}),
        ("enum", {"type": "enum", "name": "E", "symbols": ["A"]}),
        ("date", {"type": "int", "logicalType": "date"}), ("time", {"type": "int", "logicalType": "time-millis"}),
        ("moment", {"type": "long", "logicalType": "timestamp-micros"}),
        ("local", {"type": "long", "logicalType": "local-timestamp-millis"}),
        ("money", {"type": "bytes", "logicalType": "decimal", "precision": 40, "scale": 2}),
        ("vast", {"type": "bytes", "logicalType": "decimal", "precision": 80, "scale": 2}),
        ("parts", {"type": "array", "items": ["null", person]}),
        ("names", {"type": "map", "values": "string"}), ("either", ["int", "string"]),
        ("nothing", record("N")),
        ("tree", ["null", record("T", ("left", ["null", "T"]))]),
        ("day", "string"), ("day_", "string"), ("none", "null"),
    )  # fmt: skip
    one = uuid.uuid4()
    data = {
        "boolean": True, "long": 2**40, "double": 0.5, "bytes": b"\0", "fixed": b"ab", "enum": "A",
        "date": dt.date(2026, 1, 2), "time": dt.time(1, 2, 3),
        "moment": dt.datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=dt.UTC), "local": dt.datetime(2026, 1, 2),  # noqa: DTZ001  local
        "money": Decimal("12345678901234567890123456789012345678.90"), "vast": Decimal(VAST),
        "parts": [{"u": one}, None],
        "names": {"id": "Gempa"}, "either": 5, "nothing": {}, "tree": {"left": {"left": None}}, "day": "Monday",
        "day_": "Senin", "none": None,
    }  # fmt: skip
    assert codec.check(data) == []
    await keep(tmp_path, delivery(codec, data, 0))
    (row,) = read(tmp_path)
    assert {name: row[f"{name}_" if name in ("day", "day_") else name] for name in data} == data | {
        "parts": [{"u": str(one)}, None],
        "names": [("id", "Gempa")],
        "either": "5",
        "vast": VAST,
        "nothing": "{}",
        "tree": {"left": '{"left": null}'},
    }


async def test_files_of_evolved_schemas_read_as_one_data_set(tmp_path: Path) -> None:
    decimal = {"type": "bytes", "logicalType": "decimal", "scale": 1}
    day = {"type": "int", "logicalType": "date"}
    first = schema(
        ("n", "int"), ("m", {**decimal, "precision": 3}), ("age", "int"), ("child", record("C", ("born", day))),
        ("kids", {"type": "array", "items": record("K", ("born", day))}),
        ("by_name", {"type": "map", "values": record("M", ("born", day))}),
    )  # fmt: skip
    second = schema(
        ("n", "long"), ("m", {**decimal, "precision": 5}), ("age", "string"), ("new", ["null", "string"]),
        ("child", record("C", ("born", "string"), ("sex", "string"))),  # to the month
        ("kids", {"type": "array", "items": record("K", ("born", "string"))}),
        ("by_name", {"type": "map", "values": record("M", ("born", "string"))}),
    )  # fmt: skip
    born, month = {"born": dt.date(2026, 1, 2)}, {"born": "2026-01"}
    one = sink(tmp_path)
    await one.start({}, NoInbox())
    data = {"n": 1, "m": Decimal("1.5"), "age": 30, "child": born, "kids": [born], "by_name": {"a": born}}
    await one.deliver([delivery(first, data, 0)], {TopicPartition(INBOX, 0): 1})
    await one.stop()
    one = sink(tmp_path)
    await one.start({}, NoInbox())
    data = {"n": 2**40, "m": Decimal("1000.5"), "age": "**", "new": "x", "child": month | {"sex": "F"}}
    data |= {"kids": [month], "by_name": {"a": month}}
    await one.deliver([delivery(second, data, 1)], {TopicPartition(INBOX, 0): 2})
    await one.stop()
    rows = [{name: row[name] for name in data} for row in read(tmp_path)]
    day_as_text = {"born": "2026-01-02"}
    assert rows == [
        {"n": 1, "m": Decimal("1.5"), "age": "30", "new": None, "child": day_as_text | {"sex": None}}
        | {"kids": [day_as_text], "by_name": [("a", day_as_text)]},
        data | {"by_name": [("a", month)]},
    ]


async def test_a_column_that_no_type_can_be_read_as_spoils_no_other(tmp_path: Path) -> None:
    nested, deep = record("N", ("a", "int")), {"type": "array", "items": record("D", ("n", record("E", ("a", "int"))))}
    deeper = {"type": "array", "items": record("D", ("n", [record("E", ("a", "int")), "string"]))}
    first = schema(("id", "string"), ("n", nested), ("deep", deep))
    second = schema(("id", "string"), ("n", [nested, "string"]), ("deep", deeper))  # as schemas may evolve
    data: dict[str, Any] = {"n": {"a": 1}, "deep": [{"n": {"a": 1}}]}
    for offset, codec in enumerate((first, second, second)):
        one = sink(tmp_path)
        await one.start({}, NoInbox())
        await one.deliver([delivery(codec, data | {"id": f"{offset}"}, offset)], {TopicPartition(INBOX, 0): offset + 1})
        await one.stop()
    rows = read(tmp_path)
    assert [row["id"] for row in rows] == ["0", "1", "2"]
    assert not {"n", "deep"} & rows[0].keys()


async def test_files_are_written_when_they_are_large_or_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = sink(tmp_path, max_mib=1, max_seconds=3)
    now = [1000.0]
    monkeypatch.setattr("connectors.plugins.parquet.sink.time.monotonic", lambda: now[0])
    await one.start({}, NoInbox())
    for offset, seconds in enumerate((1, 2, 3, 3)):  # a life that has just begun may not be long
        await one.deliver([quake(offset)], {TopicPartition(INBOX, 0): offset + 1})
        now[0] += seconds - 0.5
        await one.idle()
        assert len(parts(tmp_path)) == offset
        now[0] += 0.5
        await one.idle()
        assert len(read(tmp_path)) == offset + 1
    large = schema(("text", "string"))
    await one.deliver([delivery(large, {"text": "x" * 2**20}, 4)], {TopicPartition(INBOX, 0): 5})
    assert len(read(tmp_path)) == 5
    await one.stop()


async def test_a_sink_that_dies_long_before_max_seconds_gets_on_nevertheless(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr("connectors.plugins.parquet.sink.time.monotonic", lambda: now[0])
    for _ in range(3):
        dying = sink(tmp_path, max_seconds=86_400)
        at = (await dying.start({}, NoInbox())).get(TopicPartition(INBOX, 0), 0)
        for offset in range(at, at + 12):
            await dying.deliver([quake(offset)], {TopicPartition(INBOX, 0): offset + 1})
            now[0] += 1
        dying._commits.end()
    assert [row["inbox_offset"] for row in read(tmp_path)] == list(range(30))


async def test_many_small_tables_count_as_what_they_take(tmp_path: Path) -> None:
    one = sink(tmp_path, max_mib=1)
    await one.start({}, NoInbox())
    days = [dt.date(2026, 1, 1) + dt.timedelta(number) for number in range(300)]
    codec = schema(("n", "int"))
    events = [delivery(codec, {"n": 1}, number, time=f"{day}T00:00:00Z") for number, day in enumerate(days)]
    await one.deliver(events, {TopicPartition(INBOX, 0): 300})
    assert len(parts(tmp_path)) == 300
    await one.stop()


class Death(BaseException):
    """The process dies here."""


@pytest.mark.parametrize("seed", range(6))
async def test_deaths_at_any_step_leave_each_delivery_in_the_files_once(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dies before or after any write, rename or move; what the runtime delivers again is what `start` asks for."""
    rng, inbox = random.Random(seed), {0: 300, 1: 200}
    steps = [0]

    def dying(function: Any) -> Any:
        def run(*arguments: Any, **named: Any) -> Any:
            steps[0] -= 1
            if steps[0] == 0:
                raise Death
            result = function(*arguments, **named)
            steps[0] -= 1
            if steps[0] == 0:
                raise Death
            return result

        return run

    monkeypatch.setattr(commits, "_to_disk", dying(commits._to_disk))
    monkeypatch.setattr(Path, "replace", dying(Path.replace))
    monkeypatch.setattr(pq, "write_table", dying(pq.write_table))
    deaths = 0
    for _ in range(400):
        steps[0] = rng.randint(1, 30)
        try:
            if await live(sink(tmp_path, max_seconds=1), inbox, rng):
                break
        except Death:
            deaths += 1
    steps[0] = 0
    await live(sink(tmp_path), inbox, rng)
    assert deaths > 3
    places = [(row["inbox_partition"], row["inbox_offset"]) for row in read(tmp_path)]
    assert places == [(partition, offset) for partition, end in inbox.items() for offset in range(end)]
    assert [*(tmp_path / "_lintas" / "pending").iterdir()] == []


async def live(one: ParquetSink, inbox: Mapping[int, int], rng: random.Random) -> bool:
    """Deliver an inbox from where the sink is, to its end; of a dying sink only the lock goes."""
    try:
        return await deliver_all(one, inbox, rng)
    finally:
        one._commits.end()


async def deliver_all(one: ParquetSink, inbox: Mapping[int, int], rng: random.Random) -> bool:
    kept = await one.start({}, NoInbox())
    for partition, end in inbox.items():
        at = kept.get(TopicPartition(INBOX, partition), 0)
        while at < end:
            size = min(end - at, rng.randint(1, 40))
            batch = [quake(at + step, partition=partition, day=20 + (at + step) % 3) for step in range(size)]
            at += size
            await one.deliver(batch, {TopicPartition(INBOX, partition): at})
            if rng.random() < 0.3:
                await one._write()
    await one.stop()
    return True


async def test_a_folder_of_another_inbox_or_without_its_positions_is_not_touched(tmp_path: Path) -> None:
    await keep(tmp_path, quake(0))
    other = sink(tmp_path, "jabar.disaster-office")
    with pytest.raises(ConnectorDisabled, match="holds the inbox"):
        await other.start({}, NoInbox())
    await other.stop()
    (tmp_path / "_lintas" / "commit.json").unlink()
    with pytest.raises(ConnectorDisabled, match="is gone"):
        await (same := sink(tmp_path)).start({}, NoInbox())
    await same.stop()
    assert len(read(tmp_path)) == 1


async def test_two_processes_do_not_write_to_one_folder(tmp_path: Path) -> None:
    one, other = sink(tmp_path), sink(tmp_path)
    await one.start({}, NoInbox())
    with pytest.raises(ConnectorFailed, match="another process writes"):
        await other.start({}, NoInbox())
    await other.stop()
    await one.stop()
    await other.start({}, NoInbox())
    await other.stop()


async def test_no_reader_finds_a_file_that_is_not_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[list[Path]] = []

    def looking(*arguments: Any, **named: Any) -> None:
        write(*arguments, **named)
        found.append([*tmp_path.rglob("*.parquet")])  # as DuckDB and Polars do for a folder

    write = pq.write_table
    monkeypatch.setattr(pq, "write_table", looking)
    await keep(tmp_path, quake(0), quake(1, day=25))
    assert found == [[], []]


async def test_what_a_commit_rests_on_is_on_disk_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Power may fail: names in folders are written apart from what they name."""
    done: list[str] = []

    def noting(act: str, function: Any) -> Any:
        def run(path: Path, *arguments: Any) -> Any:
            done.append(f"{act} {path.name}")
            return function(path, *arguments)

        return run

    monkeypatch.setattr(commits, "_to_disk", noting("sync", commits._to_disk))
    monkeypatch.setattr(Path, "replace", noting("move", Path.replace))
    await keep(tmp_path, quake(0))
    commit = done.index("move commit.new")
    assert {"sync 1-0.pending", "sync pending", "sync commit.new"} <= set(done[:commit])
    moved = done.index("move 1-0.pending")
    assert moved > commit
    assert {"sync day=2026-11-24", f"sync event_type={EARTHQUAKE}"} <= set(done[moved:])


async def test_a_disk_that_fails_is_told_and_everything_comes_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device", "part.parquet")

    one = sink(tmp_path)
    await one.start({}, NoInbox())
    await one.deliver([quake(0)], {TopicPartition(INBOX, 0): 1})
    with monkeypatch.context() as patched:
        patched.setattr(pq, "write_table", full)
        with pytest.raises(ConnectorFailed, match="No space left"):
            await one._write()
    await one.stop()
    again = sink(tmp_path)
    assert await again.start({}, NoInbox()) == {}
    await again.deliver([quake(0)], {TopicPartition(INBOX, 0): 1})
    await again.stop()
    assert len(read(tmp_path)) == 1


def test_the_example_is_right() -> None:
    assert isinstance(
        PLUGIN.build(PLUGIN.config.model_validate(yaml.safe_load(PLUGIN.example)), context()), ParquetSink
    )
