"""What people may see of an event: personal fields masked, and for a consumer's people what is not released."""

from typing import Any

import pytest

from schemas.conditions import Condition
from schemas.model import Agreement, EventType
from streams.masked import MASKED, Sight

EVENT_TYPE = "id.go.dukcapil.birth.registered.v1"
CONTRACT = EventType.model_validate(
    {
        "event_type": EVENT_TYPE,
        "owner": "dukcapil",
        "title": "A birth",
        "summary": "It was registered",
        "publishers": ["dukcapil.siak"],
        "classification": "personal",
        "personal_fields": ["child", "witnesses[].nik", "notes{}"],
    }
)
PUBLIC = CONTRACT.model_copy(update={"personal_fields": []})
SCHEMA: Any = {
    "type": "record",
    "name": "Birth",
    "fields": [
        {"name": "child", "type": {"type": "record", "name": "Child", "fields": [{"name": "nik", "type": "string"}]}},
        {
            "name": "witnesses",
            "type": {
                "type": "array",
                "items": {
                    "type": "record",
                    "name": "Witness",
                    "fields": [{"name": "nik", "type": "string"}, {"name": "role", "type": "string"}],
                },
            },
        },
        {"name": "notes", "type": {"type": "map", "values": "string"}},
        {"name": "province", "type": "string"},
        {"name": "office", "type": "string"},
    ],
}
DATA = {
    "child": {"nik": "32"},
    "witnesses": [{"nik": "33", "role": "aunt"}],
    "notes": {"a": "b"},
    "province": "32",
    "office": "Bandung",
}
ATTRIBUTES = {"specversion": "1.0", "type": EVENT_TYPE, "id": "17", "subject": "32", "time": "2026-11-26"}
RELEASE = Agreement.model_validate(
    {
        "agreement": "bps.births",
        "provider": "dukcapil",
        "consumer": "bps.vital",
        "event_type": EVENT_TYPE,
        "legal_basis": "UU 16/1997",
        "purpose": "Statistics",
        "valid": {"from": "2026-01-01", "until": "2028-12-31"},
        "release": {"province": "keep", "office": {"mask": {"keep_last": 1}}, "witnesses[].role": "keep"},
    }
).release


def test_personal_fields_are_masked_wherever_they_lie_and_the_rest_is_not() -> None:
    seen = Sight(CONTRACT).of(ATTRIBUTES, DATA)["data"]
    assert seen == {
        "child": MASKED,
        "witnesses": [{"nik": MASKED, "role": "aunt"}],
        "notes": {"a": MASKED},
        "province": "32",
        "office": "Bandung",
    }


def test_null_stays_null() -> None:
    assert Sight(CONTRACT).of({}, {"child": None})["data"] == {"child": None}


def test_of_the_envelope_only_what_tells_nobody_is_shown_if_the_event_is_about_people() -> None:
    told = {"specversion": "1.0", "type": EVENT_TYPE, "time": "2026-11-26"}
    assert Sight(CONTRACT).of(ATTRIBUTES, {})["attributes"] == {**ATTRIBUTES, "id": MASKED, "subject": MASKED, **told}
    assert Sight(PUBLIC).of(ATTRIBUTES, {})["attributes"] == ATTRIBUTES


def test_a_consumers_people_see_no_more_than_is_released_as_it_is() -> None:
    seen = Sight(CONTRACT, RELEASE).of(ATTRIBUTES, DATA)
    assert seen["data"] == {
        "child": MASKED,
        "witnesses": [{"nik": MASKED, "role": "aunt"}],
        "notes": {"a": MASKED},
        "province": "32",
        "office": MASKED,  # released, but not as it is
    }
    assert Sight(PUBLIC, RELEASE).of(ATTRIBUTES, DATA)["data"]["child"] == {"nik": MASKED}  # not released at all
    assert Sight(PUBLIC, RELEASE).of(ATTRIBUTES, {})["attributes"]["subject"] == MASKED


def test_what_is_empty_is_hidden_like_what_is_not() -> None:
    assert Sight(PUBLIC, RELEASE).of({}, {"notes": {}, "witnesses": []})["data"] == {
        "notes": MASKED,
        "witnesses": MASKED,
    }


def test_in_clear_everything_is_seen() -> None:
    assert Sight(CONTRACT, clear=True).of(ATTRIBUTES, DATA) == {"attributes": ATTRIBUTES, "data": DATA}


def test_of_an_event_type_that_is_not_known_nothing_is_seen() -> None:
    assert Sight(None).of({"type": "x", "id": "1"}, {"a": 1}) == {
        "attributes": {"type": "x", "id": MASKED},
        "data": {"a": MASKED},
    }


@pytest.mark.parametrize(
    ("expression", "plain", "consumer"),
    [
        ('data.province == "32"', "", ""),
        ('event.type == "x"', "", ""),
        ('data.child.nik == "32"', "data.child.nik", "data.child.nik"),
        ('data.province == "32" || data.child.nik < "5"', "data.child.nik", "data.child.nik"),
        ('data.witnesses.exists(one, one.nik == "33")', "data.witnesses", "data.witnesses"),  # personal below the list
        ('data.notes["a"] == "b"', "data.notes", "data.notes"),
        ('event.subject == "32"', "event.subject", "event.subject"),
        ('event.id.startsWith("1")', "event.id", "event.id"),
        ('data.office == "Bandung"', "", "data.office"),  # it would tell what is not released
    ],
)
def test_a_condition_that_would_tell_what_is_masked_is_objected_to(expression: str, plain: str, consumer: str) -> None:
    condition = Condition(expression, SCHEMA)
    assert Sight(CONTRACT).objection(condition) == plain
    assert Sight(CONTRACT, RELEASE).objection(condition) == consumer
    assert Sight(CONTRACT, clear=True).objection(condition) == ""


def test_of_a_list_that_is_released_in_part_nothing_may_be_asked() -> None:
    condition = Condition('data.witnesses.exists(one, one.role == "aunt")', SCHEMA)
    assert Sight(PUBLIC).objection(condition) == ""
    assert Sight(PUBLIC, RELEASE).objection(condition) == "data.witnesses"
