"""An event made ready for Kafka, or every reason why it cannot be: no I/O."""

import dataclasses
import datetime as dt
import uuid
from collections.abc import Mapping
from typing import Any, Final

from .exceptions import MalformedEvent
from .registry import EventType
from .tracing import current
from .wire import envelope, framing, json_data
from .wire.attributes import problem_with
from .wire.errors import MalformedData, Problem
from .wire.trace_context import TRACEPARENT

CONTENT_TYPE: Final = "application/avro"
# What the publisher fills in itself: an event cannot say otherwise.
OWN_ATTRIBUTES: Final = frozenset({"source", "type", "specversion", "datacontenttype", "dataschema"})
_PLAIN_ATTRIBUTES: Final = frozenset({"id", "subject", "time"})
_INTEGER_LIMIT: Final = 1 << 31


@dataclasses.dataclass(frozen=True, slots=True)
class Prepared:
    """An event as it is sent: a Kafka record and its id."""

    topic: str
    id: str
    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]


def prepare(
    event_type: EventType,
    system: str,
    data: Any,
    *,
    id: str | None = None,  # noqa: A002  CloudEvents' word
    subject: str | None = None,
    time: dt.datetime | str | None = None,
    key: str | bytes | None = None,
    extensions: Mapping[str, str | bool | int] | None = None,
) -> Prepared:
    """Check an event against its schema and CloudEvents, and write it (Kafka protocol binding, binary mode).

    Args:
        event_type: what it is.
        system: who publishes it; its source is ``urn:lintas:<system>``.
        data: the payload, in natural JSON (dates as texts, decimals as texts), Python values, or both mixed.
        id: unique within the source; a UUID if none is given.
        subject: whom or what it is about; the value of the event type's subject field if none is given.
        time: when it happened; now if none is given.
        key: events of one key stay in order; the subject if none is given, else the id.
        extensions: further CloudEvents attributes; if ``traceparent`` is not among them, the event goes on with the
            trace of the active OpenTelemetry span, or begins one.

    Raises:
        MalformedEvent: with every problem of payload and attributes.
    """
    problems: list[Problem] = []
    value = b""
    data_subject = _text_at(data, event_type.subject)
    try:
        # to_json first: Python values become JSON, what is JSON already stays as it is.
        body = json_data.encode(event_type.codec, json_data.to_json(event_type.codec, data))
        value = framing.frame(event_type.schema_id, body)
    except MalformedData as error:
        problems += [Problem(_below_data(found.path), found.rule, found.message) for found in error.problems]
    for name, text in (("id", id), ("subject", subject)):
        if not isinstance(text, str | None):
            problems.append(Problem(name, "type", "must be a text"))
    if not isinstance(time, str | dt.datetime | None):
        problems.append(Problem("time", "type", "must be a moment such as 2026-11-24T01:02:03Z"))
    if None not in (subject, data_subject) and subject != data_subject:
        problems.append(Problem("subject", "subject", f"differs from data.{event_type.subject}, which it must repeat"))
    own_id = str(uuid.uuid4()) if id is None else id
    attributes: dict[str, Any] = {
        "specversion": envelope.SPECVERSION,
        "id": own_id,
        "source": f"urn:lintas:{system}",
        "type": event_type.name,
        "subject": data_subject if subject is None else subject,
        "time": _moment(time, problems),
        "datacontenttype": CONTENT_TYPE,
    }
    for name, extension in (extensions or {}).items():
        if name in OWN_ATTRIBUTES:
            problems.append(Problem(name, "own-attribute", "is set by the publisher itself"))
        elif name in _PLAIN_ATTRIBUTES:
            problems.append(Problem(name, "duplicate-attribute", "is not an extension attribute"))
        else:
            attributes[name] = extension
    attributes.setdefault(TRACEPARENT, current())
    headers = _headers(attributes, problems)
    record_key = _key(key, attributes["subject"] or own_id, problems)
    if problems:
        raise MalformedEvent(problems)
    return Prepared(event_type.topic, own_id, record_key, value, headers)


def _headers(attributes: Mapping[str, Any], problems: list[Problem]) -> list[tuple[str, bytes]]:
    texts: dict[str, str] = {}
    reported = {problem.path for problem in problems}
    for name, value in attributes.items():
        if value is None:
            continue
        text = _canonical(value)
        if text is None:
            problems.append(Problem(name, "attribute-value", "is neither text, nor boolean, nor a 32-bit integer"))
        elif not _is_utf8(text):
            problems.append(Problem(name, "utf-8", "holds characters that UTF-8 cannot carry"))
        elif (found := problem_with(name, text)) is None:
            texts[name] = text
        elif (path := found.path.removeprefix("envelope").lstrip(".")) not in reported:
            problems.append(dataclasses.replace(found, path=path))
    return envelope.binary_headers(texts)


def _canonical(value: Any) -> str | None:
    """CloudEvents 1.0.2, type system: the canonical text of a value."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and -_INTEGER_LIMIT <= value < _INTEGER_LIMIT:
        return str(value)
    return value if isinstance(value, str) else None


def _moment(time: dt.datetime | str | None, problems: list[Problem]) -> str | None:
    if not isinstance(time, dt.datetime | None):
        return time
    moment = time or dt.datetime.now(dt.UTC)
    if moment.tzinfo is None:
        problems.append(Problem("time", "time", "must have a time zone"))
        return None
    spec = "microseconds" if moment.microsecond % 1000 and time else "milliseconds"
    return moment.astimezone(dt.UTC).isoformat(timespec=spec).replace("+00:00", "Z")


def _key(key: Any, default: Any, problems: list[Problem]) -> bytes:
    if isinstance(key, bytes):
        return key
    text = default if key is None else key
    if isinstance(text, str) and _is_utf8(text):
        return text.encode()
    if key is not None:
        problems.append(Problem("key", "key", "must be a text"))
    return b""


def _text_at(payload: Any, path: str | None) -> str | None:
    for name in path.split(".") if path else ():
        payload = payload.get(name) if isinstance(payload, Mapping) else None
    return payload if path and isinstance(payload, str) else None


def _below_data(path: str) -> str:
    return f"data.{path}" if path else "data"


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
