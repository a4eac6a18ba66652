import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lintas.cli.event_lines import EventLine, read_line

TYPE = "id.go.agency.permit.issued.v1"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


def _read(line: str | bytes, *, bare: bool = False) -> EventLine:
    return read_line(line if isinstance(line, bytes) else line.encode(), TYPE, bare=bare)


def test_attributes_stand_beside_the_payload() -> None:
    event = _read('{"id": "1", "subject": "s", "time": "t", "key": "k", "urgent": true, "data": {"a": 1}}')
    assert event.data == {"a": 1}
    assert event.attributes == {"id": "1", "subject": "s", "time": "t", "key": "k", "extensions": {"urgent": True}}
    assert event.problems == ()


def test_a_bare_line_is_the_payload() -> None:
    assert _read('{"data": 1, "id": "x"}', bare=True).data == {"data": 1, "id": "x"}


def test_null_attributes_are_absent_ones() -> None:
    """CloudEvents JSON format, section 2.2."""
    assert _read('{"subject": null, "data": {}}').attributes.keys() == {"id", "extensions"}


@given(JSON)
def test_the_same_line_is_the_same_event_however_it_is_written(payload: object) -> None:
    compact, wide = json.dumps({"data": payload}, sort_keys=True), json.dumps({"data": payload}, indent=1)
    assert _read(compact).attributes["id"] == _read(wide).attributes["id"]
    assert _read(compact).attributes["id"] == _read(json.dumps(payload), bare=True).attributes["id"]


@given(JSON, JSON)
def test_different_payloads_are_different_events(one: object, other: object) -> None:
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    ids = {_read(json.dumps({"data": payload})).attributes["id"] for payload in (one, other)}
    assert len(ids) == (1 if same else 2)


def test_the_same_payload_of_another_type_is_another_event() -> None:
    other = read_line(b'{"data": 1}', "id.go.agency.permit.issued.v2", bare=False)
    assert other.attributes["id"] != _read('{"data": 1}').attributes["id"]


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("{", "json"),
        ("nonsense", "json"),
        ('{"data": NaN}', "json"),
        ('{"data": ' + "1" * 5000 + "}", "json"),  # more digits than Python reads
        ("[" * 100_000, "json"),  # nested too deeply
        (b'{"data": "\xff"}', "utf-8"),
        ('["data"]', "event"),
        ("1", "event"),
    ],
)
def test_a_line_that_is_no_event_is_unreadable(line: str | bytes, rule: str) -> None:
    event = _read(line)
    assert not event.readable
    assert [problem.rule for problem in event.problems] == [rule]


def test_every_problem_of_a_line_is_reported_at_once() -> None:
    event = _read('{"Time": 1, "time": "t", "time": "u", "two words": 2, "payload": {}}')
    assert [(problem.path, problem.rule) for problem in event.problems] == [
        ("", "duplicate-key"),
        ("data", "missing"),
        ("Time", "unknown-attribute"),
        ("a name", "unknown-attribute"),
    ]
    assert event.readable


def test_a_key_that_stands_twice_anywhere_is_reported() -> None:
    event = _read('{"data": {"child": {"nik": "1", "nik": "2"}}}')
    assert [str(problem) for problem in event.problems] == ["nik stands in an object twice"]


@given(st.binary())
def test_no_line_breaks_the_reader(line: bytes) -> None:
    event = read_line(line, TYPE, bare=False)
    assert event.readable or event.problems


def test_problems_hold_no_value_of_the_line() -> None:
    event = _read('{"NIK 3273010101900001": 1, "data": {}, "x": {"3273010101900001!": 1, "3273010101900001!": 2}}')
    assert "3273010101900001" not in " ".join(map(str, event.problems))
