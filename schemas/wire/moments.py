"""Moments as RFC 3339 writes them (section 5.6), to the letter."""

import datetime as dt
import re
from typing import Final

_MOMENT = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})[Tt](\d{2}):(\d{2}):(\d{2})(?:\.(\d+))?(?:[Zz]|([+-])(\d{2}):(\d{2}))", re.ASCII
)
_LEAP_SECOND: Final = 60
_OFFSET_HOURS: Final = 23
_OFFSET_MINUTES: Final = 59


def moment(text: str) -> dt.datetime:
    """The moment that a text names, in UTC; digits below a microsecond are cut.

    A leap second, which may only end a month of UTC, is counted as the second after it, as POSIX does.

    Raises:
        ValueError: the text is no date-time of RFC 3339, or not within the years 1 to 9999 of UTC.
    """
    match = _MOMENT.fullmatch(text)
    if match is None:
        raise ValueError("not written as RFC 3339 has it")
    year, month, day, hour, minute, second, fraction, sign, *offset = match.groups()
    away = dt.timedelta(0)
    if sign is not None:
        if int(offset[0]) > _OFFSET_HOURS or int(offset[1]) > _OFFSET_MINUTES:
            raise ValueError("an offset of 24 hours or more")
        away = dt.timedelta(hours=int(offset[0]), minutes=int(offset[1]))
    micro = int(fraction[:6].ljust(6, "0")) if fraction else 0
    leaps = int(second) == _LEAP_SECOND
    try:
        named = dt.datetime(
            int(year), int(month), int(day), int(hour), int(minute), 59 if leaps else int(second), micro, dt.UTC
        )
        utc = named + away if sign == "-" else named - away
        if not leaps:
            return utc
        after = utc + dt.timedelta(seconds=1)
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
