"""Headers recognised by their shape are what reading them in full would have said."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.wire import envelope, trace_context
from schemas.wire.errors import MalformedEnvelope
from streams.envelope_shapes import Match, layout_of, shape_of
from streams.record_format import content

GOOD: list[tuple[str, bytes]] = [
    ("content-type", b"application/avro"),
    ("ce_specversion", b"1.0"),
    ("ce_id", b"e-1"),
    ("ce_source", b"urn:lintas:a.pub"),
    ("ce_type", b"id.go.a.thing.v1"),
    ("ce_subject", b"Siti"),
    ("ce_time", b"2026-11-24T01:02:03.004Z"),
    ("ce_priority", b""),
    ("ce_traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
    ("tracing", b"00-1"),
    ("a-header-with-a-long-name", b"x"),
]


def shape() -> Match:
    layout = layout_of(GOOD)
    assert layout is not None
    return shape_of(layout)


def recognised(match: Match, headers: list[Any]) -> Any:
    record = content(b"k", b"v", headers)
    try:
        return match(record, 4, len(record))
    except IndexError:
        return None


TIMES = st.one_of(
    st.datetimes().map(lambda moment: moment.isoformat().encode() + b"Z"),
    st.builds(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}{}{}".format,
        st.integers(0, 9999),
        st.integers(0, 13),
        st.integers(0, 32),
        st.integers(0, 25),
        st.integers(0, 61),
        st.integers(0, 61),
        st.sampled_from(["", ".1", ".123456789", "."]),
        st.sampled_from(["Z", "+07:00", "-00:00", "+14:59", "+23:59", "", "z"]),
    ).map(str.encode),
    st.binary(max_size=30),
)
VALUES = st.one_of(st.binary(max_size=80), st.text(max_size=40).map(lambda text: text.encode(errors="replace")))


@given(st.data())
def test_what_is_recognised_is_well_formed_and_has_the_attributes_of_the_full_reading(data: st.DataObject) -> None:
    match, changed = shape(), dict(GOOD)
    for name in data.draw(st.lists(st.sampled_from([name for name, _ in GOOD if name != "ce_source"]), max_size=3)):
        changed[name] = data.draw(TIMES if name == "ce_time" else VALUES)
    headers = data.draw(st.sampled_from([list(changed.items()), list(changed.items())[:-1]]))
    found = recognised(match, headers)
    if found is None:
        return
    read = envelope.parse(headers, b"v")
    values = [read.source, read.id, read.subject, read.time]
    assert [None if one is None else one.decode() for one in found[:4]] == values
    for name, value, header in zip(("source", "id", "subject", "time"), values, found[4:8], strict=True):
        wanted = None if value is None else content(None, None, [(f"ce_{name}", value.encode())])[3:]
        assert header == wanted
    traceparent = read.attributes.get("traceparent")
    assert found[8] == (None if traceparent is None else traceparent.encode())
    assert traceparent is None or trace_context.is_valid(traceparent)


@pytest.mark.parametrize(
    "changes",
    [
        {"ce_id": b"another"},
        {"ce_subject": b"x" * 300},
        {"ce_time": b"2026-12-31T23:59:59+07:00"},
        {"ce_time": b"2026-01-30T00:00:00.123456Z"},
        {"tracing": b"anything printable with a-header-with-a-long-name"},
        {"a-header-with-a-long-name": b""},
        {"ce_source": b"urn:lintas:a.pub/of/1"},
        {"ce_traceparent": b"00-ffffffffffffffffffffffffffffffff-ffffffffffffffff-00"},
    ],
)
def test_the_values_that_vary_may_vary(changes: dict[str, bytes]) -> None:
    assert recognised(shape(), list((dict(GOOD) | changes).items())) is not None


@pytest.mark.parametrize(
    "changes",
    [
        {"ce_type": b"id.go.a.other.v1"},
        {"ce_id": b""},
        {"ce_id": b"line\nbreak"},
        {"tracing": b"\xff"},
        {"ce_id": b"x" * 5_000},
        {"ce_subject": "é".encode()},  # well-formed, but for the full reading to say
        {"ce_time": b"2026-02-29T00:00:00Z"},
        {"ce_time": b"2026-02-30T00:00:00Z"},
        {"ce_time": b"2026-04-31T00:00:00Z"},
        {"ce_time": b"0000-01-01T00:00:00Z"},
        {"ce_traceparent": b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1"},
        {"ce_traceparent": b"01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
        {"ce_traceparent": b"00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01"},
        {"ce_traceparent": b"00-00000000000000000000000000000000-00f067aa0ba902b7-01"},
        {"ce_traceparent": b"00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01"},
    ],
)
def test_whatever_is_not_exactly_so_is_left_to_the_full_reading(changes: dict[str, bytes]) -> None:
    assert recognised(shape(), list((dict(GOOD) | changes).items())) is None


def test_headers_that_end_before_or_behind_the_record_are_not_recognised() -> None:
    match, record = shape(), content(b"k", b"v", GOOD)
    assert match(record, 4, len(record) - 1) is None
    assert match(record + b"x", 4, len(record) + 1) is None


def test_headers_without_value_or_given_twice_have_no_shape() -> None:
    assert layout_of([*GOOD, ("a", None)]) is None
    assert layout_of([*GOOD, GOOD[2]]) is None


def test_the_full_reading_refuses_what_the_shape_does() -> None:
    with pytest.raises(MalformedEnvelope):
        envelope.parse([("ce_time", b"2026-02-30T00:00:00Z"), *GOOD[:6]], b"v")
