"""The console as one ASGI application."""

import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Final
from urllib.parse import urlsplit

import httpx
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from lintas.errors import BadSettings
from lintas.settings import Settings
from monitoring import spans
from monitoring.console import public
from monitoring.console.bus import Bus
from monitoring.console.console import Console
from monitoring.console.errors import error_page
from monitoring.console.guard import guarded
from monitoring.console.headers import SecurityHeaders
from monitoring.console.issuer import CLIENT_ID, EmbeddedIssuer
from monitoring.console.login import Client, Login, client_of
from monitoring.console.measures import Measures
from monitoring.console.page import Page
from monitoring.console.pages import (
    acts,
    agreements,
    connectors,
    event_types,
    history,
    inboxes,
    letters,
    overview,
    replays,
    workers,
)
from monitoring.console.people import demo_people
from monitoring.console.sessions import Sessions, session_key
from monitoring.console.templates import Static, Templates
from monitoring.console.texts import language_of, texts

ISSUER: Final = "/issuer"
LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
AT_ANY_HOST: Final = ("/metrics", "/live", "/ready", "/startup")  # who asks for these knows the address, not the name
SECRET_FILE: Final = "oidc-client-secret"  # noqa: S105  its name

# Every page; a new one is a line here, and is denied to everybody whom the table of permissions does not name.
PAGES: Final[Sequence[Page]] = (
    *public.PAGES,
    *overview.PAGES,
    *inboxes.PAGES,
    *letters.PAGES,
    *replays.PAGES,
    *acts.PAGES,
    *event_types.PAGES,
    *agreements.PAGES,
    *connectors.PAGES,
    *workers.PAGES,
    *history.PAGES,
)


def build(settings: Settings, bus: Bus, url: str, *, pages: Sequence[Page] = PAGES) -> Starlette:
    """The application; ``app.state.console`` is its Console.

    Args:
        settings: without an issuer of identities the embedded one is used.
        bus: what is known of the bus.
        url: where browsers find the console.
        pages: all of them, but in tests.

    Raises:
        BadSettings: there is no issuer, and the address is not one of this machine alone.
    """
    url = url.rstrip("/")
    templates = Templates()
    issuer: EmbeddedIssuer | None = None
    if settings.oidc_issuer is None:
        _only_loopback(url)
        issuer = EmbeddedIssuer(url + ISSUER, url + public.CALLBACK, demo_people(settings), templates)
    app = Starlette(
        middleware=[Middleware(SecurityHeaders, https=url.startswith("https:")), Middleware(OneHost, url=url)],
        exception_handlers={404: _not_found, 405: _not_found},
        lifespan=_lifespan,
    )
    sessions = Sessions(
        session_key(settings),
        lasts_seconds=settings.console_session_seconds,
        idle_seconds=settings.console_idle_seconds,
        secure=url.startswith("https:"),
    )
    login = _login(settings, url, issuer, app)
    console = Console(settings, url, bus, login, sessions, templates, Measures(spans.start("console")))
    app.state.console = console
    app.router.routes += [
        Mount("/static", Static()),
        *public.routes(console),
        *([Mount(ISSUER, routes=issuer.routes())] if issuer else []),
        *(
            Route(page.path, console.measures.measured(page.path, guarded(console, page)), methods=[page.method])
            for page in pages
        ),
    ]
    return app


def _login(settings: Settings, url: str, issuer: EmbeddedIssuer | None, app: ASGIApp) -> Login:
    redirect_uri = url + public.CALLBACK
    if issuer is not None:
        client = Client(issuer.url, CLIENT_ID, issuer.client_secret, redirect_uri)
        return Login(client, httpx.ASGITransport(app=app))  # no network to oneself
    file = settings.oidc_client_secret_file or settings.secrets / SECRET_FILE
    return Login(client_of(settings, redirect_uri, file.read_text().strip() if file.exists() else ""))


def _only_loopback(url: str) -> None:
    if urlsplit(url).hostname not in LOOPBACK:
        raise BadSettings(
            name="LINTAS_OIDC_ISSUER",
            reason="it is not set, and the console's own issuer with its demo people is for loopback only",
            remedy="set it to the issuer of your people's identities, or listen on 127.0.0.1.",
        )


@contextlib.asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    yield
    await app.state.console.login.close()


async def _not_found(request: Request, _: Exception) -> Response:
    console: Console = request.app.state.console
    words = texts(language_of(request))
    session = console.sessions.of(request)
    return error_page(console, request, 404, words("frame.not_found"), words("frame.not_found_text"), session)


class OneHost:
    """Answers at the console's own address only, whatever name somebody makes point here; sends others there."""

    def __init__(self, app: ASGIApp, *, url: str) -> None:
        self._app, self._url, self._host = app, url, urlsplit(url).netloc

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, or send there."""
        if scope["type"] == "http" and scope["path"] not in AT_ANY_HOST:
            request = Request(scope)
            if request.headers.get("host") != self._host:
                response: Response = PlainTextResponse(f"the console is at {self._url}\n", 421)
                if scope["method"] in ("GET", "HEAD"):
                    query = f"?{request.url.query}" if request.url.query else ""
                    response = RedirectResponse(self._url + request.url.path + query, 307)
                await response(scope, receive, send)
                return
        await self._app(scope, receive, send)
