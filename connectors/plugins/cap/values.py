"""CAP's texts as values and back. What the value alone would not give back stands beside it as it was written."""

import datetime as dt
import decimal
import math
import re
from collections.abc import Mapping
from typing import Any, Final

_MOMENT: Final = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,6})?([+-]\d{2}:\d{2}|Z)", re.ASCII)
_WHOLE_SECONDS: Final = re.compile(r"[^.Z]*", re.ASCII)  # CAP 1.2, section 3.3.2: no fractions, no Z
_NUMBER: Final = re.compile(r"[+-]?(\d{1,12}(\.\d{0,20})?|\.\d{1,20})", re.ASCII)
_COUNT: Final = re.compile(r"0|[1-9]\d{0,17}", re.ASCII)
_NAME: Final = re.compile(r"[^\s,<&]+")
_BLANKS: Final = " \t\r\n"  # what XML Schema trims of moments and numbers
_FEWEST_CORNERS: Final = 4
_POLE, _DATE_LINE = 90, 180


class Unreadable(ValueError):
    """A text that is not what its element must hold; says the rule, not the text."""

    def __init__(self, rule: str, message: str) -> None:
        self.rule = rule
        super().__init__(message)


def name(text: str) -> str:
    """An identifier or a sender (sections 3.2.1: no spaces, commas, < and &)."""
    if not _NAME.fullmatch(text):
        raise Unreadable("name", "must be a text without spaces, commas, < and &")
    return text


