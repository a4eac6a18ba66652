"""Moments as RFC 3339 writes them (section 5.6), to the letter."""

import datetime as dt
import re
from typing import Final

_CLOCK = r"(?:[01]\d|2[0-3]):[0-5]\d"
_MOMENT = re.compile(rf"\d{{4}}-\d{{2}}-\d{{2}}[Tt]{_CLOCK}:([0-5]\d|60)(?:\.\d+)?(?:[Zz]|[+-]{_CLOCK})", re.ASCII)
_SECONDS: Final = slice(17, 19)
_LEAP_SECOND: Final = "60"


def moment(text: str) -> dt.datetime:
    """The moment that a text names, in UTC; digits below a microsecond are cut.

    A leap second, which may only end a month of UTC, is counted as the second after it, as POSIX does.

    Raises:
        ValueError: the text is no date-time of RFC 3339, or not within the years 1 to 9999 of UTC.
    """
    match = _MOMENT.fullmatch(text)
    if match is None:
        raise ValueError("not written as RFC 3339 has it")
    try:
        if match[1] != _LEAP_SECOND:
            return dt.datetime.fromisoformat(text.upper()).astimezone(dt.UTC)
        before = f"{text[: _SECONDS.start]}59{text[_SECONDS.stop :]}".upper()
        after = dt.datetime.fromisoformat(before).astimezone(dt.UTC) + dt.timedelta(seconds=1)
    except OverflowError:
        raise ValueError("not within the years 1 to 9999") from None
    if (after.day, after.hour, after.minute, after.second) != (1, 0, 0, 0):
        raise ValueError("a leap second that does not end a month of UTC")
    return after


def is_moment(text: str) -> bool:
    """Whether ``moment`` can read a text."""
    try:
        moment(text)
    except ValueError:
        return False
    return True
