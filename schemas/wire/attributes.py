"""The attributes of a CloudEvent and what each may hold (CloudEvents 1.0.2, "Context Attributes" and "Type System")."""

import re
from collections.abc import Callable, Mapping
from typing import Final

from .errors import Problem
from .moments import is_moment
from .uris import is_absolute_uri, is_media_type, is_uri_reference

SPECVERSION: Final = "1.0"
REQUIRED: Final = ("id", "source", "specversion", "type")
OPTIONAL: Final = ("subject", "time", "datacontenttype", "dataschema")
INTEGER_LIMIT: Final = 1 << 31  # Integer is a signed 32-bit number

_NAME = re.compile(r"[a-z0-9]+")
_LONGEST_SHOWN: Final = 40
_NONCHARACTERS = "\ufdd0-\ufdef" + "".join(chr(plane << 16 | end) for plane in range(17) for end in (0xFFFE, 0xFFFF))
_FORBIDDEN = re.compile(f"[\x00-\x1f\x7f-\x9f\ud800-\udfff{_NONCHARACTERS}]")
_FORMS: Final[Mapping[str, tuple[Callable[[str], bool], str, str]]] = {
    "source": (is_uri_reference, "uri-reference", "is not a URI reference"),
    "dataschema": (is_absolute_uri, "uri", "is not an absolute URI"),
    "time": (is_moment, "time", "is not a moment as RFC 3339 writes it"),
    "datacontenttype": (is_media_type, "media-type", "is not a media type"),
    "specversion": (SPECVERSION.__eq__, "specversion", f"must be {SPECVERSION}"),
}


def problem_with(attribute: str, value: str) -> Problem | None:
    """What keeps a text from being the value of an attribute."""
    if not _NAME.fullmatch(attribute):
        return _problem(attribute, "attribute-name", "attributes have lower-case letters and digits as names")
    if attribute == "data":
        return _problem(attribute, "attribute-name", "no attribute may be called data")
    if not (value.isascii() and value.isprintable()) and _FORBIDDEN.search(value):
        return _problem(attribute, "string", "holds a control character, a lone surrogate or a noncharacter")
    if not value and (attribute in REQUIRED or attribute in OPTIONAL):
        return _problem(attribute, "empty", "is empty")
    form = _FORMS.get(attribute)
    return None if form is None or form[0](value) else _problem(attribute, *form[1:])


def text_of(attribute: str, content: bytes | None) -> str | Problem:
    """The text that a header's bytes hold for an attribute, or what is wrong with it."""
    if content is None:
        return _problem(attribute, "null", "has a header without a value")
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return _problem(attribute, "utf-8", "is not UTF-8")
    return problem_with(attribute, text) or text


def duplicate(attribute: str) -> Problem:
    """The problem of an attribute that is given more than once."""
    return _problem(attribute, "duplicate", "is given more than once")


def wrong_type(attribute: str, expected: str) -> Problem:
    """The problem of an attribute whose JSON value is of the wrong type."""
    return _problem(attribute, "type", f"must be {expected}")


def missing(attributes: Mapping[str, str], problems: list[Problem]) -> list[Problem]:
    """The required attributes that are neither there nor reported."""
    reported = {problem.path for problem in problems}
    absent = [_problem(name, "required", "is missing") for name in REQUIRED if name not in attributes]
    return [problem for problem in absent if problem.path not in reported]


def _problem(attribute: str, rule: str, message: str) -> Problem:
    # Whoever sent the event chose the name, so only a plausible one is repeated.
    plain = _NAME.fullmatch(attribute) and not attribute[0].isdigit() and len(attribute) <= _LONGEST_SHOWN
    return Problem(f"envelope.{attribute}" if plain else "envelope", rule, message)
