"""BMKG's feeds, in every shape that they have, become one event for each measurement; the server is asked politely."""

import datetime as dt
import email.utils
import http.server
import json
import threading
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, ClassVar

import pytest
import yaml
from dripping_server import dripping
from driven import DrivenSource, context
from pydantic import ValidationError

from connectors.plugins.bmkg_earthquakes import quake
from connectors.plugins.bmkg_earthquakes import source as module
from connectors.plugins.bmkg_earthquakes.source import PLUGIN, BmkgEarthquakes, EarthquakeSource
from lintas.errors import ConnectorFailed

NEWEST = {
    "Tanggal": "24 Nov 2026",
    "Jam": "08:02:03 WIB",
    "DateTime": "2026-11-24T01:02:03+00:00",
    "Coordinates": "-2.29,140.49",
    "Lintang": "2.29 LS",
    "Bujur": "140.49 BT",
    "Magnitude": "5.5",
    "Kedalaman": "5 km",
    "Wilayah": "Pusat gempa berada di laut 31 km BaratLaut Jayapura",
    "Potensi": "Gempa ini dirasakan untuk diteruskan pada masyarakat",
    "Dirasakan": "III Jayapura",
    "Shakemap": "20261124080203.mmi.jpg",
}
OLDER = {
    "Tanggal": "01 Agu 2026",
    "Jam": "23:59:59 WIT",
    "DateTime": "2026-08-01T14:59:59+00:00",
    "Coordinates": "1.05,97.10",
    "Lintang": "1.05 LU",
    "Bujur": "97.10 BT",
    "Magnitude": "6",
    "Kedalaman": "112 Km",
    "Wilayah": "22 km BaratDaya NIASBARAT-SUMUT",
    "Potensi": "Tidak berpotensi tsunami",
}


NO_DATE = "Tue, 24 Nov 2020 06:00:00 +99999999999999999999"


def without(written: dict[str, str], *parts: str) -> dict[str, str]:
    return {name: value for name, value in written.items() if name not in parts}


def feed(found: Any) -> bytes:
    return json.dumps({"Infogempa": {"gempa": found}}).encode()


class Bmkg(http.server.BaseHTTPRequestHandler):
    """Answers as BMKG does, from what a test has put here."""

    answers: ClassVar[dict[str, bytes]] = {}
    refuse: ClassVar[dict[str, str] | None] = None  # headers of a 429
    asked: ClassVar[list[tuple[str, int]]] = []

    def do_GET(self) -> None:
        body = self.answers.get(self.path)
        etag = f'"{hash(body)}"'
        status = 404 if body is None else 304 if self.headers["if-none-match"] == etag else 200
        headers = {"ETag": etag}
        if self.refuse is not None:
            status, headers = 429, self.refuse
        self.asked.append((self.path, status))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body or b"") if status == 200 else 0))
        self.end_headers()
        if status == 200:
            self.wfile.write(body or b"")

    def log_message(self, *_: Any) -> None:
        """Nothing is logged."""


@pytest.fixture
def bmkg(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of the feeds' folder."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(module, "_IDLE_SECONDS", 0.0)
    Bmkg.answers, Bmkg.asked, Bmkg.refuse = {}, [], None
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Bmkg)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/TEWS/"
    server.shutdown()
    thread.join()
    server.server_close()


