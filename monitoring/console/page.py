"""What a page is: where, for whom, and what answers. Every route of the console is one, guarded by one table."""

import dataclasses
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from monitoring.console.identity import Person
from monitoring.console.permissions import Right, allowed, only_agency
from monitoring.console.sessions import Session
from monitoring.console.texts import Texts

if TYPE_CHECKING:
    from monitoring.console.console import Console


@dataclasses.dataclass(frozen=True, slots=True)
class Visit:
    """One request of a person who may make it.

    Attributes:
        form: what a POST sent; empty otherwise.
    """

    console: "Console"
    request: Request
    session: Session
    texts: Texts
    form: FormData

    @property
    def person(self) -> Person:
        """Who asks."""
        return self.session.person

    @property
    def is_partial(self) -> bool:
        """Whether htmx asks for a part of the page; without scripting it never does."""
        return "hx-request" in self.request.headers and "hx-boosted" not in self.request.headers

    def path(self, name: str) -> str:
        """A parameter of the path."""
        return str(self.request.path_params[name])

    def query(self, name: str, default: str = "") -> str:
        """A parameter of the query, without white space around it."""
        return self.request.query_params.get(name, default).strip()

    def field(self, name: str, default: str = "") -> str:
        """A field of the form, as text."""
        value = self.form.get(name, default)
        return value if isinstance(value, str) else default

    def may(self, right: Right, agency: str | None = None) -> bool:
        """Whether the person may; for showing or hiding, while routes are guarded by their own right."""
        return allowed(self.person, right, agency)

    def only_agency(self, right: Right) -> str | None:
        """The agency that a list must be narrowed to; None: all."""
        return only_agency(self.person, right)

    def render(self, template: str, *, status: int = 200, **context: Any) -> HTMLResponse:
        """A page of a template: it has the context, and what every page has (``t``, ``visit``, the formats)."""
        return HTMLResponse(self.html(template, **context), status)

    def html(self, template: str, **context: Any) -> str:
        """Likewise, as text."""
        return self.console.templates.render(
            template,
            self.texts,
            visit=self,
            session=self.session,
            csrf=self.session.csrf,
            path=self.request.url.path,
            **context,
        )

    def redirect(self, path: str) -> RedirectResponse:
        """Go to another page of the console after a POST."""
        return RedirectResponse(path, 303)


Answer = Callable[[Visit], Awaitable[Response]]


def of_all(_: Request) -> str | None:
    """A page that is about no agency in particular."""
    return None


def of_system(request: Request) -> str | None:
    """A page about the system in its path: that of the system's agency."""
    return str(request.path_params["system"]).partition(".")[0]


def of_agency(request: Request) -> str | None:
    """A page about the agency in its path."""
    return str(request.path_params["agency"])


@dataclasses.dataclass(frozen=True, slots=True)
class Page:
    """One route.

    Attributes:
        path: as Starlette has it, ``/inboxes/{system}``.
        right: what a person needs.
        answer: called only if the person has the right over the agency, and a POST came from our own form.
        method: a page that changes anything is a POST.
        agency: whose things it is about.
    """

    path: str
    right: Right
    answer: Answer
    method: str = "GET"
    agency: Callable[[Request], str | None] = of_all
