"""CEL conditions: what is refused when a catalogue is validated, and what is computed for an event."""

import datetime as dt
import decimal
import uuid
from typing import Any

import pytest

from schemas.conditions import Condition, ConditionError, ConditionFailed

DATE = {"type": "int", "logicalType": "date"}
MOMENT = {"type": "long", "logicalType": "timestamp-millis"}
DECIMAL = {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}
PERSON = {
    "type": "record",
    "name": "Person",
    "fields": [
        {"name": "nik", "type": "string"},
        {"name": "born", "type": DATE},
        {"name": "phone", "type": ["null", "string"]},
        {"name": "children", "type": {"type": "array", "items": "Person"}},
    ],
}
SCHEMA = {
    "type": "record",
    "name": "Event",
    "namespace": "id.go.example",
    "fields": [
        {"name": "mother", "type": PERSON},
        {"name": "father", "type": ["null", "Person"]},
        {"name": "members", "type": {"type": "array", "items": "Person"}},
        {"name": "sex", "type": {"type": "enum", "name": "Sex", "symbols": ["MALE", "FEMALE"]}},
        {"name": "weight", "type": ["null", "int"]},
        {"name": "height", "type": "double"},
        {"name": "twins", "type": ["null", "boolean"]},
        {"name": "at", "type": MOMENT},
        {"name": "seen", "type": ["null", MOMENT]},
        {"name": "opens", "type": {"type": "int", "logicalType": "time-millis"}},
        {"name": "fee", "type": DECIMAL},
        {"name": "discount", "type": ["null", DECIMAL]},
        {"name": "letter", "type": {"type": "string", "logicalType": "uuid"}},
        {"name": "days", "type": {"type": "array", "items": DATE}},
        {"name": "weeks", "type": {"type": "array", "items": {"type": "array", "items": DATE}}},
        {"name": "stays", "type": {"type": "array", "items": {"type": "map", "values": "string"}}},
        {"name": "visits", "type": {"type": "array", "items": ["null", DATE]}},
        {"name": "codes", "type": ["null", {"type": "array", "items": "string"}]},
        {"name": "scores", "type": {"type": "map", "values": "int"}},
        {"name": "either", "type": ["string", "int"]},
        {"name": "photo", "type": "bytes"},
        {"name": "someThing", "type": "string"},
        {"name": "some_thing", "type": "string"},
    ],
}
ATTRIBUTES = {
    "specversion": "1.0",
    "id": "7",
    "source": "urn:lintas:dukcapil.siak",
    "type": "id.go.example.v1",
    "subject": "3273",
    "time": "2026-03-01T00:00:00.5+07:00",
    "province": "32",
}


def person(nik: str, year: int, *children: dict[str, Any]) -> dict[str, Any]:
    return {"nik": nik, "born": dt.date(year, 5, 1), "phone": None, "children": list(children)}


MOTHER = person("3201", 1990, person("3202", 2020))
DATA: dict[str, Any] = {
    "mother": MOTHER,
    "father": None,
    "members": [MOTHER, person("3301", 2015)],
    "sex": "FEMALE",
    "weight": None,
    "height": 51.5,
    "twins": None,
    "at": dt.datetime(2026, 3, 1, tzinfo=dt.UTC),
    "seen": None,
    "opens": dt.time(8, 30),
    "fee": decimal.Decimal("10.50"),
    "discount": None,
    "letter": uuid.UUID(int=7),
    "days": [dt.date(2026, 3, 1)],
    "weeks": [[dt.date(2026, 3, 1)]],
    "stays": [{"at": "home"}],
    "visits": [None, dt.date(2026, 3, 1)],
    "codes": None,
    "scores": {"maths": 8},
    "either": 3,
    "photo": b"\x01",
    "someThing": "x",
    "some_thing": "y",
}


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ('data.mother.nik.startsWith("32") && data.sex == "FEMALE"', True),
        ('event.type == "id.go.example.v1" && event.source.endsWith("siak")', True),
        ('event.province == "32"', True),  # an extension attribute
        ("event.traceparent == null", True),  # one that the event lacks
        ('event.time < timestamp("2026-03-01T00:00:00+07:00")', False),
        ("data.weight == null || data.weight > 2500", True),
        ("data.weight != null && data.weight > 2500", False),
        ("data.height > 50.0", True),
        ("data.father == null", True),
        ("data.father.nik == null", True),  # what is below null is null
        ('data.father != null && data.father.nik == "3203"', False),
        ('data.mother.born < timestamp("2000-01-01T00:00:00Z")', True),  # a date is its midnight in UTC
        ('data.mother.born == timestamp("1990-05-01T00:00:00Z")', True),
        ('data.at.getFullYear("Asia/Jakarta") == 2026', True),
        ("data.seen == null || data.seen < data.at", True),
        ('data.opens > duration("8h")', True),
        ('data.members.exists(m, m.nik == "3301")', True),
        ('data.members.all(m, m.born < "2010-01-01")', False),  # dates in lists are texts
        ('data.members.exists(m, m.children.exists(c, c.nik == "3202"))', True),
        ("size(data.mother.children) == 1", True),
        ("data.members.exists(m, m.phone != null)", False),
        ('data.days.exists(d, d == timestamp("2026-03-01T00:00:00Z"))', True),
        ('"2026-03-01" in data.weeks[0]', True),
        ('data.stays.exists(s, s.at == "home")', True),
        ('data.visits.exists(v, v != null && v > "2026-01-01")', True),
        ('data.codes == null || "A" in data.codes', True),
        ('data.scores["maths"] == 8 && data.scores.maths == 8', True),
        ('"art" in data.scores', False),
        ('data.either == 3 || data.either == "three"', True),
        ('data.photo == b"\\x01"', True),
        ("data.fee == data.fee && data.discount == null", True),  # decimals are equal or not
        ('data.letter == "00000000-0000-0000-0000-000000000007"', True),
        ("data.members[0] != data.members[1]", True),  # whole records can be compared
        ("data.someThing != data.some_thing", True),
        ('data.sex == "data.nothing" // event.d\'oh', False),  # texts and comments name nothing
        ('data\n  .mother . nik\n  .matches("^32")', True),
        (r"data.mother.nik.matches(r'^\d+$')", True),
        ("true", True),
    ],
)
def test_a_condition_holds_or_not(expression: str, result: bool) -> None:
    assert Condition(expression, SCHEMA)(ATTRIBUTES, DATA) is result


