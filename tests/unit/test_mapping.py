"""A declared mapping makes records into events, and tells everything that is wrong, with fields and without values."""

import contextlib
import datetime as dt
import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from lintas_client.wire import json_data
from lintas_client.wire.codec import Codec
from pydantic import ValidationError

from connectors.mapping import BadMapping, EventMapping, Mapper, Origin, Unmappable
from connectors.mapping.conversion import moment
from connectors.mapping.problems import Unconvertible

EVENTS = Path(__file__).parents[2] / "schemas" / "catalogue" / "events"
EARTHQUAKE = Codec(json.loads((EVENTS / "id.go.bmkg.earthquake.measured.v1.avsc").read_text()))
CATALOGUE = """
event_type: id.go.bmkg.earthquake.measured.v1
id: {digest: [tgl, ot, lat, lon, depth, mag, remark]}
time: {column: [tgl, ot], format: "%d/%m/%Y %H:%M:%S.%f", zone: Z}
data:
  event_id: {digest: [tgl, ot, lat, lon, depth, mag, remark]}
  origin_time: {column: [tgl, ot], format: "%d/%m/%Y %H:%M:%S.%f", zone: Z}
  latitude: lat
  longitude: lon
  depth_km: depth
  magnitude: mag
  magnitude_tenths: {cel: "int(double(record.mag) * 10.0 + 0.5)"}
  region: remark
"""
ROW = dict(
    zip(
        ("tgl", "ot", "lat", "lon", "depth", "mag", "remark"),
        ("01/01/2021", "23:24:25.033", "0.30", "126.62", "58", "3.1", "Northern Molucca Sea"),
        strict=True,
    )
)
PERSON = Codec(
    {
        "type": "record",
        "name": "Person",
        "fields": [
            {"name": "nik", "type": {"type": "string", "logicalType": "nik"}},
            {"name": "sex", "type": {"type": "enum", "name": "Sex", "symbols": ["MALE", "FEMALE"]}},
            {"name": "born", "type": {"type": "int", "logicalType": "date"}},
            {"name": "alive", "type": "boolean", "default": True},
            {
                "name": "income",
                "type": ["null", {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}],
            },
            {
                "name": "father",
                "type": [
                    "null",
                    {
                        "type": "record",
                        "name": "Father",
                        "fields": [
                            {"name": "name", "type": "string"},
                            {"name": "nationality", "type": "string"},
                            {"name": "age", "type": ["null", "int"]},
                        ],
                    },
                ],
                "default": None,
            },
            {"name": "children", "type": {"type": "array", "items": "string"}, "default": []},
        ],
    }
)
SOMEBODY = {"nik": "3210142211266547", "sex": "L", "born": "1990-02-03"}
PERSON_DATA = {"nik": "nik", "sex": {"column": "sex", "translate": {"L": "MALE", "P": "FEMALE"}}, "born": "born"}


def person(**more: Any) -> Mapper:
    """A mapper of people with the fields that they need, and more."""
    data = PERSON_DATA | {"income": "income"} | {path.replace("__", "."): origin for path, origin in more.items()}
    return Mapper(EventMapping.model_validate({"event_type": "x.v1", "data": data}), PERSON)


def one_problem(mapper: Mapper, record: dict[str, Any]) -> tuple[str, str]:
    """The field and the rule of a record's only problem."""
    with pytest.raises(Unmappable) as caught:
        mapper.event(record)
    (problem,) = caught.value.problems
    return problem.field, problem.rule


def test_a_row_of_the_earthquake_catalogue_becomes_an_event_that_its_schema_takes() -> None:
    mapped = Mapper(EventMapping.model_validate(yaml.safe_load(CATALOGUE)), EARTHQUAKE).event(ROW)
    assert mapped is not None
    moment = dt.datetime(2021, 1, 1, 23, 24, 25, 33_000, tzinfo=dt.UTC)
    assert mapped.time == moment
    assert re.fullmatch("[0-9a-f]{32}", mapped.id or "")
    assert mapped.data == {
        "event_id": mapped.id,
        "origin_time": moment,
        "latitude": 0.3,
        "longitude": 126.62,
        "depth_km": 58,
        "magnitude": Decimal("3.1"),
        "magnitude_tenths": 31,
        "region": "Northern Molucca Sea",
    }
    assert json_data.from_json(EARTHQUAKE, json_data.to_json(EARTHQUAKE, mapped.data)) == mapped.data


