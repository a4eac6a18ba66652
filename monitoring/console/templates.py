"""Pages from templates: everything is escaped, nothing undefined is shown, every text comes from the texts."""

import functools
import hashlib
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from monitoring.console.formats import Formats
from monitoring.console.navigation import NAVIGATION
from monitoring.console.permissions import Right, allowed
from monitoring.console.texts import LANGUAGES, Texts

FOLDER: Final = Path(__file__).parent
STATIC: Final = FOLDER / "static"


class Templates:
    """The templates of the console."""

    def __init__(self) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(FOLDER / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals.update(
            static=static_path, navigation=NAVIGATION, languages=LANGUAGES, Right=Right, allowed=allowed
        )

    def render(self, template: str, texts: Texts, **context: Any) -> str:
        """A template in a language."""
        formats = Formats(texts.language).in_templates()
        return self._environment.get_template(template).render(t=texts, **formats, **context)


@functools.cache
def static_path(name: str) -> str:
    """Where a file lies for browsers, who may keep it: another content has another address."""
    return f"/static/{name}?v={hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]}"


class Static(StaticFiles):
    """The files of our own that pages need."""

    def __init__(self) -> None:
        super().__init__(directory=STATIC)

    async def get_response(self, path: str, scope: Scope) -> Response:
        """A file; one that is asked for with its digest stays as it is."""
        response = await super().get_response(path, scope)
        response.headers["cache-control"] = (
            "public, max-age=31536000, immutable" if scope["query_string"] else "no-cache"
        )
        return response
