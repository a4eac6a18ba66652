"""What the console says, in Indonesian and English: a folder a language, a file a page, a key a text."""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml
from markupsafe import Markup, escape
from starlette.requests import HTTPConnection

from monitoring.console.formats import Formats

FOLDER: Final = Path(__file__).parent / "texts"
LANGUAGES: Final = ("id", "en")  # the first is what the bus's people speak
USUAL: Final = "id"
COOKIE: Final = "lintas_language"

Text = str | dict[str, str]  # a dict has the forms for one and for other numbers


@functools.cache
def texts_of(language: str) -> Mapping[str, Text]:
    """Every text of a language by its key, ``file.key``."""
    found: dict[str, Text] = {}
    for file in sorted((FOLDER / language).glob("*.yaml")):
        for key, text in yaml.safe_load(file.read_text()).items():
            found[f"{file.stem}.{key}"] = text
    return found


class Texts:
    """The texts of one language."""

    def __init__(self, language: str) -> None:
        """``language`` is one of LANGUAGES."""
        self.language = language
        self._texts, self._formats = texts_of(language), Formats(language)

    def __call__(self, key: str, **values: Any) -> str:
        """A text with its values in place, whole numbers as the language writes them; ``n`` chooses the form.

        Values are escaped for HTML, texts are ours and may hold markup.

        Raises:
            KeyError: there is no such text.
        """
        text = self._texts[key]
        if isinstance(text, dict):
            text = text["one" if values["n"] == 1 else "other"]
        written = {
            name: self._formats.number(value) if isinstance(value, int) else value for name, value in values.items()
        }
        return Markup(text).format(**{name: escape(value) for name, value in written.items()})  # noqa: S704  from our files

    def has(self, key: str) -> bool:
        """Whether there is such a text."""
        return key in self._texts


@functools.cache
def texts(language: str) -> Texts:
    """The texts of a language."""
    return Texts(language)


def language_of(request: HTTPConnection) -> str:
    """The language of a request: what was chosen, else what the browser prefers, else Indonesian."""
    chosen = request.cookies.get(COOKIE)
    if chosen in LANGUAGES:
        return chosen
    wanted: list[tuple[float, str]] = []
    for part in request.headers.get("accept-language", "").split(","):
        tag, _, quality = part.strip().partition(";q=")
        language = tag.partition("-")[0].lower()
        language = "id" if language == "in" else language  # the old code of Indonesian
        if language in LANGUAGES:
            wanted.append((_number(quality), language))
    return max(wanted, key=lambda one: one[0])[1] if wanted else USUAL


def _number(quality: str) -> float:
    try:
        return float(quality or 1)
    except ValueError:
        return 0.0
