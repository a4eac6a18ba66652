"""Lists that are searched and shown a page at a time."""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Generic, TypeVar
from urllib.parse import urlencode

from monitoring.console.page import Visit

T = TypeVar("T")
ON_A_PAGE: Final = 50


@dataclasses.dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """A page of what was found.

    Attributes:
        found: how many there are in all.
        number: of this page, from 1.
    """

    rows: Sequence[T]
    found: int
    number: int
    pages: int
    query: tuple[tuple[str, str], ...]

    def address(self, number: int) -> str:
        """Another page of the same search."""
        return "?" + urlencode([*((key, value) for key, value in self.query if key != "page"), ("page", str(number))])


def listed(visit: Visit, rows: Iterable[T], text_of: Callable[[T], str]) -> Listing[T]:
    """The rows that hold every word of the query's ``search``, the page that its ``page`` says."""
    words = visit.query("search").lower().split()
    found = [row for row in rows if not words or all(word in text_of(row).lower() for word in words)]
    pages = max(1, -(-len(found) // ON_A_PAGE))
    asked = visit.query("page", "1")
    number = min(max(1, int(asked) if asked.isdecimal() and asked.isascii() else 1), pages)
    query = tuple(visit.request.query_params.items())
    return Listing(found[(number - 1) * ON_A_PAGE : number * ON_A_PAGE], len(found), number, pages, query)
