"""The envelope: laws, limits and manners. What the CloudEvents text says itself is in tests/conformance."""

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.wire.envelope import binary_headers, parse, structured
from schemas.wire.errors import MalformedEnvelope

REQUIRED = {"id": "1", "source": "urn:lintas:dukcapil.siak", "specversion": "1.0", "type": "id.go.x.born.v1"}
Headers = list[tuple[str, bytes]]

# String of CloudEvents' type system, without what it forbids.
texts = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]).filter(
        lambda char: ord(char) & 0xFFFE != 0xFFFE and not 0xFDD0 <= ord(char) <= 0xFDEF
    ),
    min_size=1,
)
names = st.from_regex(r"[a-z0-9]{1,20}", fullmatch=True).filter(
    lambda name: name not in {*REQUIRED, "data", "subject", "time", "dataschema", "datacontenttype"}
)
attributes = st.builds(
    lambda required, optional, extensions: extensions | required | optional,
    st.fixed_dictionaries(
        {
            "id": texts,
            "source": st.sampled_from(["urn:lintas:a.b", "/mycontext", "https://example.go.id/a?b#c", "%C3%A9"]),
            "specversion": st.just("1.0"),
            "type": texts,
        }
    ),
    st.fixed_dictionaries(
        {},
        optional={
            "subject": texts,
            "time": st.sampled_from(["2026-11-24T01:02:03Z", "2016-12-31T23:59:60z", "2026-11-24t08:02:03.5+07:00"]),
            "dataschema": st.sampled_from(["urn:x:y", "https://example.go.id/schema?v=1"]),
            "datacontenttype": st.sampled_from(["application/json", "application/avro", 'text/plain; charset="x;y"']),
        },
    ),
    st.dictionaries(names, texts | st.just(""), max_size=4),
)


def problems_of(headers: Headers, value: bytes | None = b"") -> dict[str, str]:
    with pytest.raises(MalformedEnvelope) as caught:
        parse(headers, value)
    assert caught.value.stage == "envelope"
    return {problem.path: problem.rule for problem in caught.value.problems}


def event(**members: Any) -> bytes:
    return json.dumps(REQUIRED | members).encode()


STRUCTURED = [("content-type", b"application/cloudevents+json")]


@given(attributes, st.none() | st.binary())
def test_binary_headers_are_read_as_they_were_written(attributes: dict[str, str], data: bytes | None) -> None:
    envelope = parse(binary_headers(attributes), data)
    assert envelope.attributes == attributes
    assert envelope.data == data
    assert not envelope.has_json_data


@given(attributes, st.none() | st.binary())
def test_structured_events_with_bytes_are_read_as_they_were_written(
    attributes: dict[str, str], data: bytes | None
) -> None:
    envelope = parse(*structured(attributes, data))
    assert (envelope.attributes, envelope.data, envelope.has_json_data) == (attributes, data, False)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@given(attributes, json_values)
def test_structured_events_with_json_are_read_as_they_were_written(attributes: dict[str, str], data: Any) -> None:
    attributes = attributes | {"datacontenttype": "application/vnd.lintas+json"}
    envelope = parse(*structured(attributes, None, data))
    assert (envelope.attributes, envelope.data) == (attributes, None)
    assert envelope.has_json_data
    assert envelope.json_data == data


@given(st.lists(st.tuples(st.text(), st.none() | st.binary())), st.none() | st.binary())
def test_whatever_comes_is_an_event_or_malformed(headers: Headers, value: bytes | None) -> None:
    try:
        parse(headers, value)
    except MalformedEnvelope as error:
        assert error.problems  # noqa: PT017  either way is right


@given(st.recursive(json_values, lambda inner: st.dictionaries(st.sampled_from([*REQUIRED, "data", "x"]), inner)))
def test_whatever_json_comes_is_an_event_or_malformed(value: Any) -> None:
    try:
        parse(STRUCTURED, json.dumps(value).encode())
    except MalformedEnvelope as error:
        assert error.problems  # noqa: PT017  either way is right


