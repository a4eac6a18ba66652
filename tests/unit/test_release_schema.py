"""What of a payload is released: the released schema and the released value, by tables and by laws."""

import itertools
import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from avro_strategies import typed_schemas
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from span_cases import SCALAR_RULES, fits

from schemas.paths import covers, fields
from schemas.release_rules import parse_rule
from schemas.released import ReleaseProblems, Releaser, deciding_rule, released_schema
from schemas.rules import CannotRelease, ReleaseRule
from schemas.wire.codec import Codec

PERSON = {
    "type": "record",
    "name": "Person",
    "doc": "Somebody",
    "aliases": ["Human"],
    "lintas.note": "for the bus",
    "fields": [
        {"name": "nik", "type": {"type": "string", "logicalType": "nik"}, "doc": "Number", "lintas-personal": True},
        {"name": "name", "type": "string", "default": "", "aliases": ["called"], "unit": "text"},
        {"name": "born", "type": {"type": "int", "logicalType": "date"}},
    ],
}
EVENT = {
    "type": "record",
    "name": "Event",
    "namespace": "id.go.x",
    "fields": [
        {"name": "child", "type": PERSON},
        {"name": "mother", "type": ["null", "Person"], "default": None},
        {"name": "witnesses", "type": {"type": "array", "items": "Person"}, "default": []},
        {"name": "by_role", "type": {"type": "map", "values": "Person"}},
        {"name": "either", "type": ["null", "string", "Person"], "default": None},
        {"name": "tags", "type": {"type": "array", "items": "string"}},
        {"name": "amount", "type": ["int", "null"], "default": 7},
        {
            "name": "office",
            "type": {
                "type": "record",
                "name": "Office",
                "fields": [{"name": "a", "type": "string"}, {"name": "b", "type": "int", "default": 5}],
            },
            "default": {"a": "Bandung"},
        },
    ],
}


def rules(**written: Any) -> dict[str, ReleaseRule]:
    return {path: parse_rule(rule) for path, rule in written.items()}


def of(release: Mapping[str, Any], source: Any = EVENT) -> Any:
    return released_schema(source, rules(**release), name="Released", namespace="test")


def field(schema: Any, *path: str) -> Any:
    for name in path:
        of_record = schema["type"] if isinstance(schema.get("type"), dict) else schema
        schema = next(field for field in of_record["fields"] if field["name"] == name)
    return schema


def token(value: bytes) -> str:
    return f"token of {value.hex()}"


def test_nothing_is_released_that_is_not_listed() -> None:
    schema = of({"child.nik": "keep"})
    assert [field["name"] for field in schema["fields"]] == ["child"]
    assert [field["name"] for field in field(schema, "child")["type"]["fields"]] == ["nik"]


def test_the_most_specific_path_decides() -> None:
    schema = of({"child": "keep", "child.nik": "drop", "child.name": "mask"})
    assert [field["name"] for field in field(schema, "child")["type"]["fields"]] == ["name", "born"]


def test_a_drop_of_the_whole_yields_to_a_keep_of_a_part() -> None:
    assert field(of({"child": "drop", "child.born": "keep"}), "child", "born")["type"]["logicalType"] == "date"


def test_a_record_of_which_everything_is_dropped_is_not_released() -> None:
    release = {"office": "keep", "child": "keep", "child.nik": "drop", "child.name": "drop", "child.born": "drop"}
    assert [field["name"] for field in of(release)["fields"]] == ["office"]


def test_the_root_is_named_by_the_agreement() -> None:
    schema = of({"amount": "keep"})
    assert (schema["type"], schema["name"], schema["namespace"]) == ("record", "Released", "test")


def test_a_type_kept_whole_keeps_its_name_and_a_reduced_one_gets_the_name_of_its_place() -> None:
    schema = of({"child": "keep", "mother": "keep", "witnesses": "keep", "witnesses[].nik": "drop", "by_role": "keep"})
    assert field(schema, "child")["type"]["name"] == "id.go.x.Person"
    assert field(schema, "mother")["type"] == ["null", "id.go.x.Person"]
    assert field(schema, "by_role")["type"] == {"type": "map", "values": "id.go.x.Person"}
    assert field(schema, "witnesses")["type"]["items"]["name"] == "id.go.x.PersonReleasedWitnesses"


