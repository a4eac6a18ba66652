"""Identifiers of Indonesia as Avro logical types on strings: stock clients see a string, the bus checks the rules.

Sources: NIK and region codes of the Ministry of Home Affairs (Kepmendagri 300.2.2-2138/2025), NPWP and NITKU by PMK
112/2022, NIB by PP 5/2021, NIP by Perka BKN 22/2007. Region codes are written dotted (``32.73``), as the ministry does;
codes of Statistics Indonesia look alike and differ.
"""

import datetime as dt
import re
from collections.abc import Callable, Mapping
from typing import Final

PROVINCES: Final = frozenset(
    [
        "11",
        "12",
        "13",
        "14",
        "15",
        "16",
        "17",
        "18",
        "19",
        "21",
        "31",
        "32",
        "33",
        "34",
        "35",
        "36",
        "51",
        "52",
        "53",
        "61",
        "62",
        "63",
        "64",
        "65",
        "71",
        "72",
        "73",
        "74",
        "75",
        "76",
        "81",
        "82",
        "91",
        "92",
        "93",
        "94",
        "95",
        "96",
    ]
)
# East Timor: people registered there before 1999 keep the number of their first issue.
HISTORIC_PROVINCES: Final = frozenset({"54"})
_WOMAN: Final = 40
_REGENCIES: Final = range(1, 100)
_APPOINTMENT_YEARS: Final = 15
_REGION = re.compile(r"[0-9]{2}(\.[0-9]{2}(\.[0-9]{2}(\.[0-9]{4})?)?)?")


def _digits(value: str, count: int) -> str | None:
    if len(value) != count or not (value.isascii() and value.isdigit()):
        return f"must be {count} digits"
    return None


def nik(value: str) -> str | None:
    """National identity number: region(6) DDMMYY (+40 on a woman's day) serial(4); there is no check digit."""
    if problem := _digits(value, 16):
        return problem
    if value[:2] not in PROVINCES | HISTORIC_PROVINCES:
        return "begins with a province code that does not exist"
    if value[2:4] == "00" or value[4:6] == "00":
        return "its regency or district code is 00"
    day, month, year = int(value[6:8]), int(value[8:10]), int(value[10:12])
    day -= _WOMAN if day > _WOMAN else 0
    if not any(_is_date(century + year, month, day) for century in (1900, 2000)):
        return "holds a date of birth that does not exist"
    if value[12:] == "0000":
        return "its serial is 0000"
    return None


def npwp(value: str) -> str | None:
    """Taxpayer number of 16 digits: a NIK, or 0 and the old 15 digits with a Luhn digit over the first nine."""
    if problem := _digits(value, 16):
        return problem
    if value[0] != "0":
        return nik(value)
    return None if _luhn(value[1:10]) else "its check digit is wrong"


def nitku(value: str) -> str | None:
    """Place of business: taxpayer number and 6 digits for the branch."""
    return _digits(value, 22) or npwp(value[:16])


def nib(value: str) -> str | None:
    """Business identification number: 13 digits without structure."""
    return _digits(value, 13)


def nisn(value: str) -> str | None:
    """Student number: 10 digits, to be treated as opaque."""
    return _digits(value, 10)


def nip(value: str) -> str | None:
    """Civil servant number: birth YYYYMMDD, appointment YYYYMM, sex 1 or 2, serial(3).

    Contract staff (PPPK) have 18 digits with another middle, so only the date of birth is checked where the appointment
    is not a month.
    """
    if problem := _digits(value, 18):
        return problem
    year, month, day = int(value[:4]), int(value[4:6]), int(value[6:8])
    if not _is_date(year, month, day):
        return "holds a date of birth that does not exist"
    appointed, appointed_month = int(value[8:12]), int(value[12:14])
    is_civil_servant = 1 <= appointed_month <= 12  # noqa: PLR2004  months
    if is_civil_servant and appointed < year + _APPOINTMENT_YEARS:
        return f"holds an appointment less than {_APPOINTMENT_YEARS} years after birth"
    if is_civil_servant and value[14] not in "12":
        return "its digit for sex is neither 1 nor 2"
    return None


def region_code(value: str) -> str | None:
    """Province, regency or city, district, or village, dotted: ``32``, ``32.73``, ``32.73.01``, ``32.73.01.1001``."""
    if not _REGION.fullmatch(value):
        return "must be a region code such as 32, 32.73, 32.73.01 or 32.73.01.1001"
    if value[:2] not in PROVINCES:
        return "begins with a province code that does not exist"
    if "00" in value.split(".")[1:3]:
        return "holds a part 00"
    return None


CHECKS: Final[Mapping[str, Callable[[str], str | None]]] = {
    "nik": nik,
    "npwp": npwp,
    "nitku": nitku,
    "nib": nib,
    "nip": nip,
    "nisn": nisn,
    "region-code": region_code,
}


def problem_of(logical_type: str, value: str) -> str | None:
    """Why a value is not of an identifier's type, without the value; None if it is, or if the type is not ours."""
    check = CHECKS.get(logical_type)
    return None if check is None else check(value)


def make_nik(region: str, birth: dt.date, *, female: bool, serial: int) -> str:
    """A well-formed NIK for generators and tests; ``region`` is a district's six digits, dotted or not."""
    day = birth.day + (_WOMAN if female else 0)
    return f"{region.replace('.', '')[:6]}{day:02}{birth.month:02}{birth.year % 100:02}{serial:04}"


def make_npwp(digits: str) -> str:
    """A well-formed NPWP of an organisation from its first 8 digits and the last 6 (office and branch)."""
    head = digits[:8]
    check = next(str(digit) for digit in range(10) if _luhn(head + str(digit)))
    return f"0{head}{check}{digits[8:14]}"


def _is_date(year: int, month: int, day: int) -> bool:
    try:
        dt.date(year, month, day)
    except ValueError:
        return False
    return True


def _luhn(digits: str) -> bool:
    total = 0
    for place, digit in enumerate(reversed(digits)):
        number = int(digit) * (1 + place % 2)
        total += number - 9 * (number > 9)  # noqa: PLR2004  the sum of its digits
    return total % 10 == 0
