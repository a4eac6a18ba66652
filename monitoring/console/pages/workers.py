"""``/workers``: who runs which lane, how far it is, and which agreements are set aside."""

import datetime as dt
from typing import Final

from starlette.responses import Response

from monitoring.console.page import Page, Visit
from monitoring.console.permissions import Right


async def _show(visit: Visit) -> Response:
    known = visit.console.bus.lanes
    lanes = known.value
    return visit.render(
        "workers.html",
        known=known,
        lanes=lanes,
        reported={lane.lane: dt.datetime.fromisoformat(lane.reported_at) for lane in lanes.lanes if lane.reported_at}
        if lanes
        else {},
        aside=sorted(lanes.aside.items()) if lanes else [],
    )


PAGES: Final = (Page("/workers", Right.SEE_BUS, _show),)
