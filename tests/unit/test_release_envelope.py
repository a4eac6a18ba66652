"""Of an envelope only what the allow-list or the agreement names is released."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.envelope_release import envelope_problems, id_pseudonym, released_envelope, rule_for
from schemas.model import Agreement, Classification, EventType
from schemas.pseudonyms import PseudonymKeys
from schemas.rules import CannotRelease, Pseudonymise
from schemas.wire import envelope as envelopes

KEYS = PseudonymKeys.fixed({1: b"k" * 32})
MINE = KEYS.for_consumer("bps.vital-statistics", 1)
NIK = "3273012311260001"
PUBLISHED = {
    "specversion": "1.0",
    "id": "reg-17",
    "source": "urn:lintas:dukcapil.siak/office/3273",
    "type": "id.go.dukcapil.birth.registered.v1",
    "subject": NIK,
    "time": "2026-11-24T01:02:03.456Z",
    "datacontenttype": "avro/binary",
    "dataschema": "https://registry.example/schemas/7",
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "agreement": "written by the publisher",
    "channel": "X2X",
    "office": "3273",
}


def agreement(rules: Mapping[str, Any]) -> Agreement:
    return Agreement.model_validate(
        {
            "agreement": "bps.births",
            "provider": "dukcapil",
            "consumer": "bps.vital-statistics",
            "event_type": "id.go.dukcapil.birth.registered.v1",
            "legal_basis": "a law",
            "purpose": "a purpose",
            "valid": {"from": "2026-01-01", "until": "2026-12-31"},
            "release": {"province": "keep"},
            "envelope": rules,
        }
    )


def event_type(classification: Classification, subject: str | None = None) -> EventType:
    return EventType(
        event_type="id.go.dukcapil.birth.registered.v1",
        owner="dukcapil",
        title="Birth registered",
        summary="A birth was registered",
        publishers=["dukcapil.siak"],
        classification=classification,
        subject=subject,
    )


def released(
    classification: Classification,
    key: bytes | None = NIK.encode(),
    pseudonymise: Pseudonymise = MINE,
    published: Mapping[str, str] = PUBLISHED,
    rules: Mapping[str, Any] = MappingProxyType({}),
) -> tuple[dict[str, str], bytes | None]:
    return released_envelope(
        published,
        key,
        agreement=agreement(rules),
        event_type=event_type(classification),
        publisher="dukcapil.siak",
        channel="G2G",
        pseudonymise=pseudonymise,
    )


OURS = {
    "specversion": "1.0",
    "type": "id.go.dukcapil.birth.registered.v1",
    "datacontenttype": "application/avro",
    "agreement": "bps.births",
    "channel": "G2G",
}


@pytest.mark.parametrize("classification", [Classification.PUBLIC, Classification.INTERNAL])
def test_events_that_are_not_about_persons_keep_id_source_subject_time_and_key(classification: Classification) -> None:
    attributes, key = released(classification)
    assert attributes == OURS | {name: PUBLISHED[name] for name in ("id", "source", "subject", "time")}
    assert key == NIK.encode()


def test_events_about_persons_give_pseudonyms_the_day_and_the_publisher() -> None:
    attributes, key = released(Classification.PERSONAL)
    assert attributes == OURS | {
        "id": id_pseudonym("reg-17", MINE),
        "source": "urn:lintas:dukcapil.siak",
        "subject": MINE(NIK.encode()),
        "time": "2026-11-24T00:00:00Z",
    }
    assert key == MINE(NIK.encode()).encode()


def test_the_pseudonym_of_the_subject_is_that_of_the_field_it_repeats_and_that_of_the_id_is_another() -> None:
    attributes, _ = released(Classification.PERSONAL, published=PUBLISHED | {"id": NIK})
    assert attributes["subject"] == MINE(NIK.encode())
    assert attributes["id"] != attributes["subject"]


@given(st.text(), st.text())
def test_no_field_has_the_pseudonym_of_an_id(event_id: str, value: str) -> None:
    assert id_pseudonym(event_id, MINE) != MINE(value.encode(errors="ignore"))


@given(
    st.dictionaries(st.from_regex(r"[a-z]{1,8}", fullmatch=True), st.text(min_size=1).map("secret-{}".format)),
    st.uuids().map(str),
    st.from_regex(r"secret-[0-9]{16}", fullmatch=True),
)
def test_two_consumers_of_events_about_persons_share_nothing_of_one_event_but_its_kind_and_day(
    extensions: dict[str, str], event_id: str, subject: str
) -> None:
    published = extensions | PUBLISHED | {"id": event_id, "subject": subject}
    seen = []
    for consumer in ("a.b", "c.d"):
        attributes, key = released(Classification.PERSONAL, subject.encode(), KEYS.for_consumer(consumer, 1), published)
        assert not any("secret" in value or event_id in value for value in attributes.values())
        seen.append({*attributes.values(), (key or b"").decode()})
    shared = seen[0] & seen[1]
    assert shared == {*OURS.values(), "urn:lintas:dukcapil.siak", "2026-11-24T00:00:00Z"}


@pytest.mark.parametrize(
    ("published", "day"),
    [
        ("2026-11-24T23:59:59.999Z", "2026-11-24T00:00:00Z"),
        ("2026-11-24T01:00:00+07:00", "2026-11-23T00:00:00Z"),  # of UTC
        ("2026-11-24t23:00:00-01:00", "2026-11-25T00:00:00Z"),
    ],
)
def test_the_day_of_an_event_about_persons_is_that_of_utc(published: str, day: str) -> None:
    assert released(Classification.PERSONAL, published=PUBLISHED | {"time": published})[0]["time"] == day


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ({"subject": "keep"}, {"subject": NIK}),
        ({"subject": "drop"}, {"subject": None}),
        ({"subject": {"mask": {"keep_last": 4}}}, {"subject": "************0001"}),
        ({"time": "keep"}, {"time": "2026-11-24T01:02:03.456Z"}),
        ({"time": "drop"}, {"time": None}),
        ({"time": {"generalise": {"to": "month"}}}, {"time": "2026-11-01T00:00:00Z"}),  # its first moment
        ({"time": {"generalise": {"to": "year"}}}, {"time": "2026-01-01T00:00:00Z"}),
        ({"source": "keep"}, {"source": "urn:lintas:dukcapil.siak/office/3273"}),
        ({"office": "keep"}, {"office": "3273", "traceparent": None}),
        ({"office": "pseudonym"}, {"office": MINE(b"3273")}),
        ({"id": "keep"}, {"id": "reg-17"}),
    ],
)
def test_an_agreement_may_release_the_envelope_otherwise(rules: Any, expected: dict[str, str | None]) -> None:
    attributes, _ = released(Classification.PERSONAL, rules=rules)
    assert {name: attributes.get(name) for name in expected} == expected
    assert envelope_problems(agreement(rules)) == []


@pytest.mark.parametrize(
    ("rule", "key"),
    [
        ("keep", NIK.encode()),
        ("drop", None),
        ("pseudonym", MINE(NIK.encode()).encode()),
        ({"mask": {"keep_last": 4}}, b"************0001"),
    ],
)
def test_the_key_is_released_by_its_own_rule(rule: Any, key: bytes | None) -> None:
    assert released(Classification.PERSONAL, rules={"key": rule})[1] == key


@pytest.mark.parametrize("classification", list(Classification))
def test_an_event_without_a_key_has_none_for_its_consumers(classification: Classification) -> None:
    assert released(classification, key=None)[1] is None


def test_a_key_that_is_no_text_cannot_be_masked() -> None:
    with pytest.raises(CannotRelease) as refused:
        released(Classification.PUBLIC, key=b"\xff", rules={"key": "mask"})
    assert refused.value.path == "envelope.key"


@pytest.mark.parametrize(
    ("rules", "attribute"),
    [
        ({"id": "drop"}, "id"),  # CloudEvents requires it
        ({"source": "drop"}, "source"),
        ({"id": "mask"}, "id"),  # two events would have one id
        ({"source": "mask"}, "source"),
        ({"time": "pseudonym"}, "time"),  # would be no time
        ({"time": "mask"}, "time"),
        ({"time": {"generalise": {"band": 10}}}, "time"),
        ({"time": {"generalise": {"to": "province"}}}, "time"),
        ({"subject": {"generalise": {"to": "year"}}}, "subject"),
        ({"type": "keep"}, "type"),  # set by the bus
        ({"agreement": "drop"}, "agreement"),
        ({"dataschema": "keep"}, "dataschema"),
        ({"Trace-Id": "keep"}, "Trace-Id"),
        ({"data": "keep"}, "data"),
    ],
)
def test_an_envelope_rule_that_would_break_the_envelope_is_a_problem(rules: Any, attribute: str) -> None:
    assert [at for at, _ in envelope_problems(agreement(rules))] == [attribute]


@pytest.mark.parametrize("classification", list(Classification))
@pytest.mark.parametrize("rules", [{}, {"id": "pseudonym", "source": "pseudonym", "time": "drop"}, {"office": "keep"}])
def test_what_is_released_is_a_valid_envelope(classification: Classification, rules: Any) -> None:
    attributes, _ = released(classification, rules=rules)
    assert envelopes.parse(envelopes.binary_headers(attributes), b"x").attributes == attributes


@pytest.mark.parametrize("classification", [Classification.PUBLIC, Classification.INTERNAL])
@pytest.mark.parametrize(
    ("release", "rule"),
    [
        ({"number": "keep"}, "keep"),
        ({"other": "keep"}, "pseudonym"),  # not listed: withheld
        ({"number": "drop", "other": "keep"}, "pseudonym"),
        ({"number": {"mask": {"keep_last": 2}}}, "pseudonym"),
        ({"number": "pseudonym"}, "pseudonym"),
    ],
)
def test_subject_and_key_tell_no_more_than_the_field_that_they_repeat(
    classification: Classification, release: dict[str, Any], rule: str
) -> None:
    terms = agreement({}).model_dump(by_alias=True) | {"release": release}
    for attribute in ("subject", "key"):
        found = rule_for(attribute, Agreement.model_validate(terms), event_type(classification, subject="number"))
        assert found is not None
        assert found.name == rule
