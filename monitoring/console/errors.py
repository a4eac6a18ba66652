"""Pages that say why there is no other."""

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from monitoring.console.console import Console
from monitoring.console.sessions import Session
from monitoring.console.texts import language_of, texts


def error_page(
    console: Console, request: Request, status: int, title: str, text: str, session: Session | None = None
) -> Response:
    """Say what happened, with the navigation if there is a session.

    ``title`` and ``text`` are in the language of the request; the text's paragraphs stand between empty lines.
    """
    words = texts(language_of(request))
    template = "error_part.html" if "hx-request" in request.headers else "error.html"
    paragraphs = [part for part in text.split("\n\n") if part.strip()]
    html = console.templates.render(
        template,
        words,
        title=title,
        paragraphs=paragraphs,
        status=status,
        session=session,
        path=request.url.path,
        csrf=session.csrf if session else "",
    )
    return HTMLResponse(html, status)