def test_a_digest_tells_rows_apart_and_is_the_same_each_time() -> None:
    mapper = Mapper(EventMapping.model_validate(yaml.safe_load(CATALOGUE)), EARTHQUAKE)
    first, again, other = (mapper.event(row) for row in (ROW, dict(ROW), ROW | {"depth": "59"}))
    assert first is not None
    assert again is not None
    assert other is not None
    assert first.id == again.id != other.id


def test_all_problems_of_a_row_are_told_at_once_with_their_columns_and_without_values() -> None:
    mapper = Mapper(EventMapping.model_validate(yaml.safe_load(CATALOGUE)), EARTHQUAKE)
    with pytest.raises(Unmappable) as caught:
        mapper.event(ROW | {"tgl": "31/02/2021", "depth": "secret", "mag": "777.1", "remark": " "})
    told = {(problem.field, problem.column, problem.rule) for problem in caught.value.problems}
    assert told == {
        ("time", "tgl ot", "format"),
        ("data.origin_time", "tgl ot", "format"),
        ("data.depth_km", "depth", "number"),
        ("data.region", "remark", "required"),
        ("data.magnitude", "mag", "decimal"),  # found by the schema
    }
    assert "secret" not in str(caught.value)
    assert "777" not in str(caught.value)


@pytest.mark.parametrize(
    ("origin", "written", "made"),
    [
        ({"column": "income", "decimal_mark": ","}, "1.234.567,89", Decimal("1234567.89")),
        ({"column": "income", "decimal_mark": ","}, "1234,5", Decimal("1234.5")),
        ({"column": "income"}, " 12.50 ", Decimal("12.50")),
        ({"column": "income"}, 12.5, Decimal("12.5")),  # as a spreadsheet gives it
        ({"column": "income"}, 7, Decimal(7)),
        ({"column": "income", "default": "0.00"}, "", Decimal("0.00")),
        ({"column": "income"}, "", None),
        ({"column": "income"}, None, None),
        ({"column": "income"}, "-", None),  # declared empty below
        ({"cel": 'record.income.replace("Rp", "")'}, "Rp500", Decimal(500)),
        ({"cel": "record.?salary"}, "1", None),  # an optional value that is absent
    ],
)
def test_numbers_are_read_as_the_mapping_says(origin: dict[str, Any], written: Any, made: Any) -> None:
    mapping = {"event_type": "x.v1", "data": PERSON_DATA | {"income": origin}, "empty": ["", "-"]}
    mapped = Mapper(EventMapping.model_validate(mapping), PERSON).event(SOMEBODY | {"income": written})
    assert mapped is not None
    assert mapped.data["income"] == made


@pytest.mark.parametrize(
    ("origin", "written", "rule"),
    [
        ("income", "1,5", "number"),
        ("income", "1 500", "number"),
        ("income", "١٢", "number"),  # digits of another script
        ("income", True, "number"),
        ("income", "9" * 4_000_000, "number"),  # to make an integer of it would take half an hour
        ({"column": "income", "decimal_mark": ","}, "1.23", "number"),  # no group of three
        ({"cel": "record.salary"}, "1", "cel"),
        ({"cel": "int(record.income) / 0"}, "1", "cel"),
    ],
)
def test_what_is_no_number_is_refused(origin: Any, written: Any, rule: str) -> None:
    assert one_problem(person(income=origin), SOMEBODY | {"income": written}) == ("data.income", rule)


@pytest.mark.parametrize(
    ("origin", "written", "made"),
    [
        ("born", "1990-02-03", dt.date(1990, 2, 3)),
        ({"column": "born", "format": "%d-%m-%Y"}, " 03-02-1990 ", dt.date(1990, 2, 3)),
        ("born", dt.date(1990, 2, 3), dt.date(1990, 2, 3)),
        ("born", dt.datetime(1990, 2, 3), dt.date(1990, 2, 3)),  # noqa: DTZ001  a spreadsheet's date
    ],
)
def test_dates_are_read_as_the_mapping_says(origin: Any, written: Any, made: dt.date) -> None:
    mapped = person(born=origin).event(SOMEBODY | {"born": written})
    assert mapped is not None
    assert mapped.data["born"] == made


