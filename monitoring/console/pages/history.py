"""``/history``: every catalogue that was in force, who applied it, and what it changed."""

import asyncio
import datetime as dt
from typing import Final

from starlette.responses import Response

from lintas.errors import UnknownName
from monitoring.console.alterations import Alteration, alterations
from monitoring.console.bus import Bus
from monitoring.console.listing import listed
from monitoring.console.lookup import catalogue_of
from monitoring.console.page import Page, Visit
from monitoring.console.permissions import Right
from schemas.catalogue_log import Pointer

MOST_SHOWN: Final = 200  # changes on one page


async def _list(visit: Visit) -> Response:
    known = visit.console.bus.catalogue
    history = known.value.history if known.value else ()
    listing = listed(visit, history, lambda one: f"{one.number} {one.manifest} {one.author} {one.at}")
    rows = [(one, dt.datetime.fromisoformat(one.at)) for one in listing.rows]
    return visit.render("history.html", known=known, listing=listing, rows=rows, search=visit.query("search"))


async def _show(visit: Visit) -> Response:
    catalogue = catalogue_of(visit)
    digest = visit.path("digest")
    asked = visit.query("number")
    found = [
        one for one in catalogue.history if one.manifest.startswith(digest) and (not asked or str(one.number) == asked)
    ]
    if not found:
        raise UnknownName(kind="catalogue", name=digest, suggestion="It was never applied here.")
    pointer = found[0]
    changes = await asyncio.to_thread(_changes, visit.console.bus, pointer)
    return visit.render(
        "catalogue.html",
        pointer=pointer,
        at=dt.datetime.fromisoformat(pointer.at),
        before=next((one for one in catalogue.history if one.number == pointer.number - 1), None),
        after=next((one for one in catalogue.history if one.number == pointer.number + 1), None),
        current=pointer == catalogue.pointer,
        changes=changes[:MOST_SHOWN],
        count=len(changes),
        counts={
            action: sum(one.change.action == action for one in changes) for action in ("create", "update", "delete")
        },
    )


def _changes(bus: Bus, pointer: Pointer) -> list[Alteration]:
    return alterations(*bus.altered(pointer.previous, pointer.manifest))


PAGES: Final = (
    Page("/history", Right.SEE_BUS, _list),
    Page("/history/{digest}", Right.SEE_BUS, _show),
)
