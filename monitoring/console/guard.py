"""The way of every request to its page: a session, the right, and for a POST the proof that our own form sent it."""

import logging
import secrets
from typing import Final
from urllib.parse import quote, urlsplit

from starlette.datastructures import FormData
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response

from lintas.errors import BusUnavailable, LintasError, NoCatalogue, UnknownName
from monitoring.console.console import Console
from monitoring.console.errors import error_page
from monitoring.console.measures import Endpoint
from monitoring.console.page import Page, Visit
from monitoring.console.permissions import TABLE, allowed
from monitoring.console.texts import language_of, texts
from streams.crashes import problem_of

MOST_BYTES: Final = 1_000_000  # of a form
FORM: Final = "application/x-www-form-urlencoded"
CSRF_FIELD: Final = "csrf"
CSRF_HEADER: Final = "x-csrf-token"

log = logging.getLogger(__name__)


def guarded(console: Console, page: Page) -> Endpoint:
    """The endpoint of a page."""

    async def endpoint(request: Request) -> Response:
        session = console.sessions.of(request)
        if session is None:
            return _to_login(request)
        words = texts(language_of(request))
        form = FormData()
        if not allowed(session.person, page.right, page.agency(request)):
            who = ", ".join(words(f"frame.role_{role}") for role in TABLE[page.right])
            return error_page(
                console, request, 403, words("frame.denied"), words("frame.denied_to", roles=who), session
            )
        if page.method == "POST":
            refused = _not_a_form(request) or not _same_origin(console, request)
            if not refused:
                try:
                    form = await request.form()
                except ClientDisconnect:
                    return Response(status_code=400)
            sent = request.headers.get(CSRF_HEADER) or form.get(CSRF_FIELD)
            if refused or not isinstance(sent, str) or not secrets.compare_digest(sent.encode(), session.csrf.encode()):
                text = words("frame.not_our_form_text")
                return error_page(console, request, 403, words("frame.not_our_form"), text, session)
        visit = Visit(console, request, session, words, form)
        try:
            response = await page.answer(visit)
        except Exception as error:  # noqa: BLE001  a page of ours says what happened; a defect is logged without values
            return _failed(console, request, error, visit)
        if console.sessions.is_stale(session) and "set-cookie" not in response.headers:
            console.sessions.write(response, session)
        return response

    return endpoint


def _to_login(request: Request) -> Response:
    if "hx-request" in request.headers:
        return Response(status_code=401, headers={"hx-refresh": "true"})
    path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    if request.method != "GET" or path.startswith("/live"):
        return Response("log in first\n", 401, media_type="text/plain")
    return RedirectResponse(f"/login?next={quote(path, safe='')}", 303)


def _not_a_form(request: Request) -> bool:
    """What a form of ours never sends: another kind of body, or a huge one."""
    length = request.headers.get("content-length", "")
    kind = request.headers.get("content-type", "").partition(";")[0].strip()
    return kind != FORM or not length.isdecimal() or int(length) > MOST_BYTES


def _same_origin(console: Console, request: Request) -> bool:
    origin = request.headers.get("origin")
    if origin is None or origin == "null":
        return request.headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")
    ours = urlsplit(console.url)
    return origin == f"{ours.scheme}://{ours.netloc}"


def _failed(console: Console, request: Request, error: Exception, visit: Visit) -> Response:
    words = visit.texts
    if isinstance(error, UnknownName | NoCatalogue):
        return error_page(console, request, 404, words("frame.not_found"), str(error), visit.session)
    if isinstance(error, BusUnavailable):
        return error_page(console, request, 503, words("frame.unavailable"), str(error), visit.session)
    if isinstance(error, LintasError):
        return error_page(console, request, 409, words("frame.refused"), str(error), visit.session)
    problem = problem_of(error)
    log.error("%s failed: %s", request.scope["path"].split("/")[1] or "overview", problem.message)
    text = words("frame.failed_text", problem=problem.message)
    return error_page(console, request, 500, words("frame.failed"), text, visit.session)
