"""Each release rule by its tables, and what they all are held to."""

import datetime as dt
import json
import math
import re
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.model import Agreement, as_json
from schemas.release_rules import RULES, Keep, Mask, Pseudonym, parse_rule, reference
from schemas.rules import CannotRelease, ReleaseRule, RuleDoesNotFit

DATE = {"type": "int", "logicalType": "date"}
MOMENT = {"type": "long", "logicalType": "timestamp-millis"}
DECIMAL = {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}
REGION = {"type": "string", "logicalType": "region-code"}
NIK = {"type": "string", "logicalType": "nik"}
UUID_TEXT = {"type": "string", "logicalType": "uuid"}


def token(value: bytes) -> str:
    return f"<{value!r}>"


def rule(**settings: Any) -> ReleaseRule:
    return parse_rule(settings)


@pytest.mark.parametrize(
    ("original", "released"),
    [
        ("Siti Rahayu", "*******hayu"),
        ("Ani", "***"),  # shorter than keep_last: nothing stays readable
        ("Budi", "****"),  # as long as keep_last: a mask that hides nothing is none
        ("Ćulibrk", "***ibrk"),  # characters, not bytes
        ("", ""),
    ],
)
def test_mask_keeps_only_the_last_characters(original: str, released: str) -> None:
    assert rule(mask={"keep_last": 4}).released(original, token) == released


def test_mask_hides_everything_unless_told_otherwise() -> None:
    assert parse_rule("mask").released("Siti", token) == "****"


def test_mask_takes_another_character() -> None:
    assert rule(mask={"with": "x", "keep_last": 1}).released("Siti", token) == "xxxi"


@given(st.text(), st.integers(0, 20))
def test_mask_keeps_the_length_and_nothing_but_the_end(text: str, keep_last: int) -> None:
    released = rule(mask={"keep_last": keep_last}).released(text, token)
    assert len(released) == len(text)
    assert set(released[: max(0, len(text) - keep_last)]) <= {"*"}
    assert text == "" or released.startswith("*")


@pytest.mark.parametrize(
    ("value", "taken"),
    [
        ("3273012311260001", b"3273012311260001"),
        ("Ćulibrk", "Ćulibrk".encode()),
        (b"\x00\xff", b"\x00\xff"),  # bytes as they are
        (-17, b"-17"),  # numbers as decimal text
        (UUID(int=1), b"00000000-0000-0000-0000-000000000001"),
    ],
)
def test_pseudonym_is_made_of_the_value_alone(value: object, taken: bytes) -> None:
    assert Pseudonym().released(value, token) == token(taken)


@pytest.mark.parametrize(
    ("to", "value", "released"),
    [
        ("year", dt.date(2026, 11, 24), "2026"),
        ("month", dt.date(2026, 11, 24), "2026-11"),
        ("day", dt.date(26, 1, 4), "0026-01-04"),
        ("day", dt.datetime(2026, 11, 24, 23, 59, tzinfo=dt.UTC), "2026-11-24"),
        # the day of a moment is that of UTC: 01:00 in Jakarta is the evening before
        ("day", dt.datetime(2026, 11, 24, 1, tzinfo=dt.timezone(dt.timedelta(hours=7))), "2026-11-23"),
        ("month", "2026-11-24", "2026-11"),
        ("year", "2026-11-24T01:02:03Z", "2026"),
        ("province", "32.73.01.1001", "32"),
        ("regency", "32.73.01.1001", "32.73"),
        ("district", "32.73.01.1001", "32.73.01"),
        ("district", "3273011001", "32.73.01"),  # written without dots
        ("regency", "32", "32"),  # names no smaller area
    ],
)
def test_generalise_leaves_the_wider_date_or_area(to: str, value: object, released: str) -> None:
    assert rule(generalise={"to": to}).released(value, token) == released


@pytest.mark.parametrize(
    ("value", "band"),
    [
        (20, "20..29"),
        (29, "20..29"),
        (0, "0..9"),
        (-1, "-10..-1"),
        (-10, "-10..-1"),
        (-11, "-20..-11"),
        (29.99, "20..29"),
        (Decimal("29.99"), "20..29"),
        (Decimal("-0.01"), "-10..-1"),
        (Decimal("9" * 38), f"{10**38 - 10}..{10**38 - 1}"),  # exact beyond what a float or a default context holds
    ],
)
def test_a_band_holds_every_number_from_its_first_up_to_the_next_bands_first(value: Any, band: str) -> None:
    assert rule(generalise={"band": 10}).released(value, token) == band


@given(st.integers() | st.decimals(allow_nan=False, allow_infinity=False, places=3), st.integers(1, 1000))
def test_a_number_lies_in_its_band(value: int | Decimal, width: int) -> None:
    low, _, high = str(rule(generalise={"band": width}).released(value, token)).partition("..")
    assert int(low) <= value < int(low) + width
    assert int(high) == int(low) + width - 1
    assert int(low) % width == 0


@pytest.mark.parametrize(
    ("settings", "value"),
    [
        ({"to": "month"}, "2026-13-01"),
        ({"to": "month"}, "yesterday"),
        ({"to": "province"}, "99.01"),
        ({"to": "province"}, "Jawa Barat"),
        ({"band": 10}, math.nan),
        ({"band": 10}, math.inf),
    ],
)
def test_what_cannot_be_generalised_is_refused_without_its_value(settings: dict[str, Any], value: object) -> None:
    with pytest.raises(CannotRelease) as refused:
        rule(generalise=settings).released(value, token)
    assert str(value) not in str(refused.value)


