"""CloudEvents 1.0 on Kafka, binary and structured mode (CloudEvents Kafka protocol binding 1.0.2, section 3)."""

import base64
import binascii
import datetime as dt
import functools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from .errors import MalformedEnvelope, Problem

SPECVERSION: Final = "1.0"
REQUIRED: Final = ("id", "source", "specversion", "type")
_PREFIX: Final = "ce_"
_STRUCTURED: Final = "application/cloudevents"
_BATCH: Final = "application/cloudevents-batch"
_NAME = re.compile(r"[a-z0-9]+")
# CloudEvents 1.0.2, type system, String: no control characters, surrogates or noncharacters.
_FORBIDDEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef"
    + "".join(f"{chr(plane << 16 | 0xFFFE)}{chr(plane << 16 | 0xFFFF)}" for plane in range(17))
    + "]"
)
# RFC 3986, section 4.1: the characters of a URI reference, with percent-encoding.
_URI_REFERENCE = re.compile(r"(?:[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})+")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:.+")
# RFC 3339, section 5.6.
_TIME = re.compile(r"(\d{4})-(\d{2})-(\d{2})[Tt](\d{2}):(\d{2}):(\d{2})(\.\d+)?(?:[Zz]|[+-](\d{2}):(\d{2}))", re.ASCII)
_MEDIA_TYPE = re.compile(r"[\w!#$&^.+-]+/[\w!#$&^.+-]+\s*(;.*)?", re.ASCII)
_INTEGER_LIMIT: Final = 1 << 31
_NOTHING: Final = object()


@dataclass(frozen=True, slots=True)
class Envelope:
    """The attributes of an event in their canonical text form, and its payload as it came.

    ``data`` is the value as is (binary mode) or the decoded ``data_base64`` (structured mode); ``json_data`` is the
    ``data`` member of structured mode, present if ``has_json_data``.
    """

    attributes: Mapping[str, str]
    data: bytes | None
    json_data: Any = None
    has_json_data: bool = False

    @property
    def id(self) -> str:
        """The event's id, unique within its source."""
        return self.attributes["id"]

    @property
    def source(self) -> str:
        """Who published the event."""
        return self.attributes["source"]

    @property
    def type(self) -> str:
        """The event type."""
        return self.attributes["type"]

    @property
    def subject(self) -> str | None:
        """Whom or what the event is about."""
        return self.attributes.get("subject")

    @property
    def time(self) -> str | None:
        """When it happened, RFC 3339."""
        return self.attributes.get("time")


def parse(headers: Sequence[tuple[str, bytes]], value: bytes | None) -> Envelope:
    """Read a Kafka record's headers and value as an event; headers that are not CloudEvents' are left alone.

    Raises:
        MalformedEnvelope: with every problem.
    """
    content_type = next((content for name, content in headers if name.lower() == "content-type"), None)
    if content_type is not None and content_type[: len(_STRUCTURED)].lower() == _STRUCTURED.encode():
        return _parse_structured(content_type.decode("latin-1"), value)
    attributes: dict[str, str] = {}
    problems: list[Problem] = []
    for name, content in headers:
        if name.startswith(_PREFIX):
            _take(name.removeprefix(_PREFIX), content, attributes, problems)
        elif name == "content-type":
            _take("datacontenttype", content, attributes, problems)
    _check(attributes, problems)
    if problems:
        raise MalformedEnvelope(problems)
    return Envelope(attributes, value)


def _take(name: str, content: bytes | None, attributes: dict[str, str], problems: list[Problem]) -> None:
    if name in attributes:
        problems.append(Problem(name, "duplicate-attribute", "stands in more than one header"))
        return
    if content is None:
        problems.append(Problem(name, "attribute-value", "has no value"))
        return
    try:
        attributes[name] = content.decode()
    except UnicodeDecodeError:
        problems.append(Problem(_shown(name), "utf-8", "is not UTF-8"))


def _check(attributes: Mapping[str, str], problems: list[Problem]) -> None:
    reported = {problem.path for problem in problems}
    problems.extend(
        Problem(name, "required-attribute", "is missing")
        for name in REQUIRED
        if name not in attributes and name not in reported
    )
    for name, value in attributes.items():
        if (problem := _attribute_problem(name, value)) is not None:
            problems.append(problem)


def _attribute_problem(name: str, value: str) -> Problem | None:
    if name in ("id", "subject", "time"):  # as good as unique: not worth remembering
        return _judge(name, value)
    return _remembered(name, value)


def _judge(name: str, value: str) -> Problem | None:  # noqa: PLR0911  one line a rule
    if not _NAME.fullmatch(name):
        return Problem(_shown(name), "attribute-name", "an attribute's name has lower-case letters and digits only")
    if _FORBIDDEN.search(value):
        return Problem(name, "attribute-value", "holds a control character or a code point that is no character")
    if value == "" and name in (*REQUIRED, "subject", "dataschema", "time", "datacontenttype"):
        return Problem(name, "attribute-value", "is empty")
    if name == "specversion" and value != SPECVERSION:
        return Problem(name, "specversion", f"must be {SPECVERSION}")
    if name == "source" and not _URI_REFERENCE.fullmatch(value):
        return Problem(name, "uri-reference", "is not a URI reference")
    if name == "dataschema" and not (_URI.fullmatch(value) and _URI_REFERENCE.fullmatch(value)):
        return Problem(name, "uri", "is not a URI")
    if name == "time" and not is_time(value):
        return Problem(name, "time", "is not a moment as RFC 3339 writes it")
    if name == "datacontenttype" and not _MEDIA_TYPE.fullmatch(value):
        return Problem(name, "media-type", "is not a media type")
    if name == "data":
        return Problem(name, "attribute-name", "no attribute may be called data")
    return None