def moment(text: str, *, strict: bool) -> dict[str, Any]:
    """A moment; ``strict`` is 1.2's rule: whole seconds and an offset such as +07:00 or -00:00."""
    trimmed = text.strip(_BLANKS)
    shown = "2026-11-26T13:00:00+07:00"
    if not _MOMENT.fullmatch(trimmed) or (strict and not _WHOLE_SECONDS.fullmatch(trimmed)):
        raise Unreadable("moment", f"must be a date and time with an offset, such as {shown}")
    try:
        at = dt.datetime.fromisoformat(trimmed).astimezone(dt.UTC)
    except (ValueError, OverflowError):
        raise Unreadable("moment", f"is no possible date and time such as {shown}") from None
    at = at.replace(microsecond=at.microsecond // 1000 * 1000)
    return {"at": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"), "as_written": text}


def count(text: str) -> int:
    """A whole number."""
    if not _COUNT.fullmatch(text):
        raise Unreadable("whole-number", "must be a whole number without sign or leading zeros")
    return int(text)


def measure(text: str) -> dict[str, Any]:
    """A decimal number."""
    value = _number(text.strip(_BLANKS))
    if value is None:
        raise Unreadable("number", "must be a decimal number")
    return {"value": value, "as_written": _unless_same(_written(value), text)}


def polygon(text: str) -> dict[str, Any]:
    """Corners as `latitude,longitude`, blank-separated, the first again at the end (section 3.2.4)."""
    corners = [_point(pair) for pair in text.split()]
    if any(corner is None for corner in corners):
        raise Unreadable("polygon", "must be pairs latitude,longitude (degrees, WGS 84) with blanks between them")
    if len(corners) < _FEWEST_CORNERS or corners[0] != corners[-1]:
        raise Unreadable("polygon", "must have at least four corners, of which the last repeats the first")
    made = {"corners": corners}
    return {**made, "as_written": _unless_same(_corners(made), text)}


def circle(text: str) -> dict[str, Any]:
    """A centre as `latitude,longitude`, a blank, and a radius in kilometres (section 3.2.4)."""
    parts = text.split()
    centre = _point(parts[0]) if parts else None
    radius = _number(parts[1]) if len(parts) == 2 else None  # noqa: PLR2004  a centre and a radius
    if centre is None or radius is None or radius < 0:
        raise Unreadable("circle", "must be a centre latitude,longitude, a blank and a radius in kilometres")
    made = {"centre": centre, "radius_km": radius}
    return {**made, "as_written": _unless_same(_circle(made), text)}


def references(text: str, *, strict: bool) -> dict[str, Any]:
    """Earlier messages as `sender,identifier,sent`, blank-separated (section 3.2.1)."""
    messages = []
    for triple in text.split():
        parts = triple.split(",")
        if len(parts) != 3 or not all(parts):  # noqa: PLR2004  sender, identifier, sent
            raise Unreadable("references", "must be sender,identifier,sent with blanks between messages")
        sender, identifier, sent = parts
        messages.append({"sender": sender, "identifier": identifier, "sent": moment(sent, strict=strict)})
    made = {"messages": messages}
    return {**made, "as_written": _unless_same(_references(made), text)}


def written_moment(value: Mapping[str, Any]) -> str:
    """A moment as its sender wrote it; where that is not known, as CAP writes UTC (1.2, section 3.3.2)."""
    if (text := _as_written(value)) is not None:
        return text
    at = value["at"]
    moment = at if isinstance(at, dt.datetime) else dt.datetime.fromisoformat(at)
    return f"{moment.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%S}-00:00"


def written_measure(value: Mapping[str, Any]) -> str:
    """A number as text."""
    return _as_written(value) or _written(value["value"])


def written_polygon(value: Mapping[str, Any]) -> str:
    """A polygon as text."""
    return _as_written(value) or _corners(value)


def written_circle(value: Mapping[str, Any]) -> str:
    """A circle as text."""
    return _as_written(value) or _circle(value)


def written_references(value: Mapping[str, Any]) -> str:
    """References as text, of messages that are named in full; the empty text if there are none."""
    return _as_written(value) or _references(value)


def _as_written(value: Mapping[str, Any]) -> str | None:
    text: str | None = value.get("as_written")
    return text


def _unless_same(again: str, text: str) -> str | None:
    return None if again == text else text


def _number(text: str) -> float | None:
    return float(text) if _NUMBER.fullmatch(text) else None


def _written(number: float) -> str:
    """The shortest text that gives a number back, without an exponent, which CAP does not know."""
    text = repr(number)
    return format(decimal.Decimal(text), "f") if "e" in text else text


def _point(pair: str) -> dict[str, float] | None:
    latitude, comma, longitude = pair.partition(",")
    north, east = _number(latitude), _number(longitude)
    if not comma or north is None or east is None or abs(north) > _POLE or abs(east) > _DATE_LINE:
        return None
    return {"latitude": north, "longitude": east}


def _pair(point: Mapping[str, float]) -> str:
    return f"{_written(point['latitude'])},{_written(point['longitude'])}"


def _corners(value: Mapping[str, Any]) -> str:
    return " ".join(map(_pair, value["corners"]))


def _circle(value: Mapping[str, Any]) -> str:
    return f"{_pair(value['centre'])} {_written(value['radius_km'])}"


def _references(value: Mapping[str, Any]) -> str:
    return " ".join(
        f"{message['sender']},{message['identifier']},{written_moment(message['sent'])}"
        for message in value.get("messages", ())
        if message.keys() >= {"sender", "identifier", "sent"}
    )


def bounds(polygons: list[dict[str, Any]], circles: list[dict[str, Any]]) -> dict[str, float] | None:
    """The rectangle around polygons and circles, in degrees; None if there are neither.

    A circle counts as its square, with a degree of latitude as 111 km, and no further than the poles and the date line.
    """
    corners = [(corner["latitude"], corner["longitude"]) for polygon in polygons for corner in polygon["corners"]]
    for one in circles:
        north, east = one["centre"]["latitude"], one["centre"]["longitude"]
        high = one["radius_km"] / 111
        wide = high / max(math.cos(math.radians(north)), 0.01)
        corners += [(north - high, east - wide), (north + high, east + wide)]
    if not corners:
        return None
    return {
        "south": max(-float(_POLE), min(north for north, _ in corners)),
        "west": max(-float(_DATE_LINE), min(east for _, east in corners)),
        "north": min(float(_POLE), max(north for north, _ in corners)),
        "east": min(float(_DATE_LINE), max(east for _, east in corners)),
    }
