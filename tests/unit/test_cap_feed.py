"""Alerts from a feed: each entry once, seldom asked, nothing left out by a crash or a failing server."""

import time
from collections.abc import AsyncIterator, Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar

import pytest
from dripping_server import dripping
from message_intake import context
from test_cap_messages import alert, info

from connectors.intake.polite import NotFetched, PoliteClient, _retry_after
from connectors.plugins.cap.feed import Entry, NotAFeed, entries
from connectors.plugins.cap.feed_source import PLUGIN, FeedSource, Settings, build
from connectors.runtime.contract import Portion
from connectors.runtime.validation import read
from lintas.errors import ConnectorFailed

TYPE = "id.go.bmkg.alert.issued.v1"
NO_DATE = "Tue, 24 Nov 2020 06:00:00 +99999999999999999999"


class Server(ThreadingHTTPServer):
    """Serves what a test says, and remembers what was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.pages: dict[str, tuple[int, bytes, dict[str, str]]] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def feed(self, *numbers: int, etag: str = '"1"') -> None:
        """RSS as BMKG writes it, the newest first."""
        items = "".join(
            f"<item><title>t</title><link>{self.url}/CJB{n:011}_alert.xml</link>"
            f"<guid>2.49.0.1.360.0.{n}</guid><pubDate>Tue, 24 Nov 2026 13:{n:02}:00 +0700</pubDate></item>"
            for n in sorted(numbers, reverse=True)
        )
        rss = f'<rss version="2.0"><channel><title>BMKG</title>{items}</channel></rss>'
        self.pages["/feed"] = (200, rss.encode(), {"ETag": etag})

    def alert(self, number: int, status: int = 200, **headers: str) -> None:
        xml = alert(info()).replace(b"a-1", f"a-{number}".encode())
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.pages[f"/CJB{number:011}_alert.xml"] = (status, xml, named)

    def times(self, path: str) -> int:
        return [asked for asked, _ in self.asked].count(path)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
        status, content, headers = self.server.pages.get(self.path, (404, b"", {}))
        if headers.get("ETag") and self.headers.get("If-None-Match") == headers["ETag"]:
            status, content = 304, b""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@pytest.fixture
def server() -> Iterator[Server]:
    serving = Server()
    thread = Thread(target=serving.serve_forever, daemon=True)
    thread.start()
    yield serving
    serving.shutdown()
    serving.server_close()
    thread.join()


Start = Callable[..., Any]


@pytest.fixture
async def start(server: Server) -> AsyncIterator[Start]:
    started: list[FeedSource] = []

    async def make(progress: dict[str, Any] | None = None, **settings: Any) -> FeedSource:
        given = {"url": f"{server.url}/feed", "event_type": TYPE, "every_seconds": 10, "requests_per_minute": 600}
        source = build(Settings(**{**given, **settings}), context("bmkg.weather"))
        started.append(source)
        await source.start(progress or {})
        return source

    yield make
    for source in started:
        await source.stop()


class Run:
    """A source driven as the runtime does, with the progress that it has made."""

    def __init__(self, source: FeedSource) -> None:
        self.source = source
        self.progress: dict[str, Any] = {}
        self.seen: list[str] = []
        self.refused = 0

    async def round(self) -> list[str]:
        """Ask for the feed now, and work until the source rests; the identifiers published."""
        self.source._next = 0
        before = len(self.seen)
        while self.source._next <= time.monotonic():
            if (portion := await self.source.poll()) is not None:
                await self.take(portion)
        return self.seen[before:]

    async def take(self, portion: Portion) -> None:
        self.progress.update(portion.progress)
        self.progress = {name: value for name, value in self.progress.items() if value is not None}
        self.seen += [event.data["identifier"] for event in portion.events]
        self.refused += portion.set_aside
        await self.source.written(portion)


ATOM = b"""<feed xmlns="http://www.w3.org/2005/Atom">
<entry><id>2</id><updated>u2</updated><link rel="self" href="no"/><link href="html"/>
<link type="application/cap+xml" href="x/2.cap"/></entry>
<entry><id>1</id><updated>u1</updated><link href="x/1.cap"/></entry><entry><id>0</id></entry></feed>"""


def test_atom_and_rss_are_read_oldest_first(server: Server) -> None:
    assert entries(ATOM) == [Entry("1 u1", "x/1.cap"), Entry("2 u2", "x/2.cap")]
    server.feed(1, 2)
    assert [entry.key.split()[0][-1] for entry in entries(server.pages["/feed"][1])] == ["1", "2"]


@pytest.mark.parametrize("xml", [b"<html/>", b"not xml", b"<!DOCTYPE rss><rss/>", alert()])
def test_what_is_no_feed_is_not_read_as_one(xml: bytes) -> None:
    with pytest.raises(NotAFeed):
        entries(xml)


async def test_each_alert_is_published_once_and_a_feed_that_has_not_changed_costs_one_small_request(
    server: Server, start: Start
) -> None:
    server.feed(1, 2)
    server.alert(1)
    server.alert(2)
    run = Run(await start())
    assert await run.round() == ["a-1", "a-2"]
    assert await run.round() == []
    assert server.asked[-1] == ("/feed", {**server.asked[-1][1], "if-none-match": '"1"'})
    server.feed(1, 2, 3, etag='"2"')
    server.alert(3)
    assert await run.round() == ["a-3"]
    assert server.times("/CJB00000000001_alert.xml") == 1


async def test_after_a_crash_it_goes_on_with_what_is_not_done_though_the_feed_has_not_changed(
    server: Server, start: Start
) -> None:
    server.feed(1, 2)
    server.alert(1)
    server.alert(2, status=500)
    dying = Run(await start())
    assert await dying.round() == ["a-1"]
    server.alert(2)
    again = Run(await start(dying.progress))
    assert await again.round() == ["a-2"]


async def test_one_alert_that_fails_does_not_hold_up_the_others(server: Server, start: Start) -> None:
    server.feed(1, 2, 3)
    server.alert(1, status=500)
    server.alert(2)
    server.alert(3)
    run = Run(await start())
    assert await run.round() == ["a-2", "a-3"]
    server.alert(1)
    assert await run.round() == ["a-1"]


async def test_a_server_that_wants_to_be_left_alone_is(server: Server, start: Start) -> None:
    server.feed(1, 2)
    server.alert(1, status=429, Retry_After="120")
    server.alert(2)
    run = Run(await start())
    assert await run.round() == []
    assert run.source._next - time.monotonic() == pytest.approx(120, abs=5)
    assert server.times("/CJB00000000002_alert.xml") == 0
    assert await run.round() == ["a-2"]  # though the first one wants it again: it comes last


async def test_an_answer_that_drips_for_ever_is_an_alert_that_was_not_read() -> None:
    async with dripping() as host:
        client = PoliteClient(per_minute=600, hosts=frozenset({host}), largest_bytes=1000, answer_seconds=0.5)
        with pytest.raises(NotFetched, match="TimeoutError") as missed:
            await client.get(f"http://{host}/1.cap", {})
        await client.close()
    assert not missed.value.gone


async def test_an_alert_that_is_gone_or_elsewhere_or_broken_is_passed_over(
    server: Server, start: Start, tmp_path: Path
) -> None:
    server.feed(1, 2, 3)
    server.pages["/CJB00000000001_alert.xml"] = (200, b"<!DOCTYPE alert><alert/>", {})
    elsewhere = server.pages["/feed"][1].replace(server.url.encode() + b"/CJB00000000003", b"http://127.0.0.2:1/x")
    server.pages["/feed"] = (200, elsewhere, {})
    run = Run(await start(refused_folder=tmp_path / "refused"))
    assert await run.round() == []
    assert await run.round() == []
    assert server.times("/CJB00000000001_alert.xml") == server.times("/CJB00000000002_alert.xml") == 1
    assert sorted(path.suffix for path in (tmp_path / "refused").iterdir()) == [".json", ".xml"]
    assert run.refused == 1  # is counted, and none that is gone


@pytest.mark.parametrize("link", ["http://[x/1.cap", "{url}/\x7f", "{url}/a b\nc"], ids=["host", "path", "lines"])
async def test_a_link_that_is_no_address_does_not_hold_up_the_others(server: Server, start: Start, link: str) -> None:
    server.feed(1, 2)
    server.alert(2)
    status, rss, headers = server.pages["/feed"]
    broken = link.format(url=server.url).encode()
    rss = rss.replace(f"{server.url}/CJB00000000001_alert.xml".encode(), broken)
    server.pages["/feed"] = (status, rss, headers)
    assert await Run(await start()).round() == ["a-2"]


async def test_a_link_may_leave_out_what_the_feed_has_too(server: Server, start: Start) -> None:
    server.feed(1)
    server.alert(1)
    status, rss, headers = server.pages["/feed"]
    server.pages["/feed"] = (status, rss.replace(f"<link>{server.url}/".encode(), b"<link>"), headers)
    assert await Run(await start()).round() == ["a-1"]


async def test_a_redirect_is_not_followed(server: Server, start: Start) -> None:
    server.feed(1)
    server.pages["/CJB00000000001_alert.xml"] = (302, b"", {"Location": f"{server.url}/secret"})
    assert await Run(await start()).round() == []
    assert server.times("/secret") == 0


async def test_entries_that_leave_the_feed_are_forgotten(server: Server, start: Start) -> None:
    server.feed(1, 2)
    server.alert(1)
    server.alert(2)
    run = Run(await start())
    await run.round()
    server.feed(2, etag='"2"')
    await run.round()
    assert len([name for name in run.progress if name.startswith("entry/")]) == 1


@pytest.mark.parametrize("url", ["http://[x/feed", "http://alerts.example.id:99999/feed"])
def test_what_is_no_address_is_found_where_settings_are_checked(url: str) -> None:
    _, problems = read(PLUGIN, {"url": url, "event_type": TYPE})
    assert [problem.path for problem in problems] == [("url",)]


async def test_what_is_no_feed_fails_the_connector_with_a_remedy(server: Server, start: Start) -> None:
    server.pages["/feed"] = (200, b"<html/>", {})
    with pytest.raises(ConnectorFailed, match="neither RSS nor Atom"):
        await Run(await start()).round()


async def test_a_feed_that_does_not_answer_is_asked_again_later(server: Server, start: Start) -> None:
    server.pages["/feed"] = (503, b"", {"Retry-After": "60"})
    run = Run(await start())
    assert await run.round() == []
    assert run.source._next - time.monotonic() == pytest.approx(60, abs=5)


async def test_requests_are_kept_apart(server: Server) -> None:
    server.pages["/a"] = (200, b"", {})
    client = PoliteClient(per_minute=600, hosts=frozenset({server.url.removeprefix("http://")}), largest_bytes=10)
    began = time.monotonic()
    for _ in range(4):
        await client.get(f"{server.url}/a", {})
    await client.close()
    assert time.monotonic() - began >= 0.3


class TestRetryAfter:
    cases: ClassVar = [
        ("30", 30),
        ("999999", 3600),
        ("", None),
        ("soon", None),
        (NO_DATE, None),
        ("Tue, 24 Nov 2020 06:00:00 GMT", 0),
    ]

    @pytest.mark.parametrize(("text", "seconds"), cases)
    def test_seconds_and_dates_are_understood(self, text: str, seconds: float | None) -> None:
        assert _retry_after(text) == seconds