@pytest.mark.parametrize(
    ("written", "avro_type"),
    [
        ("mask", "string"),
        ("mask", NIK),
        ("mask", UUID_TEXT),
        ("pseudonym", "string"),
        ("pseudonym", NIK),
        ("pseudonym", UUID_TEXT),
        ("pseudonym", "bytes"),
        ("pseudonym", {"type": "fixed", "name": "F", "size": 4}),
        ("pseudonym", "int"),
        ("pseudonym", "long"),
        ({"generalise": {"to": "year"}}, DATE),
        ({"generalise": {"to": "year"}}, MOMENT),
        ({"generalise": {"to": "year"}}, "string"),
        ({"generalise": {"to": "province"}}, REGION),
        ({"generalise": {"to": "province"}}, "string"),
        ({"generalise": {"band": 10}}, "int"),
        ({"generalise": {"band": 10}}, "double"),
        ({"generalise": {"band": 10}}, DECIMAL),
    ],
)
def test_what_is_not_kept_becomes_a_plain_string(written: object, avro_type: Any) -> None:
    assert parse_rule(written).released_type(avro_type) == "string"


@pytest.mark.parametrize(
    ("written", "avro_type"),
    [
        ("mask", "bytes"),
        ("mask", {"type": "record", "name": "R", "fields": []}),
        ("pseudonym", "double"),
        ("pseudonym", "boolean"),
        ("pseudonym", DATE),
        ("pseudonym", DECIMAL),
        ({"generalise": {"to": "year"}}, "int"),
        ({"generalise": {"to": "year"}}, NIK),  # holds a date, but is no date
        ({"generalise": {"to": "year"}}, {"type": "long", "logicalType": "local-timestamp-millis"}),
        ({"generalise": {"to": "province"}}, NIK),  # its region is where it was issued, not where one lives
        ({"generalise": {"band": 10}}, DATE),
        ({"generalise": {"band": 10}}, "string"),
    ],
)
def test_a_rule_refuses_types_that_it_does_not_understand(written: object, avro_type: Any) -> None:
    with pytest.raises(RuleDoesNotFit):
        parse_rule(written).released_type(avro_type)


@pytest.mark.parametrize(
    "written",
    [
        "keep",
        "drop",
        "mask",
        "pseudonym",
        {"mask": {"keep_last": 4}},
        {"mask": {"with": "x"}},
        {"generalise": {"to": "month"}},
        {"generalise": {"band": 10}},
    ],
)
def test_rules_are_published_as_they_are_written(written: Any) -> None:
    agreement = Agreement.model_validate(
        {
            "agreement": "a",
            "provider": "p",
            "consumer": "c.s",
            "event_type": "id.go.p.e.v1",
            "legal_basis": "a law",
            "purpose": "a purpose",
            "valid": {"from": "2026-01-01", "until": "2026-12-31"},
            "release": {"f": written},
            "envelope": {"time": written},
        }
    )
    published = json.loads(json.dumps(as_json(agreement)))
    assert published["release"] == {"f": written}
    assert published["envelope"] == {"time": written}
    assert Agreement.model_validate(published) == agreement


def test_a_rule_is_taken_as_it_is() -> None:
    assert parse_rule(Keep()) == Keep()


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("hash", "keep, drop, mask, pseudonym, generalise"),
        (None, "keep, drop, mask, pseudonym, generalise"),
        ({}, "keep, drop, mask, pseudonym, generalise"),
        ({"mask": {}, "keep": {}}, "keep, drop, mask, pseudonym, generalise"),
        ({"mask": {"keep_first": 4}}, "keep_first"),
        ({"mask": {"keep_first": 4}}, "settings: keep_last, with"),
        ({"mask": {"keep_last": -1}}, "keep_last"),
        ({"mask": {"keep_last": True}}, "keep_last"),
        ({"mask": {"keep_last": "4"}}, "keep_last"),
        ({"mask": {"with": "**"}}, "with"),
        ({"mask": {"with": "\n"}}, "with"),
        ({"mask": 4}, "mask"),
        ({"keep": {"keep_last": 4}}, "settings: none"),
        ("generalise", "either `to` or `band`"),
        ({"generalise": {"to": "month", "band": 10}}, "either `to` or `band`"),
        ({"generalise": {"to": "week"}}, "year"),
        ({"generalise": {"band": 0}}, "band"),
    ],
)
def test_a_rule_that_cannot_be_read_is_refused_with_what_is_possible(written: object, says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        parse_rule(written)


def test_every_rule_describes_itself_and_each_setting() -> None:
    rules = list(reference())
    assert [each.name for each in rules] == list(RULES)
    assert all(each.summary.endswith(".") for each in rules)
    settings = {setting.name: setting for each in rules for setting in each.settings}
    assert set(settings) == {"keep_last", "with", "to", "band"}
    assert all(setting.description and setting.example is not None for setting in settings.values())


def test_the_examples_of_the_settings_can_be_used() -> None:
    assert rule(mask={"keep_last": 4, "with": "x"}) == Mask(keep_last=4, **{"with": "x"})
    for each in reference():
        for setting in each.settings:
            parse_rule({each.name: {setting.name: setting.example}})
