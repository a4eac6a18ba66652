"""``/``: how the bus is, at a glance."""

from typing import Final

from starlette.responses import Response

from monitoring.console.page import Page, Visit
from monitoring.console.permissions import Right


async def _show(visit: Visit) -> Response:
    return visit.render("overview.html", catalogue=visit.console.bus.catalogue, lanes=visit.console.bus.lanes)


PAGES: Final = (Page("/", Right.SEE_BUS, _show),)
