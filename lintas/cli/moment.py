"""A moment on the command line: ISO 8601 with a time zone."""

import datetime as dt
from typing import Any, Final

import click

EXAMPLE: Final = "2026-11-24T08:00+07:00"


class Moment(click.ParamType):
    """Takes a moment such as 2026-11-24T08:00+07:00, and some words that are passed on as they are."""

    name = "TIME"

    def __init__(self, *words: str) -> None:
        self._words = words

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """A word, or a datetime with its time zone."""
        if value in self._words or isinstance(value, dt.datetime):
            return value
        try:
            moment = dt.datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{', '.join((*self._words, 'a moment'))} such as {EXAMPLE} is wanted, not {value!r}", param, ctx)
        if moment.tzinfo is None:
            self.fail(f"a time zone is wanted, as in {EXAMPLE}", param, ctx)
        return moment