def test_places_that_look_alike_get_different_names() -> None:
    person = {"type": "record", "name": "P", "fields": [{"name": "x", "type": "int"}, {"name": "y", "type": "int"}]}
    inner = {"type": "record", "name": "In", "fields": [{"name": "b_c", "type": "P"}]}
    source = {
        "type": "record",
        "name": "E",
        "fields": [{"name": "a_b_c", "type": person}, {"name": "a", "type": inner}, {"name": "aB_C", "type": "P"}],
    }
    schema = of({"a_b_c.x": "keep", "a.b_c.y": "keep", "aB_C.y": "keep"}, source)
    Codec(schema)  # would refuse a name that is defined twice


def test_what_people_and_other_programs_read_stays_and_what_the_bus_reads_does_not() -> None:
    child = field(of({"child.nik": "keep", "child.name": "keep"}), "child")
    assert child["type"]["doc"] == "Somebody"
    nik, name = child["type"]["fields"]
    assert nik["doc"] == "Number"
    assert name["unit"] == "text"
    for node in (child["type"], nik, name):
        assert not [key for key in node if key == "aliases" or key.startswith("lintas")]


def test_a_type_kept_whole_loses_aliases_and_attributes_of_the_bus_too() -> None:
    text = json.dumps(of({"child": "keep"}))
    assert "aliases" not in text
    assert "lintas" not in text


@pytest.mark.parametrize(
    ("release", "path", "default"),
    [
        ({"amount": "keep"}, ("amount",), 7),
        ({"mother": "keep"}, ("mother",), None),
        ({"mother.nik": "pseudonym"}, ("mother",), None),  # null is null whatever else would be released
        ({"witnesses[].nik": "keep"}, ("witnesses",), []),
        ({"office": "keep"}, ("office",), {"a": "Bandung"}),
        ({"office.b": "keep"}, ("office",), {"b": 5}),  # without the value that is withheld
        ({"office.b": "keep"}, ("office", "b"), 5),
        ({"child.name": "keep"}, ("child", "name"), ""),
    ],
)
def test_a_default_stays_as_far_as_it_is_released(
    release: dict[str, Any], path: tuple[str, ...], default: object
) -> None:
    assert field(of(release), *path)["default"] == default


@pytest.mark.parametrize(
    ("release", "path"),
    [
        ({"office.a": "mask"}, ("office",)),
        ({"amount": {"generalise": {"band": 10}}}, ("amount",)),
        ({"child.name": "pseudonym"}, ("child", "name")),
    ],
)
def test_a_default_that_a_rule_would_change_goes(release: dict[str, Any], path: tuple[str, ...]) -> None:
    assert "default" not in field(of(release), *path)
    assert "Bandung" not in json.dumps(of(release))


def test_null_stays_where_it_stood_in_its_union() -> None:
    schema = of({"mother.nik": "mask", "amount": {"generalise": {"band": 10}}})
    assert field(schema, "mother")["type"][0] == "null"
    assert field(schema, "amount")["type"] == ["string", "null"]


@pytest.mark.parametrize(
    ("release", "path", "says"),
    [
        ({"child.nickname": "keep"}, "child.nickname", "no such field"),
        ({"child.nam": "keep"}, "child.nam", "did you mean child.name?"),
        ({"witnesses.nik": "keep"}, "witnesses.nik", "did you mean witnesses[].nik?"),
        ({"child[]": "keep"}, "child[]", "no such field"),
        ({"child.nik.digits": "keep"}, "child.nik.digits", "no such field"),
        ({"child": "mask"}, "child", "string fields only"),
        ({"tags": "mask"}, "tags", "string fields only"),
        ({"child": "pseudonym", "child.nik": "keep"}, "child", "cannot be combined"),
        ({"either": "pseudonym"}, "either", "whole or not at all"),
        ({"either.nik": "keep"}, "either", "whole or not at all"),
        ({"child": "drop"}, "", "nothing is released"),
    ],
)
def test_a_release_that_does_not_fit_is_refused_where_it_stands(release: dict[str, Any], path: str, says: str) -> None:
    with pytest.raises(ReleaseProblems) as refused:
        of(release)
    assert [(at, says in message) for at, message in refused.value.problems] == [(path, True)]


