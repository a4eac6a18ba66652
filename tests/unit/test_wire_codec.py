"""What a codec refuses, each with its place and rule."""

import datetime as dt
import time
import tracemalloc
import uuid
from decimal import Decimal
from typing import Any

import fastavro
import pytest

from schemas.wire.codec import Codec
from schemas.wire.errors import MalformedData

NIK = {"type": "string", "logicalType": "nik"}
DATE = {"type": "int", "logicalType": "date"}
MILLIS = {"type": "long", "logicalType": "timestamp-millis"}
TIME = {"type": "int", "logicalType": "time-millis"}
UUID = {"type": "string", "logicalType": "uuid"}
MONEY = {"type": "bytes", "logicalType": "decimal", "precision": 5, "scale": 2}
FIXED_MONEY = {"type": "fixed", "name": "M", "size": 3, "logicalType": "decimal", "precision": 5, "scale": 2}
COLOUR = {"type": "enum", "name": "Colour", "symbols": ["red", "green"]}
HASH = {"type": "fixed", "name": "Hash", "size": 2}
INTS = {"type": "array", "items": "int"}
TREE = {
    "type": "record",
    "name": "Tree",
    "fields": [{"name": "left", "type": ["null", "Tree"], "default": None}],
}
BIRTH = {
    "type": "record",
    "name": "Birth",
    "fields": [
        {"name": "nik", "type": NIK},
        {"name": "parents", "type": {"type": "array", "items": {
            "type": "record", "name": "Parent", "fields": [
                {"name": "nik", "type": ["null", NIK]},
                {"name": "born", "type": DATE},
            ]}}},
        {"name": "weight", "type": ["null", "int"], "default": None},
    ],
}  # fmt: skip
GOOD = "3273012411950001"


def refusal(codec: Codec, data: Any) -> list[tuple[str, str]]:
    with pytest.raises(MalformedData) as caught:
        codec.encode(data)
    assert list(caught.value.problems) == codec.check(data)
    assert caught.value.stage == "schema"
    return [(problem.path, problem.rule) for problem in caught.value.problems]


def unreadable(codec: Codec, body: bytes) -> list[tuple[str, str]]:
    with pytest.raises(MalformedData) as caught:
        codec.decode(body)
    return [(problem.path, problem.rule) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("schema", "data", "rule"),
    [
        ("null", 0, "type"),
        ("boolean", 1, "type"),
        ("int", True, "type"),
        ("int", 1.0, "type"),
        ("int", 1.7, "type"),
        ("int", "1", "type"),
        ("int", None, "type"),
        ("int", 2**31, "range"),
        ("int", 2**40, "range"),
        ("int", -(2**31) - 1, "range"),
        ("long", 2**63, "range"),
        ("long", -(2**63) - 1, "range"),
        ("float", "1", "type"),
        ("float", True, "type"),
        ("float", 1e39, "range"),
        ("double", 10**400, "range"),
        ("bytes", "x", "type"),
        ("string", b"x", "type"),
        ("string", "\ud800", "utf-8"),
        (HASH, b"x", "size"),
        (HASH, b"xyz", "size"),
        (HASH, "xy", "type"),
        (COLOUR, "blue", "enum"),
        (COLOUR, 0, "type"),
        (INTS, "12", "type"),
        (INTS, {1: 2}, "type"),
        ({"type": "map", "values": "int"}, [1], "type"),
        (DATE, dt.datetime(2026, 11, 24, tzinfo=dt.UTC), "type"),  # datetimes are dates in Python
        (DATE, "2026-11-24", "type"),
        (DATE, 20781, "type"),
        (MILLIS, dt.datetime(2026, 11, 24), "type"),  # noqa: DTZ001  that is the point
        (MILLIS, 1_795_478_400_000, "type"),
        (MILLIS, dt.datetime(1, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=7))), "range"),
        (TIME, dt.time(1, 2, tzinfo=dt.UTC), "type"),
        ({"type": "long", "logicalType": "local-timestamp-millis"}, dt.datetime(2026, 1, 1, tzinfo=dt.UTC), "type"),
        (UUID, str(uuid.UUID(int=7)), "type"),
        (MONEY, 1.5, "type"),
        (MONEY, 1, "type"),
        (MONEY, "1.50", "type"),
        (MONEY, Decimal("1.505"), "decimal"),
        (MONEY, Decimal("0.001"), "decimal"),
        (MONEY, Decimal("1E-50"), "decimal"),
        (MONEY, Decimal("1000.00"), "decimal"),
        (MONEY, Decimal("1E+999999"), "decimal"),
        (MONEY, Decimal("NaN"), "decimal"),
        (MONEY, Decimal("sNaN"), "decimal"),
        (MONEY, Decimal("-Infinity"), "decimal"),
        (FIXED_MONEY, Decimal("1000.00"), "decimal"),
        (NIK, "3273012411950000", "nik"),
        (NIK, 3273012411950001, "type"),
        ({"type": "string", "logicalType": "region-code"}, "3273", "region-code"),
        (["null", "int"], "x", "type"),
        (["int", "string"], None, "type"),
        (["int", "string"], 2**40, "range"),  # an int was meant
        (TREE, {"right": None}, "unknown-field"),
        (TREE, [], "type"),
    ],
)
def test_a_value_that_is_not_of_the_schema_is_not_encoded(schema: Any, data: Any, rule: str) -> None:
    assert [found for _, found in refusal(Codec(schema), data)] == [rule]


