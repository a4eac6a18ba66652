"""Alerts over HTTP: answered after the transaction, refused with every reason, to nobody without a token."""

import asyncio
import datetime as dt
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from lintas_client.publisher import MAX_EVENT_BYTES
from message_intake import context, next_portion
from test_cap_messages import HEAD, KIND, alert, info

from connectors.intake.push import PushSource
from connectors.plugins.cap.push import PLUGIN, Settings, build
from connectors.runtime.validation import read
from lintas.errors import ConnectorFailed
from lintas.stack import certificates

TYPE = "id.go.bmkg.alert.issued.v1"
TOKEN, OTHER = "0123456789abcdef", "fedcba9876543210"
XML = {"content-type": "application/cap+xml; charset=utf-8", "authorization": f"Bearer {TOKEN}"}
GOOD = alert(info())
Start = Callable[..., Any]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    (tmp_path / "tokens").write_text(f"{OTHER}\n{TOKEN}\n")
    started: list[PushSource] = []

    async def make(**settings: Any) -> PushSource:
        given = {"port": 0, "token_file": tmp_path / "tokens", "event_type": TYPE, **settings}
        source = build(Settings(**given), context("bmkg.weather"))
        started.append(source)
        await source.start({})
        return source

    yield make
    for source in started:
        await source.stop()


async def post(source: PushSource, content: bytes = GOOD, **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as client:
        url = f"http://127.0.0.1:{source.port}/alerts"
        return await client.post(url, content=content, headers={**XML, **headers})


async def test_a_sender_is_answered_after_the_transaction_and_not_before(start: Start) -> None:
    source = await start()
    asking = asyncio.create_task(post(source))
    portion = await next_portion(source)
    assert not asking.done()
    await source.written(portion)
    answer = await asking
    assert answer.status_code == 200
    published = {"id": "s@example.id,a-1,2026-11-24T13:00:00+07:00", "type": TYPE}
    assert answer.json() == {"published": [published]}


async def test_the_same_alert_sent_twice_at_once_is_one_event_and_both_are_answered(start: Start) -> None:
    source = await start()
    asking = [asyncio.create_task(post(source)) for _ in range(2)]
    while source._arrived.qsize() < 2:  # noqa: ASYNC110  it tells nobody of arrivals
        await asyncio.sleep(0.01)
    portion = await next_portion(source)
    assert len(portion.events) == 1
    await source.written(portion)
    assert [(await one).status_code for one in asking] == [200, 200]


async def test_what_cannot_be_read_is_answered_with_every_reason_at_once(start: Start) -> None:
    answer = await post(await start(), alert(head=HEAD + KIND + "<mood/>"))
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert [(one["path"], one["rule"]) for one in answer.json()["problems"]] == [
        ("alert.mood", "unknown-element"),
        ("alert.scope", "required"),
    ]


async def test_what_the_bus_will_not_take_is_answered_with_its_reasons(start: Start) -> None:
    source = await start(store_above_bytes=4 * 1024 * 1024)
    answer = await post(source, alert(info(f"<description>{'x' * MAX_EVENT_BYTES}</description>")))
    assert (answer.status_code, answer.json()["problems"][0]["rule"]) == (422, "size")
    assert await source.poll() is None


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"authorization": "Bearer wrong"}, 401),
        ({"authorization": f"Basic {TOKEN}"}, 401),
        ({"authorization": ""}, 401),
        ({"authorization": "Bearer \xff"}, 401),
        ({"authorization": f"bearer {OTHER}"}, 422),  # known: refused for what it sends
        ({"content-type": "application/json"}, 415),
        ({"content-type": ""}, 415),
    ],
)
async def test_only_known_senders_of_alerts_are_heard(start: Start, headers: dict[str, str], status: int) -> None:
    answer = await post(await start(), b"<rss/>", **{name: value.encode("latin-1") for name, value in headers.items()})  # type: ignore[arg-type]  # httpx takes bytes
    assert answer.status_code == status
    assert ("www-authenticate" in answer.headers) == (status == 401)


async def test_who_connects_and_sends_nothing_keeps_nobody_out_and_is_hung_up_on(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.intake.push._CONNECTION_SECONDS", 0.5)
    source = await start()
    silent = [await asyncio.open_connection("127.0.0.1", source.port) for _ in range(100)]
    silent[0][1].write(b"POST /alerts HTTP/1.1\r\nX-Slow: ")
    assert (await post(source, b"<rss/>")).status_code == 422
    for reader, writer in silent:
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()


async def test_of_too_many_messages_at_once_the_rest_is_told_to_come_again(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.intake.push._AT_ONCE", 1)
    source = await start()
    asking = asyncio.create_task(post(source))
    portion = await next_portion(source)
    assert (await post(source)).status_code == 503
    await source.written(portion)
    assert (await asking).status_code == 200
    asking = asyncio.create_task(post(source))
    await source.written(await next_portion(source))
    assert (await asking).status_code == 200


async def test_a_message_over_the_limit_is_refused_whether_announced_or_not(start: Start) -> None:
    source = await start(largest_bytes=2048)

    async def unannounced() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b"x" * 100

    assert (await post(source, b"x" * 4000)).status_code == 413
    assert (await post(source, unannounced())).status_code == 413  # type: ignore[arg-type]  # httpx takes iterators


async def test_whoever_waits_too_long_or_while_it_stops_is_told_to_send_again(start: Start) -> None:
    source = await start(answer_within_seconds=0.1)
    late = await post(source)
    assert (late.status_code, late.headers["retry-after"]) == (503, "5")
    patient = await start()
    asking = asyncio.create_task(post(patient))
    await next_portion(patient)
    await patient.stop()
    assert (await asking).status_code == 503


async def test_whoever_sends_what_cannot_be_stored_now_is_told_to_send_again(start: Start, tmp_path: Path) -> None:
    source = await start(store_above_bytes=1024, store_folder=tmp_path / "tokens", store_url="https://a.example.id")
    answer = await post(source, alert(info("<description>" + "rain " * 500 + "</description>")))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")


async def test_tls_is_served_with_the_files_given(start: Start, tmp_path: Path) -> None:
    now = dt.datetime.now(dt.UTC)
    authority = certificates.authority("test", now)
    server = certificates.server(authority, "alerts", "test", ["127.0.0.1"], now)
    (tmp_path / "cert.pem").write_bytes(server.certificate)
    (tmp_path / "key.pem").write_bytes(server.key)
    source = await start(certificate_file=tmp_path / "cert.pem", key_file=tmp_path / "key.pem")
    trusted = ssl.create_default_context(cadata=authority.certificate.decode())
    async with httpx.AsyncClient(trust_env=False, verify=trusted) as client:
        answer = await client.post(f"https://127.0.0.1:{source.port}/alerts", content=b"<rss/>", headers=XML)
    assert answer.status_code == 422


async def test_a_port_in_use_and_useless_tokens_are_said_with_a_remedy(start: Start, tmp_path: Path) -> None:
    source = await start()
    with pytest.raises(ConnectorFailed, match="cannot listen"):
        await start(port=source.port)
    (tmp_path / "short").write_text("short\n")
    with pytest.raises(ConnectorFailed, match="16 characters"):
        await start(token_file=tmp_path / "short")
    with pytest.raises(ConnectorFailed, match="cannot be read"):
        await start(token_file=tmp_path / "absent")


def test_listening_beyond_the_machine_needs_tls(tmp_path: Path) -> None:
    _, found = read(PLUGIN, {"host": "0.0.0.0", "token_file": tmp_path / "absent", "event_type": TYPE})
    assert {problem.path for problem in found} == {("port",), ("certificate_file",)}
