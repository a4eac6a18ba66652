"""``/event-types``: what is published, by whom, what is in it, and who receives it."""

import asyncio
import datetime as dt
import json
from collections.abc import Sequence
from typing import Any, Final

from starlette.responses import Response

from lintas.errors import LintasError
from monitoring.console.catalogue_view import Catalogue
from monitoring.console.fields import fields_of
from monitoring.console.listing import listed
from monitoring.console.lookup import catalogue_of, named
from monitoring.console.page import Page, Visit
from monitoring.console.permissions import Right
from monitoring.console.samples import Sample
from schemas.compatibility import incompatibilities
from schemas.snapshot import PublishedEventType

SAMPLES_SECONDS: Final = 6.0


async def _list(visit: Visit) -> Response:
    bus = visit.console.bus
    catalogue = bus.catalogue.value
    types = sorted(catalogue.snapshot.event_types.items()) if catalogue else []
    found = listed(visit, types, lambda one: _searched(*one))
    return visit.render(
        "event_types.html",
        known=bus.catalogue,
        catalogue=catalogue,
        listing=found,
        search=visit.query("search"),
        totals=bus.ledger.value.event_types if bus.ledger.value else {},
    )


def _searched(name: str, published: PublishedEventType) -> str:
    contract = published.contract
    return f"{name} {contract.title} {contract.owner} {contract.classification}"


async def _show(visit: Visit) -> Response:
    catalogue = catalogue_of(visit)
    name = visit.path("name")
    published = named("event type", name, catalogue.snapshot.event_types)
    ledger = visit.console.bus.ledger
    now = dt.datetime.now(dt.UTC)
    flow = ledger.value.flow if ledger.value else None
    return visit.render(
        "event_type.html",
        known=visit.console.bus.catalogue,
        name=name,
        published=published,
        contract=published.contract,
        owner=catalogue.snapshot.agencies[published.contract.owner],
        fields=fields_of(published),
        versions=_versions(published),
        consumers=_consumers(catalogue, name, now),
        totals=ledger.value.event_types.get(name) if ledger.value else None,
        by_agreement=ledger.value.agreements if ledger.value else {},
        flow=flow,
        ledger_at=ledger.read_at,
        schema=json.dumps(published.current.schema, indent=2, ensure_ascii=False),
        systems={system: catalogue.snapshot.system(system) for system in published.contract.publishers},
    )


def _versions(published: PublishedEventType) -> Sequence[dict[str, Any]]:
    """The schemas, the newest first: number, id, how many fields, and what keeps it from reading earlier events."""
    schemas = [one.schema for one in published.schemas]
    return [
        {
            "number": at + 1,
            "id": one.id,
            "fields": len(fields_of(published, one.schema)),
            "problems": incompatibilities(one.schema, schemas[:at]),
        }
        for at, one in reversed(list(enumerate(published.schemas)))
    ]


def _consumers(catalogue: Catalogue, name: str, now: dt.datetime) -> Sequence[dict[str, Any]]:
    """Who receives it, under which version of what is released to them."""
    rows = []
    for published in catalogue.agreements_on[name]:
        ever = catalogue.released_ever[published.contract.agreement]
        rows.append(
            {
                "contract": published.contract,
                "channel": catalogue.snapshot.channel_of(published.contract),
                "standing": published.contract.standing(now).value,
                "schema_id": published.released.id,
                "version": ever.index(published.released.id) + 1,
                "versions": len(ever),
            }
        )
    return rows


async def _samples(visit: Visit) -> Response:
    catalogue = catalogue_of(visit)
    name = visit.path("name")
    named("event type", name, catalogue.snapshot.event_types)
    samples: Sequence[Sample] = ()
    problem = ""
    try:
        async with asyncio.timeout(SAMPLES_SECONDS):
            samples = await asyncio.to_thread(visit.console.bus.samples, catalogue.snapshot, name)
    except TimeoutError:
        problem = visit.texts("event_type.samples_late")
    except LintasError as error:
        problem = str(error).splitlines()[0]
    shown = [(one, json.dumps(one.masked, indent=2, ensure_ascii=False) if one.masked else None) for one in samples]
    template = "event_type_samples.html" if visit.is_partial else "event_type_samples_page.html"
    return visit.render(template, name=name, samples=shown, problem=problem)


PAGES: Final = (
    Page("/event-types", Right.SEE_BUS, _list),
    Page("/event-types/{name}", Right.SEE_BUS, _show),
    Page("/event-types/{name}/samples", Right.SEE_BUS, _samples),
)
