"""What is answered without a session: logging in, files, health and metrics."""

from collections.abc import Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from lintas.issuer import IssuerUnavailable
from monitoring.console.console import Console
from monitoring.console.errors import error_page
from monitoring.console.health import health_of
from monitoring.console.login import LoginRefused
from monitoring.console.measures import Endpoint
from monitoring.console.page import Page, Visit
from monitoring.console.permissions import Right
from monitoring.console.texts import COOKIE, LANGUAGES, language_of, texts

CALLBACK: Final = "/signed-in"
YEAR_SECONDS: Final = 31_536_000


def routes(console: Console) -> list[Route]:
    """Every route that needs no session."""
    health = health_of(console.bus)
    measured = console.measures.measured
    return [
        Route("/login", measured("/login", _login(console))),
        Route(CALLBACK, measured(CALLBACK, _callback(console))),
        Route("/signed-out", measured("/signed-out", _signed_out(console))),
        Route("/metrics", console.measures.show),
        *(
            Route(f"/{name}", _check(check))
            for name, check in (("live", health.live), ("ready", health.ready), ("startup", health.startup))
        ),
    ]


def _check(check: Callable[[], str]) -> Endpoint:
    async def answer(_: Request) -> Response:
        wrong = check()
        return PlainTextResponse(f"{wrong or 'ok'}\n", 503 if wrong else 200)

    return answer


def _login(console: Console) -> Endpoint:
    async def login(request: Request) -> Response:
        words = texts(language_of(request))
        try:
            address, remembered = await console.login.begin()
        except IssuerUnavailable as error:
            text = words("frame.no_issuer_text", reason=str(error))
            return error_page(console, request, 503, words("frame.no_issuer"), text)
        response = RedirectResponse(address, 303)
        console.sessions.begin_login(response, remembered | {"next": _inside(request.query_params.get("next", "/"))})
        return response

    return login


def _callback(console: Console) -> Endpoint:
    async def callback(request: Request) -> Response:
        words = texts(language_of(request))
        login = console.sessions.login_of(request)
        try:
            person = await console.login.finish(dict(request.query_params), login)
        except IssuerUnavailable as error:
            text = words("frame.no_issuer_text", reason=str(error))
            return error_page(console, request, 503, words("frame.no_issuer"), text)
        except LoginRefused as error:
            text = words("frame.login_refused_text", reason=error.reason)
            return error_page(console, request, 403, words("frame.login_refused"), text)
        assert login is not None, "finish refuses none"
        response = RedirectResponse(_inside(str(login["next"])), 303)
        console.sessions.write(response, console.sessions.open(person))
        console.sessions.forget_login(response)
        return response

    return callback


def _signed_out(console: Console) -> Endpoint:
    async def signed_out(request: Request) -> Response:
        words = texts(language_of(request))
        return error_page(console, request, 200, words("frame.signed_out"), words("frame.signed_out_text"))

    return signed_out


async def _sign_out(visit: Visit) -> Response:
    response = visit.redirect("/signed-out")
    visit.console.sessions.end(response, visit.session)
    return response


async def _choose_language(visit: Visit) -> Response:
    response = visit.redirect(_inside(visit.field("back", "/")))
    if (language := visit.field("language")) in LANGUAGES:
        response.set_cookie(
            COOKIE, language, max_age=YEAR_SECONDS, samesite="lax", secure=visit.console.url.startswith("https:")
        )
    return response


def _inside(path: str) -> str:
    """A path of the console, whatever was asked for: nobody is sent elsewhere."""
    is_path = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if is_path else "/"


PAGES: Final = (
    Page("/sign-out", Right.SIGNED_IN, _sign_out, "POST"),
    Page("/language", Right.SIGNED_IN, _choose_language, "POST"),
)
