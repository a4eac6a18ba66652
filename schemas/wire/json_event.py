"""The JSON event format (CloudEvents 1.0.2, json-format.md): a whole event as one JSON object."""

import base64
import json
from collections.abc import Mapping
from typing import Any, Final

from .attributes import INTEGER_LIMIT, OPTIONAL, REQUIRED, duplicate, missing, problem_with, wrong_type
from .errors import MalformedEnvelope, Problem
from .uris import declares_json

NO_JSON: Final = object()  # tells an absent `data` from null


def read(value: bytes | None) -> tuple[dict[str, str], bytes | None, Any]:
    """The attributes in their text form, the payload as bytes, and the payload as JSON or ``NO_JSON``.

    Raises:
        MalformedEnvelope: with every problem.
    """
    problems: list[Problem] = []
    found = collect(_load(value or b"", problems), problems)
    if problems:
        raise MalformedEnvelope(problems)
    return found


def collect(event: Mapping[str, Any], problems: list[Problem]) -> tuple[dict[str, str], bytes | None, Any]:
    """As ``read``, of a JSON object: what can be read of it, the rest among the problems."""
    members = dict(event)
    data, json_data = members.pop("data_base64", None), members.pop("data", NO_JSON)
    attributes: dict[str, str] = {}
    for name, content in members.items():
        if content is None:  # the same as absent (section 2.2)
            continue
        text = _text_of(name, content)
        problem = text if isinstance(text, Problem) else problem_with(name, text)
        if problem is not None:
            problems.append(problem)
        else:
            attributes[name] = str(text)
    if data is not None:
        if json_data is not NO_JSON:
            problems.append(Problem("envelope.data", "two-payloads", "data and data_base64 exclude each other"))
        data = _decoded(data, problems)
    elif json_data is not NO_JSON and not declares_json(attributes.get("datacontenttype")):
        data, json_data = _text_payload(json_data, problems), NO_JSON
    problems += missing(attributes, problems)
    return attributes, data, json_data


def write(attributes: Mapping[str, str], data: bytes | None, json_data: Any) -> bytes:
    """An event as JSON; ``json_data`` stands as ``data``, bytes as ``data_base64``.

    Raises:
        ValueError: both are given, or ``json_data`` is not JSON.
    """
    event: dict[str, Any] = dict(attributes)
    if json_data is not NO_JSON:
        if data is not None:
            raise ValueError("an event has one payload")
        event["data"] = json_data
    elif data is not None:
        event["data_base64"] = base64.b64encode(data).decode()
    return json.dumps(event, ensure_ascii=False, allow_nan=False).encode()


def _load(value: bytes, problems: list[Problem]) -> dict[str, Any]:
    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [name for name, _ in pairs]
            problems.extend(duplicate(name) for name in found if names.count(name) > 1)
        return found

    try:
        event = json.loads(value.decode(), object_pairs_hook=members, parse_constant=_no_constant)
    except (ValueError, RecursionError):  # UnicodeDecodeError is a ValueError
        raise MalformedEnvelope([Problem("envelope", "json", "the value is not a JSON text in UTF-8")]) from None
    if not isinstance(event, dict):
        raise MalformedEnvelope([Problem("envelope", "json", "the value is not a JSON object")])
    return event


def _no_constant(name: str) -> None:
    raise ValueError(name)  # NaN and Infinity are not JSON


def _text_of(name: str, content: Any) -> str | Problem:
    """A JSON value in the canonical text form of its type (spec, "Type System")."""
    if isinstance(content, str):
        return content
    if name in REQUIRED or name in OPTIONAL:
        return wrong_type(name, "text")
    if isinstance(content, bool):
        return "true" if content else "false"
    if isinstance(content, int) and -INTEGER_LIMIT <= content < INTEGER_LIMIT:
        return str(content)
    return wrong_type(name, "text, true, false or a whole number of 32 bits")


def _decoded(data: Any, problems: list[Problem]) -> bytes | None:
    try:
        return base64.b64decode(data, validate=True)
    except (TypeError, ValueError):  # binascii.Error is a ValueError
        problems.append(Problem("envelope.data_base64", "base64", "is not text in base64"))
        return None


def _text_payload(json_data: Any, problems: list[Problem]) -> bytes | None:
    """The ``data`` of an event whose content is not JSON: a text that holds it (section 3.1.2)."""
    try:
        if isinstance(json_data, str):
            return json_data.encode()
        problems.append(Problem("envelope.data", "type", "must be text, for datacontenttype does not say JSON"))
    except UnicodeEncodeError:
        problems.append(Problem("envelope.data", "utf-8", "holds code points that UTF-8 cannot carry"))
    return None