def test_every_problem_is_reported_at_once() -> None:
    with pytest.raises(ReleaseProblems) as refused:
        Releaser(EVENT, rules(child="mask", nobody="keep", either="mask", tags="keep"))
    assert [path for path, _ in refused.value.problems] == ["child", "either", "nobody"]


def test_a_type_that_contains_itself_is_released_whole_or_not_at_all() -> None:
    node = {
        "type": "record",
        "name": "Node",
        "fields": [{"name": "text", "type": "string"}, {"name": "next", "type": ["null", "Node"]}],
    }
    source = {"type": "record", "name": "E", "fields": [{"name": "node", "type": node}]}
    Codec(of({"node": "keep"}, source))
    Codec(of({"node.text": "keep"}, source))
    with pytest.raises(ReleaseProblems, match="contains itself"):
        of({"node.next.text": "keep"}, source)


def test_types_of_other_namespaces_are_found_by_their_full_names() -> None:
    colour = {"type": "enum", "name": "Colour", "symbols": ["RED"]}
    inner = {"type": "record", "name": "In", "namespace": "other", "fields": [{"name": "c", "type": colour}]}
    source = {
        "type": "record",
        "name": "E",
        "namespace": "here",
        "fields": [{"name": "i", "type": inner}, {"name": "c", "type": "other.Colour"}],
    }
    schema = of({"c": "keep"}, source)
    assert field(schema, "c")["type"]["name"] == "other.Colour"
    assert Codec(schema).decode(Codec(schema).encode({"c": "RED"})) == {"c": "RED"}


def test_the_path_of_a_value_that_cannot_be_released_is_named_without_the_value() -> None:
    release = Releaser(EVENT, rules(**{"child.name": {"generalise": {"to": "year"}}}))
    with pytest.raises(CannotRelease) as refused:
        release({"child": {"name": "Siti"}}, token)
    assert refused.value.path == "child.name"
    assert "Siti" not in str(refused.value)


def test_lists_maps_and_nulls_are_released_part_by_part() -> None:
    release = Releaser(
        EVENT,
        rules(**{"witnesses[].name": "mask", "by_role{}.nik": "keep", "mother.nik": "pseudonym", "tags[]": "mask"}),
    )
    siti, ani = {"nik": "1", "name": "Siti"}, {"nik": "2", "name": "Ani"}
    data = {"witnesses": [siti, ani], "by_role": {"midwife": ani}, "mother": None, "tags": ["ab", "c"]}
    assert release(data, token) == {
        "witnesses": [{"name": "****"}, {"name": "***"}],
        "by_role": {"midwife": {"nik": "2"}},
        "mother": None,
        "tags": ["**", "*"],
    }


# Laws. Every text of the payload is different from all others, so that one that got through would be seen.


@st.composite
def payloads(draw: st.DrawFn) -> tuple[Any, Any]:
    """A schema of nested records, lists, maps and nullable fields, some types used at several places, and a payload."""
    numbers = itertools.count()
    records: list[dict[str, Any]] = []

    def text() -> str:
        return f"secret-{next(numbers)}-"

    def record(depth: int) -> tuple[Any, dict[str, Any]]:
        number = len(records)
        node: dict[str, Any] = {"type": "record", "name": f"R{number}", "fields": []}
        records.append(node)
        value = {}
        for index in range(draw(st.integers(1, 4))):
            of_field, own = place(depth - 1)
            node["fields"].append({"name": f"f{index}", "type": of_field})
            value[f"f{index}"] = own
        return node, value

    def place(depth: int) -> tuple[Any, Any]:
        shape = draw(st.sampled_from(["text", "text", "nullable", "list", "map", "record"])) if depth else "text"
        if shape == "text":
            return "string", text()
        of, value = record(depth) if shape == "record" or draw(st.booleans()) else place(depth - 1)
        if shape == "record":
            return of, value
        if shape == "nullable":
            return (of, value) if isinstance(of, list) else (["null", of], draw(st.sampled_from([value, None])))
        if shape == "list":
            return {"type": "array", "items": of}, [value, value] if draw(st.booleans()) else [value]
        return {"type": "map", "values": of}, {"key": value}

    schema, value = record(4)
    return schema, value


