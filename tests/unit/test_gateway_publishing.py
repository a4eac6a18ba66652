"""POST /events: three modes, two forms of data, every problem at once, and what an answer says was published."""

import asyncio
import base64
import gc
import json
from pathlib import Path
from typing import Any

import pytest
from gateway_memory import BINARY, BMKG, DUKCAPIL, QUAKE, QUAKES, MemoryBus, errors_of, structured, visiting
from lintas_client import NotAcknowledged, NotEntitled, Receipt
from lintas_client.preparation import Prepared
from lintas_client.wire import framing
from lintas_client.wire.json_data import from_json

from connectors.gateway import entitlements, publishing
from connectors.gateway.incoming import AVRO, BATCH, STRUCTURED
from schemas.snapshot import RegisteredSchema

JSON = json.dumps(QUAKE).encode()
PUBLISHED = {"published": "yes", "status": 200, "id": "q1", "source": f"urn:lintas:{BMKG}", "type": QUAKES}


def schema_of(bus: MemoryBus) -> RegisteredSchema:
    return bus.snapshot.event_types[QUAKES].current


def avro_of(bus: MemoryBus) -> bytes:
    codec = entitlements.codec_of(schema_of(bus))
    return codec.encode(from_json(codec, dict(QUAKE)))


def headers_of(event: Prepared) -> dict[str, bytes]:
    return dict(event.headers)


async def test_binary_structured_and_batch_mode_send_the_same_record(tmp_path: Path) -> None:
    async with visiting(tmp_path) as visitor:
        at: dict[str, Any] = {"time": "2026-11-24T01:02:03Z", "traceparent": "00-" + "a" * 32 + "-" + "b" * 16 + "-01"}
        binary = await visitor.post(JSON, {**BINARY, **{f"ce-{name}": text for name, text in at.items()}})
        event = structured(**at)
        alone = await visitor.post(json.dumps(event).encode(), {"content-type": STRUCTURED})
        batch = await visitor.post(json.dumps([event]).encode(), {"content-type": f"{BATCH}; charset=utf-8"})
        assert [one.status_code for one in (binary, alone, batch)] == [200, 200, 200]
        assert binary.json() == alone.json() == PUBLISHED
        assert batch.json() == {"published": 1, "results": [{"index": 0, **PUBLISHED}]}
        first, *others = visitor.bus.sent
        assert [one == first for one in others] == [True, True]
        assert first.topic == "events.bmkg.earthquake.measured.v1"
        assert first.key == b"Java, Indonesia"
        assert headers_of(first)["ce_subject"] == b"Java, Indonesia"
        assert framing.unframe(first.value) == (schema_of(visitor.bus).id, avro_of(visitor.bus))


async def test_a_repeat_is_answered_as_the_first_was(tmp_path: Path) -> None:
    async with visiting(tmp_path) as visitor:
        answers = [await visitor.post(JSON, BINARY) for _ in range(3)]
        assert len({(one.status_code, one.content) for one in answers}) == 1


@pytest.mark.parametrize("framed", [True, False])
async def test_data_come_in_avro_framed_or_with_the_schema_named(tmp_path: Path, framed: bool) -> None:
    async with visiting(tmp_path) as visitor:
        schema_id, body = schema_of(visitor.bus).id, avro_of(visitor.bus)
        headers = {**BINARY, "content-type": AVRO}
        if framed:
            body = framing.frame(schema_id, body)
        else:
            headers["ce-dataschema"] = f"https://registry.example/apis/ccompat/v7/schemas/ids/{schema_id}"
        assert (await visitor.post(body, headers)).status_code == 200
        inside = structured(datacontenttype=AVRO, data_base64=base64.b64encode(body).decode())
        del inside["data"]
        inside |= {"dataschema": headers["ce-dataschema"]} if not framed else {}
        assert (await visitor.post(json.dumps(inside).encode(), {"content-type": STRUCTURED})).status_code == 200
        assert len({one.value for one in visitor.bus.sent}) == 1
        assert "ce_dataschema" not in headers_of(visitor.bus.sent[0])


async def test_the_partition_key_becomes_the_kafka_key_and_stays(tmp_path: Path) -> None:
    async with visiting(tmp_path) as visitor:
        await visitor.post(JSON, {**BINARY, "ce-partitionkey": "station-7"})
        (event,) = visitor.bus.sent
        assert (event.key, headers_of(event)["ce_partitionkey"]) == (b"station-7", b"station-7")