def test_every_problem_is_told_with_its_place() -> None:
    data = {"nik": "x", "parents": [{"nik": None}, {"nik": "3", "born": 7, "age": 3}, 5], "weight": "heavy", "Ä ö": 1}
    assert refusal(Codec(BIRTH), data) == [
        ("nik", "nik"),
        ("parents[0].born", "missing-field"),
        ("parents[1].nik", "nik"),
        ("parents[1].born", "type"),
        ("parents[1].age", "unknown-field"),
        ("parents[2]", "type"),
        ("weight", "type"),
        ("(a field)", "unknown-field"),
    ]


def test_a_map_s_keys_are_data_and_not_told() -> None:
    codec = Codec({"type": "map", "values": NIK})
    assert refusal(codec, {"Siti": "x", "Ani": GOOD, 7: GOOD}) == [("{}", "nik"), ("{}", "type")]


def test_no_message_repeats_a_value() -> None:
    secret = "3273012411950000"
    codec = Codec(BIRTH)
    data = {"nik": secret, "parents": [{"nik": secret, "born": secret}, secret], "weight": secret, secret: 1}
    with pytest.raises(MalformedData) as caught:
        codec.encode(data)
    assert secret not in str(caught.value)


def test_decoding_tells_every_identifier_and_date_that_is_wrong() -> None:
    plain = {
        "type": "record",
        "name": "Birth",
        "fields": [
            {"name": "nik", "type": "string"},
            {"name": "parents", "type": {"type": "array", "items": {
                "type": "record", "name": "Parent", "fields": [
                    {"name": "nik", "type": ["null", "string"]},
                    {"name": "born", "type": "int"},
                ]}}},
            {"name": "weight", "type": ["null", "int"], "default": None},
        ],
    }  # fmt: skip
    parents = [{"nik": None, "born": 2**31 - 1}, {"nik": GOOD, "born": 0}, {"nik": "7", "born": -(2**31)}]
    body = Codec(plain).encode({"nik": "x", "parents": parents})
    assert unreadable(Codec(BIRTH), body) == [
        ("nik", "nik"),
        ("parents[0].born", "range"),
        ("parents[2].nik", "nik"),
        ("parents[2].born", "range"),
    ]
    assert unreadable(Codec(BIRTH), body + b"x") == [("", "trailing-bytes")]  # the bytes come first