_remembered = functools.lru_cache(4096)(_judge)


def is_time(value: str) -> bool:
    """Whether a text is a date-time of RFC 3339; a leap second may stand at the end of a UTC minute."""
    match = _TIME.fullmatch(value)
    if match is None:
        return False
    year, month, day, hour, minute, second = map(int, match.groups()[:6])
    offset_hour, offset_minute = int(match[8] or 0), int(match[9] or 0)
    try:
        dt.datetime(year, month, day, hour, minute, min(second, 59))  # noqa: DTZ001  only whether it exists
    except ValueError:
        return False
    return second <= 60 and offset_hour < 24 and offset_minute < 60  # noqa: PLR2004  clock


def moment(value: str) -> dt.datetime:
    """The moment that an RFC 3339 text names; fractions below a microsecond are cut, a leap second counts as 59."""
    match = _TIME.fullmatch(value)
    if match is None:
        raise ValueError("not a moment as RFC 3339 writes it")
    year, month, day, hour, minute, second = map(int, match.groups()[:6])
    micro = int((match[7] or ".0")[1:7].ljust(6, "0"))
    offset = dt.timedelta(hours=int(match[8] or 0), minutes=int(match[9] or 0))
    zone = dt.timezone(-offset if "-" in value[19:] else offset)
    return dt.datetime(year, month, day, hour, minute, min(second, 59), micro, tzinfo=zone)


def binary_headers(attributes: Mapping[str, str]) -> list[tuple[str, bytes]]:
    """The headers of binary mode (binding, section 3.2): content-type and ``ce_*``."""
    headers = [(_PREFIX + name, value.encode()) for name, value in attributes.items() if name != "datacontenttype"]
    if "datacontenttype" in attributes:
        headers.insert(0, ("content-type", attributes["datacontenttype"].encode()))
    return headers


def structured(
    attributes: Mapping[str, str], data: bytes | None, *, json_data: Any = _NOTHING
) -> tuple[list[tuple[str, bytes]], bytes]:
    """Headers and value of structured mode in JSON (binding, section 3.3)."""
    event: dict[str, Any] = dict(attributes)
    if json_data is not _NOTHING:
        event["data"] = json_data
    elif data is not None:
        event["data_base64"] = base64.b64encode(data).decode()
    return (
        [("content-type", b"application/cloudevents+json; charset=UTF-8")],
        json.dumps(event, ensure_ascii=False).encode(),
    )


def _parse_structured(content_type: str, value: bytes | None) -> Envelope:
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type == _BATCH or media_type.startswith(_BATCH + "+"):
        raise _one("content-type", "no-batches", "the Kafka binding has no batches: publish one event a record")
    if media_type != _STRUCTURED + "+json":
        raise _one("content-type", "event-format", "of the event formats only JSON is understood")
    try:
        event = json.loads((value or b"").decode(), object_pairs_hook=_unique, parse_constant=_no_constant)
    except _DuplicateMember as error:
        raise _one(_shown(str(error)), "duplicate-attribute", "stands in the event more than once") from None
    except (UnicodeDecodeError, ValueError, RecursionError):
        raise _one("", "json", "the value is not a JSON text in UTF-8") from None
    if not isinstance(event, dict):
        raise _one("", "json", "the value is not a JSON object")
    problems: list[Problem] = []
    data = _data_base64(event, problems)
    json_data = event.pop("data", _NOTHING)
    if data is not None and json_data is not _NOTHING:
        problems.append(Problem("data", "two-payloads", "data and data_base64 stand side by side"))
    attributes: dict[str, str] = {}
    for name, content in event.items():
        text = _canonical(content)
        if text is None:
            if content is not None:  # JSON format 2.2: null means the attribute is absent
                problems.append(
                    Problem(_shown(name), "attribute-value", "is neither text, nor boolean, nor a 32-bit integer")
                )
        else:
            attributes[name] = text
    _check(attributes, problems)
    if problems:
        raise MalformedEnvelope(problems)
    has_json = json_data is not _NOTHING
    return Envelope(attributes, data, json_data if has_json else None, has_json)


def _data_base64(event: dict[str, Any], problems: list[Problem]) -> bytes | None:
    encoded = event.pop("data_base64", None)
    if encoded is None:
        return None
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, TypeError, ValueError):
        problems.append(Problem("data_base64", "base64", "is not base64"))
        return None


def _canonical(content: Any) -> str | None:
    if isinstance(content, str):
        return content
    if isinstance(content, bool):
        return "true" if content else "false"
    if isinstance(content, int) and -_INTEGER_LIMIT <= content < _INTEGER_LIMIT:
        return str(content)
    return None


class _DuplicateMember(Exception):
    pass


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        raise _DuplicateMember(next(name for name in names if names.count(name) > 1))
    return members


def _no_constant(name: str) -> None:
    raise ValueError(name)


def _one(path: str, rule: str, message: str) -> MalformedEnvelope:
    return MalformedEnvelope([Problem(path, rule, message)])


def _shown(name: str) -> str:
    """An attribute's name as it may stand in an error: whoever sent it chose it."""
    return name if _NAME.fullmatch(name) and len(name) <= 40 else "an attribute"  # noqa: PLR2004
