"""``GET /event-types``, ``GET /event-types/{name}``, ``GET /agreements``."""

import datetime as dt

from starlette.requests import Request
from starlette.responses import Response

from connectors.gateway import entitlements
from connectors.gateway.gateway import Gateway
from connectors.gateway.inbox_routes import JSON, accepted
from connectors.gateway.refusal import Refused, as_json


async def event_types(gateway: Gateway, request: Request) -> Response:
    """What the system may publish."""
    accepted(request, (JSON,))
    async with gateway.admitted(request, gateway.settings.gateway_request_seconds) as caller:
        gateway.limits.spend(caller.system, 1)
        mine = entitlements.may_publish(gateway.bus.snapshot, caller.system)
        shown = [entitlements.shown_event_type(one, caller.system) for one in mine.values()]
    return Response(as_json({"event_types": shown}), media_type=JSON)


async def event_type(gateway: Gateway, request: Request, name: str) -> Response:
    """One event type that the system may publish."""
    accepted(request, (JSON,))
    async with gateway.admitted(request, gateway.settings.gateway_request_seconds) as caller:
        gateway.limits.spend(caller.system, 1)
        mine = entitlements.may_publish(gateway.bus.snapshot, caller.system)
        if name not in mine:
            raise Refused(
                "not-found",
                f"There is no such event type that {caller.system} may publish.",
                cause="The name is misspelt, or the catalogue in force names other publishers.",
                remedy=f"It may publish {', '.join(mine) or 'nothing'}.",
            )
        shown = entitlements.shown_event_type(mine[name], caller.system)
    return Response(as_json(shown), media_type=JSON)


async def agreements(gateway: Gateway, request: Request) -> Response:
    """Under which agreements the system receives."""
    accepted(request, (JSON,))
    async with gateway.admitted(request, gateway.settings.gateway_request_seconds) as caller:
        gateway.limits.spend(caller.system, 1)
        found = entitlements.shown_agreements(gateway.bus.snapshot, caller.system, dt.datetime.now(dt.UTC))
        shown = list(found)
    return Response(as_json({"agreements": shown}), media_type=JSON)
