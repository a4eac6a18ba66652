"""An earthquake as BMKG's feeds write it: everything is text, in Indonesian. Pure.

``Infogempa.gempa`` is one object in ``autogempa``, a list in ``gempaterkini`` and ``gempadirasakan``, and may be empty
or absent.
"""

import dataclasses
import datetime as dt
import decimal
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from connectors.runtime.contract import Outgoing

EVENT_TYPE: Final = "id.go.bmkg.earthquake.measured.v1"
_MONTHS: Final = ("jan", "feb", "mar", "apr", "mei", "jun", "jul", "agu", "sep", "okt", "nov", "des")
_OTHER_MONTHS: Final = {"agt": 8, "ags": 8, "may": 5, "aug": 8, "oct": 10, "dec": 12, "peb": 2, "nop": 11}
_ZONES: Final = {"WIB": 7, "WITA": 8, "WIT": 9, "UTC": 0}
_DIRECTIONS: Final = {"LU": 1, "LS": -1, "BT": 1, "BB": -1}  # north, south, east, west
_DAY = re.compile(r"(\d{1,2})[ -]([A-Za-z]+)[ -]([1-9]\d{3}|\d{2})", re.ASCII)
_CLOCK = re.compile(r"(\d{2}):(\d{2}):(\d{2})(?:\.\d+)? ?(\w+)", re.ASCII)
_DEGREES = re.compile(r"(\d{1,3}(?:\.\d+)?) ?°? ?(LU|LS|BT|BB)", re.ASCII)
_MAGNITUDE = re.compile(r"\d{1,2}(?:\.\d+)?", re.ASCII)
_DEPTH = re.compile(r"(\d{1,4}) ?[Kk][Mm]", re.ASCII)
_SAME_SECONDS: Final = 60  # both times are of one quake if they are no further apart
_NEAR_DEGREES: Final = 0.02
_TENTH: Final = decimal.Decimal("0.1")
_Found = TypeVar("_Found")


class Unreadable(ValueError):
    """An earthquake that cannot be read; the reasons name its parts."""

    def __init__(self, reasons: list[str]) -> None:
        self.reasons = tuple(reasons)
        super().__init__("; ".join(reasons))


@dataclasses.dataclass(frozen=True, slots=True)
class _Reading:
    """The parts of one earthquake, read one by one so that everything wrong with them is told at once."""

    written: Mapping[str, Any]
    reasons: list[str]

    def part(self, name: str, read: Callable[[str], _Found]) -> _Found | None:
        """A part that must be there."""
        try:
            return read(self.text(name))
        except (ValueError, OverflowError):
            self.reasons.append(f"{name} is {'not as expected' if self.text(name) else 'missing'}")
        return None

    def text(self, name: str) -> str:
        """A part as text, empty if it is not there."""
        value = self.written.get(name)
        return value.strip() if isinstance(value, str) else ""


def quakes(document: Any) -> list[Mapping[str, Any]]:
    """The earthquakes of a feed, whatever its shape.

    Raises:
        Unreadable: it is no such feed.
    """
    info = document.get("Infogempa") if isinstance(document, Mapping) else None
    if isinstance(document, Mapping) and "Infogempa" in document and not info:
        return []
    if not isinstance(info, Mapping):
        raise Unreadable(["there is no Infogempa"])
    found = info.get("gempa") or []
    several = found if isinstance(found, list) else [found]
    if not all(isinstance(one, Mapping) for one in several):
        raise Unreadable(["gempa holds something else than objects"])
    return [one for one in several if one]


