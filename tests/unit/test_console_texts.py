"""The console speaks Indonesian and English: the same texts in both, none of them idle, no other words in templates."""

import datetime as dt
import re
from pathlib import Path
from string import Formatter

import pytest
from jinja2 import Environment

from monitoring.console import texts
from monitoring.console.formats import Formats
from monitoring.console.texts import LANGUAGES, Text, Texts, texts_of

CONSOLE = Path(texts.__file__).parent
TEMPLATES = sorted((CONSOLE / "templates").iterdir())
SOURCES = "\n".join(path.read_text() for path in (*TEMPLATES, *sorted(CONSOLE.rglob("*.py"))))
NAMES = {"Lintas", "CEL", "lintas"}  # are the same in every language


def places(text: Text) -> set[str | None]:
    forms = text.values() if isinstance(text, dict) else [text]
    return {name for form in forms for _, name, _, _ in Formatter().parse(form) if name is not None}


def test_both_languages_have_the_same_texts() -> None:
    english, indonesian = (texts_of(language) for language in ("en", "id"))
    assert sorted(english) == sorted(indonesian)


@pytest.mark.parametrize("key", sorted(texts_of("en")))
def test_a_text_has_the_same_values_in_both_languages(key: str) -> None:
    assert places(texts_of("en")[key]) - {"n"} == places(texts_of("id")[key]) - {"n"}


def test_every_text_is_used() -> None:
    literal = set(re.findall(r"[\"']([a-z_]+\.[a-z0-9_]+)[\"']", SOURCES))
    begun = re.findall(r"[\"']([a-z_]+\.[a-z_]*)[\"'] (?:\+|~)|f\"([a-z_]+\.[a-z_]*)\{", SOURCES)
    prefixes = tuple({one or other for one, other in begun} - {""})
    idle = [key for key in texts_of("en") if key not in literal and not key.startswith(prefixes)]
    assert not idle


def test_every_text_that_is_asked_for_exists() -> None:
    asked = set(re.findall(r"\bt\(\s*[\"']([a-z_.0-9]+)[\"']\s*[,)]", SOURCES))
    asked |= set(re.findall(r"(?:texts|words)\(\s*\"([a-z_.0-9]+)\"\s*[,)]", SOURCES))
    assert asked
    assert not {key for key in asked if key not in texts_of("en")}


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_a_template_has_no_words_of_its_own(template: Path) -> None:
    pieces = [value if kind == "data" else "" for _, kind, value in Environment().lex(template.read_text())]
    html = "".join(pieces)
    labels = re.findall(r"\b(?:aria-label|title|placeholder|alt)=\"([^\"]*)\"", html)
    shown = re.sub(r"<code>.*?</code>", " ", html, flags=re.DOTALL)
    shown = re.sub(r"<[^<>]*>", " ", shown, flags=re.DOTALL)
    words = re.findall(r"[^\W\d_]{2,}", " ".join([shown, *labels]))
    assert set(words) - NAMES == set()


@pytest.mark.parametrize("language", LANGUAGES)
def test_values_in_texts_are_escaped(language: str) -> None:
    assert "&lt;b&gt;" in Texts(language)("frame.stale", problem="<b>")


@pytest.mark.parametrize(
    ("seconds", "english", "indonesian"),
    [
        (0.0123, "12 ms", "12 md"),
        (4.25, "4.2 s", "4,2 dtk"),
        (59.6, "60 s", "60 dtk"),
        (61, "1 min 1 s", "1 mnt 1 dtk"),
        (3_600, "1 h", "1 jam"),
        (1_000 * 86_400, "1,000 d", "1.000 hari"),
        (None, "–", "–"),  # noqa: RUF001  as it is shown
    ],
)
def test_spans_of_time_are_written_as_the_language_does(seconds: float | None, english: str, indonesian: str) -> None:
    plain = [Formats(language).span(seconds).replace("\N{NO-BREAK SPACE}", " ") for language in ("en", "id")]
    assert plain == [english, indonesian]


def test_moments_have_their_zone_and_numbers_their_marks() -> None:
    at = dt.datetime(2026, 8, 26, 20, 0, 1, tzinfo=dt.UTC)
    assert Formats("id").moment(at) == (
        '<time datetime="2026-08-26T20:00:01.000+00:00">27 Agu 2026 03:00:01 WIB</time>'
    )
    assert "27 Aug 2026 03:00 WIB" in Formats("en").moment(at, seconds=False)
    assert Formats("en").number(1234.5, 1) == "1,234.5"
    assert Formats("id").number(1234.5, 1) == "1.234,5"