@pytest.mark.parametrize(
    ("expression", "line", "column", "message"),
    [
        ('data.mother.nim == "1"', 1, 12, "Person has no field nim; did you mean nik?"),
        ('data.father.nim == "1"', 1, 12, "Person has no field nim; did you mean nik?"),  # also below what may be null
        ('data.members.exists(m, m.nim == "1")', 1, 25, "Person has no field nim; did you mean nik?"),
        ('data.members.exists(m, m.children.exists(c, c.nim == "1"))', 1, 46, "no field nim"),
        ("data.members.exists(m, m.nik == 3)", 1, 30, "== does not take (string, int)"),
        ("data.weight == 'x'", 1, 13, "== does not take (int or null, string)"),
        ("data.weight > 2.5", 1, 13, "does not take"),
        ("data.mother.nik == null", 1, 17, "== does not take (string, null)"),  # it is never null
        ("data.sex == 'MALE' &&\n  data.wieght > 3", 2, 7, "Event has no field wieght; did you mean weight?"),
        ("mother.nik == '1'", 1, 7, "undeclared reference to 'mother.nik'; the payload is data.<field>"),
        ("data.weight +", 1, 14, "Syntax error"),
        ("data.weight", 1, 1, "must be true or false, but is"),
        ("data.mother", 1, 1, "must be true or false, but is person"),
        ("'yes'", 1, 1, "must be true or false, but is string"),
        ("", 1, 1, "Syntax error"),
        ("data.fee > 10", 1, 10, "CEL has no decimals"),
        ("has(data.father)", 1, 1, "has() is not available: compare with null instead"),
        ("data.members.exists(m,\n has(m.phone))", 2, 2, "has() is not available"),
        ("data == data", 1, 1, "name a field of it: data.<name>"),
        ("data.size() > 1", 1, 1, "name a field of it: data.<name>"),
        ("data.nothing.of.this.kind", 1, 5, "no field nothing"),
        ("event.time > 3", 1, 12, "does not take"),
        ("data.mother.nik.startsWith(data.father)", 1, 27, "does not take"),
    ],
)
def test_an_expression_that_does_not_fit_is_refused_with_its_place(
    expression: str, line: int, column: int, message: str
) -> None:
    with pytest.raises(ConditionError) as refused:
        Condition(expression, SCHEMA)
    assert message in refused.value.message
    assert (refused.value.line, refused.value.column) == (line, column)


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("data.weight > 2500", "a value is null or of another type"),
        ('data.father.born > timestamp("2000-01-01T00:00:00Z")', "a value is null or of another type"),
        ("data.twins", "the result is null or no boolean"),
        ("data.seen > data.at", "a value is null or of another type"),
        ('data.scores["art"] > 3', "a key is missing"),
        ("data.members[7].nik == '1'", "an index is past the end"),
        ("10 / (size(data.members) - 2) == 1", "a division by zero"),
        ("int(data.sex) == 1", "a value cannot be converted"),
    ],
)
def test_what_cannot_be_computed_fails_with_a_reason_and_no_value(expression: str, reason: str) -> None:
    condition = Condition(expression, SCHEMA)
    with pytest.raises(ConditionFailed) as failed:
        condition(ATTRIBUTES, DATA)
    assert str(failed.value) == f"cannot be computed: {reason}"


def test_a_condition_serves_events_with_and_without_the_values_that_may_be_null() -> None:
    condition = Condition("data.seen == null || data.father == null || data.seen < data.at", SCHEMA)
    earlier, later = dt.datetime(2025, 1, 1, tzinfo=dt.UTC), dt.datetime(2027, 1, 1, tzinfo=dt.UTC)
    results = [
        condition(ATTRIBUTES, {**DATA, "seen": seen, "father": father})
        for seen in (None, earlier, later)
        for father in (None, MOTHER)
    ]
    assert results == [True, True, True, True, True, False]


def test_only_the_fields_that_are_named_are_read() -> None:
    assert Condition("data.height > 1.0", SCHEMA)({}, {"height": 2.0})
