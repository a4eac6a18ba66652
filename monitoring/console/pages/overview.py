"""``/``: how the bus is, at a glance, and live."""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from starlette.responses import JSONResponse, Response

from monitoring.console.attention import Matter, matters, owner_of_letters, today_in_jakarta
from monitoring.console.bus import Bus
from monitoring.console.ledger import Ledger
from monitoring.console.page import Page, Visit
from monitoring.console.permissions import Right
from monitoring.console.picture import flows_between, picture
from monitoring.console.stream import stream
from monitoring.console.traffic import BUCKET_SECONDS, Flow

MOST_MATTERS: Final = 12
MOST_ROWS: Final = 15
PARTS: Final = ("figures", "attention", "picture", "books")


def context_of(bus: Bus, visit: Visit) -> Mapping[str, Any]:
    """Everything that the overview shows."""
    catalogue, ledger, lanes = bus.catalogue, bus.ledger, bus.lanes
    found = matters(catalogue.value, ledger.value, lanes.value, today_in_jakarta())
    flow = ledger.value.flow if ledger.value else Flow()
    agreements = catalogue.value.snapshot.agreements if catalogue.value else {}
    flows = flows_between(
        (one.contract.provider, one.contract.consumer.partition(".")[0], flow.delivered.get(name, 0))
        for name, one in agreements.items()
    )
    return {
        "known": {"catalogue": catalogue, "books": ledger, "lanes": lanes},
        "catalogue": catalogue.value,
        "ledger": ledger.value,
        "ledger_at": ledger.read_at,
        "lanes": lanes.value,
        "progress": bus.progress,
        "flow": flow,
        "points": [(dt.datetime.fromtimestamp(point.at, dt.UTC), point) for point in reversed(flow.points)][::6],
        "flows": sorted(flows.items(), key=lambda one: (-one[1], one[0])),
        "agencies": catalogue.value.snapshot.agencies if catalogue.value else {},
        "picture": picture(flows),
        "matters": [(matter, _link(matter, visit)) for matter in found[:MOST_MATTERS]],
        "more_matters": max(0, len(found) - MOST_MATTERS),
        "busiest": _busiest(ledger.value),
        "known_types": catalogue.value.snapshot.event_types if catalogue.value else {},
    }


def _link(matter: Matter, visit: Visit) -> str:
    """Where to look; for who may not see letters, what may be seen of the matter instead."""
    agency = owner_of_letters(matter.link)
    if agency is None:
        return matter.link
    right = Right.SEE_DEAD_LETTERS if matter.kind == "dead" else Right.SEE_QUARANTINE
    if visit.may(right, agency):
        return matter.link
    return f"/agreements/{matter.about}" if matter.kind == "dead" else f"/event-types?search={matter.about}"


def _busiest(ledger: Ledger | None) -> Sequence[Any]:
    if ledger is None:
        return ()
    return sorted(ledger.event_types.values(), key=lambda one: (-one.published, one.event_type))[:MOST_ROWS]


async def _show(visit: Visit) -> Response:
    return visit.render("overview.html", **context_of(visit.console.bus, visit))


async def _live(visit: Visit) -> Response:
    def parts() -> Iterator[tuple[str, str]]:
        context = context_of(visit.console.bus, visit)
        for part in PARTS:
            yield part, visit.html(f"overview_{part}.html", **context)

    return stream(visit, parts)


async def _traffic(visit: Visit) -> Response:
    """The points of the chart: columns, as uPlot takes them."""
    ledger = visit.console.bus.ledger.value
    points = ledger.flow.points if ledger else ()
    labels = {name: str(visit.texts(f"overview.chart_{name}")) for name in ("decided", "delivered", "time")}
    return JSONResponse(
        {
            "seconds": BUCKET_SECONDS,
            "labels": labels,
            "zone": "Asia/Jakarta",
            "columns": [
                [point.at for point in points],
                [round(point.decided, 3) for point in points],
                [round(point.delivered, 3) for point in points],
            ],
        }
    )


PAGES: Final = (
    Page("/", Right.SEE_BUS, _show),
    Page("/live/overview", Right.SEE_BUS, _live),
    Page("/traffic.json", Right.SEE_BUS, _traffic),
)