@pytest.mark.parametrize("written", ["1990-02-30", "03/02/1990", "1990-02-03T01:00:00", 33_000])
def test_what_is_no_date_is_refused(written: Any) -> None:
    assert one_problem(person(), SOMEBODY | {"born": written}) == ("data.born", "format")


@pytest.mark.parametrize(
    ("written", "made"), [("Ya", True), ("tidak", False), (True, True), ("", "the default")], ids=str
)
def test_booleans_have_words_of_their_own(written: Any, made: Any) -> None:
    mapper = person(alive={"column": "alive", "true_words": ["ya"], "false_words": ["tidak"]})
    mapped = mapper.event(SOMEBODY | {"alive": written})
    assert mapped is not None
    assert mapped.data.get("alive", "the default") == made
    assert one_problem(mapper, SOMEBODY | {"alive": "true"}) == ("data.alive", "boolean")


def test_codes_are_translated_and_others_refused() -> None:
    assert one_problem(person(), SOMEBODY | {"sex": "X"}) == ("data.sex", "translate")
    assert one_problem(person(sex="sex"), SOMEBODY) == ("data.sex", "enum")


def test_a_long_number_of_a_spreadsheet_is_no_identifier() -> None:
    assert one_problem(person(), SOMEBODY | {"nik": 3210142211266540.0}) == ("data.nik", "precision")


@pytest.mark.parametrize("written", ["9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59"])
def test_a_moment_that_is_none_in_utc_is_refused(written: str) -> None:
    with pytest.raises(Unconvertible, match="years 1 to 9999"):
        moment(written, Origin(column="at"))


def test_a_moment_needs_a_zone_from_somewhere() -> None:
    mapping = {"event_type": "x.v1", "data": PERSON_DATA | {"income": "income"}, "time": "at"}
    mapper = Mapper(EventMapping.model_validate(mapping), PERSON)
    assert one_problem(mapper, SOMEBODY | {"at": "2026-11-24T08:02:03"}) == ("time", "zone")
    mapped = mapper.event(SOMEBODY | {"at": "2026-11-24T08:02:03+07:00"})
    assert mapped is not None
    assert mapped.time == dt.datetime(2026, 11, 24, 1, 2, 3, tzinfo=dt.UTC)


@pytest.mark.parametrize("written", ["1e999", "-1e999", float("nan"), float("inf"), Decimal("1e999")])
def test_a_number_that_is_not_finite_is_none(written: Any) -> None:
    mapping = {"event_type": "x.v1", "data": {"n": "n"}}
    codec = Codec({"type": "record", "name": "R", "fields": [{"name": "n", "type": "double"}]})
    assert one_problem(Mapper(EventMapping.model_validate(mapping), codec), {"n": written}) == ("data.n", "number")


def test_a_record_that_may_be_absent_is_null_where_its_columns_are_empty() -> None:
    mapper = person(father__name="father", father__nationality={"value": "WNI"}, father__age="father_age")
    for row, father in (
        ({"father": ""}, None),
        ({}, None),
        ({"father": "Asep"}, {"name": "Asep", "nationality": "WNI", "age": None}),
    ):
        mapped = mapper.event(SOMEBODY | row)
        assert mapped is not None
        assert mapped.data["father"] == father
    assert one_problem(mapper, SOMEBODY | {"father_age": "50"}) == ("data.father.name", "required")


def test_nested_records_are_read_along_a_way_and_lists_stand_as_they_are() -> None:
    mapper = person(nik="id.0.value", children={"cel": 'record.kids.filter(kid, kid.age < 18).map(kid, kid["name"])'})
    mapped = mapper.event(
        SOMEBODY
        | {"id": [{"value": SOMEBODY["nik"]}], "kids": [{"name": "Ani", "age": 3}, {"name": "Budi", "age": 30}]}
    )
    assert mapped is not None
    assert mapped.data["nik"] == SOMEBODY["nik"]
    assert mapped.data["children"] == ["Ani"]
    assert one_problem(person(nik="id.1.value"), SOMEBODY | {"id": []}) == ("data.nik", "required")


