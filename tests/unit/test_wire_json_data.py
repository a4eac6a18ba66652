"""Natural JSON: what people write, what they are told, and what they get back."""

import datetime as dt
import json
import math
import time
import uuid
from decimal import Decimal
from typing import Any

import pytest
from avro_strategies import Typed, typed_schemas
from hypothesis import given
from hypothesis import strategies as st

from schemas.wire.codec import Codec
from schemas.wire.errors import MalformedData
from schemas.wire.json_data import from_json, to_json

NIK = {"type": "string", "logicalType": "nik"}
DATE = {"type": "int", "logicalType": "date"}
MILLIS = {"type": "long", "logicalType": "timestamp-millis"}
LOCAL = {"type": "long", "logicalType": "local-timestamp-millis"}
TIME = {"type": "int", "logicalType": "time-millis"}
UUID = {"type": "string", "logicalType": "uuid"}
MONEY = {"type": "bytes", "logicalType": "decimal", "precision": 5, "scale": 2}
COLOUR = {"type": "enum", "name": "Colour", "symbols": ["red", "green"]}
HASH = {"type": "fixed", "name": "Hash", "size": 2}


def refusal(schema: Any, value: Any) -> list[tuple[str, str]]:
    with pytest.raises(MalformedData) as caught:
        from_json(Codec(schema), value)
    return [(problem.path, problem.rule) for problem in caught.value.problems]


@given(typed_schemas(ambiguous_unions=False), st.data())
def test_from_json_gives_back_what_to_json_wrote(typed: Typed, data: st.DataObject) -> None:
    codec, value = Codec(typed.schema), data.draw(typed.values)
    text = json.dumps(to_json(codec, value), allow_nan=False)
    assert from_json(codec, json.loads(text)) == value


@given(
    typed_schemas(),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=8,
    ),
)
def test_any_json_is_a_value_that_can_be_encoded_or_malformed(typed: Typed, value: Any) -> None:
    codec = Codec(typed.schema)
    try:
        data = from_json(codec, value)
    except MalformedData as error:
        assert error.problems  # noqa: PT017  either way is right
    else:
        assert codec.check(data) == []


@pytest.mark.parametrize(
    ("schema", "value", "data"),
    [
        (DATE, "2026-11-24", dt.date(2026, 11, 24)),
        (MILLIS, "2026-11-24T01:02:03Z", dt.datetime(2026, 11, 24, 1, 2, 3, tzinfo=dt.UTC)),
        (MILLIS, "2026-11-24T08:02:03.25+07:00", dt.datetime(2026, 11, 24, 1, 2, 3, 250_000, tzinfo=dt.UTC)),
        (MILLIS, "2016-12-31T23:59:60Z", dt.datetime(2017, 1, 1, tzinfo=dt.UTC)),
        (LOCAL, "2026-11-24T08:02:03", dt.datetime(2026, 11, 24, 8, 2, 3)),  # noqa: DTZ001  without a zone
        (TIME, "08:30:00", dt.time(8, 30)),
        (TIME, "08:30:00.125", dt.time(8, 30, 0, 125_000)),
        (MONEY, "12.50", Decimal("12.50")),
        (MONEY, "-0.5", Decimal("-0.5")),
        (MONEY, 12, Decimal(12)),
        ("bytes", "AAH+/w==", b"\x00\x01\xfe\xff"),
        (HASH, "eHk=", b"xy"),
        (COLOUR, "red", "red"),
        (UUID, "01234567-89AB-4def-8123-456789abcdef", uuid.UUID("01234567-89ab-4def-8123-456789abcdef")),
        ("double", 1, 1),
        ("double", "Infinity", math.inf),
        ("float", "-Infinity", -math.inf),
        (["null", DATE], None, None),
        (["null", DATE], "2026-11-24", dt.date(2026, 11, 24)),
        ([DATE, "string"], "2026-11-24", dt.date(2026, 11, 24)),
        ([DATE, "string"], "soon", "soon"),
        (["double", "long"], 1, 1),
        ({"type": "map", "values": DATE}, {"a": "2026-11-24"}, {"a": dt.date(2026, 11, 24)}),
    ],
)
def test_json_means_what_people_mean(schema: Any, value: Any, data: Any) -> None:
    read = from_json(Codec(schema), value)
    assert read == data
    assert type(read) is type(data)


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ("null", 0),
        ("boolean", 1),
        ("boolean", "true"),
        ("int", 1.0),
        ("int", "1"),
        ("int", True),
        ("string", 1),
        ("double", "1.5"),
        ("double", True),
        ("double", math.inf),  # 1e999 in a JSON text
        ("double", math.nan),
        ("bytes", "AAH+/w"),
        ("bytes", "A A="),
        ("bytes", [1]),
        (DATE, "2026-13-01"),
        (DATE, "2026-02-30"),
        (DATE, "20261124"),
        (DATE, "2026-W48-2"),  # Python takes it for a date
        (DATE, "2026-11-24T00:00:00Z"),
        (DATE, 20781),
        (MILLIS, "2026-11-24"),
        (MILLIS, "2026-11-24T01:02:03"),
        (MILLIS, "2026-11-24 01:02:03Z"),
        (MILLIS, 1_795_478_400_000),
        (MILLIS, "0001-01-01T00:00:00+07:00"),
        (LOCAL, "2026-11-24T01:02:03Z"),
        (TIME, "8:30"),
        (TIME, "24:00:00"),
        (TIME, "08:30:00Z"),
        (MONEY, 12.5),  # has already lost what it was
        (MONEY, "12,50"),
        (MONEY, " 12.50"),
        (MONEY, "1e2"),
        (MONEY, "1_0"),
        (MONEY, "NaN"),
        (MONEY, True),
        (UUID, "0123456789ab4def8123456789abcdef"),
        (COLOUR, 1),
        ({"type": "array", "items": "int"}, {"0": 1}),
        ({"type": "map", "values": "int"}, [1]),
    ],
)
def test_json_of_the_wrong_type_or_form_is_refused(schema: Any, value: Any) -> None:
    assert refusal(schema, value) == [("", "type")]


