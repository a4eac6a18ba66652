"""Numbers, times and spans of time as people of a language write them."""

import datetime as dt
import math
from collections.abc import Callable, Mapping
from typing import Any, Final

from markupsafe import Markup

from schemas.model import JAKARTA

_MONTHS: Final = {
    "en": ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"],
    "id": ["Jan", "Feb", "Mar", "Apr", "Mei", "Jun", "Jul", "Agu", "Sep", "Okt", "Nov", "Des"],
}
_UNITS: Final = {
    "en": {"ms": "ms", "s": "s", "min": "min", "h": "h", "d": "d"},
    "id": {"ms": "md", "s": "dtk", "min": "mnt", "h": "jam", "d": "hari"},
}
NOTHING: Final = Markup("–")  # noqa: RUF001  what a table shows where there is nothing to tell

SPACE: Final = "\N{NO-BREAK SPACE}"


class Formats:
    """How one language writes values."""

    def __init__(self, language: str) -> None:
        """``language`` is one of texts.LANGUAGES."""
        self._months, self._units = _MONTHS[language], _UNITS[language]
        self._swap = str.maketrans(",.", ".,") if language == "id" else {}

    def number(self, value: float | None, decimals: int = 0) -> str:
        """1,234.5 in English, 1.234,5 in Indonesian."""
        return NOTHING if value is None else f"{value:,.{decimals}f}".translate(self._swap)

    def short_number(self, value: float) -> str:
        """A number with three digits that count, for rates."""
        decimals = 0 if value == 0 or abs(value) >= 100 else 1 if abs(value) >= 10 else 2  # noqa: PLR2004  digits
        return self.number(value, decimals)

    def span(self, seconds: float | None) -> str:
        """A length of time in its two largest units, or with three digits below a minute."""
        if seconds is None or math.isnan(seconds):
            return NOTHING
        unit = self._units
        if seconds < 1:
            return f"{self.number(seconds * 1000)}{SPACE}{unit['ms']}"
        if seconds < 60:  # noqa: PLR2004  a minute
            return f"{self.number(seconds, 1 if seconds < 10 else 0)}{SPACE}{unit['s']}"  # noqa: PLR2004  two digits
        whole = round(seconds)
        for size, large, smaller, small in ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "min"), (60, "min", 1, "s")):
            if whole >= size:
                rest = whole % size // smaller
                small_part = f" {rest}{SPACE}{unit[small]}" if rest else ""
                return f"{self.number(whole // size)}{SPACE}{unit[large]}{small_part}"
        raise AssertionError("a minute is the smallest")

    def date(self, day: dt.date) -> str:
        """26 Nov 2026."""
        return f"{day.day} {self._months[day.month - 1]} {day.year}"

    def moment(self, moment: dt.datetime | None, *, seconds: bool = True) -> Markup:
        """A moment in Jakarta's time with its zone, for people and for machines."""
        if moment is None:
            return NOTHING
        local = moment.astimezone(JAKARTA)
        clock = local.strftime("%H:%M:%S" if seconds else "%H:%M")
        utc = moment.astimezone(dt.UTC).isoformat(timespec="milliseconds")
        return Markup('<time datetime="{}">{} {} {}</time>').format(utc, self.date(local), clock, local.tzname())

    def clock(self, moment: dt.datetime | None) -> Markup:
        """The time of a moment of today, with its zone."""
        if moment is None:
            return NOTHING
        local = moment.astimezone(JAKARTA)
        utc = moment.astimezone(dt.UTC).isoformat(timespec="milliseconds")
        return Markup('<time datetime="{}">{} {}</time>').format(utc, local.strftime("%H:%M:%S"), local.tzname())

    def in_templates(self) -> Mapping[str, Callable[..., Any]]:
        """Under which names templates have them."""
        return {
            "number": self.number,
            "short_number": self.short_number,
            "span": self.span,
            "date": self.date,
            "moment": self.moment,
            "clock": self.clock,
        }
