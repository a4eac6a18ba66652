"""Laws of the codec over generated schemas and values, and what stock Avro libraries make of the same bytes."""

import contextlib
import datetime as dt
import io
import json
import uuid
import warnings
from decimal import Decimal
from typing import Any

import avro.io
import avro.schema
import fastavro
import pytest
from avro_strategies import Typed, typed_schemas
from hypothesis import given
from hypothesis import strategies as st

from schemas.wire.codec import Codec
from schemas.wire.errors import MalformedData


@given(typed_schemas(), st.data())
def test_decode_gives_back_what_was_encoded(typed: Typed, data: st.DataObject) -> None:
    codec, value = Codec(typed.schema), data.draw(typed.values)
    body = codec.encode(value)
    assert codec.decode(body) == value
    assert codec.encode(codec.decode(body)) == body
    assert codec.check(value) == []


@given(typed_schemas(), st.data())
def test_fastavro_reads_what_we_write_as_we_do(typed: Typed, data: st.DataObject) -> None:
    codec, value = Codec(typed.schema), data.draw(typed.values)
    body = codec.encode(value)
    theirs = fastavro.schemaless_reader(io.BytesIO(body), fastavro.parse_schema(typed.schema), None)
    assert theirs == codec.decode(body)


@given(typed_schemas(ambiguous_unions=False), st.data())
def test_fastavro_writes_the_same_bytes(typed: Typed, data: st.DataObject) -> None:
    value = data.draw(typed.values)
    theirs = io.BytesIO()
    fastavro.schemaless_writer(theirs, fastavro.parse_schema(typed.schema), value)
    assert Codec(typed.schema).encode(value) == theirs.getvalue()


@given(typed_schemas(), st.data())
def test_bytes_are_one_value_or_malformed(typed: Typed, data: st.DataObject) -> None:
    codec = Codec(typed.schema)
    body = data.draw(st.binary(max_size=40))
    with contextlib.suppress(MalformedData):
        value = codec.decode(body)
        assert codec.check(value) == []


@given(typed_schemas(), st.data())
def test_one_changed_byte_gives_a_value_or_is_malformed(typed: Typed, data: st.DataObject) -> None:
    codec = Codec(typed.schema)
    body = bytearray(codec.encode(data.draw(typed.values)))
    if body:
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(MalformedData):
        assert codec.check(codec.decode(bytes(body))) == []


@given(typed_schemas(), typed_schemas(), st.data())
def test_values_of_other_schemas_are_encoded_whole_or_refused_with_problems(
    typed: Typed, other: Typed, data: st.DataObject
) -> None:
    codec, value = Codec(typed.schema), data.draw(other.values)
    problems = codec.check(value)
    if problems:
        with pytest.raises(MalformedData) as caught:
            codec.encode(value)
        assert list(caught.value.problems) == problems
    else:
        codec.decode(codec.encode(value))


@given(typed_schemas(), st.data())
def test_the_same_schema_resolves_to_the_same_value(typed: Typed, data: st.DataObject) -> None:
    documented = {"type": "record", "name": "Top", "doc": "a", "fields": [{"name": "f", "type": typed.schema}]}
    writer, reader = Codec(documented), Codec(documented | {"doc": "b"})
    value = {"f": data.draw(typed.values)}
    assert writer.decode(writer.encode(value), reader) == value


EVENT: dict[str, Any] = {
    "type": "record",
    "name": "BirthRegistered",
    "namespace": "id.go.dukcapil",
    "fields": [
        {"name": "certificate", "type": "string"},
        {"name": "registered_at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "child", "type": {"type": "record", "name": "Child", "fields": [
            {"name": "nik", "type": {"type": "string", "logicalType": "nik"}},
            {"name": "name", "type": "string"},
            {"name": "sex", "type": {"type": "enum", "name": "Sex", "symbols": ["MALE", "FEMALE"]}},
            {"name": "born_on", "type": {"type": "int", "logicalType": "date"}},
            {"name": "born_at", "type": ["null", {"type": "int", "logicalType": "time-millis"}], "default": None},
            {"name": "weight_kg", "type": ["null", {
                "type": "bytes", "logicalType": "decimal", "precision": 5, "scale": 3}], "default": None},
        ]}},
        {"name": "parents", "type": {"type": "array", "items": {"type": "record", "name": "Parent", "fields": [
            {"name": "nik", "type": ["null", {"type": "string", "logicalType": "nik"}], "default": None},
            {"name": "name", "type": "string"},
            {"name": "relation", "type": {"type": "enum", "name": "Relation", "symbols": ["MOTHER", "FATHER"]}},
        ]}}},
        {"name": "region", "type": {"type": "string", "logicalType": "region-code"}},
        {"name": "scores", "type": {"type": "map", "values": "double"}, "default": {}},
        {"name": "digest", "type": {"type": "fixed", "name": "Digest", "size": 4}},
        {"name": "seen", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "trace", "type": {"type": "string", "logicalType": "uuid"}},
    ],
}  # fmt: skip
VALUE: dict[str, Any] = {
    "certificate": "3273-LU-24112026-0001",
    "registered_at": dt.datetime(2026, 11, 24, 1, 2, 3, 4_000, tzinfo=dt.UTC),
    "child": {
        "nik": "3273016411260001",
        "name": "Siti Rahayu Ćulibrk",
        "sex": "FEMALE",
        "born_on": dt.date(2026, 11, 24),
        "born_at": dt.time(4, 30),
        "weight_kg": Decimal("3.125"),
    },
    "parents": [
        {"nik": "3273016411950001", "name": "Ani", "relation": "MOTHER"},
        {"nik": None, "name": "Budi", "relation": "FATHER"},
    ],
    "region": "32.73.01.1001",
    "scores": {"apgar": 9.0},
    "digest": b"\x00\x01\xfe\xff",
    "seen": dt.datetime(2026, 11, 24, 1, 2, 3, 4_005, tzinfo=dt.UTC),
    "trace": uuid.UUID("01234567-89ab-4def-8123-456789abcdef"),
}


def avro_schema() -> avro.schema.Schema:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", avro.errors.IgnoredLogicalType)  # it does not know our identifiers
        return avro.schema.parse(json.dumps(EVENT))


def test_the_avro_package_reads_what_we_write() -> None:
    body = io.BytesIO(Codec(EVENT).encode(VALUE))
    theirs = avro.io.DatumReader(avro_schema()).read(avro.io.BinaryDecoder(body))
    assert theirs == VALUE | {"trace": str(VALUE["trace"])}  # it knows no UUIDs


def test_we_read_what_the_avro_package_writes() -> None:
    out = io.BytesIO()
    avro.io.DatumWriter(avro_schema()).write(VALUE | {"trace": str(VALUE["trace"])}, avro.io.BinaryEncoder(out))
    assert Codec(EVENT).decode(out.getvalue()) == VALUE


def test_fastavro_and_we_agree_on_a_whole_event() -> None:
    codec, out = Codec(EVENT), io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(EVENT), VALUE)
    assert codec.encode(VALUE) == out.getvalue()
    assert codec.decode(out.getvalue()) == VALUE
