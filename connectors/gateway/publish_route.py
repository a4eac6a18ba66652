"""``POST /events``."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from lintas_client.preparation import Prepared
from starlette.requests import Request
from starlette.responses import Response

from connectors.gateway import entitlements, incoming, publishing
from connectors.gateway.gateway import Gateway
from connectors.gateway.refusal import Refused, as_json
from connectors.gateway.request_body import body_of, too_large

ANSWERING_SECONDS: Final = 2.0  # kept of a request's time to tell what became of the events


def post_events(gateway: Gateway) -> Callable[[Request], Awaitable[Response]]:
    """The route's endpoint."""

    async def post(request: Request) -> Response:
        async with gateway.admitted(request, gateway.settings.gateway_request_seconds) as caller:
            with gateway.limits.body(caller.system) as hold:
                return await _published(gateway, request, caller.system, hold)

    return post


async def _published(gateway: Gateway, request: Request, system: str, hold: Callable[[int], None]) -> Response:
    settings = gateway.settings
    seconds = settings.gateway_request_seconds
    gateway.limits.spend(system, 1)
    headers = request.scope["headers"]
    mode, _ = incoming.mode_of(headers)
    body = await body_of(request, settings.gateway_body_bytes, seconds / 2, hold)
    async with gateway.turn:
        attributes, checked = _checked(gateway, system, mode, headers, body)
        await asyncio.sleep(0)
    del body  # what it said is in what will be sent
    outcomes: list[publishing.Outcome] = []
    if checked:
        outlet = await gateway.bus.outlet(system)
        outcomes = await publishing.send_all(outlet, checked, max(seconds / 2 - ANSWERING_SECONDS, seconds / 4))
        if any(one.published == "unknown" for one in outcomes):
            gateway.bus.retire(system, outlet)
    for outcome, name in (("yes", "published"), ("no", "refused"), ("unknown", "unconfirmed")):
        if count := sum(one.published == outcome for one in outcomes):
            gateway.measures.events(system, name, count)
    answer = publishing.answer(attributes, outcomes, batch=mode == "batch")
    return Response(as_json(answer), media_type="application/json")


def _checked(
    gateway: Gateway, system: str, mode: incoming.Mode, headers: incoming.Headers, body: bytes
) -> tuple[list[Mapping[str, str]], list[Prepared]]:
    """The events of a request: their attributes as they came, and as they will be sent.

    Raises:
        Refused: they cannot be read, are too many, or one of them has problems.
    """
    events = incoming.read(mode, headers, body)
    if len(events) > gateway.settings.gateway_batch_events:
        raise too_large(f"A batch may have {gateway.settings.gateway_batch_events} events.")
    gateway.limits.spend(system, max(0, len(events) - 1))
    mine = entitlements.may_publish(gateway.bus.snapshot, system)
    try:
        checked = publishing.check_all(events, system, mine, batch=mode == "batch")
    except Refused:
        gateway.measures.events(system, "refused", len(events))
        raise
    return [event.attributes for event in events], checked
