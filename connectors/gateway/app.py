"""The gateway as one ASGI application."""

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from importlib.metadata import version
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

import httpx
from fastapi import FastAPI, Header, Query
from fastapi.exceptions import RequestValidationError
from lintas_client import Problem
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Router

from connectors.gateway import catalogue_routes, inbox_routes, openapi
from connectors.gateway.answers import Answers
from connectors.gateway.bus import Bus
from connectors.gateway.callers import Callers
from connectors.gateway.gateway import Gateway
from connectors.gateway.inbox_routes import JSON, STREAM
from connectors.gateway.incoming import BATCH
from connectors.gateway.limits import Limits
from connectors.gateway.live import folder
from connectors.gateway.measures import Measures, Unmeasured
from connectors.gateway.publish_route import post_events
from connectors.gateway.refusal import Refused, malformed, phrase
from connectors.gateway.token_issuer import TokenIssuer
from lintas.errors import BadSettings
from lintas.issuer import Issuer
from lintas.settings import Settings

ISSUER: Final = "/issuer"
LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
USUAL_LIMIT: Final = 100
BODIES_AT_ONCE: Final = 4  # of the largest, of one system: of smaller ones more
_ANY: Final = {"schema": {"type": "object"}}


def build(
    settings: Settings,
    bus: Bus,
    url: str,
    *,
    measures: Measures | None = None,
    routes: Sequence[BaseRoute] = (),
) -> FastAPI:
    """The application; ``app.state.gateway`` is its Gateway, ``app.state.issuer`` its own issuer, if it has one.

    Args:
        settings: without an issuer of access tokens the embedded one is used.
        bus: what is published to and read from; whoever calls starts and stops it.
        url: where systems find the gateway.
        measures: who counts.
        routes: further ones, for health and metrics.

    Raises:
        BadSettings: there is no issuer, and the address is not one of this machine alone.
    """
    url = url.rstrip("/")
    own: TokenIssuer | None = None
    if settings.gateway_issuer is None:
        _only_loopback(url)
        own = TokenIssuer(url + ISSUER, settings.gateway_audience, folder(settings))
        mounted = Router(routes=[Mount(urlsplit(url).path.rstrip("/") + ISSUER, routes=own.routes())])
        issuer = Issuer(own.url, httpx.ASGITransport(app=mounted))  # no network to oneself
    else:
        issuer = Issuer(settings.gateway_issuer)
    measures = measures or Unmeasured()
    gateway = Gateway(
        settings,
        bus,
        Callers(issuer, settings.gateway_audience, settings.gateway_system_claim),
        Limits(
            settings.gateway_events_per_second,
            settings.gateway_requests_at_once,
            BODIES_AT_ONCE * settings.gateway_body_bytes,
            measures.limited,
        ),
        measures,
    )
    app = FastAPI(
        title="Lintas gateway",
        version=version("lintas"),
        summary="Publish events to the bus, and fetch an inbox, over HTTP.",
        docs_url=None,  # their pages load programs from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_lifespan,
        middleware=[Middleware(Answers, measures=measures)],
        exception_handlers={
            Refused: _refused,
            RequestValidationError: _invalid,
            HTTPException: _by_framework,
        },
    )
    app.state.gateway, app.state.issuer = gateway, own
    _add_routes(app, gateway)
    if own is not None:
        app.router.routes.append(Mount(ISSUER, routes=own.routes()))
    app.router.routes += routes
    app.openapi = _described(app, own.url + "/token" if own else None)  # type: ignore[method-assign]  # FastAPI's way
    return app


