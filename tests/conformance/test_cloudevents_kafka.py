"""CloudEvents on Kafka, by the text: the vectors of cloudevents_kafka.yaml."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from schemas.wire.envelope import binary_headers, parse, structured
from schemas.wire.errors import MalformedEnvelope
from schemas.wire.moments import is_moment
from schemas.wire.uris import is_uri_reference

VECTORS = yaml.safe_load(Path(__file__).with_name("cloudevents_kafka.yaml").read_text(encoding="utf-8"))
REQUIRED = {"specversion": "1.0", "type": "com.example.someevent", "source": "/mycontext", "id": "1"}


def as_bytes(content: Any) -> Any:
    return content.encode() if isinstance(content, str) else content


def headers_of(vector: dict[str, Any]) -> list[tuple[str, bytes]]:
    return [(name, as_bytes(content)) for name, content in vector.get("headers", [])]


def expect(
    vector: dict[str, Any], headers: list[tuple[str, bytes]], value: bytes | None, given: dict[str, str]
) -> None:
    if "problems" in vector:
        with pytest.raises(MalformedEnvelope) as caught:
            parse(headers, value)
        assert {problem.path: problem.rule for problem in caught.value.problems} == vector["problems"]
        return
    event, envelope = vector["event"], parse(headers, value)
    assert envelope.attributes == given | event["attributes"]
    assert envelope.has_json_data == ("json_data" in event)
    assert envelope.json_data == event.get("json_data")
    if "data" in event:
        assert envelope.data == as_bytes(event["data"])


def named(vectors: list[dict[str, Any]]) -> list[Any]:
    return [pytest.param(vector, id=f"{number}: {vector['says']}") for number, vector in enumerate(vectors)]


@pytest.mark.parametrize("vector", named(VECTORS["binary"]))
def test_binary_mode(vector: dict[str, Any]) -> None:
    headers = headers_of(vector)
    there = {name for name, _ in headers}
    given = {} if vector.get("whole") else {name: at for name, at in REQUIRED.items() if f"ce_{name}" not in there}
    value = as_bytes(vector.get("value"))
    expect(vector, headers + binary_headers(given), value, given)


@pytest.mark.parametrize("vector", named(VECTORS["structured"]))
def test_structured_mode(vector: dict[str, Any]) -> None:
    content_type = vector.get("content_type", "application/cloudevents+json")
    headers = [("content-type", content_type.encode()), *headers_of(vector)]
    given = {} if vector.get("whole") or "value" in vector else REQUIRED
    value = as_bytes(vector["value"]) if "value" in vector else json.dumps(given | vector["json"]).encode()
    expect(vector, headers, value, given)


@pytest.mark.parametrize("text", VECTORS["moments"]["good"])
def test_a_moment_of_rfc_3339(text: str) -> None:
    assert is_moment(text)
    assert parse(binary_headers(REQUIRED | {"time": text}), None).time == text


@pytest.mark.parametrize("text", VECTORS["moments"]["bad"])
def test_no_moment_of_rfc_3339(text: str) -> None:
    assert not is_moment(text)


@pytest.mark.parametrize("text", VECTORS["uri_references"]["good"])
def test_a_reference_of_rfc_3986(text: str) -> None:
    assert is_uri_reference(text)


@pytest.mark.parametrize("text", VECTORS["uri_references"]["bad"])
def test_no_reference_of_rfc_3986(text: str) -> None:
    assert not is_uri_reference(text)


def test_the_example_of_binary_mode_is_written_as_the_binding_shows_it() -> None:
    """Binding 3.2.5."""
    example = VECTORS["binary"][0]
    assert sorted(binary_headers(example["event"]["attributes"])) == sorted(headers_of(example))


def test_structured_mode_is_written_as_the_binding_shows_it() -> None:
    """Binding 3.3.1 and 3.3.2, JSON format 3.1.1."""
    headers, value = structured(REQUIRED, b"\x00\xff")
    assert headers == [("content-type", b"application/cloudevents+json; charset=UTF-8")]
    assert json.loads(value) == REQUIRED | {"data_base64": "AP8="}
    assert json.loads(structured(REQUIRED, None)[1]) == REQUIRED
    assert json.loads(structured(REQUIRED, None, None)[1]) == REQUIRED | {"data": None}
