"""Alerts from a folder: each file once, whatever dies when; what cannot be read lies aside with its reasons."""

import errno
import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from lintas_client.preparation import Prepared
from lintas_client.publisher import MAX_EVENT_BYTES
from message_intake import context, next_portion, problems_in
from test_cap_messages import HEAD, KIND, alert, area, info

from connectors.intake.folder import FolderSource
from connectors.plugins.cap.files import PLUGIN, Settings, build
from connectors.plugins.cap.store import MessageStore
from connectors.runtime import source_life
from connectors.runtime.contract import Outgoing, Portion
from connectors.runtime.validation import read
from lintas.errors import ConnectorFailed

TYPE = "id.go.bmkg.alert.issued.v1"
CORNERS = " ".join(f"-6.{n:04},107.{n:04}" for n in range(1, 300))
LARGE = alert(area(f"<polygon>{CORNERS} -6.0001,107.0001</polygon>"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "alerts").mkdir()
    return tmp_path / "alerts"


def source(folder: Path, **settings: Any) -> FolderSource:
    return build(Settings(folder=folder, event_type=TYPE, settle_seconds=0, **settings), context("bmkg.weather"))


def put(folder: Path, name: str, xml: bytes) -> None:
    (folder / name).write_bytes(xml)


def numbered(number: int) -> bytes:
    return alert(info()).replace(b"a-1", f"a-{number}".encode())


def here(folder: Path, below: str = ".") -> list[str]:
    return sorted(path.name for path in (folder / below).iterdir() if path.is_file())


async def run(source: FolderSource, progress: dict[str, Any], *, crash: bool = False) -> Portion:
    """One transaction, and what the progress is after it."""
    portion = await next_portion(source)
    progress.update(portion.progress)
    if not crash:
        await source.written(portion)
    return portion


async def test_files_become_events_in_the_order_of_their_names(folder: Path) -> None:
    put(folder, "2.cap", numbered(2))
    put(folder, "1.XML", numbered(1))
    put(folder, ".3.cap", numbered(3))
    put(folder, "readme.txt", b"not an alert")
    taking = source(folder)
    await taking.start({})
    first, second = (await run(taking, {})).events
    assert first.event_type == TYPE
    assert first.id == "s@example.id,a-1,2026-11-24T13:00:00+07:00"
    mark = hashlib.sha256(numbered(1)).hexdigest()[:12]
    assert (first.time, first.key, first.origin) == ("2026-11-24T06:00:00.000Z", "s@example.id", f"file {mark}")
    assert second.data["identifier"] == "a-2"
    assert (here(folder, "done"), here(folder)) == (["1.XML", "2.cap"], [".3.cap", "readme.txt"])


async def test_after_a_crash_before_the_move_the_file_moves_and_is_not_published_again(folder: Path) -> None:
    put(folder, "a.cap", numbered(1))
    progress: dict[str, Any] = {}
    dying = source(folder)
    await dying.start({})
    await run(dying, progress, crash=True)
    assert here(folder) == ["a.cap"]
    again = source(folder)
    await again.start(progress)
    assert (here(folder), here(folder, "done")) == ([], ["a.cap"])
    assert (await run(again, progress)).events == []
    assert progress == {"a.cap": None}


async def test_after_a_crash_before_the_transaction_the_same_event_is_made_again(folder: Path) -> None:
    put(folder, "a.cap", numbered(1))
    made = []
    for _ in range(2):
        taking = source(folder)
        await taking.start({})
        made.append((await next_portion(taking)).events)
    assert made[0] == made[1]
    assert made[0][0].id == made[1][0].id


async def test_another_file_of_a_name_that_is_done_is_taken(folder: Path) -> None:
    put(folder, "latest.cap", numbered(1))
    progress: dict[str, Any] = {}
    taking = source(folder)
    await taking.start({})
    await run(taking, progress, crash=True)
    put(folder, "latest.cap", numbered(2))  # before the first one could be moved
    again = source(folder)
    await again.start(progress)
    (event,) = (await run(again, progress)).events
    assert event.data["identifier"] == "a-2"


async def test_a_file_replaced_while_it_is_published_is_taken_as_well(folder: Path) -> None:
    put(folder, "latest.cap", numbered(1))
    taking = source(folder)
    await taking.start({})
    portion = await next_portion(taking)
    put(folder, "latest.cap", numbered(2))
    await taking.written(portion)
    (event,) = (await run(taking, {})).events
    assert event.data["identifier"] == "a-2"
    assert here(folder, "done") == ["latest.cap"]


async def test_the_same_alert_in_two_files_is_one_event(folder: Path) -> None:
    put(folder, "a.cap", numbered(1))
    put(folder, "b.cap", numbered(1))
    taking = source(folder)
    await taking.start({})
    assert len((await run(taking, {})).events) == 1
    assert here(folder, "done") == ["a.cap", "b.cap"]


async def test_what_cannot_be_read_lies_aside_with_every_reason_and_the_rest_goes_on(folder: Path) -> None:
    put(folder, "bad.cap", alert(head=HEAD + KIND))
    put(folder, "good.cap", numbered(1))
    taking = source(folder)
    await taking.start({})
    (event,) = (await run(taking, {})).events
    assert event.data["identifier"] == "a-1"
    assert here(folder, "refused") == ["bad.cap", "bad.cap.problems.json"]
    assert problems_in(folder / "refused" / "bad.cap.problems.json") == [
        {"path": "alert.scope", "rule": "required", "message": "is missing"}
    ]


async def test_each_refused_file_has_its_own_list_beside_it_though_their_names_are_the_same(folder: Path) -> None:
    taking = source(folder)
    await taking.start({})
    for xml in (b"<rss/>", alert(head=HEAD + KIND)):
        put(folder, "latest.cap", xml)
        assert await taking.poll() == Portion([], set_aside=1)
    digest = hashlib.sha256(alert(head=HEAD + KIND)).hexdigest()[:12]
    assert problems_in(folder / "refused" / "latest.cap.problems.json")[0]["rule"] == "not-cap"
    assert problems_in(folder / "refused" / f"latest.{digest}.cap.problems.json")[0]["rule"] == "required"


@pytest.mark.parametrize("name", [os.fsdecode(b"gempa\xe9.cap"), "a" * 251 + ".cap"], ids=["not UTF-8", "long"])
async def test_a_file_holds_up_no_other_whatever_its_name(folder: Path, name: str) -> None:
    put(folder, name, b"<rss/>")
    put(folder, "z.cap", numbered(1))
    taking = source(folder)
    await taking.start({})
    portion = await run(taking, {})
    assert [event.data["identifier"] for event in portion.events] == ["a-1"]
    assert portion.set_aside == 1
    digest = hashlib.sha256(b"<rss/>").hexdigest()
    assert here(folder, "refused") == [f"{digest}.cap", f"{digest}.cap.problems.json"]
    assert here(folder) == []


async def test_what_the_bus_will_not_take_lies_aside_too(folder: Path) -> None:
    put(folder, "a.cap", alert(info(f"<description>{'x' * MAX_EVENT_BYTES}</description>")))
    taking = source(folder, store_above_bytes=4 * 1024 * 1024)
    await taking.start({})
    assert await taking.poll() == Portion([], set_aside=1)
    assert [one["rule"] for one in problems_in(folder / "refused" / "a.cap.problems.json")] == ["size"]


async def test_events_are_made_ready_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(folder, "a.cap", numbered(1))
    taking = source(folder)
    await taking.start({})
    (event,) = (await next_portion(taking)).events
    monkeypatch.setattr(source_life, "made", None)
    ready = await source_life._made(context("bmkg.weather"), event)
    assert isinstance(ready, Prepared)
    assert ready.id == event.id


async def test_links_are_not_followed_and_a_file_of_next_year_is_taken_today(folder: Path, tmp_path: Path) -> None:
    put(tmp_path, "elsewhere", numbered(1))
    (folder / "a.cap").symlink_to(tmp_path / "elsewhere")
    put(folder, "b.cap", numbered(2))
    os.utime(folder / "b.cap", (4e9, 4e9))
    taking = source(folder)
    await taking.start({})
    (event,) = (await run(taking, {})).events
    assert event.data["identifier"] == "a-2"


async def test_a_file_that_vanishes_before_it_is_read_is_no_failure(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(folder, "b.cap", numbered(1))
    taking = source(folder)
    await taking.start({})
    monkeypatch.setattr(taking, "_waiting", lambda: [folder / "a.cap", folder / "b.cap"])
    (event,) = (await next_portion(taking)).events
    assert event.data["identifier"] == "a-1"


async def test_a_file_that_cannot_be_moved_fails_the_connector_with_the_remedy(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    put(folder, "a.cap", numbered(1))
    taking = source(folder)
    await taking.start({})
    portion = await next_portion(taking)
    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(ConnectorFailed, match="No space left"):
        await taking.written(portion)


async def test_logs_hold_no_name_of_a_file(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    put(folder, "siti-rahayu.cap", b"<a/>")
    taking = source(folder)
    await taking.start({})
    await taking.poll()
    assert "was refused" in caplog.text
    assert "siti" not in caplog.text


async def test_a_file_that_is_far_too_large_is_refused_without_being_held(folder: Path) -> None:
    with (folder / "huge.cap").open("wb") as file:
        file.truncate(5 * 1024 * 1024)
    taking = source(folder)
    await taking.start({})
    assert await taking.poll() == Portion([], set_aside=1)
    assert problems_in(folder / "refused" / "huge.cap.problems.json")[0]["rule"] == "size"


async def test_a_file_that_still_changes_is_left_alone(folder: Path) -> None:
    put(folder, "a.cap", numbered(1))
    settings = Settings(folder=folder, event_type=TYPE, settle_seconds=3600)
    taking = build(settings, context("bmkg.weather"))
    await taking.start({})
    assert await taking.poll() is None
    assert here(folder) == ["a.cap"]


async def test_a_large_alert_goes_without_polygons_and_says_where_all_of_it_is(folder: Path, tmp_path: Path) -> None:
    put(folder, "large.cap", LARGE)
    store = tmp_path / "store"
    taking = source(folder, store_above_bytes=1024, store_folder=store, store_url="https://alerts.example.id/")
    await taking.start({})
    (event,) = (await run(taking, {})).events
    digest = hashlib.sha256(LARGE).hexdigest()
    assert event.data["message"] == {
        "uri": f"https://alerts.example.id/{digest}.xml",
        "sha256": digest,
        "size_bytes": len(LARGE),
    }
    assert (store / f"{digest}.xml").read_bytes() == LARGE
    (place,) = event.data["infos"][0]["areas"]
    assert place["polygons"] == []
    assert place["bounds"] == {"south": -6.0299, "west": 107.0001, "north": -6.0001, "east": 107.0299}
    assert event.id.split(",")[1] == "a-1"


async def test_a_large_alert_without_a_store_is_refused_with_the_remedy(folder: Path) -> None:
    put(folder, "large.cap", LARGE)
    taking = source(folder, store_above_bytes=1024)
    await taking.start({})
    assert await taking.poll() == Portion([], set_aside=1)
    (problem,) = problems_in(folder / "refused" / "large.cap.problems.json")
    assert problem["rule"] == "size"
    assert "store_folder" in problem["message"]


def test_a_message_that_is_kept_by_several_at_once_is_kept_whole(tmp_path: Path) -> None:
    message = os.urandom(1024 * 1024)
    store = MessageStore(tmp_path / "store", "https://alerts.example.id")
    with ThreadPoolExecutor(4) as pool:
        kept = [one.result() for one in [pool.submit(store.keep, message) for _ in range(4)]]
    assert {one["sha256"] for one in kept} == {hashlib.sha256(message).hexdigest()}
    (file,) = (tmp_path / "store").iterdir()
    assert file.read_bytes() == message


async def test_a_store_that_takes_nothing_is_said_with_its_remedy(folder: Path, tmp_path: Path) -> None:
    put(folder, "large.cap", LARGE)
    (tmp_path / "file").touch()
    taking = source(folder, store_above_bytes=1024, store_folder=tmp_path / "file", store_url="https://a.example.id/")
    await taking.start({})
    with pytest.raises(ConnectorFailed, match=f"store {tmp_path / 'file'} takes no files"):
        await taking.poll()
    assert here(folder) == ["large.cap"]  # for the next attempt


async def test_a_folder_that_is_gone_is_said_with_its_remedy(folder: Path) -> None:
    with pytest.raises(ConnectorFailed, match="must exist"):
        await source(folder / "gone").start({})


def test_a_store_without_an_address_is_no_store(folder: Path) -> None:
    _, found = read(PLUGIN, {"folder": folder, "store_folder": folder})
    assert {problem.path for problem in found} == {("event_type",), ("store_url",)}


def test_nothing_of_an_event_shows() -> None:
    assert "a-1" not in repr(Portion([Outgoing("t", {"identifier": "a-1"}, "x")]))
