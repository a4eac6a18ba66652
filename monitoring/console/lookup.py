"""What pages look up in the catalogue in force."""

import difflib
from collections.abc import Mapping
from typing import TypeVar

from lintas.errors import NoCatalogue, UnknownName
from monitoring.console.catalogue_view import Catalogue
from monitoring.console.page import Visit

T = TypeVar("T")


def catalogue_of(visit: Visit) -> Catalogue:
    """The catalogue in force, as far as it is known.

    Raises:
        NoCatalogue: there is none, or it has not been read yet.
    """
    catalogue = visit.console.bus.catalogue.value
    if catalogue is None:
        raise NoCatalogue
    return catalogue


def named(kind: str, name: str, known: Mapping[str, T]) -> T:
    """What has the name.

    Raises:
        UnknownName: nothing has; with the closest name that something has.
    """
    if name in known:
        return known[name]
    close = difflib.get_close_matches(name, known, n=1)
    suggestion = f"Did you mean {close[0]}?" if close else "The catalogue in force has none like it."
    raise UnknownName(kind=kind, name=name, suggestion=suggestion)
