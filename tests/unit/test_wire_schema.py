"""Which schemas a codec takes."""

from typing import Any

import pytest

from schemas.wire.codec import Codec
from schemas.wire.errors import InvalidSchema

NIK = {"type": "string", "logicalType": "nik"}


def record(*fields: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "record", "name": "R", "fields": list(fields)} | more


def field(of: Any, **more: Any) -> dict[str, Any]:
    return {"name": "f", "type": of} | more


def nested(depth: int) -> Any:
    schema: Any = "int"
    for _ in range(depth):
        schema = {"type": "array", "items": schema}
    return schema


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ("strin", "unknown type strin"),
        ({"type": "strin"}, "unknown type strin"),
        (None, "has no type"),
        (7, "has no type"),
        ({}, "has no type"),
        ({"type": None}, "has no type"),
        ({"type": "array"}, r"\[\] has no type"),
        ({"type": "map"}, "{} has no type"),
        ([], "without branches"),
        (["null", ["int", "string"]], "union directly inside"),
        (["int", "int"], "same type twice"),
        (["string", NIK], "same type twice"),
        ([{"type": "array", "items": "int"}, {"type": "array", "items": "string"}], "same type twice"),
        (record(field("B")), "f has the unknown type B"),
        (record(field({"type": "record", "name": "R", "fields": []})), "defines the name R again"),
        (record(field("int"), field("int")), "field f twice"),
        (record({"name": "1f", "type": "int"}), "field without a valid name"),
        (record({"name": "f'; import os", "type": "int"}), "field without a valid name"),
        (record({"name": "f"}), "f has no type"),
        (record({"type": "int"}), "field without a valid name"),
        ({"type": "record", "name": "R", "fields": ["f"]}, "field without a valid name"),
        ({"type": "record", "name": "R"}, "list of fields"),
        ({"type": "record", "fields": []}, "valid name"),
        ({"type": "record", "name": "a b", "fields": []}, "valid name"),
        ({"type": "record", "name": "int", "fields": []}, "defines the name int again"),
        (record(namespace="a b"), "namespace"),
        ({"type": "enum", "name": "E"}, "symbols"),
        ({"type": "enum", "name": "E", "symbols": []}, "symbols"),
        ({"type": "enum", "name": "E", "symbols": ["a", "a"]}, "symbols"),
        ({"type": "enum", "name": "E", "symbols": ["a b"]}, "symbols"),
        ({"type": "enum", "name": "E", "symbols": ["a"], "default": "b"}, "default"),
        ({"type": "fixed", "name": "F"}, "size"),
        ({"type": "fixed", "name": "F", "size": 0}, "size"),
        ({"type": "fixed", "name": "F", "size": "1"}, "size"),
        ({"type": "bytes", "logicalType": "decimal"}, "precision"),
        ({"type": "bytes", "logicalType": "decimal", "precision": 0}, "precision"),
        ({"type": "bytes", "logicalType": "decimal", "precision": 5, "scale": 6}, "scale"),
        ({"type": "bytes", "logicalType": "decimal", "precision": 5, "scale": -1}, "scale"),
        ({"type": "fixed", "name": "F", "size": 2, "logicalType": "decimal", "precision": 5}, "between 1 and 4"),
        ({"type": "long", "logicalType": "date"}, "date on long, not on int"),
        ({"type": "bytes", "logicalType": "nik"}, "nik on bytes, not on string"),
        ({"type": {"type": "string"}, "logicalType": "nik"}, "logical type on what is neither"),
        ({"type": "array", "items": "null"}, "take no bytes"),
        ({"type": "array", "items": {"type": "record", "name": "E", "fields": []}}, "take no bytes"),
        (nested(101), "levels deep"),
        # Defaults
        (record(field("int", default="1")), "default of f: must be a whole number"),
        (record(field("int", default=2**31)), "default of f: does not fit"),
        (record(field("int", default=None)), "default of f: must be a whole number"),
        (record(field(["null", "string"], default="x")), "default of f: must be null"),  # of the first branch
        (record(field(["string", "null"], default=None)), "default of f: must be text"),
        (record(field(NIK, default="3273")), "default of f: must be 16 digits"),
        (record(field("bytes", default="Ā")), "default of f: must be bytes"),
        (record(field({"type": "int", "logicalType": "date"}, default=2**31 - 1)), "default of f is not within"),
        (record(field({"type": "enum", "name": "E", "symbols": ["a"]}, default="b")), "default of f: must be one of a"),
        (record(field({"type": "array", "items": "int"}, default=[1, "x"])), r"default of f\[1\]: must be a whole"),
        (record(field(record(field("int"), name="S"), default={})), "default of f.f: is missing"),
        (record(field("R", default={})), "default holds itself"),
    ],
)
def test_a_schema_that_is_not_valid_is_refused_with_place_and_reason(schema: Any, reason: str) -> None:
    with pytest.raises(InvalidSchema, match=reason):
        Codec(schema)


@pytest.mark.parametrize(
    "schema",
    [
        "int",
        {"type": "string", "logicalType": "somebody-elses"},
        {"type": "string", "logicalType": 7},
        {"type": {"type": "int"}},
        record(),
        record(field(["null", "R"], default=None)),
        record(field("a.b.S", default={}), {"name": "g", "type": "a.b.S"})
        | {"fields": [field(record(name="S", namespace="a.b")), {"name": "g", "type": "a.b.S"}]},
        record(field(record(field("a.E"), name="S"), aliases=["old"], doc="x", order="ignore"), namespace="a")
        | {"fields": [field({"type": "enum", "name": "E", "symbols": ["x"]}), {"name": "g", "type": "E"}]},
        nested(50),
    ],
)
def test_a_valid_schema_is_taken(schema: Any) -> None:
    assert Codec(schema).schema == schema


def test_a_schema_whose_types_are_used_again_and_again_stays_small() -> None:
    """Each level uses the one below twice: written out in full it would have 2**40 fields."""
    schema: Any = record(field("int"), name="R0")
    for level in range(1, 40):
        below = f"R{level - 1}"
        schema = record(field(schema), {"name": "g", "type": ["null", below]}, name=f"R{level}")
    codec = Codec(schema)
    assert codec.check({}) != []


def test_a_codec_does_not_change_the_schema_it_is_given() -> None:
    schema = record(field(["null", NIK], default=None))
    before = repr(schema)
    codec = Codec(schema)
    codec.decode(codec.encode({}), Codec(record(field(["null", "string"], default=None))))
    assert repr(schema) == before
