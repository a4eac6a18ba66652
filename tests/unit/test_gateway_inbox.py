"""GET /inbox and its cursors, the stream, and what a system is told that it may do."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from gateway_memory import BMKG, BNPB, QUAKE, QUAKES, MemoryBus, visiting

from connectors.gateway.inbox_routes import CURSOR_HEADER
from connectors.gateway.incoming import BATCH
from schemas.wire.envelope import parse

AGREEMENT = "bnpb.early-warning.earthquake-measured"
RELEASED = {name: value for name, value in QUAKE.items() if name != "magnitude_tenths"}


@pytest.fixture
def bus() -> MemoryBus:
    filled = MemoryBus()
    for number in range(5):
        filled.deliver(AGREEMENT, RELEASED, f"q{number}")
    return filled


async def test_deliveries_are_cloud_events_in_json(tmp_path: Path, bus: MemoryBus) -> None:
    async with visiting(tmp_path, bus) as visitor:
        answer = await visitor.get("/inbox?limit=1")
        (event,) = answer.json()["events"]
        assert event["data"] == RELEASED
        assert (event["id"], event["type"], event["agreement"]) == ("q0", QUAKES, AGREEMENT)
        assert event["lintassalt"] == "c2FsdA=="
        headers = [("content-type", b"application/cloudevents+json")]
        assert parse(headers, json.dumps(event).encode()).has_json_data


async def test_nothing_is_acknowledged_but_by_its_cursor(tmp_path: Path, bus: MemoryBus) -> None:
    async with visiting(tmp_path, bus) as visitor:
        first = (await visitor.get("/inbox?limit=2")).json()
        again = (await visitor.get("/inbox?limit=2")).json()
        assert first == again
        assert bus.positions[BNPB] == {}
        rest = (await visitor.get(f"/inbox?cursor={first['cursor']}")).json()
        assert [one["id"] for one in rest["events"]] == ["q2", "q3", "q4"]
        assert bus.positions[BNPB] == {0: 2}
        done = await visitor.http.put("/inbox/cursor", json={"cursor": rest["cursor"]}, headers=visitor.token(BNPB))
        assert (done.status_code, bus.positions[BNPB]) == (204, {0: 5})
        back = await visitor.http.put("/inbox/cursor", json={"cursor": first["cursor"]}, headers=visitor.token(BNPB))
        assert (back.status_code, bus.positions[BNPB]) == (204, {0: 5})
        assert (await visitor.get("/inbox/cursor")).json() == {"cursor": rest["cursor"]}
        empty = (await visitor.get("/inbox?wait=0.1")).json()
        assert empty == {"events": [], "cursor": rest["cursor"]}


async def test_a_batch_can_be_asked_for(tmp_path: Path, bus: MemoryBus) -> None:
    async with visiting(tmp_path, bus) as visitor:
        batch = await visitor.get("/inbox", accept=BATCH)
        assert len(batch.json()) == 5
        assert batch.headers[CURSOR_HEADER] == (await visitor.get("/inbox")).json()["cursor"]


@pytest.mark.parametrize(
    ("accept", "given"),
    [
        ([], "application/json"),
        ([""], "application/json"),
        (["*/*"], "application/json"),
        (["application/*;q=0.5, text/html"], "application/json"),
        ([f"application/json;q=0.5, {BATCH}"], BATCH),
        ([f"{BATCH}, */*;q=0.1"], BATCH),
        (["text/html", "application/json"], "application/json"),  # a header in two lines is one list
        (["application/json;q=0, */*"], BATCH),
        (["text/html"], None),
        (["application/json;q=0"], None),
    ],
)
async def test_of_the_forms_that_are_accepted_the_one_that_is_liked_best_is_given(
    tmp_path: Path, bus: MemoryBus, accept: list[str], given: str | None
) -> None:
    async with visiting(tmp_path, bus) as visitor:
        visitor.http.headers.pop("accept")
        headers = [*(("accept", one) for one in accept), *visitor.token(BNPB).items()]
        answer = await visitor.http.get("/inbox", headers=headers)
        assert (answer.headers["content-type"] if answer.is_success else None) == given
        assert answer.status_code == (200 if given else 406)


async def test_a_cursor_is_good_for_its_own_system_and_as_it_was_made(tmp_path: Path, bus: MemoryBus) -> None:
    cursor = bus.cursors(BNPB).write({0: 2})
    foreign = bus.cursors(BMKG).write({0: 2})
    async with visiting(tmp_path, bus) as visitor:
        for wrong in (foreign, cursor[:-1], cursor + "AAAA", "A" * 5_000, "ü", "%00"):
            answer = await visitor.get(f"/inbox?cursor={wrong}")
            assert (answer.status_code, answer.json()["type"]) == (400, "urn:lintas:problem:malformed-cursor")
        assert bus.positions[BNPB] == {}


async def test_two_readers_of_one_position_are_told(tmp_path: Path, bus: MemoryBus) -> None:
    bus.group_in_use = True
    async with visiting(tmp_path, bus) as visitor:
        cursor = (await visitor.get("/inbox")).json()["cursor"]
        assert (await visitor.get(f"/inbox?cursor={cursor}")).status_code == 409


async def test_a_record_that_cannot_be_read_is_not_skipped_unless_the_system_says_so(
    tmp_path: Path, bus: MemoryBus
) -> None:
    bus.inboxes[BNPB][1].value = b"\x00\x00\x00\xff\xff"
    async with visiting(tmp_path, bus) as visitor:
        page = (await visitor.get("/inbox")).json()
        assert [one["id"] for one in page["events"]] == ["q0"]
        stuck = await visitor.get(f"/inbox?cursor={page['cursor']}")
        assert (stuck.status_code, stuck.json()["type"]) == (503, "urn:lintas:problem:undecodable-delivery")
        behind = (await visitor.get(f"/inbox?cursor={stuck.json()['cursor_behind']}")).json()
        assert [one["id"] for one in behind["events"]] == ["q2", "q3", "q4"]


async def test_a_stream_goes_on_from_the_last_event_id_and_acknowledges_it(tmp_path: Path, bus: MemoryBus) -> None:
    async with visiting(tmp_path, bus, gateway_stream_seconds=0.05) as visitor:
        answer = await visitor.get("/inbox/stream", accept="text/event-stream")
        assert answer.headers["content-type"].startswith("text/event-stream")
        told = [part.split("\n") for part in answer.text.split("\n\n") if part.startswith("id:")]
        assert [json.loads(data.removeprefix("data: "))["id"] for _, data in told] == [f"q{n}" for n in range(5)]
        assert bus.positions[BNPB] == {}
        third = told[2][0].removeprefix("id: ")
        more = await visitor.http.get("/inbox/stream", headers=visitor.token(BNPB) | {"last-event-id": third})
        assert [line for line in more.text.split("\n") if line.startswith("id:")] == [told[3][0], told[4][0]]
        assert bus.positions[BNPB] == {0: 3}
        assert (await visitor.get("/inbox/stream", **{"last-event-id": "x"})).status_code == 400


@pytest.mark.parametrize("broken", [True, False])
async def test_a_client_that_leaves_amid_a_stream_holds_nothing_any_more(
    tmp_path: Path, bus: MemoryBus, broken: bool
) -> None:
    given_back: list[str] = []

    async def give_back(system: str, *_: Any, **__: Any) -> None:
        given_back.append(system)

    bus.give_back = give_back  # type: ignore[method-assign]
    left = asyncio.Event()

    async def receive() -> Any:
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if message.get("body", b"").startswith(b"id:"):
            left.set()
            if broken:
                raise OSError
            await asyncio.Event().wait()

    async with visiting(tmp_path, bus, gateway_requests_at_once=1) as visitor:
        headers = [(name.encode(), value.encode()) for name, value in visitor.token(BNPB).items()]
        where = {"path": "/inbox/stream", "raw_path": b"/inbox/stream", "query_string": b"", "root_path": ""}
        scope = {"type": "http", "method": "GET", "scheme": "http", "http_version": "1.1", "headers": headers, **where}
        try:
            await visitor.app(scope, receive, send)
        except OSError:
            assert broken
        assert given_back == [BNPB]
        assert (await visitor.get("/agreements")).status_code == 200  # else 429: too many open


async def test_a_stream_gives_no_more_than_a_system_may_fetch(tmp_path: Path, bus: MemoryBus) -> None:
    for number in range(5, 350):
        bus.deliver(AGREEMENT, RELEASED, f"q{number}")
    async with visiting(tmp_path, bus, gateway_stream_seconds=0.3, gateway_events_per_second=10) as visitor:
        answer = await visitor.get("/inbox/stream")
        assert 100 <= answer.text.count("id: ") <= 200
        limited = await visitor.get("/agreements")
        assert (limited.status_code, int(limited.headers["retry-after"]) <= 10) == (429, True)


async def test_a_system_without_an_inbox_is_told_so(tmp_path: Path) -> None:
    async with visiting(tmp_path) as visitor:
        assert (await visitor.get("/inbox", BMKG)).status_code == 404
        assert (await visitor.get("/inbox/stream", BMKG)).status_code == 404


async def test_a_system_sees_what_it_may_publish_and_the_example_can_be_sent(tmp_path: Path) -> None:
    async with visiting(tmp_path) as visitor:
        (shown,) = (await visitor.get("/event-types", BMKG)).json()["event_types"]
        assert shown["event_type"] == QUAKES
        assert (await visitor.get(f"/event-types/{QUAKES}", BMKG)).json() == shown
        sent = await visitor.post(
            json.dumps(shown["example"]).encode(), {"content-type": "application/cloudevents+json"}
        )
        assert sent.status_code == 200, sent.text
        assert (await visitor.get(f"/event-types/{QUAKES}", BNPB)).status_code == 404


async def test_a_system_sees_what_it_receives(tmp_path: Path) -> None:
    async with visiting(tmp_path) as visitor:
        shown = (await visitor.get("/agreements")).json()["agreements"]
        assert {one["consumer"] for one in shown} == {BNPB}
        quakes = next(one for one in shown if one["agreement"] == AGREEMENT)
        assert quakes["example"]["data"].keys() == RELEASED.keys()
        assert {"legal_basis", "purpose", "valid", "release", "standing", "channel"} <= quakes.keys()
        assert (await visitor.get("/agreements", BMKG)).json() == {"agreements": []}