def event(written: Mapping[str, Any], origin: str) -> Outgoing:
    """An earthquake as an event.

    The same quake has the same ``event_id`` in every feed: the second in which it began. The event's id also says what
    was measured, so that BMKG's revision of a quake is a further event about it. How a feed words the region says
    nothing: gempadirasakan begins with "Pusat gempa berada di", gempaterkini does not.

    Raises:
        Unreadable: with everything that is wrong.
    """
    reading = _Reading(written, [])
    moment = _moment(reading)
    latitude = reading.part("Lintang", lambda text: _degrees(text, ("LU", "LS"), 90))
    longitude = reading.part("Bujur", lambda text: _degrees(text, ("BT", "BB"), 180))
    magnitude = reading.part("Magnitude", _magnitude)
    depth = reading.part("Kedalaman", _depth)
    region = reading.part("Wilayah", _some)
    if reading.text("Coordinates") and latitude is not None and longitude is not None:
        _check_coordinates(reading, latitude, longitude)
    if reading.reasons or moment is None or magnitude is None:
        raise Unreadable(reading.reasons)
    name = f"bmkg-{moment:%Y%m%dT%H%M%SZ}"
    data = {
        "event_id": name,
        "origin_time": moment,
        "latitude": latitude,
        "longitude": longitude,
        "depth_km": depth,
        "magnitude": magnitude,
        "magnitude_tenths": int(magnitude * 10),
        "region": region,
    }
    measured = json.dumps([latitude, longitude, depth, str(magnitude)])
    digest = hashlib.sha256(measured.encode()).hexdigest()[:8]
    return Outgoing(EVENT_TYPE, data, f"{name}-{digest}", time=moment, origin=origin)


def _moment(reading: _Reading) -> dt.datetime | None:
    """When it began: ``DateTime`` (UTC), else ``Tanggal`` and ``Jam``; where both are there, they must agree."""
    local = None
    if reading.text("Tanggal") or not reading.text("DateTime"):
        day, clock = reading.part("Tanggal", _day), reading.part("Jam", _clock)
        local = dt.datetime.combine(day, clock).astimezone(dt.UTC) if day and clock else None
    if not reading.text("DateTime"):
        return local
    exact = reading.part("DateTime", _datetime)
    if exact and local and abs((exact - local).total_seconds()) > _SAME_SECONDS:
        reading.reasons.append("DateTime is another time than Tanggal and Jam")
    return exact


def _datetime(text: str) -> dt.datetime:
    found = dt.datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError
    return found.astimezone(dt.UTC)


def _day(text: str) -> dt.date:
    match = _DAY.fullmatch(text)
    if match is None:
        raise ValueError
    name = match[2].lower()[:3]
    month = _MONTHS.index(name) + 1 if name in _MONTHS else _OTHER_MONTHS.get(name, 0)
    year = int(match[3]) + (2000 if len(match[3]) == 2 else 0)  # noqa: PLR2004  two digits of a year
    return dt.date(year, month, int(match[1]))


def _clock(text: str) -> dt.time:
    match = _CLOCK.fullmatch(text)
    if match is None or match[4].upper() not in _ZONES:
        raise ValueError
    zone = dt.timezone(dt.timedelta(hours=_ZONES[match[4].upper()]))
    return dt.time(int(match[1]), int(match[2]), int(match[3]), tzinfo=zone)


def _degrees(text: str, directions: tuple[str, str], most: int) -> float:
    match = _DEGREES.fullmatch(text)
    if match is None or match[2] not in directions or float(match[1]) > most:
        raise ValueError
    return _DIRECTIONS[match[2]] * float(match[1])


def _magnitude(text: str) -> decimal.Decimal:
    if _MAGNITUDE.fullmatch(text) is None:
        raise ValueError
    return decimal.Decimal(text).quantize(_TENTH, decimal.ROUND_HALF_UP)


def _depth(text: str) -> int:
    match = _DEPTH.fullmatch(text)
    if match is None:
        raise ValueError
    return int(match[1])


def _some(text: str) -> str:
    if not text:
        raise ValueError
    return text


def _check_coordinates(reading: _Reading, latitude: float, longitude: float) -> None:
    """``Coordinates`` say the same once more; a difference means that one of them is wrong."""
    try:
        again = [float(part) for part in reading.text("Coordinates").split(",")]
        is_same = all(abs(one - other) < _NEAR_DEGREES for one, other in zip(again, (latitude, longitude), strict=True))
    except ValueError:
        is_same = False
    if not is_same:
        reading.reasons.append("Coordinates are others than Lintang and Bujur")