async def test_a_part_of_the_system_may_be_the_source(tmp_path: Path) -> None:
    async with visiting(tmp_path) as visitor:
        await visitor.post(JSON, {**BINARY, "ce-source": f"urn:lintas:{BMKG}/jakarta"})
        assert headers_of(visitor.bus.sent[0])["ce_source"] == f"urn:lintas:{BMKG}/jakarta".encode()


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € 😀"),  # the binding's own example
        ('"quoted \\"text\\""', 'quoted "text"'),
        ("%2525", "%25"),  # decoded once
        ("a b", "a b"),  # should have been encoded; nothing is lost
    ],
)
async def test_attributes_in_headers_are_decoded_as_the_binding_says(tmp_path: Path, written: str, meant: str) -> None:
    async with visiting(tmp_path) as visitor:
        assert (await visitor.post(JSON, {**BINARY, "ce-note": written})).status_code == 200
        assert headers_of(visitor.bus.sent[0])["ce_note"].decode() == meant


@pytest.mark.parametrize(
    ("headers", "problem"),
    [
        ({"ce-note": "%C0%A0"}, ("note", "utf-8")),  # overlong
        ({"ce-note": "%zz"}, ("note", "percent")),
        ({"ce-note": "100%"}, ("note", "percent")),
        ({"ce-id": ""}, ("id", "empty")),
        ({"ce-specversion": "0.3"}, ("specversion", "specversion")),
        ({"ce-time": "yesterday"}, ("time", "time")),
        ({"ce-subject": "Bali"}, ("subject", "subject")),  # not what the payload says
        ({"ce-my_note": "x"}, ("", "attribute-name")),
    ],
)
async def test_a_broken_attribute_is_named_and_nothing_is_published(
    tmp_path: Path, headers: dict[str, str], problem: tuple[str, str]
) -> None:
    async with visiting(tmp_path) as visitor:
        answer = await visitor.post(JSON, {**BINARY, **headers})
        assert answer.status_code == 400
        assert answer.headers["content-type"] == "application/problem+json"
        assert problem in list(errors_of(answer))
        assert visitor.bus.sent == []


async def test_an_attribute_that_is_given_twice_is_refused(tmp_path: Path) -> None:
    async with visiting(tmp_path) as visitor:
        answer = await visitor.post(JSON, [*BINARY.items(), ("ce-id", "q2")])
        assert list(errors_of(answer)) == [("id", "duplicate")]
        twice = await visitor.post(JSON, [*BINARY.items(), ("content-type", "application/json")])
        assert twice.status_code == 400


async def test_all_problems_of_envelope_and_data_are_told_at_once(tmp_path: Path) -> None:
    async with visiting(tmp_path) as visitor:
        broken = {**QUAKE, "latitude": "south", "depth_km": None, "extra": 1}
        answer = await visitor.post(json.dumps(broken).encode(), {**BINARY, "ce-time": "soon", "ce-id": ""})
        assert answer.status_code == 422
        assert set(errors_of(answer)) >= {
            ("time", "time"),
            ("id", "empty"),
            ("data.latitude", "type"),
            ("data.depth_km", "type"),
            ("data.extra", "unknown-field"),
        }
        for value in ("south", "soon", "Java"):
            assert value not in answer.text
        assert {"type", "title", "status", "detail", "cause", "remedy"} <= answer.json().keys()


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"{", {}, 400),
        (b'{"a": NaN}', {}, 400),
        (b'{"a": 1, "a": 2}', {}, 400),
        (b"\xff", {}, 400),
        (b"[" * 100_000, {}, 400),
        (b"", {}, 422),  # no data
        (JSON, {"content-type": "text/plain"}, 415),
        (JSON, {"content-type": "application/json; charset=utf-16"}, 415),
        (JSON, {"content-type": "application/cloudevents+avro"}, 415),
        (JSON, {"content-encoding": "gzip"}, 415),
        (b"\x00\x00\x00\x00\x63rest", {"content-type": AVRO}, 422),  # an unknown schema id
        (b"\x01", {"content-type": AVRO}, 422),
        (JSON, {"ce-dataschema": "https://example.go.id/schema"}, 422),
        (b'"' + b"x" * 9_000_000 + b'"', {}, 413),
    ],
)
async def test_what_cannot_be_read_is_refused(
    tmp_path: Path, content: bytes, headers: dict[str, str], status: int
) -> None:
    async with visiting(tmp_path) as visitor:
        answer = await visitor.post(content, {**BINARY, **headers})
        assert answer.status_code == status
        assert answer.json()["status"] == status
        assert answer.headers.get("accept-encoding") == ("identity" if status == 415 else None)
        assert visitor.bus.sent == []


async def test_a_body_that_is_no_json_hides_no_problem_of_the_attributes(tmp_path: Path) -> None:
    async with visiting(tmp_path) as visitor:
        answer = await visitor.post(b"{", {**BINARY, "ce-id": "", "ce-time": "soon"})
        assert (answer.status_code, set(errors_of(answer))) == (400, {("id", "empty"), ("time", "time")})