def _add_routes(app: FastAPI, gateway: Gateway) -> None:
    most, longest = gateway.settings.gateway_batch_events, gateway.settings.gateway_request_seconds
    publish = post_events(gateway)

    async def post(request: Request) -> Response:
        """Publish one event (binary or structured mode) or a batch; answered once the bus holds them all."""
        return await publish(request)

    async def pull(
        request: Request,
        limit: Annotated[int, Query(ge=1, le=most, description="most deliveries")] = min(USUAL_LIMIT, most),
        wait: Annotated[float, Query(ge=0, le=longest, description="seconds to wait for a first one")] = 0,
        cursor: Annotated[str | None, Query(description="of the last answer: acknowledges what it held")] = None,
    ) -> Response:
        """Fetch what comes next in the inbox: behind the cursor, else behind what was acknowledged last."""
        return await inbox_routes.pull(gateway, request, limit, wait, cursor)

    async def stream(
        request: Request,
        last_event_id: Annotated[str | None, Header(description="a cursor: acknowledges what came before it")] = None,
    ) -> Response:
        """The inbox as server-sent events; the id of each is its cursor."""
        return await inbox_routes.stream(gateway, request, last_event_id)

    async def where(request: Request) -> Response:
        """The cursor of what was acknowledged last."""
        return await inbox_routes.where(gateway, request)

    async def acknowledge(request: Request) -> Response:
        """Acknowledge everything up to a cursor; never goes back."""
        return await inbox_routes.acknowledge(gateway, request)

    async def event_types(request: Request) -> Response:
        """The event types that the system may publish, each with its schema and an example."""
        return await catalogue_routes.event_types(gateway, request)

    async def event_type(request: Request, name: str) -> Response:
        """One event type that the system may publish."""
        return await catalogue_routes.event_type(gateway, request, name)

    async def agreements(request: Request) -> Response:
        """The agreements under which the system receives, each with what is released and an example."""
        return await catalogue_routes.agreements(gateway, request)

    def add(
        path: str,
        method: str,
        endpoint: Callable[..., Any],
        problems: Sequence[int],
        good: Mapping[Any, Any],
        **extra: Any,
    ) -> None:
        told = openapi.responses(*problems)
        told |= dict(good)
        app.add_api_route(
            path,
            endpoint,
            methods=[method],
            status_code=next(iter(good)),
            responses=told,
            response_class=Response,
            summary=(endpoint.__doc__ or "").partition("\n")[0],
            openapi_extra=extra or None,
        )

    listed = {200: {"description": "Found", "content": {JSON: _ANY}}}
    add("/events", "POST", post, (413, 415, 422), {200: dict(openapi.PUBLISHED)}, **openapi.EVENTS_BODY)
    pulled = {JSON: _ANY, BATCH: {"schema": {"type": "array", "items": {"type": "object"}}}}
    add("/inbox", "GET", pull, (404, 406, 409), {200: {"description": "Deliveries", "content": pulled}})
    streamed = {200: {"description": "Deliveries", "content": {STREAM: {}}}}
    add("/inbox/stream", "GET", stream, (404, 406, 409), streamed)
    add("/inbox/cursor", "GET", where, (404, 406), listed)
    done = {204: {"description": "Acknowledged"}}
    add("/inbox/cursor", "PUT", acknowledge, (404, 409, 413, 415), done, **openapi.CURSOR_BODY)
    add("/event-types", "GET", event_types, (406,), listed)
    add("/event-types/{name}", "GET", event_type, (404, 406), listed)
    add("/agreements", "GET", agreements, (406,), listed)


def _described(app: FastAPI, token_url: str | None) -> Callable[[], dict[str, Any]]:
    described = app.openapi

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = openapi.completed(described(), token_url)
        return app.openapi_schema

    return document


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    yield
    await app.state.gateway.callers.issuer.close()


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, Refused), "registered for it"
    return error.response()


async def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError), "registered for it"
    found = [Problem(".".join(str(part) for part in one["loc"]), one["type"], one["msg"]) for one in error.errors()]
    return malformed("The request's parameters cannot be used.", found).response()


async def _by_framework(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException), "registered for it"
    refused = Refused(
        phrase(error.status_code),
        "There is nothing at this address." if error.status_code == _NOT_FOUND else "That cannot be done here.",
        remedy="GET /openapi.json describes every address and method.",
        headers=error.headers,
    )
    return refused.response()


_NOT_FOUND: Final = 404


def _only_loopback(url: str) -> None:
    if urlsplit(url).hostname not in LOOPBACK:
        raise BadSettings(
            name="LINTAS_GATEWAY_ISSUER",
            reason="it is not set, and the gateway's own issuer of access tokens is for loopback only",
            remedy="set it to the issuer of your systems' tokens, or listen on 127.0.0.1.",
        )
