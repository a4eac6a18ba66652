import dataclasses
import json
import urllib.parse

from hypothesis import given
from hypothesis import strategies as st
from lintas_client.testing import InMemoryBus
from webhook_world import delivery

from connectors.plugins.webhook.notification import header_text, notification, webhook_id
from schemas.wire import envelope

SCHEMA = {
    "type": "record",
    "name": "Birth",
    "fields": [
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "fee", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}},
        {"name": "name", "type": "string"},
    ],
}
TYPE = "id.go.a.birth.registered.v1"
DATA = {"at": "2026-11-26T01:02:03.000Z", "fee": "12.50", "name": "Ć"}


async def test_binary_mode_has_natural_json_as_body_and_attributes_as_headers() -> None:
    bus = InMemoryBus({TYPE: SCHEMA})
    await bus.deliver("b.all", TYPE, DATA, id="e 1", subject="Euro € 😀")
    (read,) = [one async for one in bus.subscriber("b.all")]
    sent = notification(read, "hook", structured=False)
    assert json.loads(sent.body) == DATA
    assert sent.headers["content-type"] == "application/json"
    assert sent.headers["ce-specversion"] == "1.0"
    assert sent.headers["ce-type"] == TYPE
    assert sent.headers["ce-id"] == "e%201"
    assert sent.headers["ce-subject"] == "Euro%20%E2%82%AC%20%F0%9F%98%80"  # the binding's own example
    assert "ce-datacontenttype" not in sent.headers


async def test_structured_mode_is_an_event_in_json_that_holds_everything() -> None:
    bus = InMemoryBus({TYPE: SCHEMA})
    await bus.deliver("b.all", TYPE, DATA, id="e1", subject="Ć")
    (read,) = [one async for one in bus.subscriber("b.all")]
    sent = notification(read, "hook", structured=True)
    assert sent.headers == {"content-type": "application/cloudevents+json; charset=UTF-8"}
    parsed = envelope.parse([("content-type", sent.headers["content-type"].encode())], sent.body)
    assert parsed.attributes == {**read.event, "datacontenttype": "application/json"}
    assert parsed.json_data == DATA


def test_an_event_without_payload_has_a_body_in_either_mode() -> None:
    empty = dataclasses.replace(delivery(1), data=None)
    for structured in (False, True):
        sent = notification(empty, "hook", structured=structured)
        assert sent.headers["content-type"].startswith("application/cloudevents+json")
        assert json.loads(sent.body)["id"] == "e1"
        assert "data" not in json.loads(sent.body)


def test_the_webhook_id_is_the_events_and_the_connectors_own_and_holds_no_full_stop() -> None:
    first = delivery(1)
    others = [
        webhook_id(delivery(2), "hook"),
        webhook_id(first, "other-hook"),
        webhook_id(delivery(1, source="urn:lintas:a.other"), "hook"),
        webhook_id(delivery(1, agreement="other"), "hook"),
        webhook_id(delivery(1, replay="7"), "hook"),  # given once more on purpose: no repeat
    ]
    assert len({webhook_id(first, "hook"), *others}) == 6
    assert webhook_id(dataclasses.replace(first, partition=3, offset=9), "hook") == webhook_id(first, "hook")
    assert "." not in webhook_id(delivery(1, id="a.b"), "a.b")


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"])))
def test_any_attribute_survives_as_a_header(text: str) -> None:
    written = header_text(text)
    assert all(0x21 <= ord(character) <= 0x7E and character != '"' for character in written)
    assert urllib.parse.unquote(written, errors="strict") == text


def test_the_representation_shows_nothing_of_the_event() -> None:
    assert "e1" not in repr(notification(delivery(1), "hook", structured=True))