def leaves(schema: Any) -> list[str]:
    every = [each.path for each in fields(schema)]
    return [path for path in every if not any(other != path and covers(path, other) for other in every)]


def values(schema: Any, data: Any) -> Iterator[tuple[str, str]]:
    """Every text of a payload with its path."""

    def walk(value: Any, path: str) -> Iterator[tuple[str, str]]:
        if isinstance(value, dict):
            of_map = path + "{}" in known
            for name, item in value.items():
                yield from walk(item, path + "{}" if of_map else f"{path}.{name}" if path else name)
        elif isinstance(value, list):
            for item in value:
                yield from walk(item, path + "[]")
        elif value is not None:
            yield path, value

    known = {each.path for each in fields(schema)}
    yield from walk(data, "")


def a_release(draw: st.DrawFn, schema: Any) -> dict[str, ReleaseRule]:
    ends = set(leaves(schema))
    release = {}
    for path in (each.path for each in fields(schema)):
        choice = draw(st.sampled_from(["", "", "keep", "drop", *(["mask", "pseudonym"] if path in ends else [])]))
        if choice:
            release[path] = parse_rule(choice)
    return release


@given(st.data())
@settings(suppress_health_check=[HealthCheck.filter_too_much])
def test_no_withheld_value_can_be_reached_and_every_other_one_is_as_its_rule_says(data: st.DataObject) -> None:
    schema, payload = data.draw(payloads())
    release = data.draw(st.composite(a_release)(schema))
    released_paths = {path for path in leaves(schema) if deciding_rule(path, release) is not None}
    if not released_paths:
        with pytest.raises(ReleaseProblems):
            Releaser(schema, release)
        return
    released = Releaser(schema, release)(payload, token)
    found = sorted(values(schema, released))
    expected = []
    for path, value in values(schema, payload):
        rule = deciding_rule(path, release)
        if rule is not None:
            expected.append((path, rule.released(value, token)))
    assert found == sorted(expected)
    kept = {value for path, value in values(schema, payload) if _is_kept(path, release)}
    text = json.dumps(released)
    assert not [value for _, value in values(schema, payload) if value not in kept and value in text]


def _is_kept(path: str, release: Mapping[str, ReleaseRule]) -> bool:
    rule = deciding_rule(path, release)
    return rule is not None and rule.name == "keep"


@given(st.data())
@settings(suppress_health_check=[HealthCheck.filter_too_much])
def test_what_is_released_can_always_be_written_and_read_with_the_released_schema(data: st.DataObject) -> None:
    schema, payload = data.draw(payloads())
    release = data.draw(st.composite(a_release)(schema))
    assume(any(deciding_rule(path, release) for path in leaves(schema)))
    codec = Codec(released_schema(schema, release, name="Released", namespace="test"))
    released = Releaser(schema, release)(payload, token)
    assert codec.decode(codec.encode(released)) == released


@given(st.data())
@settings(suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow], deadline=None)
def test_any_avro_type_can_be_released_by_the_rules_that_take_it(data: st.DataObject) -> None:
    typed = data.draw(typed_schemas(ambiguous_unions=False))
    schema = {
        "type": "record",
        "name": "Event",
        "fields": [{"name": "a", "type": typed.schema}, {"name": "b", "type": "string"}],
    }
    ends = set(leaves(schema))
    release = {"b": parse_rule("keep")}
    for each in (each for each in fields(schema) if each.path != "b"):
        if written := data.draw(st.sampled_from([None, "keep", "drop", *(SCALAR_RULES if each.path in ends else [])])):
            rule = parse_rule(written)
            if rule.name in ("keep", "drop") or fits(rule, each.type):
                release[each.path] = rule
    payload = {"a": data.draw(typed.values), "b": "x"}
    codec = Codec(released_schema(schema, release, name="Released", namespace="test"))
    try:
        released = Releaser(schema, release)(payload, token)
    except CannotRelease:
        return  # a text that is no date, a number that is not finite
    encoded = codec.encode(released)
    assert codec.encode(codec.decode(encoded)) == encoded