async def test_another_s_event_type_and_another_s_name_are_refused(tmp_path: Path) -> None:
    async with visiting(tmp_path) as visitor:
        other = await visitor.post(JSON, {**BINARY, "ce-source": f"urn:lintas:{DUKCAPIL}"}, DUKCAPIL)
        assert (other.status_code, list(errors_of(other))) == (403, [("type", "not-entitled")])
        pretended = await visitor.post(JSON, {**BINARY, "ce-source": f"urn:lintas:{DUKCAPIL}"})
        assert (pretended.status_code, list(errors_of(pretended))) == (403, [("source", "not-entitled")])
        unknown = await visitor.post(JSON, {**BINARY, "ce-type": "id.go.nobody.nothing.v1"})
        assert unknown.status_code == 403
        assert visitor.bus.sent == []


async def test_of_a_batch_with_one_broken_event_nothing_is_published_and_every_event_is_told_of(tmp_path: Path) -> None:
    async with visiting(tmp_path) as visitor:
        batch: list[Any] = [structured(1), structured(2, time="soon"), structured(3, data={}), 7]
        answer = await visitor.post(json.dumps(batch).encode(), {"content-type": BATCH})
        assert answer.status_code == 422
        results = answer.json()["results"]
        assert [(one["index"], one["published"]) for one in results] == [(n, "no") for n in range(4)]
        assert [one.get("status") for one in results] == [None, 400, 422, 400]
        assert len(results[2]["errors"]) >= 7
        assert visitor.bus.sent == []


async def test_what_cannot_be_read_counts_as_an_event(tmp_path: Path) -> None:
    async with visiting(tmp_path, gateway_events_per_second=0.1) as visitor:
        answers = [(await visitor.post(b"{", BINARY)).status_code for _ in range(3)]
        assert answers == [400, 400, 429]


async def test_an_empty_batch_publishes_nothing(tmp_path: Path) -> None:
    async with visiting(tmp_path) as visitor:
        answer = await visitor.post(b"[]", {"content-type": BATCH})
        assert (answer.status_code, answer.json()) == (200, {"published": 0, "results": []})


async def test_a_batch_is_limited_in_events_and_an_event_in_bytes(tmp_path: Path) -> None:
    async with visiting(tmp_path, gateway_batch_events=2) as visitor:
        many = await visitor.post(json.dumps([structured(n) for n in range(3)]).encode(), {"content-type": BATCH})
        assert many.status_code == 413
        large = await visitor.post(json.dumps({**QUAKE, "region": "x" * 1_000_000}).encode(), BINARY)
        assert (large.status_code, list(errors_of(large))) == (413, [("", "size")])


async def test_what_kafka_does_not_confirm_is_told_event_by_event_and_the_publisher_is_replaced(tmp_path: Path) -> None:
    bus = MemoryBus()
    bus.refusing = {"q2": NotAcknowledged(id="q2", topic="t", reason="no answer")}
    async with visiting(tmp_path, bus) as visitor:
        batch = json.dumps([structured(n) for n in (1, 2, 3)]).encode()
        answer = await visitor.post(batch, {"content-type": BATCH})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert [one["published"] for one in answer.json()["results"]] == ["yes", "unknown", "no"]
        assert bus.retired == [BMKG]
        alone = await visitor.post(json.dumps(structured(2)).encode(), {"content-type": STRUCTURED})
        assert (alone.status_code, alone.json()["published"]) == (503, "unknown")


async def test_an_acknowledgement_that_does_not_come_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    bus = MemoryBus()
    bus.silent = True
    async with visiting(tmp_path, bus, gateway_request_seconds=0.4) as visitor:
        answer = await visitor.post(JSON, BINARY)
        assert (answer.status_code, answer.json()["published"]) == (503, "unknown")


async def test_what_becomes_of_an_event_that_nobody_waits_for_any_more_is_no_error_of_the_gateway(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bus, told, loop = MemoryBus(), list[Any](), asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: told.append(context))
    receipts: list[asyncio.Future[Receipt]] = [loop.create_future()]

    async def send_prepared(_: Prepared) -> asyncio.Future[Receipt]:
        return receipts[0]

    monkeypatch.setattr(bus, "send_prepared", send_prepared)
    event = Prepared("t", "q1", b"", b"", [])
    with pytest.raises(TimeoutError):  # of the whole request, before that of the acknowledgements
        await asyncio.wait_for(publishing.send_all(bus, [event], 60), 0.01)
    receipts.pop().set_exception(NotAcknowledged(id="q1", topic="t", reason="no answer"))
    await asyncio.sleep(0)
    gc.collect()
    assert told == []


async def test_a_right_that_was_withdrawn_meanwhile_is_kafka_s_to_refuse(tmp_path: Path) -> None:
    bus = MemoryBus()
    bus.refusing = {"q1": NotEntitled(principal=BMKG, action="publish to", topic="t")}
    async with visiting(tmp_path, bus) as visitor:
        assert (await visitor.post(JSON, BINARY)).status_code == 403