def test_every_problem_is_told_at_once() -> None:
    headers = [
        ("ce_id", b""),
        ("ce_source", b"a b"),
        ("ce_time", b"2026-02-30T00:00:00Z"),
        ("ce_subject", b"\xff"),
        ("ce_traceparent", b"\x01"),
        ("ce_BAD", b"x"),
        ("ce_type", b"t"),
        ("ce_type", b"t"),
        ("content-type", b"avro"),
    ]
    assert problems_of(headers) == {
        "envelope.id": "empty",
        "envelope.source": "uri-reference",
        "envelope.time": "time",
        "envelope.subject": "utf-8",
        "envelope.traceparent": "string",
        "envelope": "attribute-name",
        "envelope.type": "duplicate",
        "envelope.datacontenttype": "media-type",
        "envelope.specversion": "required",
    }


def test_every_problem_of_a_structured_event_is_told_at_once() -> None:
    value = event(id=7, source="a b", time=None, x1=2**31, x2=1.5, x3=[], subject="", data=1, data_base64="%")
    assert problems_of(STRUCTURED, value) == {
        "envelope.id": "type",
        "envelope.source": "uri-reference",
        "envelope.x1": "type",
        "envelope.x2": "type",
        "envelope.x3": "type",
        "envelope.subject": "empty",
        "envelope.data": "two-payloads",
        "envelope.data_base64": "base64",
    }


def test_no_message_repeats_a_value_or_an_implausible_name() -> None:
    secret = "3273012411950001"
    headers = [(f"ce_{name}", f"{secret}\x01 ä".encode()) for name in (*REQUIRED, "time", "dataschema", f"X {secret}")]
    with pytest.raises(MalformedEnvelope) as caught:
        parse(headers, None)
    assert secret not in str(caught.value)
    assert secret not in repr(caught.value.problems)


def test_the_same_value_is_judged_for_each_attribute_anew() -> None:
    """Verdicts are remembered: a text that is a fine type may still be no source."""
    spaced = b"a b"
    assert parse(binary_headers(REQUIRED | {"type": "a b"}), None).type == "a b"
    assert problems_of([*binary_headers(REQUIRED)[:1], *binary_headers(REQUIRED)[2:], ("ce_source", spaced)]) == {
        "envelope.source": "uri-reference"
    }


def test_headers_that_are_not_cloudevents_are_left_alone() -> None:
    headers: Headers = [("lintas-salt", b"\xff"), ("CE_ID", b"2"), ("Content-Type", b"x"), ("ce-id", b"3"), ("ce", b"")]
    assert parse(headers + binary_headers(REQUIRED), None).attributes == REQUIRED


def test_properties_give_the_attributes() -> None:
    envelope = parse(binary_headers(REQUIRED | {"subject": "s", "time": "2026-11-24T01:02:03Z"}), None)
    assert (envelope.id, envelope.source, envelope.type) == ("1", REQUIRED["source"], REQUIRED["type"])
    assert (envelope.subject, envelope.time) == ("s", "2026-11-24T01:02:03Z")
    bare = parse(binary_headers(REQUIRED), None)
    assert (bare.subject, bare.time) == (None, None)


def test_json_null_is_told_from_no_data() -> None:
    null, none = parse(STRUCTURED, event(data=None)), parse(STRUCTURED, event())
    assert (null.has_json_data, null.json_data, null.data) == (True, None, None)
    assert (none.has_json_data, none.json_data, none.data) == (False, None, None)


@pytest.mark.parametrize(
    "value",
    [
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"id": ' + b"9" * 100_000 + b"}",
        b'{"x": 1e999}',
        b"{}" * 2,
        b'{"id": NaN}',
        b"\xff",
        b"\xef\xbb\xbf{}",  # a byte order mark
        b"",
        b"[]",
        b"null",
    ],
)
def test_what_is_no_json_object_is_refused_in_no_time(value: bytes) -> None:
    started = time.perf_counter()
    assert problems_of(STRUCTURED, value)
    assert time.perf_counter() - started < 2


@pytest.mark.parametrize(
    "text",
    ["a" * 200_000, "%" * 200_000, "a:" * 100_000, "//" + "a:" * 100_000, "//[" + ":" * 100_000, 'a/b;c="' * 30_000],
)
def test_long_texts_are_judged_in_no_time(text: str) -> None:
    started = time.perf_counter()
    for name in ("source", "dataschema", "datacontenttype", "time"):
        try:
            parse(binary_headers(REQUIRED | {name: text}), None)
        except MalformedEnvelope:
            continue
    assert time.perf_counter() - started < 2


def test_an_event_has_one_payload() -> None:
    with pytest.raises(ValueError, match="one payload"):
        structured(REQUIRED, b"x", {"a": 1})