def test_records_that_are_not_meant_are_passed_over() -> None:
    mapping = {"event_type": "x.v1", "when": "record.kind == 'birth'", "data": PERSON_DATA | {"income": "income"}}
    mapper = Mapper(EventMapping.model_validate(mapping), PERSON)
    assert mapper.event(SOMEBODY | {"kind": "death"}) is None
    assert mapper.event(SOMEBODY | {"kind": "birth"}) is not None
    assert one_problem(mapper, SOMEBODY) == ("when", "cel")


def test_a_mapping_that_does_not_fit_is_refused_with_every_problem() -> None:
    mapping = {
        "event_type": "x.v1",
        "data": {
            "nik": {"column": "nik", "format": "%Y"},
            "sexx": "sex",
            "sex": {"column": "sex", "translate": {"L": "MAN"}},
            "alive": {"value": "perhaps"},
            "father": "father",
            "father.name": "father_name",
        },
    }
    with pytest.raises(BadMapping) as caught:
        Mapper(EventMapping.model_validate(mapping), PERSON)
    assert {(problem.path, problem.rule) for problem in caught.value.problems} == {
        ("data.nik", "format"),
        ("data.sexx", "unknown-field"),
        ("data.sex", "enum"),
        ("data.alive", "boolean"),
        ("data.father.name", "twice"),
        ("data.born", "required"),
        ("data.income", "required"),  # it may be null, but somebody must say so
    }
    assert "did you mean sex?" in str(caught.value)


@pytest.mark.parametrize(
    ("origin", "reason"),
    [
        ({}, "none is given"),
        ({"column": "a", "value": 1}, "column and value"),
        ({"column": "a", "zone": "WIB"}, "WIB is +07:00"),
        ({"colum": "a"}, "colum"),
        ({"cel": "recrd.nik"}, "line 1, column 6: undeclared reference to 'recrd.nik'; columns are record.<name>"),
    ],
)
def test_an_origin_is_exactly_one_thing(origin: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(reason)):
        EventMapping.model_validate({"event_type": "x.v1", "data": {"nik": origin}})


def test_a_condition_must_be_true_or_false() -> None:
    with pytest.raises(ValidationError, match="must be true or false"):
        EventMapping.model_validate({"event_type": "x.v1", "when": "1 + 1", "data": PERSON_DATA})


def test_a_constant_null_is_given_too() -> None:
    mapped = person(income={"value": None}).event(SOMEBODY)
    assert mapped is not None
    assert mapped.data["income"] is None


ANYTHING = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.decimals(), st.datetimes(), st.dates(),
        st.times(), st.timedeltas(), st.binary(max_size=20), st.uuids(),
        st.from_regex(r"[-+]?[0-9.,]{1,40}([eE][-+]?[0-9]{1,4})?", fullmatch=True),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip


@given(record=st.fixed_dictionaries(dict.fromkeys(("nik", "sex", "born", "alive", "income", "at", "kids"), ANYTHING)))
def test_whatever_a_record_holds_it_is_mapped_or_refused_with_reasons(record: dict[str, Any]) -> None:
    data = PERSON_DATA | {"income": {"column": "income", "decimal_mark": ","}, "alive": "alive", "children": "kids"}
    data |= {"father.name": {"cel": "string(record.income)"}, "father.nationality": {"column": ["sex", "nik"]}}
    data |= {"father.age": "income"}
    mapping = {
        "event_type": "x.v1",
        "data": data,
        "time": {"column": "at", "zone": "Z"},
        "id": {"digest": ["nik", "at"]},
    }
    mapper = Mapper(EventMapping.model_validate(mapping), PERSON)
    with contextlib.suppress(Unmappable):
        mapped = mapper.event(record)
        assert mapped is not None
        assert re.fullmatch("[0-9a-f]{32}", mapped.id or "")


def test_nothing_of_an_event_is_shown_in_its_representation() -> None:
    assert SOMEBODY["nik"] not in repr(person().event(SOMEBODY))
