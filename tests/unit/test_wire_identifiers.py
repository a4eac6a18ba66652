"""Identifiers of Indonesia: what is accepted, what is refused and why."""

import csv
import datetime as dt
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.wire.identifiers import (
    CHECKS,
    HISTORIC_PROVINCES,
    PROVINCES,
    dotted_region,
    make_nik,
    make_npwp,
    problem_of,
)

DATA = Path(os.environ.get("LINTAS_DATA", Path(__file__).parents[3] / "shared" / "data"))
REGIONS = DATA / "regions" / "regions.csv"


@pytest.mark.parametrize(
    ("logical_type", "value"),
    [
        ("nik", "3273012411950001"),
        ("nik", "3273016411950001"),  # a woman born on the same day
        ("nik", "9271060312000001"),  # a province younger than most tables; SATUSEHAT's test number
        ("nik", "5401010101750001"),  # East Timor: first issue before 1999
        ("nik", "3273012902960001"),  # 29 February of a leap year
        ("nik", "3273012902000001"),  # of 2000; 1900 was none
        ("nik", "3273017112990001"),  # 31 December, a woman
        ("npwp", "3273012411950001"),
        ("npwp", "0013121660091000"),  # 01.312.166.0-091.000
        ("nitku", "0013121660091000000000"),
        ("nitku", "3273012411950001000012"),
        ("nib", "9120001234567"),
        ("nip", "199001012015011001"),
        ("nip", "198502292010012003".replace("0229", "0228")),
        ("nip", "199001012021211001"),  # PPPK: 21 where a month would be
        ("nisn", "0123456789"),
        ("region-code", "32"),
        ("region-code", "32.73"),
        ("region-code", "32.73.01"),
        ("region-code", "32.73.01.1001"),
        ("region-code", "54.01"),
        ("somebody-elses", "anything"),
    ],
)
def test_a_good_identifier_has_no_problem(logical_type: str, value: str) -> None:
    assert problem_of(logical_type, value) is None


@pytest.mark.parametrize(
    ("logical_type", "value", "reason"),
    [
        ("nik", "", "16 digits"),
        ("nik", "327301241195000", "16 digits"),
        ("nik", "32730124119500011", "16 digits"),
        ("nik", "327301241195000x", "16 digits"),
        ("nik", "٣٢٧٣٠١٢٤١١٩٥٠٠٠١", "16 digits"),  # digits, but not ASCII
        ("nik", "3273012411950001\n", "16 digits"),
        ("nik", "2073012411950001", "province"),
        ("nik", "9773012411950001", "province"),
        ("nik", "3200012411950001", "regency"),
        ("nik", "3273002411950001", "district"),
        ("nik", "3273013204950001", "birth"),
        ("nik", "3273013104950001", "birth"),  # April has 30 days
        ("nik", "3273017104950001", "birth"),  # for women too
        ("nik", "3273010004950001", "birth"),
        ("nik", "3273014004950001", "birth"),  # day 0, a woman
        ("nik", "3273012413950001", "birth"),
        ("nik", "3273012400950001", "birth"),
        ("nik", "3273012902950001", "birth"),  # 29 February of no leap year
        ("nik", "3273017202960001", "birth"),
        ("nik", "3273012411950000", "serial"),
        ("npwp", "0013121670091000", "check digit"),
        ("npwp", "2073012411950001", "province"),
        ("npwp", "013121660091000", "16 digits"),  # the old form without the leading 0
        ("nitku", "0013121660091000", "22 digits"),
        ("nitku", "0013121670091000000000", "check digit"),
        ("nib", "912000123456", "13 digits"),
        ("nip", "19900101201501100", "18 digits"),
        ("nip", "199002302015011001", "birth"),
        ("nip", "199001012004011001", "15 years"),
        ("nip", "199006012005051001", "15 years"),  # a month short
        ("nip", "199001012015013001", "sex"),
        ("nip", "199001012015001001", "month"),
        ("nisn", "012345678", "10 digits"),
        ("region-code", "3273", "dots"),
        ("region-code", "3273011001", "dots"),
        ("region-code", "99", "region code"),
        ("region-code", "32.00", "region code"),
        ("region-code", "32.70", "region code"),
        ("region-code", "32.73.00", "region code"),
        ("region-code", "32.73.01.4001", "region code"),
        ("region-code", "32.73.01.1000", "region code"),
        ("region-code", "32.", "region code"),
        ("region-code", "", "region code"),
    ],
)
def test_a_bad_identifier_is_refused_with_a_reason_that_does_not_repeat_it(
    logical_type: str, value: str, reason: str
) -> None:
    problem = problem_of(logical_type, value)
    assert problem is not None
    assert reason in problem
    assert len(value) < 6 or value.strip() not in problem


def test_there_are_38_provinces() -> None:
    assert len(PROVINCES) == 38
    assert not PROVINCES.keys() & HISTORIC_PROVINCES.keys()


@pytest.mark.skipif(not REGIONS.exists(), reason=f"{REGIONS} is not on this machine")
def test_every_region_of_the_ministrys_list_is_a_region_code() -> None:
    with REGIONS.open(newline="") as file:
        codes = [row["code"] for row in csv.DictReader(file)]
    assert len(codes) > 7800
    assert [code for code in codes if problem_of("region-code", code)] == []
    assert {code for code in codes if len(code) == 2} == PROVINCES.keys()
    assert all(dotted_region(code.replace(".", "")) == code for code in codes)


@pytest.mark.parametrize("code", ["", "3", "327", "3273.01", "99", "32730"])
def test_what_is_no_region_code_has_no_dotted_form(code: str) -> None:
    with pytest.raises(ValueError, match="region code"):
        dotted_region(code)


@given(
    st.sampled_from(["327301", "31.71.01", "927106"]),
    st.dates(dt.date(1920, 1, 1), dt.date(2026, 12, 31)),
    st.booleans(),
    st.integers(1, 9999),
)
def test_a_made_nik_is_good_and_tells_birthday_and_sex(region: str, birth: dt.date, female: bool, serial: int) -> None:
    nik = make_nik(region, birth, female, serial)
    assert problem_of("nik", nik) is None
    assert int(nik[6:8]) == birth.day + 40 * female
    assert problem_of("npwp", nik) is None


@pytest.mark.parametrize(("region", "serial"), [("3273", 1), ("327301", 0), ("327301", 10_000), ("207301", 1)])
def test_no_nik_is_made_of_what_cannot_be_one(region: str, serial: int) -> None:
    with pytest.raises(ValueError, match=r"16 digits|serial|province"):
        make_nik(region, dt.date(1995, 11, 24), female=False, serial=serial)


@given(st.from_regex(r"[0-9]{14}", fullmatch=True))
def test_a_made_npwp_is_good_and_every_other_check_digit_is_not(digits: str) -> None:
    npwp = make_npwp(digits)
    assert problem_of("npwp", npwp) is None
    others = [f"{npwp[:9]}{digit}{npwp[10:]}" for digit in "0123456789" if digit != npwp[9]]
    assert all(problem_of("npwp", other) for other in others)


@given(st.sampled_from(sorted(CHECKS)), st.text(max_size=30))
def test_no_text_breaks_a_check_and_no_reason_holds_the_text(logical_type: str, value: str) -> None:
    problem = problem_of(logical_type, value)
    assert problem is None or len(value) < 6 or value not in problem
