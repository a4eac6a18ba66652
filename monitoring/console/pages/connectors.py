"""``/connectors``: what joins systems to the bus, how it is; paused, resumed, stopped, begun anew."""

import datetime as dt
from typing import Final

from starlette.responses import Response

from connectors.runtime.reference import readable
from lintas.errors import LintasError, UnknownName
from monitoring.console import connectors
from monitoring.console.asking import actor_of, asked, done, snapshot_of
from monitoring.console.connectors import Row
from monitoring.console.errors import error_page
from monitoring.console.page import Page, Visit
from monitoring.console.permissions import Right
from streams import acting


async def _rows(visit: Visit, system: str = "") -> list[Row]:
    """The connectors that the person may see; only those of a system, if it is named."""
    systems = [
        one
        for one in snapshot_of(visit).connector_systems()
        if system in ("", one) and visit.may(Right.SEE_CONNECTORS, acting.agency_of(one))
    ]
    settings = visit.console.settings
    return await asked(settings, connectors.rows_of, settings, systems)


async def _one(visit: Visit, system: str) -> Row:
    name = visit.path("connector")
    found = [row for row in await _rows(visit, system) if row.name == name]
    if not found:
        raise UnknownName(kind="connector", name=name, suggestion="/connectors lists them.")
    return found[0]


async def _list(visit: Visit) -> Response:
    return visit.render("connectors.html", rows=[(row, _since(row)) for row in await _rows(visit)])


async def _show(visit: Visit) -> Response:
    row = await _one(visit, visit.query("system"))
    may = visit.may(Right.CONTROL_CONNECTORS, acting.agency_of(row.system))
    template = "connector_part.html" if visit.is_partial else "connector.html"
    return visit.render(template, row=row, since=_since(row), may=may, did=visit.query("did"), readable=readable)


def _since(row: Row) -> dt.datetime | None:
    return dt.datetime.fromisoformat(row.status.since) if row.status else None


async def _act(visit: Visit) -> Response:
    row = await _one(visit, visit.field("system").strip())
    act = visit.field("act")
    if not visit.may(Right.CONTROL_CONNECTORS, acting.agency_of(row.system)):
        title, text = visit.texts("frame.denied"), visit.texts("connectors.denied")
        return error_page(visit.console, visit.request, 403, title, text, visit.session)
    actor, reason = actor_of(visit, Right.CONTROL_CONNECTORS), visit.field("reason").strip()
    try:
        await done(connectors.act_on, visit.console.settings, row, act, actor, reason=reason)
    except LintasError:
        if act in connectors.ACTS:
            visit.console.measures.acted(act, "refused")
        raise
    visit.console.measures.acted(act, "done")
    return visit.redirect(f"/connectors/{row.name}?system={row.system}&did={act}")


PAGES: Final = (
    Page("/connectors", Right.SEE_CONNECTORS, _list),
    Page("/connectors/{connector}", Right.SEE_CONNECTORS, _show),
    Page("/connectors/{connector}", Right.CONTROL_CONNECTORS, _act, "POST"),
)
