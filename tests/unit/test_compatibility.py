"""BACKWARD_TRANSITIVE: a new schema reads everything that was written with the earlier ones."""

import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.compatibility import incompatibilities
from schemas.wire.codec import Codec

DATE = {"type": "int", "logicalType": "date"}
MILLIS = {"type": "long", "logicalType": "timestamp-millis"}
MICROS = {"type": "long", "logicalType": "timestamp-micros"}


def record(*fields: dict[str, Any], name: str = "Event", **more: Any) -> dict[str, Any]:
    return {"type": "record", "name": name, "namespace": "id.go.example", "fields": list(fields), **more}


def field(of: Any, name: str = "x", **more: Any) -> dict[str, Any]:
    return {"name": name, "type": of, **more}


def decimal(precision: int, scale: int) -> dict[str, Any]:
    return {"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale}


def enum(*symbols: str, name: str = "Sex", **more: Any) -> dict[str, Any]:
    return {"type": "enum", "name": name, "symbols": list(symbols), **more}


def inner(*fields: dict[str, Any], name: str = "Child", **more: Any) -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": list(fields), **more}


TREE = inner(field("int", "a"), field(["null", "Child"], "next"))
LONG_TREE = inner(field("long", "a"), field(["null", "Child"], "next"))


@pytest.mark.parametrize(
    ("new", "earlier"),
    [
        (field("string"), field("string")),
        (field("long"), field("int")),
        (field("double"), field("long")),
        (field("string"), field("bytes")),
        (field(["null", "string"]), field("string")),
        (field(["null", "long"]), field("int")),
        (field(["null", "string", "int"]), field(["null", "string"])),
        (field("string", "y", aliases=["x"]), field("string")),
        (field(enum("M", "F", "X")), field(enum("M", "F"))),
        (field(enum("M", "X", default="X")), field(enum("M", "F"))),
        (field(inner(name="Kid", aliases=["Child"])), field(inner())),  # an alias without its namespace
        (field(inner(name="Kid", aliases=["id.go.example.Child"])), field(inner())),
        (field(inner(namespace="id.go.other")), field(inner())),  # names match without their namespace
        (field(inner(field("int", default=1))), field(inner())),
        (field(LONG_TREE), field(TREE)),  # types that contain themselves
        (field("string"), field({"type": "string", "logicalType": "nik"})),
        (field("string"), field({"type": "string", "logicalType": "uuid"})),
        (field({"type": "array", "items": "long"}), field({"type": "array", "items": "int"})),
        (field(decimal(9, 2)), field(decimal(9, 2))),
    ],
)
def test_a_schema_that_reads_the_earlier_one_is_compatible(new: dict[str, Any], earlier: dict[str, Any]) -> None:
    assert incompatibilities(record(new), [record(earlier)]) == []


def test_a_field_may_go_and_one_with_a_default_may_come() -> None:
    assert incompatibilities(record(field("int", "new", default=0)), [record(field("string", "old"))]) == []


@pytest.mark.parametrize(
    ("new", "earlier", "reason"),
    [
        (field("int"), field("long"), "x: int cannot read long"),
        (field("string"), field(["null", "string"]), "x: string cannot read null"),
        (field(["null", "int"]), field("string"), "x: no branch of the union reads string"),
        (field("string", "y"), field("string"), "y: is new and has no default"),
        (field(["null", "string"], "y"), field("string"), "y: is new and has no default"),
        (field(enum("M")), field(enum("M", "F", "X")), "x: the enum has lost F, X and has no default"),
        (field(enum("M", name="Gender")), field(enum("M")), "x: enum Gender cannot read enum Sex (it needs an alias)"),
        (
            field({"type": "fixed", "name": "F", "size": 4}),
            field({"type": "fixed", "name": "F", "size": 3}),
            "x: fixed of 4 bytes cannot read one of 3",
        ),
        (field(inner(field("int", "a"))), field(inner(field("string", "a"))), "x.a: int cannot read string"),
        (  # the reason lies below what may be null
            field(["null", inner(field("int", "a"))]),
            field(["null", inner(field("string", "a"))]),
            "x.a: int cannot read string",
        ),
        (
            field({"type": "array", "items": inner(field("int", "a"))}),
            field({"type": "array", "items": inner()}),
            "x[].a: is new and has no default",
        ),
        (
            field({"type": "map", "values": "int"}),
            field({"type": "map", "values": "long"}),
            "x{}: int cannot read long",
        ),
        (field(TREE), field(LONG_TREE), "x.a: int cannot read long"),
        (field(MICROS), field(MILLIS), "x: timestamp-micros cannot read timestamp-millis"),
        (field("long"), field(DATE), "x: long cannot read date"),  # promoted, a date would be a plain number
        (field(MILLIS), field("int"), "x: timestamp-millis cannot read int"),
        (field(decimal(9, 3)), field(decimal(9, 2)), "x: decimal of scale 3 cannot read one of scale 2"),
        (field(decimal(10, 2)), field(decimal(9, 2)), "x: decimal of precision 10 cannot read one of precision 9"),
        (field("bytes"), field(decimal(9, 2)), "x: bytes cannot read decimal"),
        (field({"type": "string", "logicalType": "uuid"}), field("string"), "x: uuid cannot read string"),
        (field({"type": "string", "logicalType": "nik"}), field("string"), "x: nik cannot read string"),
        (  # readers try the first branch that matches, and no other
            field([inner(field("int", "a"), name="Other", aliases=["Child"]), inner(field("long", "a"))]),
            field(inner(field("long", "a"))),
            "x.a: int cannot read long",
        ),
    ],
)
def test_a_schema_that_cannot_read_the_earlier_one_says_where_and_why(
    new: dict[str, Any], earlier: dict[str, Any], reason: str
) -> None:
    assert incompatibilities(record(new), [record(earlier)]) == [reason]


def test_every_reason_is_told_once_in_the_order_of_the_fields_for_all_earlier_schemas() -> None:
    oldest = record(field("long", "a"), field(TREE, "b"), field("string", "c"))
    older = record(field("int", "a"), field(LONG_TREE, "b"), field("Child", "d"), field("long", "c"))
    new = record(field("int", "a"), field(TREE, "b"), field("Child", "d"), field("int", "c"), field("int", "e"))
    assert incompatibilities(new, [oldest, older]) == [
        "a: int cannot read long",
        "d: is new and has no default",
        "c: int cannot read string",
        "e: is new and has no default",
        "b.a: int cannot read long",
        "d.a: int cannot read long",  # the same type at another place is told again
        "c: int cannot read long",
    ]


def test_the_name_of_the_event_itself_must_match() -> None:
    assert incompatibilities(record(name="Other"), [record()]) == [
        "the event: record Other cannot read record Event (it needs an alias)"
    ]


TYPES: dict[str, tuple[Any, Any]] = {
    "int": ("int", 7),
    "long": ("long", 1 << 40),
    "float": ("float", 0.5),
    "double": ("double", 0.1),
    "string": ("string", "a"),
    "nib": ({"type": "string", "logicalType": "nib"}, "9120001234567"),
    "nisn": ({"type": "string", "logicalType": "nisn"}, "0012345678"),
    "bytes": ("bytes", b"a"),
    "boolean": ("boolean", True),
    "null": ("null", None),
    "date": (DATE, dt.date(2026, 1, 1)),
    "moment": (MILLIS, dt.datetime(2026, 1, 1, tzinfo=dt.UTC)),
    "MF": (enum("M", "F"), "F"),
    "MX": (enum("M", "X"), "X"),
    "MX default": (enum("M", "X", default="X"), "M"),
    "array": ({"type": "array", "items": "int"}, [1]),
    "long array": ({"type": "array", "items": "long"}, [1]),
    "map": ({"type": "map", "values": "string"}, {"a": "b"}),
    "record": (inner(field("int", "a")), {"a": 1}),
    "wider record": (inner(field("long", "a"), field("string", "b", default="?")), {"a": 1, "b": "b"}),
    "other record": (inner(field("int", "a"), name="Other"), {"a": 1}),
    "old record": (inner(field("int", "a"), name="Other", aliases=["Child"]), {"a": 1}),
}


@st.composite
def types_and_values(draw: st.DrawFn) -> tuple[Any, Any]:
    """A type or a union of some, and a value of it."""
    chosen = [TYPES[name] for name in draw(st.lists(st.sampled_from(sorted(TYPES)), min_size=1, max_size=3))]
    value = draw(st.sampled_from([value for _, value in chosen]))
    return chosen[0] if len(chosen) == 1 else ([kind for kind, _ in chosen], value)


def is_valid(schema: Any) -> bool:
    try:
        Codec(schema)
    except ValueError:
        return False
    return True


@given(types_and_values(), types_and_values())
def test_whatever_a_compatible_schema_is_given_it_reads(written: tuple[Any, Any], read: tuple[Any, Any]) -> None:
    """The law behind the rule: compatible means that no value written earlier is refused."""
    writer, reader = record(field(written[0])), record(field(read[0]))
    if not (is_valid(writer) and is_valid(reader)) or incompatibilities(reader, [writer]):
        return
    Codec(writer).decode(Codec(writer).encode({"x": written[1]}), Codec(reader))
