"""``/agreements``: who gets which fields, on which basis, until when; and what would become of an event."""

import asyncio
import datetime as dt
import json
from collections.abc import Mapping
from typing import Any, Final

from pydantic import ValidationError
from starlette.responses import Response

from monitoring.console.fields import released_fields
from monitoring.console.listing import listed
from monitoring.console.lookup import catalogue_of, named
from monitoring.console.page import Page, Visit
from monitoring.console.permissions import Right
from schemas.cases import CaseEvent
from schemas.example import example_of
from schemas.model import JAKARTA, Agreement, Standing
from schemas.snapshot import PublishedAgreement
from streams.case_runner import CaseRunner, Judged

MOST_CHARACTERS: Final = 200_000  # of a payload to be tested


async def _list(visit: Visit) -> Response:
    bus, now = visit.console.bus, dt.datetime.now(dt.UTC)
    catalogue = bus.catalogue.value
    wanted = visit.query("standing")
    agreements = [
        (published, published.contract.standing(now).value)
        for _, published in (sorted(catalogue.snapshot.agreements.items()) if catalogue else ())
    ]
    chosen = [one for one in agreements if not wanted or one[1] == wanted]
    return visit.render(
        "agreements.html",
        known=bus.catalogue,
        catalogue=catalogue,
        listing=listed(visit, chosen, lambda one: _searched(one[0])),
        search=visit.query("search"),
        standing=wanted,
        standings=[one.value for one in Standing],
        totals=bus.ledger.value.agreements if bus.ledger.value else {},
    )


def _searched(published: PublishedAgreement) -> str:
    contract = published.contract
    return f"{contract.agreement} {contract.provider} {contract.consumer} {contract.event_type} {contract.legal_basis}"


async def _show(visit: Visit) -> Response:
    return visit.render("agreement.html", **_context(visit), payload=_example(visit), judged=None, wrong="", at=None)


def _context(visit: Visit) -> Mapping[str, Any]:
    catalogue, bus = catalogue_of(visit), visit.console.bus
    name = visit.path("agreement")
    published = named("agreement", name, catalogue.snapshot.agreements)
    contract = published.contract
    event_type = catalogue.snapshot.event_types[contract.event_type]
    consumer = contract.consumer.partition(".")[0]
    ledger, lanes = bus.ledger, bus.lanes.value
    return {
        "known": bus.catalogue,
        "name": name,
        "contract": contract,
        "published": published,
        "event_type": event_type,
        "provider": catalogue.snapshot.agencies[contract.provider],
        "consumer_agency": consumer,
        "system": catalogue.snapshot.system(contract.consumer),
        "channel": catalogue.snapshot.channel_of(contract),
        "standing": contract.standing(dt.datetime.now(dt.UTC)).value,
        "versions": catalogue.released_ever[name],
        "fields": released_fields(event_type, contract),
        "totals": ledger.value.agreements.get(name) if ledger.value else None,
        "ages": ledger.value.flow.ages_of.get(name) if ledger.value else None,
        "ledger_at": ledger.read_at,
        "differences": [one for one in ledger.value.differences if one.about == name] if ledger.value else [],
        "aside": [(slot, why) for slot, why in sorted(lanes.aside.items()) if slot[0] == name] if lanes else [],
        "may_test": visit.may(Right.TEST_AGREEMENT),
        "may_see_inbox": visit.may(Right.SEE_INBOX, consumer),
        "may_see_letters": visit.may(Right.SEE_DEAD_LETTERS, consumer),
    }


def _example(visit: Visit) -> str:
    catalogue = catalogue_of(visit)
    contract = named("agreement", visit.path("agreement"), catalogue.snapshot.agreements).contract
    schema = catalogue.snapshot.event_types[contract.event_type].current.schema
    return json.dumps(example_of(schema), indent=2, ensure_ascii=False)


async def _test(visit: Visit) -> Response:
    context = _context(visit)
    contract: Agreement = context["contract"]
    payload = visit.field("payload")[:MOST_CHARACTERS]
    at = _moment(contract)
    judged: Judged | None = None
    wrong = ""
    try:
        event = CaseEvent.model_validate({"id": "test", "data": json.loads(payload)})
    except (ValueError, ValidationError, RecursionError) as error:
        wrong = _told(visit, error)
    else:
        runner = CaseRunner(catalogue_of(visit).snapshot)
        judged = await asyncio.to_thread(runner.judge, contract.agreement, event, at)
    released = None
    if judged is not None and judged.outcome.kind == "released":
        released = {"envelope": dict(judged.outcome.envelope), "data": judged.outcome.data}
    result: dict[str, Any] = {
        "judged": judged,
        "wrong": wrong,
        "at": at,
        "released": json.dumps(released, indent=2, ensure_ascii=False) if released else "",
    }
    template = "agreement_judged.html" if visit.is_partial else "agreement.html"
    return visit.render(template, **context, payload=payload, **result)


def _moment(contract: Agreement) -> dt.datetime:
    """Now, if the agreement is in force; else noon of its first day, so that something can be tested."""
    now = dt.datetime.now(JAKARTA)
    if contract.standing(now) is Standing.IN_FORCE or contract.suspended:
        return now
    return dt.datetime.combine(contract.valid.from_, dt.time(12), JAKARTA)


def _told(visit: Visit, error: Exception) -> str:
    """What is wrong with a text that is no JSON, without what is in it."""
    if isinstance(error, json.JSONDecodeError):
        return visit.texts("agreement.not_json", line=error.lineno, column=error.colno, reason=error.msg)
    return visit.texts("agreement.no_payload")


PAGES: Final = (
    Page("/agreements", Right.SEE_BUS, _list),
    Page("/agreements/{agreement}", Right.SEE_BUS, _show),
    Page("/agreements/{agreement}/test", Right.TEST_AGREEMENT, _test, "POST"),
)