@pytest.mark.parametrize(
    ("schema", "body", "rule"),
    [
        ("null", b"\x00", "trailing-bytes"),
        ("boolean", b"", "truncated"),
        ("boolean", b"\x02", "boolean"),
        ("int", b"", "truncated"),
        ("int", b"\x80", "truncated"),
        ("int", b"\x02\x02", "trailing-bytes"),
        ("int", b"\x82\x00", "varint"),  # 1, written longer than needed
        ("int", b"\x80\x80\x80\x80\x10", "range"),  # 2**31
        ("int", b"\xff\xff\xff\xff\xff\x01", "varint"),
        ("long", b"\xff" * 9 + b"\x02", "range"),
        ("long", b"\xff" * 10 + b"\x01", "varint"),
        ("long", b"\x80" * 50_000, "varint"),
        ("float", b"\x00\x00\x00", "truncated"),
        ("double", bytes(7), "truncated"),
        ("string", b"\x02", "length"),
        ("string", b"\x01x", "length"),  # -1
        ("string", b"\x7fx", "length"),  # -64
        ("string", b"\xff" * 9 + b"\x01", "length"),  # the least long
        ("string", b"\xfe" + b"\xff" * 8 + b"\x01", "length"),  # the greatest
        ("string", b"\x02\xff", "utf-8"),
        ("string", b"\x04\xc0\x80", "utf-8"),  # overlong NUL
        ("string", b"\x06\xed\xa0\x80", "utf-8"),  # a surrogate
        ("bytes", b"\x04x", "length"),
        (HASH, b"x", "truncated"),
        (COLOUR, b"\x04", "enum"),
        (COLOUR, b"\x01", "enum"),
        (["null", "int"], b"\x04", "union"),
        (["null", "int"], b"\x01", "union"),
        (["null", "int"], b"\xfe\xff\xff\xff\x0f", "union"),
        (INTS, b"", "truncated"),
        (INTS, b"\x04\x02", "count"),
        (INTS, b"\x02\x02", "truncated"),  # no end of blocks
        (INTS, b"\xff\xff\xff\x1f\x00", "count"),  # 30 million in five bytes
        (INTS, b"\xfe\xff\xff\xff\x0f", "count"),
        (INTS, b"\xff" * 9 + b"\x01\x02", "length"),  # the least long as a count
        (INTS, b"\x01\x04\x02\x00", "block-size"),  # one item of one byte, said to be two
        (INTS, b"\x01\x01\x02\x00", "length"),  # a negative size
        (INTS, b"\x01\x7e\x02\x00", "length"),
        ({"type": "map", "values": "null"}, b"\xfe\xff\xff\xff\x0f", "count"),
        (DATE, b"\xfe\xff\xff\xff\x0f", "range"),
        (MILLIS, b"\xfe" + b"\xff" * 8 + b"\x01", "range"),
        (TIME, b"\x01", "range"),
        (TIME, Codec("int").encode(86_400_000), "range"),
        (UUID, Codec("string").encode("{00000000-0000-0000-0000-000000000007}"), "uuid"),
        (UUID, Codec("string").encode("00000000000000000000000000000007"), "uuid"),
        (UUID, Codec("string").encode("0000000_-0000-0000-0000-000000000007"), "uuid"),
        (MONEY, b"\x00", "decimal"),
        (MONEY, Codec("bytes").encode((100_000).to_bytes(3, "big")), "decimal"),
        (MONEY, Codec("bytes").encode(b"\xff" * 1_000_000), "decimal"),
        (FIXED_MONEY, b"\x7f\xff\xff", "decimal"),
        (NIK, Codec("string").encode("3273012411950000"), "nik"),
    ],
)
def test_bytes_that_are_not_of_the_schema_are_not_decoded(schema: Any, body: bytes, rule: str) -> None:
    assert unreadable(Codec(schema), body) == [("", rule)]


@pytest.mark.parametrize("keep", range(26))
def test_no_beginning_of_an_event_is_an_event(keep: int) -> None:
    codec = Codec(BIRTH)
    body = codec.encode({"nik": GOOD, "parents": [{"nik": None, "born": dt.date(1995, 1, 1)}], "weight": 3100})
    assert keep < len(body)
    assert unreadable(codec, body[:keep])


def test_a_fault_in_the_bytes_is_told_with_its_place() -> None:
    codec = Codec(BIRTH)
    body = codec.encode({"nik": GOOD, "parents": [{"nik": GOOD, "born": dt.date(1995, 1, 1)}]})
    assert unreadable(codec, body[:25]) == [("parents[].nik", "length")]
    assert unreadable(codec, body[:36]) == [("parents[].born", "truncated")]
    numbers = Codec({"type": "map", "values": "int"})
    assert unreadable(numbers, b"\x04\x02a\x02\x02a\x04\x00") == [("{}", "duplicate-key")]
    assert unreadable(numbers, b"\x02\x02\xff\x02\x00") == [("{}", "utf-8")]
    tree = Codec({"type": "record", "name": "R", "fields": [{"name": "tree", "type": TREE}]})
    assert unreadable(tree, b"\x02\x02\x07") == [("tree.left.left.left", "union")]


@pytest.mark.parametrize(
    ("schema", "body"),
    [
        (TREE, b"\x02" * 1_000_000),
        ({"type": "array", "items": INTS}, b"\x02\x00" * 50_000),
        ({"type": "array", "items": ["null", "int"]}, b"\xfe\xff\xff\xff\x0f" + bytes(1000)),
        ({"type": "array", "items": {"type": "map", "values": "null"}}, b"\x02" * 100_000),
        ("long", b"\xff" * 1_000_000),
        (INTS, b"\x01\x02\x02" * 100_000),
    ],
)
def test_hostile_bytes_cost_little_time_and_memory(schema: Any, body: bytes) -> None:
    codec = Codec(schema)
    tracemalloc.start()
    started = time.process_time()
    assert unreadable(codec, body)
    elapsed = time.process_time() - started
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert elapsed < 3
    assert peak < 10_000 + 120 * len(body)


