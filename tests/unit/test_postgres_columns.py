"""What a table's columns are and become, without a database."""

from typing import Any

import pytest
from lintas_client.wire.codec import Codec

from connectors.plugins.postgres.columns import Column, Unstorable, _jsonb, alterations, columns_of, table_name


def codec(*fields: dict[str, Any]) -> Codec:
    return Codec({"type": "record", "name": "Thing", "fields": list(fields)})


def payload_columns(made: Codec, **lifted: str) -> dict[str, str]:
    return {column.name: column.type for column in columns_of(made, lifted)[10:]}


@pytest.mark.parametrize(
    ("avro", "sql"),
    [
        ("boolean", "boolean"),
        ("int", "integer"),
        ("long", "bigint"),
        ("float", "real"),
        ("double", "double precision"),
        ("string", "text"),
        ("bytes", "bytea"),
        ({"type": "fixed", "name": "F", "size": 4}, "bytea"),
        ({"type": "enum", "name": "E", "symbols": ["A"]}, "text"),
        ({"type": "int", "logicalType": "date"}, "date"),
        ({"type": "int", "logicalType": "time-millis"}, "time without time zone"),
        ({"type": "long", "logicalType": "timestamp-micros"}, "timestamp with time zone"),
        ({"type": "long", "logicalType": "local-timestamp-millis"}, "timestamp without time zone"),
        ({"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}, "numeric(12,2)"),
        ({"type": "string", "logicalType": "uuid"}, "uuid"),
        ({"type": "string", "logicalType": "nik"}, "text"),
        (["null", "long"], "bigint"),
        (["long", "null"], "bigint"),
        (["null", "long", "string"], "jsonb"),  # no one type holds both
        ({"type": "array", "items": "int"}, "jsonb"),
        ({"type": "map", "values": "int"}, "jsonb"),
        ({"type": "record", "name": "R", "fields": []}, "jsonb"),
    ],
)
def test_each_avro_type_has_its_column_type(avro: Any, sql: str) -> None:
    assert payload_columns(codec({"name": "x", "type": avro})) == {"x": sql}


def test_nested_fields_get_columns_of_their_own_where_asked() -> None:
    child = {
        "type": "record",
        "name": "Child",
        "fields": [{"name": "born", "type": {"type": "int", "logicalType": "date"}}],
    }
    made = codec({"name": "child", "type": ["null", child]})
    assert payload_columns(made, day="child.born") == {"child": "jsonb", "day": "date"}
    with pytest.raises(LookupError, match=r"child\.died"):
        columns_of(made, {"day": "child.died"})


def test_what_is_no_record_has_one_column() -> None:
    assert payload_columns(Codec("string")) == {"data": "text"}
    assert columns_of(None, {})[10:] == []


@pytest.mark.parametrize(
    ("has", "wanted", "outcome"),
    [
        ("bigint", "bigint", "left"),
        ("bigint", "integer", "left"),  # wider than need be
        ("integer", "bigint", "widened"),
        ("real", "double precision", "widened"),
        ("numeric(9,2)", "numeric(12,2)", "widened"),
        ("numeric(9,2)", "numeric(12,4)", "widened"),
        ("numeric", "numeric(12,4)", "left"),
        ("uuid", "text", "widened"),
        (None, "text", "added"),
        ("numeric(9,2)", "numeric(9,4)", "impossible"),  # fewer digits before the point
        ("numeric(9,4)", "numeric(12,2)", "impossible"),  # neither holds the other
        ("bigint", "double precision", "impossible"),  # not every long is a double
        ("text", "date", "impossible"),
        ("bigint", "text", "impossible"),
    ],
)
def test_columns_are_added_and_widened_and_never_lose_a_value(has: str | None, wanted: str, outcome: str) -> None:
    column = Column("x", wanted, lambda _: None)
    done = alterations({} if has is None else {"x": has}, [column])
    told = {"added": done.added, "widened": done.widened, "impossible": [one for one, _ in done.impossible]}
    assert {name: columns for name, columns in told.items() if columns} == (
        {} if outcome == "left" else {outcome: [column]}
    )


@pytest.mark.parametrize(
    ("agreement", "table"),
    [
        ("jabar.child-welfare.birth-registered", "birth_registered"),
        ("other.birth.registered", "other_birth_registered"),
    ],
)
def test_a_table_is_called_as_its_agreement(agreement: str, table: str) -> None:
    assert table_name(agreement, "jabar.child-welfare") == table


@pytest.mark.parametrize(
    ("text", "storable"),
    [("a\0b", False), ("a\\u0000b", True), ("\\\0", False), ("\\\\u0000", True), ("", True)],
)
def test_only_a_true_nul_cannot_be_kept_in_json(text: str, storable: bool) -> None:
    if storable:
        assert _jsonb([text]).obj
    else:
        with pytest.raises(Unstorable, match="NUL"):
            _jsonb([text])