class Clock:
    """A monotonic clock that a test turns."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr("connectors.plugins.bmkg_earthquakes.source.time.monotonic", lambda: self.now)


def source(url: str, *feeds: str, **settings: Any) -> EarthquakeSource:
    return EarthquakeSource(BmkgEarthquakes(url=url, feeds=list(feeds) or ["autogempa"], **settings), context("quakes"))


async def life(driven: DrivenSource, one: EarthquakeSource, *, feeds: int) -> None:
    """One life that reads each feed once."""
    await one.start(driven.progress)
    for _ in range(feeds):
        if (portion := await one.poll()) is not None:
            await driven.write(one, portion)
    await one.stop()


def test_an_earthquake_is_read_as_it_is_written() -> None:
    event = quake.event(NEWEST, "autogempa 1")
    moment = dt.datetime(2026, 11, 24, 1, 2, 3, tzinfo=dt.UTC)
    assert event.time == moment
    assert event.data == {
        "event_id": "bmkg-20261124T010203Z",
        "origin_time": moment,
        "latitude": -2.29,
        "longitude": 140.49,
        "depth_km": 5,
        "magnitude": Decimal("5.5"),
        "magnitude_tenths": 55,
        "region": NEWEST["Wilayah"],
    }


@pytest.mark.parametrize(
    ("day", "clock", "moment"),
    [
        ("24 Nov 2026", "08:02:03 WIB", "2026-11-24T01:02:03+00:00"),
        ("05 Mei 2026", "00:10:00 WITA", "2026-05-04T16:10:00+00:00"),  # the day before in UTC
        ("31-Des-26", "23:00:00 WIT", "2026-12-31T14:00:00+00:00"),
        ("1 Agustus 2026", "07:00:00 UTC", "2026-08-01T07:00:00+00:00"),
        ("1 Agt 2026", "07:00:00 WIB", "2026-08-01T00:00:00+00:00"),
        ("17 Oktober 2026", "07:00:00 WIB", "2026-10-17T00:00:00+00:00"),
    ],
)
def test_days_have_indonesian_months_and_one_of_three_zones(day: str, clock: str, moment: str) -> None:
    written = without(NEWEST, "DateTime") | {"Tanggal": day, "Jam": clock}
    assert quake.event(written, "").time == dt.datetime.fromisoformat(moment)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"Magnitude": "", "Kedalaman": "deep"}, "Magnitude is missing; Kedalaman is not as expected"),
        ({"Lintang": "2.29 BT"}, "Lintang is not as expected"),
        ({"Lintang": "92.29 LS"}, "Lintang is not as expected"),
        ({"Lintang": "2.29 LU"}, "Coordinates are others"),
        ({"Coordinates": "somewhere"}, "Coordinates are others"),
        ({"Jam": "09:02:03 WIB"}, "DateTime is another time"),
        ({"Tanggal": "24 Foo 2026", "DateTime": ""}, "Tanggal is not as expected"),
        ({"DateTime": "2026-11-24T01:02:03"}, "DateTime is not as expected"),
        ({"Magnitude": 5.5}, "Magnitude is missing"),  # a number is not what BMKG writes
        ({"DateTime": "9999-12-31T23:59:59-23:59"}, "DateTime is not as expected"),  # in no year of UTC
        ({"Tanggal": "01 Jan 0001", "Jam": "00:00:00 WIB", "DateTime": ""}, "Tanggal is not as expected"),
    ],
)
def test_what_cannot_be_right_is_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(quake.Unreadable, match=reason):
        quake.event(NEWEST | changes, "")


@pytest.mark.parametrize(
    ("document", "count"),
    [
        ({"Infogempa": {"gempa": NEWEST}}, 1),
        ({"Infogempa": {"gempa": [NEWEST, OLDER]}}, 2),
        ({"Infogempa": {"gempa": []}}, 0),
        ({"Infogempa": {"gempa": {}}}, 0),
        ({"Infogempa": {"gempa": ""}}, 0),
        ({"Infogempa": {}}, 0),
        ({"Infogempa": ""}, 0),
        ({"Infogempa": None}, 0),
    ],
)
def test_a_feed_holds_one_several_or_none(document: Any, count: int) -> None:
    assert len(quake.quakes(document)) == count


@pytest.mark.parametrize("document", [[], {}, {"Infogempa": "closed"}, {"Infogempa": {"gempa": ["x"]}}])
def test_anything_else_is_no_feed(document: Any) -> None:
    with pytest.raises(quake.Unreadable):
        quake.quakes(document)


async def test_a_quake_of_several_feeds_is_one_event_and_old_ones_come_first(bmkg: str) -> None:
    Bmkg.answers = {
        "/TEWS/autogempa.json": feed(NEWEST),
        "/TEWS/gempaterkini.json": feed([NEWEST, OLDER]),
    }
    worded = "Pusat gempa berada di laut 22 km barat daya Nias Barat"  # as this feed words what others say shortly
    Bmkg.answers["/TEWS/gempadirasakan.json"] = feed([OLDER | {"Wilayah": worded}])
    driven = DrivenSource()
    names = ("gempaterkini", "autogempa", "gempadirasakan")
    await life(driven, source(bmkg, *names), feeds=3)
    assert [event.data["event_id"] for event in driven.events] == ["bmkg-20260801T145959Z", "bmkg-20261124T010203Z"]
    await life(driven, source(bmkg, *names), feeds=3)  # after a crash
    assert len(driven.events) == 2


async def test_a_revision_is_a_further_event_about_the_same_quake(bmkg: str) -> None:
    driven = DrivenSource()
    for magnitude in ("5.5", "5.8", "5.8"):
        Bmkg.answers = {"/TEWS/autogempa.json": feed(NEWEST | {"Magnitude": magnitude})}
        await life(driven, source(bmkg), feeds=1)
    first, second = driven.events
    assert first.data["event_id"] == second.data["event_id"]
    assert first.id != second.id


async def test_feeds_are_asked_no_more_than_is_polite_and_only_for_what_is_new(
    bmkg: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    Bmkg.answers = {"/TEWS/autogempa.json": feed(NEWEST)}
    one, driven = source(bmkg), DrivenSource()
    await one.start({})
    for second in range(300):
        clock.now = 1000.0 + second
        if (portion := await one.poll()) is not None:
            await driven.write(one, portion)
    await one.stop()
    assert Bmkg.asked == [("/TEWS/autogempa.json", 200)] + [("/TEWS/autogempa.json", 304)] * 4
    assert len(driven.events) == 1


@pytest.mark.parametrize(
    ("retry_after", "silent"),
    [("120", 120), ("", 60), ("5", 60), ("999999", 3600), ("a date", 90), (NO_DATE, 60)],
    ids=str,
)
async def test_a_server_that_asks_to_wait_is_left_alone(
    bmkg: str, monkeypatch: pytest.MonkeyPatch, retry_after: str, silent: int
) -> None:
    clock = Clock(monkeypatch)
    if retry_after == "a date":
        moment = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=silent + 1)
        retry_after = email.utils.format_datetime(moment, usegmt=True)
    Bmkg.refuse = {"Retry-After": retry_after} if retry_after else {}
    Bmkg.answers = {"/TEWS/autogempa.json": feed(NEWEST)}
    one = source(bmkg)
    await one.start({})
    assert await one.poll() is None
    clock.now += silent - 2
    assert await one.poll() is None
    assert len(Bmkg.asked) == 1
    Bmkg.refuse = None
    clock.now += 5
    assert await one.poll() is not None
    await one.stop()


async def test_an_earthquake_that_cannot_be_read_costs_no_other_and_is_noted_once(bmkg: str) -> None:
    driven = DrivenSource()
    Bmkg.answers = {"/TEWS/gempaterkini.json": feed([NEWEST | {"Magnitude": "big"}, OLDER])}
    for _ in range(2):
        await life(driven, source(bmkg, "gempaterkini"), feeds=1)
    assert [event.data["event_id"] for event in driven.events] == ["bmkg-20260801T145959Z"]
    assert driven.progress["unreadable"] == [
        "gempaterkini, 24 Nov 2026 08:02:03 WIB: Magnitude is not as expected",
    ]


async def test_of_a_feed_in_which_nothing_can_be_read_each_earthquake_is_told_of_once(bmkg: str) -> None:
    driven = DrivenSource()
    broken = [NEWEST | {"Magnitude": "big", "Jam": f"08:{minute:02}:03 WIB"} for minute in range(30)]
    for _ in range(2):
        Bmkg.answers = {"/TEWS/gempaterkini.json": feed(broken)}
        await life(driven, source(bmkg, "gempaterkini"), feeds=1)
    assert driven.set_aside == 30


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (None, "answers 404"),
        (b"<html>", "something else than JSON"),
        (b'{"gempa": []}', "there is no Infogempa"),
        (b" " * (1024 * 1024 + 1), "more than 1048576 bytes"),
        (b"[" * 100_000, "something else than JSON"),
    ],
)
async def test_an_answer_that_is_no_feed_stops_the_connector(bmkg: str, answer: bytes | None, reason: str) -> None:
    Bmkg.answers = {} if answer is None else {"/TEWS/autogempa.json": answer}
    with pytest.raises(ConnectorFailed, match=reason):
        await life(DrivenSource(), source(bmkg), feeds=1)


async def test_an_answer_that_drips_for_ever_stops_the_connector() -> None:
    async with dripping() as host:
        one = source(f"http://{host}/TEWS/", timeout_seconds=1)
        await one.start({})
        with pytest.raises(ConnectorFailed, match=r"does not answer \(TimeoutError\)"):
            await one.poll()
        await one.stop()


async def test_no_answer_stops_the_connector() -> None:
    one = source("http://127.0.0.1:1/TEWS/")
    await one.start({})
    with pytest.raises(ConnectorFailed, match="does not answer"):
        await one.poll()
    await one.stop()


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"url": "http://bmkg.example/TEWS/"}, "must begin with https"),
        ({"url": "https://bmkg.example/TEWS"}, "ends in a slash"),
        ({"interval_seconds": 29}, "interval_seconds"),
    ],
)
def test_settings_that_are_impolite_or_unsafe_are_refused(given: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        BmkgEarthquakes.model_validate(given)


def test_the_example_is_right() -> None:
    built = PLUGIN.build(PLUGIN.config.model_validate(yaml.safe_load(PLUGIN.example)), context())
    assert isinstance(built, EarthquakeSource)
