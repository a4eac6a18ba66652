"""JSON lines read as events to publish: no I/O; every problem of a line at once."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from lintas_client import Problem

_ATTRIBUTE = re.compile(r"[a-z0-9]+")
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_-]{1,40}")
_ARGUMENTS: Final = ("id", "subject", "time", "key")  # of Publisher.publish; the rest are extension attributes


@dataclass(frozen=True, slots=True)
class EventLine:
    """One line: the arguments of `Publisher.publish`, and what is wrong with the line itself."""

    data: Any = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    readable: bool = True  # if not, there is no event to check any further


def read_line(line: bytes, event_type: str, *, bare: bool) -> EventLine:
    """Read a line ``{"id"?, "subject"?, "time"?, "key"?, EXTENSION..., "data": {...}}``; ``bare``: the payload itself.

    A line without an id is given the SHA-256 of its type and content, so that the same line is always the same event.
    """
    repeated: list[str] = []
    try:
        event = json.loads(
            line.decode(), object_pairs_hook=lambda pairs: _members(pairs, repeated), parse_constant=_no_constant
        )
    except UnicodeDecodeError:
        return _unreadable(Problem("", "utf-8", "is not UTF-8"))
    except json.JSONDecodeError as error:
        return _unreadable(Problem("", "json", f"is not JSON: {error.msg} at column {error.colno}"))
    except (ValueError, RecursionError) as error:
        return _unreadable(Problem("", "json", f"is not JSON that can be read: {_reason(error)}"))
    problems = [Problem("", "duplicate-key", f"{_shown(name)} stands in an object twice") for name in repeated]
    if bare:
        event = {"data": event}
    elif not isinstance(event, dict):
        return _unreadable(*problems, Problem("", "event", 'is not an object {"data": ...}'))
    elif "data" not in event:
        problems.append(Problem("data", "missing", "is missing; with --bare a line is the payload itself"))
    present = {name: value for name, value in event.items() if value is not None or name == "data"}
    attributes: dict[str, Any] = {name: present[name] for name in _ARGUMENTS if name in present}
    extensions = {name: value for name, value in present.items() if name not in (*_ARGUMENTS, "data")}
    for name in [name for name in extensions if not _ATTRIBUTE.fullmatch(name)]:
        del extensions[name]
        problems.append(
            Problem(_shown(name), "unknown-attribute", "an event has no such attribute (lower-case letters and digits)")
        )
    attributes.setdefault("id", _digest(event_type, present))
    return EventLine(present.get("data"), attributes | {"extensions": extensions}, tuple(problems))


def _digest(event_type: str, content: Mapping[str, Any]) -> str:
    canonical = json.dumps({**content, "type": event_type}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _members(pairs: list[tuple[str, Any]], repeated: list[str]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        repeated += dict.fromkeys(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
    return members


class _NoConstant(ValueError):
    pass


def _no_constant(name: str) -> None:
    raise _NoConstant(name)


def _reason(error: Exception) -> str:
    if isinstance(error, _NoConstant):
        return f"{error} is no JSON number"
    return "it is nested too deeply" if isinstance(error, RecursionError) else "a number has too many digits"


def _unreadable(*problems: Problem) -> EventLine:
    return EventLine(problems=problems, readable=False)


def _shown(name: str) -> str:
    """A name as it may stand in an error: whoever wrote the line chose it."""
    return name if _PLAIN_NAME.fullmatch(name) else "a name"