def test_recursion_ends_at_the_same_depth_in_both_directions() -> None:
    codec = Codec(TREE)
    deep: dict[str, Any] = {}
    for _ in range(99):
        deep = {"left": deep}
    body = codec.encode(deep)
    assert body == b"\x02" * 99 + b"\x00"
    assert codec.encode(codec.decode(body)) == body
    assert [rule for _, rule in refusal(codec, {"left": deep})] == ["depth"]
    assert [rule for _, rule in unreadable(codec, b"\x02" + body)] == ["depth"]


def test_a_union_of_records_that_fails_deep_down_is_refused_in_no_time() -> None:
    """Tried anew at every level, two branches that look alike would take 2**90 attempts."""
    branch = [{"name": "in", "type": ["Plus", "Minus", "null"]}]
    schema = [
        {"type": "record", "name": "Plus", "fields": [{"name": "in", "type": ["null", "Plus", {
            "type": "record", "name": "Minus", "fields": branch}]}]},
        "Minus",
    ]  # fmt: skip
    data: Any = {"in": "neither"}
    for _ in range(90):
        data = {"in": data}
    started = time.perf_counter()
    problems = refusal(Codec(schema), data)
    assert time.perf_counter() - started < 2
    assert problems == [(".".join(["in"] * 91), "type")]


def test_the_branch_that_came_closest_is_reported() -> None:
    schema = [
        {"type": "record", "name": "Person", "fields": [{"name": "nik", "type": NIK}]},
        {
            "type": "record",
            "name": "Firm",
            "fields": [{"name": "npwp", "type": "string"}, {"name": "n", "type": "int"}],
        },
    ]
    assert refusal(Codec(schema), {"nik": "x"}) == [("nik", "nik")]
    assert refusal(Codec(schema), {"npwp": "x", "n": "y"}) == [("n", "type")]


@pytest.mark.parametrize(
    ("schema", "data", "body"),
    [
        (["double", "long"], 1, b"\x02\x02"),  # a whole number is a long before it is a double
        (["double", "long"], 1.5, b"\x00" + Codec("double").encode(1.5)),
        (["null", "boolean", "int"], True, b"\x02\x01"),
        (["int", "long"], 2**40, b"\x02" + Codec("long").encode(2**40)),
        (["string", COLOUR], "red", b"\x00\x06red"),
        (["bytes", HASH], b"xy", b"\x00\x04xy"),
    ],
)
def test_a_union_takes_the_first_branch_that_fits(schema: Any, data: Any, body: bytes) -> None:
    assert Codec(schema).encode(data) == body
    assert Codec(schema).decode(body) == data


def test_missing_fields_are_given_their_defaults() -> None:
    defaults = {
        "date": (DATE, 365, dt.date(1971, 1, 1)),
        "money": (MONEY, "\u0001\u0000", Decimal("2.56")),
        "hash": (HASH, "\u00ffx", b"\xffx"),
        "text": (["string", "null"], "x", "x"),
        "none": (["null", "string"], None, None),
        "list": (INTS, [1, 2], [1, 2]),
        "map": ({"type": "map", "values": "double"}, {"a": 1}, {"a": 1.0}),
        "colour": (COLOUR, "green", "green"),
        "tree": (TREE, {"left": {}}, None),
    }
    schema = {
        "type": "record",
        "name": "D",
        "fields": [{"name": name, "type": of, "default": default} for name, (of, default, _) in defaults.items()],
    }
    schema["fields"][-1]["default"] = {}  # type: ignore[index]  # a default of a union is of its first branch
    expected = {name: value for name, (_, _, value) in defaults.items()} | {"tree": {"left": None}}
    codec = Codec(schema)
    assert codec.decode(codec.encode({})) == expected


@pytest.mark.parametrize(
    "value",
    ["0", "-0", "0.01", "-0.01", "999.99", "-999.99", "1.5", "1.5000", "1E+2", "1.28", "-1.28", "-1.29", "0E-99"],
)
@pytest.mark.parametrize("schema", [MONEY, FIXED_MONEY], ids=["bytes", "fixed"])
def test_decimals_keep_their_value_and_gain_the_scale(schema: Any, value: str) -> None:
    codec = Codec(schema)
    decoded = codec.decode(codec.encode(Decimal(value)))
    assert decoded == Decimal(value)
    assert decoded.as_tuple().exponent == -2


def test_decimals_of_many_digits_are_exact_whatever_the_context() -> None:
    codec = Codec({"type": "bytes", "logicalType": "decimal", "precision": 60, "scale": 30})
    value = Decimal("-" + "123456789" * 3 + "." + "987654321" * 3)
    assert codec.decode(codec.encode(value)) == value


