"""Identifiers of Indonesia as Avro logical types on strings: stock clients see a string, the bus checks the rules.

Sources: NIK by Perpres 26/2009 and region codes by Kepmendagri 300.2.2-2138/2025 of the Ministry of Home Affairs, NPWP
and NITKU by PMK 112/2022, NIB by PP 5/2021, NIP by Perka BKN 22/2007. Region codes are written dotted (``32.73``), as
the ministry writes them; codes of Statistics Indonesia look alike and differ.
"""

import datetime as dt
import re
from collections.abc import Callable, Mapping
from typing import Final

PROVINCES: Final[Mapping[str, str]] = {
    "11": "Aceh",
    "12": "Sumatera Utara",
    "13": "Sumatera Barat",
    "14": "Riau",
    "15": "Jambi",
    "16": "Sumatera Selatan",
    "17": "Bengkulu",
    "18": "Lampung",
    "19": "Kepulauan Bangka Belitung",
    "21": "Kepulauan Riau",
    "31": "DKI Jakarta",
    "32": "Jawa Barat",
    "33": "Jawa Tengah",
    "34": "DI Yogyakarta",
    "35": "Jawa Timur",
    "36": "Banten",
    "51": "Bali",
    "52": "Nusa Tenggara Barat",
    "53": "Nusa Tenggara Timur",
    "61": "Kalimantan Barat",
    "62": "Kalimantan Tengah",
    "63": "Kalimantan Selatan",
    "64": "Kalimantan Timur",
    "65": "Kalimantan Utara",
    "71": "Sulawesi Utara",
    "72": "Sulawesi Tengah",
    "73": "Sulawesi Selatan",
    "74": "Sulawesi Tenggara",
    "75": "Gorontalo",
    "76": "Sulawesi Barat",
    "81": "Maluku",
    "82": "Maluku Utara",
    "91": "Papua",
    "92": "Papua Barat",
    "93": "Papua Selatan",
    "94": "Papua Tengah",
    "95": "Papua Pegunungan",
    "96": "Papua Barat Daya",
}
# People registered there keep the number of their first issue, and were born there.
HISTORIC_PROVINCES: Final[Mapping[str, str]] = {"54": "Timor Timur"}

_WOMAN: Final = 40  # added to a woman's day of birth
_YOUNGEST: Final = 15  # years between birth and appointment
_MONTHS: Final = 12
_COMPACT: Final = (2, 4, 6, 10)

_PROVINCE = "(?:" + "|".join((*PROVINCES, *HISTORIC_PROVINCES)) + ")"
# A day, +40 for women, with a month and year that have it; the century of a two-digit year is not known.
_BIRTH = (
    "(?:"
    "(?:0[1-9]|1[0-9]|2[0-8]|4[1-9]|5[0-9]|6[0-8])(?:0[1-9]|1[0-2])[0-9]{2}"  # 01 to 28, any month
    "|(?:29|30|69|70)(?:0[13-9]|1[0-2])[0-9]{2}"
    "|(?:31|71)(?:0[13578]|1[02])[0-9]{2}"
    "|(?:29|69)02(?:[02468][048]|[13579][26])"
    ")"
)
_NIK = re.compile(rf"{_PROVINCE}(?!00)[0-9]{{2}}(?!00)[0-9]{{2}}{_BIRTH}(?!0000)[0-9]{{4}}")
# Regencies 01 to 69, cities 71 to 99; villages begin with 1 (kelurahan), 2 (desa) or 3 (desa adat).
_REGION = re.compile(rf"{_PROVINCE}(?:\.(?!00|70)[0-9]{{2}}(?:\.(?!00)[0-9]{{2}}(?:\.[123](?!000)[0-9]{{3}})?)?)?")


def nik(value: str) -> str | None:
    """National identity number: region(6) DDMMYY (+40 on a woman's day) serial(4); there is no check digit."""
    if _NIK.fullmatch(value):
        return None
    if problem := _digits(value, 16):
        return problem
    if value[:2] not in PROVINCES and value[:2] not in HISTORIC_PROVINCES:
        return "begins with a province code that does not exist"
    if "00" in (value[2:4], value[4:6]):
        return "has 00 as its regency or district"
    if value[12:] == "0000":
        return "has the serial 0000"
    return "holds a date of birth that does not exist"


def npwp(value: str) -> str | None:
    """Taxpayer number of 16 digits: a NIK, or 0 and the old 15 digits with a Luhn digit over the first nine."""
    if problem := _digits(value, 16):
        return problem
    if value[0] != "0":
        return nik(value)
    return None if _luhn(value[1:10]) else "has a wrong check digit"


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

    Contract staff (PPPK) have 18 digits too, with 21 or above where civil servants have the month of appointment; of
    theirs only the date of birth is checked.
    """
    if problem := _digits(value, 18):
        return problem
    year, appointed, month = int(value[:4]), int(value[8:12]), int(value[12:14])
    if not _is_date(year, int(value[4:6]), int(value[6:8])):
        return "holds a date of birth that does not exist"
    if month > _MONTHS:
        return None
    if month == 0:
        return "holds a month of appointment that does not exist"
    if (appointed, month) < (year + _YOUNGEST, int(value[4:6])):
        return f"holds an appointment less than {_YOUNGEST} years after birth"
    if value[14] not in "12":
        return "has a digit for sex that is neither 1 nor 2"
    return None


def region_code(value: str) -> str | None:
    """Province, regency or city, district, or village: ``32``, ``32.73``, ``32.73.01``, ``32.73.01.1001``."""
    if _REGION.fullmatch(value):
        return None
    if value.isascii() and value.isdigit() and len(value) in _COMPACT[1:]:
        return "must be written with dots, such as 32.73"
    return "must be a region code such as 32, 32.73, 32.73.01 or 32.73.01.1001"


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


def dotted_region(code: str) -> str:
    """The canonical form of a region code that is written dotted or compact (2, 4, 6 or 10 digits).

    Raises:
        ValueError: it is no region code.
    """
    dotted = code
    if len(code) in _COMPACT and "." not in code:
        dotted = ".".join(filter(None, (code[:2], code[2:4], code[4:6], code[6:])))
    if problem := region_code(dotted):
        raise ValueError(problem)
    return dotted


def make_nik(region: str, birth: dt.date, female: bool, serial: int) -> str:
    """A well-formed NIK for generators and tests; ``region`` is a district's six digits, dotted or not.

    Raises:
        ValueError: no NIK can be made of these.
    """
    day = birth.day + (_WOMAN if female else 0)
    made = f"{region.replace('.', '')}{day:02}{birth.month:02}{birth.year % 100:02}{serial:04}"
    if problem := nik(made):
        raise ValueError(problem)
    return made


def make_npwp(digits: str) -> str:
    """A well-formed NPWP of an organisation from its first 8 digits and the last 6 (office and branch)."""
    head = digits[:8]
    check = next(str(digit) for digit in range(10) if _luhn(head + str(digit)))
    return f"0{head}{check}{digits[8:14]}"


def _digits(value: str, count: int) -> str | None:
    if len(value) != count or not (value.isascii() and value.isdigit()):
        return f"must be {count} digits"
    return None


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
