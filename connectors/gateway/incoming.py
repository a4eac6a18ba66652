"""CloudEvents as they come over HTTP (CloudEvents HTTP protocol binding 1.0.2, section 3): pure."""

import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal
from urllib.parse import unquote_to_bytes

from lintas_client import Problem
from lintas_client.wire import envelope, json_event
from lintas_client.wire.errors import MalformedEnvelope
from lintas_client.wire.json_event import NO_JSON
from lintas_client.wire.uris import charset, declares_json, essence

from connectors.gateway.refusal import Refused, malformed, unsupported

AVRO: Final = "application/avro"
STRUCTURED: Final = "application/cloudevents+json"
BATCH: Final = "application/cloudevents-batch+json"
_PREFIX: Final = b"ce-"
_ESCAPE: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_QUOTED: Final = re.compile(rb'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_PAIR: Final = re.compile(rb"\\(.)", re.DOTALL)
_TEXTS: Final = (None, "utf-8", "us-ascii")

Mode = Literal["binary", "structured", "batch"]
Headers = Sequence[tuple[bytes, bytes]]  # of a request, names in lower case


@dataclasses.dataclass(frozen=True, slots=True)
class Incoming:
    """An event as far as it could be read; its representation shows nothing of it.

    Attributes:
        attributes: in their canonical text form; those that could be read.
        data: the payload as bytes (Avro), or None.
        json_data: the payload as JSON, or ``NO_JSON``.
        problems: what is wrong with the envelope.
    """

    attributes: Mapping[str, str] = dataclasses.field(repr=False)
    data: bytes | None = dataclasses.field(repr=False)
    json_data: Any = dataclasses.field(repr=False)
    problems: Sequence[Problem] = ()


def mode_of(headers: Headers) -> tuple[Mode, str]:
    """How a request carries its events, and its Content-Type.

    Raises:
        Refused: 415, or 400 where the Content-Type is given twice.
    """
    given = [value for name, value in headers if name == b"content-type"]
    if len(given) > 1:
        raise malformed("Content-Type is given more than once.")
    if any(name == b"content-encoding" and value.strip().lower() != b"identity" for name, value in headers):
        raise unsupported("The body is compressed.")
    if not given:
        raise unsupported("The request has no Content-Type.")
    text = given[0].decode("latin-1")
    kind = essence(text)
    if charset(text) not in _TEXTS:
        raise unsupported("The body is in another charset than UTF-8.")
    if kind in (STRUCTURED, BATCH):
        return ("structured" if kind == STRUCTURED else "batch"), text
    if kind.startswith("application/cloudevents"):
        raise unsupported("The only event format that is understood here is JSON.")
    if kind != AVRO and not declares_json(kind):
        raise unsupported("The data are neither JSON nor Avro.")
    return "binary", text


def read(mode: Mode, headers: Headers, body: bytes) -> list[Incoming]:
    """The events of a request, in their order.

    Raises:
        Refused: 400: the body is not JSON, or no events.
    """
    if mode == "binary":
        return [_binary(headers, body)]
    value = load(body)
    if mode == "structured":
        return [_object(value)]
    if not isinstance(value, list):
        raise malformed("The batch is not a JSON array.")
    return [_object(item) for item in value]


def load(body: bytes) -> Any:
    """JSON in UTF-8, strictly: no member twice, no NaN.

    Raises:
        Refused: 400.
    """
    try:
        return json.loads(body.decode(), object_pairs_hook=_members, parse_constant=_no_constant)
    except (ValueError, RecursionError):  # UnicodeDecodeError is a ValueError
        raise malformed("The body is not a JSON text in UTF-8 in which every member stands once.") from None


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a member stands twice")
    return found


def _no_constant(name: str) -> None:
    raise ValueError(name)


def _object(value: Any) -> Incoming:
    if not isinstance(value, dict):
        return Incoming({}, None, NO_JSON, [Problem("", "json", "is not a JSON object")])
    problems: list[Problem] = []
    attributes, data, json_data = json_event.collect(value, problems)
    if data is not None and json_data is NO_JSON and declares_json(attributes.get("datacontenttype")):
        try:
            json_data = load(data)
            data = None
        except Refused:
            problems.append(Problem("envelope.data_base64", "json", "is not JSON, as datacontenttype says"))
    return Incoming(attributes, data, json_data, [_plain(one) for one in problems])


def _binary(headers: Headers, body: bytes) -> Incoming:
    found: list[tuple[str, bytes]] = []
    problems: list[Problem] = []
    for name, value in headers:
        if name == b"content-type":
            found.append(("content-type", value))
        elif name.startswith(_PREFIX):
            attribute = name[len(_PREFIX) :].decode("latin-1")
            text = _decoded(value)
            if text is None:
                problems.append(Problem(attribute if attribute.isalnum() else "", "percent", _NOT_ENCODED))
            else:
                found.append((f"ce_{attribute}", text))
    attributes = {_NAMES.get(name, name.removeprefix("ce_")): value.decode(errors="replace") for name, value in found}
    try:
        attributes = dict(envelope.parse(found, None).attributes)
    except MalformedEnvelope as error:
        reported = {one.path for one in problems}
        problems += [one for one in map(_plain, error.problems) if one.path not in reported]
    is_json = essence(attributes.get("datacontenttype", AVRO)) != AVRO
    if not body:
        return Incoming(attributes, None, NO_JSON, problems)
    try:
        return Incoming(attributes, None if is_json else body, load(body) if is_json else NO_JSON, problems)
    except Refused as refused:
        raise malformed(refused.detail, problems) from None


_NAMES: Final = {"content-type": "datacontenttype"}
_NOT_ENCODED: Final = "holds a % that does not begin a percent-encoded byte"


def _decoded(value: bytes) -> bytes | None:
    """A header's value (HTTP binding, section 3.1.3.2): unquoted, then percent-decoded once; None if it cannot be."""
    quoted = _QUOTED.fullmatch(value)
    text = _PAIR.sub(rb"\1", quoted[1]) if quoted else value
    return None if _ESCAPE.search(text) else unquote_to_bytes(text)


def _plain(problem: Problem) -> Problem:
    """A problem of the envelope, with the attribute's name as its path."""
    return dataclasses.replace(problem, path=problem.path.removeprefix("envelope").lstrip("."))
