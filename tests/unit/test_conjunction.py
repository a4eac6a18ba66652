"""A replay as of then gives a field only if both agreements release it by the same rule."""

from typing import Any

import pytest

from schemas.conjunction import conjunction
from schemas.envelope_release import rule_for
from schemas.model import Agreement, Classification, EventType
from schemas.released import deciding_rule

FIELDS = frozenset({"child", "child.nik", "child.name", "mother", "weight"})
EVENT_TYPE = EventType.model_validate(
    {
        "event_type": "id.go.a.birth.registered.v1",
        "owner": "a",
        "title": "Birth",
        "summary": "A birth was registered",
        "publishers": ["a.pub"],
        "classification": "personal",
    }
)


def agreement(**terms: Any) -> Agreement:
    return Agreement.model_validate(
        {
            "agreement": "one",
            "provider": "a",
            "consumer": "b.desk",
            "event_type": EVENT_TYPE.event_type,
            "legal_basis": "UU 1/2026",
            "purpose": "tests",
            "valid": {"from": "2026-01-01", "until": "2099-12-31"},
            "release": {"weight": "keep"},
            **terms,
        }
    )


@pytest.mark.parametrize(
    ("then", "now", "released"),
    [
        ({"weight": "keep", "mother": "keep"}, {"weight": "keep"}, {"weight": "keep"}),  # less by now
        ({"weight": "keep"}, {"weight": "keep", "mother": "keep"}, {"weight": "keep"}),  # less then
        ({"child": "keep"}, {"child": "keep", "child.nik": "drop"}, {"child.name": "keep"}),
        ({"child": "keep", "child.nik": "pseudonym"}, {"child": "keep"}, {"child.name": "keep"}),
        ({"child": "keep"}, {"child.name": "keep"}, {"child.name": "keep"}),
        ({"mother": {"mask": {"keep_last": 2}}}, {"mother": {"mask": {"keep_last": 1}}}, {}),  # no two masks
        ({"weight": "keep", "gone": "keep"}, {"weight": "keep"}, {"weight": "keep"}),  # a field there is no more
    ],
)
def test_a_field_is_released_if_both_release_it_alike(
    then: dict[str, Any], now: dict[str, Any], released: dict[str, Any]
) -> None:
    both = conjunction((agreement(release=then), EVENT_TYPE), (agreement(release=now), EVENT_TYPE), FIELDS)
    leaves = FIELDS - {"child"}
    rules = {path: rule.name for path in leaves if (rule := deciding_rule(path, both.release)) is not None}
    assert rules == released


def test_events_are_the_consumers_if_both_say_so_and_must_meet_what_either_requires() -> None:
    then = agreement(when="data.weight > 1", require={"heavy": "data.weight > 2", "same": "true"})
    now = agreement(when='data.mother == "x"', require={"heavy": "data.weight > 3", "same": "true"})
    both = conjunction((then, EVENT_TYPE), (now, EVENT_TYPE), FIELDS)
    assert both.when == '(data.weight > 1) && (data.mother == "x")'
    assert both.require == {"heavy": "data.weight > 3", "same": "true", "heavy (then)": "data.weight > 2"}
    assert conjunction((agreement(), EVENT_TYPE), (agreement(), EVENT_TYPE), FIELDS).when is None


def test_attributes_about_which_they_differ_are_withheld_or_pseudonyms() -> None:
    then = agreement(envelope={"id": "keep", "subject": "keep", "time": "keep", "tracestate": "keep"})
    both = conjunction((then, EVENT_TYPE), (agreement(), EVENT_TYPE), FIELDS)
    rules = {name: rule_for(name, both, EVENT_TYPE) for name in ("id", "subject", "time", "tracestate", "key")}
    assert {name: rule.name for name, rule in rules.items() if rule is not None} == {
        "id": "pseudonym",
        "subject": "drop",
        "time": "drop",
        "tracestate": "drop",
        "key": "pseudonym",
    }


def test_an_event_type_that_was_personal_then_gives_no_more_of_the_envelope_than_then() -> None:
    public = EVENT_TYPE.model_copy(update={"classification": Classification.PUBLIC})
    both = conjunction((agreement(), EVENT_TYPE), (agreement(), public), FIELDS)
    rules = {name: rule_for(name, both, public) for name in ("id", "subject", "key", "time", "source")}
    assert {name: rule.name for name, rule in rules.items() if rule is not None} == {
        "id": "pseudonym",
        "source": "pseudonym",
        "subject": "drop",
        "key": "drop",
        "time": "drop",
    }
