"""CloudEvents 1.0 on Kafka, binary and structured mode (CloudEvents Kafka protocol binding 1.0.2, section 3)."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from . import json_event
from .attributes import OPTIONAL, REQUIRED, SPECVERSION, duplicate, missing, text_of
from .errors import MalformedEnvelope, Problem
from .json_event import NO_JSON
from .moments import moment
from .uris import charset, essence

__all__ = ["SPECVERSION", "Envelope", "binary_headers", "moment", "parse", "structured"]

_PREFIX: Final = "ce_"
_CONTENT_TYPE: Final = "content-type"
_STRUCTURED: Final = "application/cloudevents"
_JSON: Final = _STRUCTURED + "+json"
_BATCH: Final = _STRUCTURED + "-batch"
_MARK: Final = _STRUCTURED.encode()
_ATTRIBUTES: Final = {_CONTENT_TYPE: "datacontenttype"} | {_PREFIX + name: name for name in REQUIRED + OPTIONAL}
_UNIQUE: Final = frozenset({"id", "subject", "time"})  # values that hardly repeat
_WORTH_REMEMBERING: Final = 256  # bytes


@dataclass(frozen=True, slots=True)
class Envelope:
    """The attributes of an event in their canonical text form, and its payload as it came.

    ``data`` is the value as is (binary mode), the decoded ``data_base64`` or the text of a ``data`` that is not JSON
    (structured mode); ``json_data`` is the ``data`` member of structured mode, present if ``has_json_data``.
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
        """When it happened, as RFC 3339 writes it."""
        return self.attributes.get("time")


_remembered = functools.lru_cache(4096)(text_of)


def parse(headers: Sequence[tuple[str, bytes]], value: bytes | None) -> Envelope:
    """Read a Kafka record's headers and value as an event; headers that are not CloudEvents' are left alone.

    Header names are compared as they are, with their case: the binding says nothing else.

    Raises:
        MalformedEnvelope: with every problem.
    """
    attributes: dict[str, str] = {}
    problems: list[Problem] = []
    for name, content in headers:
        attribute = _ATTRIBUTES.get(name)
        if attribute is None:
            if not name.startswith(_PREFIX):
                continue
            attribute = name[len(_PREFIX) :]
        elif name == _CONTENT_TYPE and content is not None and content[: len(_MARK)].lower() == _MARK:
            return _structured_mode(headers, content, value)
        if attribute in attributes:
            problems.append(duplicate(attribute))
            continue
        hardly_repeats = attribute in _UNIQUE or content is None or len(content) > _WORTH_REMEMBERING
        text = (text_of if hardly_repeats else _remembered)(attribute, content)
        if isinstance(text, str):
            attributes[attribute] = text
        else:
            problems.append(text)
    if problems or not _is_complete(attributes):
        raise MalformedEnvelope(problems + missing(attributes, problems))
    return Envelope(attributes, value)


def binary_headers(attributes: Mapping[str, str]) -> list[tuple[str, bytes]]:
    """The headers of binary mode (binding, section 3.2): ``content-type`` and ``ce_*``, a list as aiokafka wants it."""
    return [
        (_CONTENT_TYPE if name == "datacontenttype" else _PREFIX + name, value.encode())
        for name, value in attributes.items()
    ]


def structured(
    attributes: Mapping[str, str], data: bytes | None, json_data: Any = NO_JSON
) -> tuple[list[tuple[str, bytes]], bytes]:
    """Headers and value of structured mode in JSON (binding, section 3.3).

    ``json_data`` stands as ``data``; else bytes stand as ``data_base64``.

    Raises:
        ValueError: both are given, or ``json_data`` is not JSON.
    """
    return [(_CONTENT_TYPE, f"{_JSON}; charset=UTF-8".encode())], json_event.write(attributes, data, json_data)


def _is_complete(attributes: Mapping[str, str]) -> bool:
    return "id" in attributes and "source" in attributes and "type" in attributes and "specversion" in attributes


def _structured_mode(headers: Sequence[tuple[str, bytes]], content_type: bytes, value: bytes | None) -> Envelope:
    problems = _problems_of_mode(headers, content_type)
    if problems:
        raise MalformedEnvelope(problems)
    attributes, data, json_data = json_event.read(value)
    if json_data is NO_JSON:
        return Envelope(attributes, data)
    return Envelope(attributes, data, json_data, has_json_data=True)


def _problems_of_mode(headers: Sequence[tuple[str, bytes]], content_type: bytes) -> list[Problem]:
    if sum(name == _CONTENT_TYPE for name, _ in headers) > 1:
        return [Problem("envelope.content-type", "duplicate", "is given more than once")]
    media_type = content_type.decode("latin-1")
    kind = essence(media_type)
    if kind == _BATCH or kind.startswith(_BATCH + "+"):
        return [Problem("envelope.content-type", "batch", "Kafka has no batches of events: publish one event a record")]
    if kind != _JSON:
        return [Problem("envelope.content-type", "event-format", "the only event format understood here is JSON")]
    if charset(media_type) not in (None, "utf-8", "us-ascii"):
        return [Problem("envelope.content-type", "charset", "the JSON event format is read as UTF-8 only")]
    return []
