"""Releases by field span: the same bytes and the same verdicts as decoding, releasing and encoding."""

import datetime as dt
import decimal
from typing import Any

import pytest
from avro_strategies import typed_schemas
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from span_cases import CANNOT, DECLINED, event_of, mutations, plan, reference, releases, token

from schemas.release_rules import parse_rule
from schemas.span_places import Unsuited
from schemas.wire.codec import Codec

PERSON = {
    "type": "record",
    "name": "Person",
    "fields": [
        {"name": "name", "type": "string"},
        {"name": "nik", "type": ["null", {"type": "string", "logicalType": "nik"}], "default": None},
        {"name": "born", "type": {"type": "int", "logicalType": "date"}},
    ],
}
EVENT = {
    "type": "record",
    "name": "Event",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "child", "type": PERSON},
        {"name": "mother", "type": ["null", "Person"], "default": None},
        {"name": "witnesses", "type": {"type": "array", "items": "Person"}},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "weights", "type": {"type": "map", "values": "int"}},
        {"name": "fee", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}},
        {"name": "ratio", "type": "float"},
    ],
}


def rules(**written: Any) -> dict[str, Any]:
    return {path.replace("__", "."): parse_rule(rule) for path, rule in written.items()}


def agree(writer: Any, reader: Any, release: Any, body: bytes) -> None:
    found, wanted = plan(writer, reader, release)(body), reference(writer, reader, release)(body)
    assert found in (wanted, DECLINED)


@given(st.data())
@settings(suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
def test_a_plan_releases_the_same_bytes_as_the_reference_path(data: st.DataObject) -> None:
    typed = data.draw(typed_schemas())
    schema = event_of(typed.schema)
    release = data.draw(st.composite(releases)(schema))
    try:
        verdict = plan(schema, schema, release)
    except Unsuited:
        assume(False)
        return
    payload = {"first": data.draw(st.text()), "a": data.draw(typed.values), "last": data.draw(st.text())}
    body = Codec(schema).encode(payload)
    assert verdict(body) == reference(schema, schema, release)(body)  # never declined: it is as our encoder writes it


@given(st.data())
@settings(suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
def test_a_plan_never_takes_what_the_reference_path_does_not(data: st.DataObject) -> None:
    typed = data.draw(typed_schemas())
    schema = event_of(typed.schema)
    release = data.draw(st.composite(releases)(schema))
    body = Codec(schema).encode({"first": "x", "a": data.draw(typed.values), "last": data.draw(st.text())})
    try:
        agree(schema, schema, release, data.draw(st.composite(mutations)(body)))
    except Unsuited:
        assume(False)


@given(st.data())
@settings(suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
def test_events_of_older_schemas_give_the_same_released_bytes(data: st.DataObject) -> None:
    typed, added = data.draw(typed_schemas()), data.draw(st.sampled_from(["int", "string", ["null", "string"]]))
    writer = event_of(typed.schema)
    default = {"int": 7, "string": "none"}.get(added) if isinstance(added, str) else None
    fields = [*writer["fields"], {"name": "added", "type": added, "default": default}]
    kept = [field for field in fields if field["name"] != "first" or data.draw(st.booleans())]
    reader = {**writer, "fields": data.draw(st.permutations(kept))}
    release = data.draw(st.composite(releases)(reader)) | {"added": parse_rule("keep")}
    body = Codec(writer).encode({"first": "x", "a": data.draw(typed.values), "last": "y"})
    try:
        agree(writer, reader, release, body)
    except Unsuited:
        assume(False)


PAYLOAD = {
    "id": "e1",
    "child": {"name": "Siti", "nik": "3273010101900001", "born": 7000},
    "mother": {"name": "Ćulibrk", "nik": None, "born": -7000},
    "witnesses": [{"name": "A", "nik": None, "born": 1}, {"name": "B", "nik": "3273010101900001", "born": 2}],
    "at": 1_700_000_000_000,
    "weights": {"x": 1, "y": 2},
    "fee": "12.50",
    "ratio": 0.5,
}


def body_of(**changes: Any) -> bytes:
    codec = Codec(EVENT)
    return codec.encode(from_plain({**PAYLOAD, **changes}))


def from_plain(data: dict[str, Any]) -> Any:
    def person(held: Any) -> Any:
        return held and {**held, "born": dt.date(1970, 1, 1) + dt.timedelta(held["born"])}

    return {
        **data,
        "child": person(data["child"]),
        "mother": person(data["mother"]),
        "witnesses": [person(one) for one in data["witnesses"]],
        "at": dt.datetime.fromtimestamp(data["at"] / 1000, dt.UTC),
        "fee": decimal.Decimal(data["fee"]),
    }


RELEASES = [
    rules(id="keep", child="keep", at="keep"),
    rules(child__name={"mask": {"keep_last": 1}}, child__nik="pseudonym", mother__name="keep"),
    rules(mother="keep", mother__nik="drop", witnesses="keep", weights="keep"),
    {"witnesses[].name": parse_rule("pseudonym"), "witnesses[].born": parse_rule({"generalise": {"to": "year"}})},
    {"weights{}": parse_rule({"generalise": {"band": 10}}), "fee": parse_rule({"generalise": {"band": 5}})},
    rules(fee="keep", ratio="keep", witnesses="keep", id="keep"),
]


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("changes", [{}, {"mother": None}, {"witnesses": [], "weights": {}}])
def test_every_kind_of_place_is_cut_as_the_reference_path_cuts_it(release: Any, changes: dict[str, Any]) -> None:
    body = body_of(**changes)
    assert plan(EVENT, EVENT, release)(body) == reference(EVENT, EVENT, release)(body)


@pytest.mark.parametrize(
    ("good", "odd"),
    [
        (b"\x04\x02A", b"\x03\x10\x02A"),  # items in a block with its size
        (b"\x04\x04\xe2", b"\x06\x00\x04\xe2"),  # a decimal with a byte more than it needs
    ],
)
def test_what_can_be_written_in_another_way_is_left_to_the_reference_path(good: bytes, odd: bytes) -> None:
    body = body_of()
    assert body.count(good) == 1
    changed = body.replace(good, odd)
    for release in RELEASES:
        assert plan(EVENT, EVENT, release)(changed) == DECLINED


def test_a_value_that_a_rule_cannot_release_is_said_to_be_so() -> None:
    schema = event_of("string")
    release = rules(a={"generalise": {"to": "month"}})
    body = Codec(schema).encode({"first": "x", "a": "no date", "last": "y"})
    assert plan(schema, schema, release)(body) == CANNOT


@pytest.mark.parametrize(
    "schema",
    [
        ["null", "int", "long"],  # a small number could be either
        {"type": "record", "name": "Tree", "fields": [{"name": "left", "type": ["null", "Tree"]}]},
    ],
)
def test_types_that_cannot_be_copied_are_released_by_the_reference_path_but_walked_all_the_same(schema: Any) -> None:
    event = event_of(schema)
    with pytest.raises(Unsuited):
        plan(event, event, rules(a="keep"))
    value = None if isinstance(schema, list) else {"left": {"left": None}}
    body = Codec(event).encode({"first": "x", "a": value, "last": "Siti"})
    assert (
        plan(event, event, rules(last="pseudonym"))(body) == bytes([2 * len(token(b"Siti"))]) + token(b"Siti").encode()
    )
