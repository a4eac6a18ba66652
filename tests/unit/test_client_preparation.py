import datetime as dt
import decimal
from typing import Any

import pytest
from lintas_client import MalformedEvent
from lintas_client.preparation import prepare
from lintas_client.registry import EventType, candidates
from own_systems import permit, permit_schema

from schemas.model import EventType as Contract
from schemas.registered_form import registered_form

NAME = "id.go.agency.permit.issued.v1"
TOPIC = "events.agency.permit.issued.v1"
PERMIT = EventType.of_schema(7, permit_schema(NAME, TOPIC))


def _paths(data: Any, **attributes: Any) -> set[str]:
    with pytest.raises(MalformedEvent) as refused:
        prepare(PERMIT, "agency.office", data, **attributes)
    return {problem.path for problem in refused.value.problems}


def test_natural_json_and_python_values_are_the_same_event() -> None:
    python = {"number": "P-1", "issued": dt.date(2026, 11, 24), "fee": decimal.Decimal("150000.00")}
    mixed = python | {"issued": "2026-11-24"}
    natural = prepare(PERMIT, "agency.office", permit(1)).value
    assert prepare(PERMIT, "agency.office", python).value == natural
    assert prepare(PERMIT, "agency.office", mixed).value == natural
    assert natural[:5] == b"\x00\x00\x00\x00\x07"  # Confluent's framing


@pytest.mark.parametrize(
    ("attributes", "key"),
    [
        ({}, b"P-1"),  # the subject, which is the payload's number
        ({"key": "k"}, b"k"),
        ({"key": b"\xff"}, b"\xff"),
        ({"key": ""}, b""),
    ],
)
def test_the_key_is_the_subject_unless_one_is_given(attributes: dict[str, Any], key: bytes) -> None:
    assert prepare(PERMIT, "agency.office", permit(1), **attributes).key == key


def test_without_a_subject_the_key_is_the_id() -> None:
    schema = {name: value for name, value in permit_schema(NAME, TOPIC).items() if name != "lintas.subject"}
    event = prepare(EventType.of_schema(7, schema), "agency.office", permit(1), id="own")
    assert event.key == b"own"
    assert "ce_subject" not in dict(event.headers)


def test_problems_of_payload_and_attributes_come_together() -> None:
    paths = _paths(
        permit(1, issued="soon", colour="red"),
        id="",
        subject="P-2",
        time="noon",
        key=5,
        extensions={"type": "t", "level": 2**31, "Big": "x"},
    )
    assert paths == {"data.issued", "data.colour", "id", "subject", "time", "key", "type", "level", ""}


@pytest.mark.parametrize(
    ("attributes", "path"),
    [
        ({"id": 5}, "id"),
        ({"subject": ["P-1"]}, "subject"),
        ({"time": 0}, "time"),
        ({"time": dt.datetime(2026, 11, 24)}, "time"),  # noqa: DTZ001  without a zone, it is no moment
        ({"id": "\ud800"}, "id"),
        ({"extensions": {"id": "x"}}, "id"),
        ({"extensions": {"note": "\x00"}}, "note"),
    ],
)
def test_an_attribute_that_cannot_travel_is_named(attributes: dict[str, Any], path: str) -> None:
    assert _paths(permit(1), **attributes) == {path}


def test_no_problem_shows_a_value() -> None:
    with pytest.raises(MalformedEvent) as refused:
        prepare(PERMIT, "agency.office", permit(1, issued="3273010101900001"), subject="3273010101900001")
    assert "3273010101900001" not in str(refused.value)


@pytest.mark.parametrize(
    ("subject", "found"),
    [
        ("events.agency.permit.issued.v1-value", True),
        ("events.other.issued.v1-value", True),  # an agency whose domain is id.go.agency.permit
        ("events.agency.permit.issued.v2-value", False),
        ("events.agency.it.issued.v1-value", False),  # part of a word
        ("events.agency.permit.issued.v1-key", False),
        ("inbox.agency.permit.issued.v1-value", False),
    ],
)
def test_an_event_type_is_looked_for_where_its_name_ends_alike(subject: str, found: bool) -> None:
    assert candidates(NAME, [subject]) == [subject] * found


@pytest.mark.parametrize("subject", ["number", None])
def test_the_registered_form_tells_a_client_name_topic_and_subject(subject: str | None) -> None:
    contract = Contract.model_validate(
        {
            "event_type": NAME,
            "owner": "agency",
            "title": "A permit was issued",
            "summary": "An office issued a permit.",
            "publishers": ["agency.office"],
            "classification": "public",
            "subject": subject,
        }
    )
    plain = {name: value for name, value in permit_schema("", "").items() if not name.startswith("lintas.")}
    registered = registered_form(contract, TOPIC, plain)
    assert registered_form(contract, TOPIC, registered) == registered
    found = EventType.of_schema(7, registered)
    assert (found.name, found.topic, found.subject) == (NAME, TOPIC, subject)
