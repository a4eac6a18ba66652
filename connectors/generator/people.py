"""Invented people with plausible names and well-formed numbers."""

import dataclasses
import datetime as dt
import random
from typing import Final

from connectors.generator import regions
from schemas.wire.identifiers import make_nik

_WOMEN: Final = [
    "Siti",
    "Dewi",
    "Sri",
    "Rina",
    "Ayu",
    "Putri",
    "Nur",
    "Wulan",
    "Fitri",
    "Ratna",
    "Lestari",
    "Indah",
    "Maya",
    "Yuni",
    "Kartika",
    "Melati",
    "Nabila",
    "Intan",
]
_MEN: Final = [
    "Budi",
    "Agus",
    "Dedi",
    "Rizky",
    "Andi",
    "Fajar",
    "Hendra",
    "Joko",
    "Eko",
    "Bayu",
    "Dimas",
    "Asep",
    "Yusuf",
    "Arif",
    "Wahyu",
    "Ilham",
    "Raka",
    "Galih",
]
_FAMILY: Final = [
    "Pratama",
    "Rahayu",
    "Saputra",
    "Wijaya",
    "Kusuma",
    "Nugroho",
    "Permana",
    "Hidayat",
    "Setiawan",
    "Lestari",
    "Maulana",
    "Santoso",
    "Ramadhan",
]
_BY_PROVINCE: Final = {
    "12": ["Siregar", "Nasution", "Simanjuntak", "Hutapea", "Sitorus", "Ginting"],
    "13": ["Chaniago", "Piliang", "Tanjung", "Koto"],
    "53": ["Tefa", "Nahak", "Bria", "Lobo"],
    "71": ["Wenas", "Mandagi", "Rumondor", "Lumentut"],
    "81": ["Latuconsina", "Pattimura", "Tuasikal", "Leatemia"],
    "91": ["Wanggai", "Rumbiak", "Kambuaya", "Ohee"],
    "95": ["Wenda", "Tabuni", "Kogoya", "Yikwa"],
}
_BALI: Final = "51"
_BALINESE: Final = ("Wayan", "Made", "Nyoman", "Ketut")


@dataclasses.dataclass(frozen=True, slots=True)
class Person:
    """An inhabitant."""

    nik: str
    name: str
    female: bool
    birth: dt.date
    district: str

    @property
    def sex(self) -> str:
        """As enums of the catalogue have it."""
        return "FEMALE" if self.female else "MALE"

    def age_on(self, day: dt.date) -> int:
        """Completed years."""
        return day.year - self.birth.year - ((day.month, day.day) < (self.birth.month, self.birth.day))


def person(rng: random.Random, district: str, born: tuple[dt.date, dt.date], *, female: bool | None = None) -> Person:
    """A person of a district, born between two days."""
    woman = rng.random() < 0.5 if female is None else female  # noqa: PLR2004  half of the people
    birth = born[0] + dt.timedelta(days=rng.randrange((born[1] - born[0]).days + 1))
    return Person(
        nik=make_nik(district, birth, female=woman, serial=rng.randint(1, 9_999)),
        name=full_name(rng, district[:2], female=woman),
        female=woman,
        birth=birth,
        district=district,
    )


def full_name(rng: random.Random, province: str, *, female: bool) -> str:
    """A name as it may be heard in a province."""
    first = rng.choice(_WOMEN if female else _MEN)
    if province == _BALI:
        return f"{'Ni' if female else 'I'} {rng.choice(_BALINESE)} {first}"
    return f"{first} {rng.choice(_BY_PROVINCE.get(province, _FAMILY))}"


def aged(
    rng: random.Random, district: str, today: dt.date, years: tuple[int, int], *, female: bool | None = None
) -> Person:
    """A person of a district whose age today lies between two numbers of years."""
    young, old = years
    return person(
        rng,
        district,
        (_years_before(today, old + 1) + dt.timedelta(days=1), _years_before(today, young)),
        female=female,
    )


def phone(rng: random.Random) -> str:
    """A mobile number."""
    return f"+62812{rng.randrange(10**7):07}"


def somewhere(rng: random.Random) -> str:
    """A district, of a province as likely as it is populous."""
    return regions.district(rng, regions.province(rng))


def _years_before(day: dt.date, years: int) -> dt.date:
    leap_day = (day.month, day.day) == (2, 29)
    return day.replace(year=day.year - years, day=28 if leap_day else day.day)