def test_digits_below_the_unit_of_a_time_are_cut() -> None:
    moment = dt.datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=dt.UTC)
    assert Codec(MILLIS).decode(Codec(MILLIS).encode(moment)) == moment.replace(microsecond=999_000)
    assert Codec(TIME).decode(Codec(TIME).encode(dt.time(1, 2, 3, 4_567))) == dt.time(1, 2, 3, 4_000)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), -0.0])
@pytest.mark.parametrize("kind", ["float", "double"])
def test_numbers_that_are_none_are_floats_too(kind: str, value: float) -> None:
    codec = Codec(kind)
    assert repr(codec.decode(codec.encode(value))) == repr(value)


def test_blocks_with_a_size_are_read() -> None:
    assert Codec(INTS).decode(b"\x03\x04\x02\x04\x02\x06\x00") == [1, 2, 3]
    assert Codec({"type": "map", "values": "int"}).decode(b"\x01\x06\x02a\x02\x02\x02b\x04\x00") == {"a": 1, "b": 2}


NEWER = {
    "type": "record",
    "name": "Birth",
    "fields": [
        {"name": "weight", "type": ["null", "long"], "default": None},
        {"name": "nik", "type": NIK},
        {"name": "place", "type": "string", "default": "32.73"},
    ],
}


def test_a_value_is_read_as_a_newer_schema() -> None:
    older = Codec(BIRTH)
    body = older.encode({"nik": GOOD, "parents": [], "weight": 3100})
    assert older.decode(body, Codec(NEWER)) == {"weight": 3100, "nik": GOOD, "place": "32.73"}
    assert older.decode(body, older) == older.decode(body, Codec(BIRTH)) == older.decode(body)


def test_what_a_newer_schema_asks_of_identifiers_is_asked_of_older_events_too() -> None:
    older = Codec({"type": "record", "name": "Birth", "fields": [{"name": "nik", "type": "string"}]})
    with pytest.raises(MalformedData) as caught:
        older.decode(older.encode({"nik": "x"}), Codec(NEWER))
    assert [(problem.path, problem.rule) for problem in caught.value.problems] == [("nik", "nik")]


@pytest.mark.parametrize(
    ("writer", "reader", "data"),
    [
        ("string", "int", "x"),
        (["int", "string"], "int", "x"),
        (COLOUR, COLOUR | {"symbols": ["red"]}, "green"),
        (BIRTH, NEWER | {"fields": [{"name": "mother", "type": NIK}]}, {"nik": GOOD, "parents": []}),
    ],
)
def test_a_value_that_a_newer_schema_cannot_hold_is_malformed(writer: Any, reader: Any, data: Any) -> None:
    codec = Codec(writer)
    with pytest.raises(MalformedData) as caught:
        codec.decode(codec.encode(data), Codec(reader))
    assert [problem.rule for problem in caught.value.problems] == ["resolution"]


def test_hostile_bytes_are_refused_before_they_reach_fastavro(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any) -> None:
        pytest.fail("fastavro was given bytes that nobody had checked")

    monkeypatch.setattr(fastavro, "schemaless_reader", never)
    with pytest.raises(MalformedData):
        Codec(INTS).decode(b"\xff\xff\xff\x1f\x00", Codec({"type": "array", "items": "long"}))


def test_types_nested_deeper_than_one_function_reaches_are_read_and_placed() -> None:
    schema: Any = "int"
    value: Any = 7
    for _ in range(40):
        schema, value = {"type": "array", "items": schema}, [value]
    codec = Codec(schema)
    body = codec.encode(value)
    assert codec.decode(body) == value
    assert unreadable(codec, body[:40] + b"\x80") == [("[]" * 40, "truncated")]


def test_a_record_used_in_several_places_is_read_and_placed_in_each() -> None:
    person = {"type": "record", "name": "Person", "fields": [{"name": "nik", "type": NIK}]}
    fields = {"child": person, "mother": ["null", "Person"], "others": {"type": "array", "items": "Person"}}
    codec = Codec(
        {"type": "record", "name": "Family", "fields": [{"name": name, "type": of} for name, of in fields.items()]}
    )
    good = {"nik": GOOD}
    body = codec.encode({"child": good, "mother": good, "others": [good, good]})
    assert codec.decode(body) == {"child": good, "mother": good, "others": [good, good]}
    assert unreadable(codec, body[:5]) == [("child.nik", "length")]
    assert unreadable(codec, body[:20]) == [("mother.nik", "length")]
    assert unreadable(codec, body[:40]) == [("others[].nik", "length")]