PERSON = {
    "type": "record",
    "name": "Person",
    "fields": [
        {"name": "nik", "type": NIK},
        {"name": "born", "type": ["null", DATE], "default": None},
        {"name": "income", "type": MONEY, "default": "\u0000"},
        {"name": "children", "type": {"type": "array", "items": "Person"}, "default": []},
        {"name": "papers", "type": {"type": "map", "values": "bytes"}, "default": {}},
    ],
}


def test_every_problem_is_told_with_its_place() -> None:
    value = {
        "nik": "x",
        "born": "yesterday",
        "income": "1.005",
        "children": [{"born": "2026-11-24"}, {"nik": "3273012411950001", "age": 3}, None],
        "papers": {"passport": "?"},
        "name": "Siti",
    }
    assert refusal(PERSON, value) == [
        ("nik", "nik"),
        ("born", "type"),
        ("income", "decimal"),
        ("children[0].nik", "missing-field"),
        ("children[1].age", "unknown-field"),
        ("children[2]", "type"),
        ("papers{}", "type"),
        ("name", "unknown-field"),
    ]


def test_no_message_repeats_a_value_and_each_says_what_is_expected() -> None:
    secret = "3273012411950000"
    with pytest.raises(MalformedData) as caught:
        from_json(Codec(PERSON), {"nik": secret, "born": secret, "income": secret, "papers": secret, secret: 1})
    assert secret not in str(caught.value)
    assert "born: must be a date such as 2026-11-24" in str(caught.value)


def test_missing_fields_are_filled_and_nobody_shares_them() -> None:
    codec = Codec(PERSON)
    value = {"nik": "3273012411950001"}
    first = from_json(codec, value)
    assert first == value | {"born": None, "income": Decimal(0), "children": [], "papers": {}}
    first["children"].append("spoilt")
    assert from_json(codec, value)["children"] == []


def test_of_a_union_of_records_the_first_that_fits_is_meant() -> None:
    schema = [
        {"type": "record", "name": "Person", "fields": [{"name": "nik", "type": NIK}]},
        {"type": "record", "name": "Firm", "fields": [{"name": "founded", "type": DATE}]},
    ]
    codec = Codec(schema)
    data = from_json(codec, {"founded": "2026-11-24"})
    assert data == {"founded": dt.date(2026, 11, 24)}
    assert codec.encode(data)[0] == 2
    assert refusal(schema, {"founded": "now"}) == [("founded", "type")]
    assert refusal(schema, {"nik": "x"}) == [("nik", "nik")]
    assert refusal(schema, None) == [("", "type")]


def test_hostile_nesting_is_refused_in_no_time() -> None:
    branch = [{"name": "in", "type": ["Plus", "Minus", "null"]}]
    inner = {"type": "record", "name": "Minus", "fields": branch}
    schema = {"type": "record", "name": "Plus", "fields": [{"name": "in", "type": ["null", "Plus", inner]}]}
    value: Any = {"in": "neither"}
    for _ in range(90):
        value = {"in": value}
    started = time.perf_counter()
    assert refusal(schema, value)
    assert time.perf_counter() - started < 3
    for _ in range(300):
        value = {"in": value}
    assert refusal(schema, value)


def test_numbers_that_json_lacks_are_texts() -> None:
    codec = Codec({"type": "array", "items": "double"})
    assert to_json(codec, [math.nan, math.inf, -math.inf, 1.5]) == ["NaN", "Infinity", "-Infinity", 1.5]
    assert math.isnan(from_json(codec, ["NaN"])[0])
