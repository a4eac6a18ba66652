"""Envelopes known by their shape: one publisher's headers differ from event to event in a few values only.

A ``Shape`` is learned from the headers of one event that was read in full. Later headers of the same shape are compared
as bytes, and only the values that vary are looked at; whatever is not exactly so is read in full. The values of id and
subject are printable ASCII and that of time is a plain moment, or the shape does not match; the source is for the
caller to know.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any, Final

from schemas.wire.varint import read_varint
from streams.record_format import length

# source, id, subject, time of an event; None where it has none
Attributes = tuple[bytes, bytes, bytes | None, bytes | None]
Layout = tuple[tuple[str, bytes | None], ...]  # names of headers, with the value where all events share it
Match = Callable[[bytes, int, int], Attributes | None]  # record batch, where the headers begin, where they end

_PREFIX: Final = "ce_"
_NAMED: Final = ("ce_source", "ce_id", "ce_subject", "ce_time")
_SAME_FOR_ALL: Final = ("content-type", "ce_specversion", "ce_type", "ce_dataschema")
_PRINTABLE: Final = bytes(range(0x20, 0x7F))
# To the letter of RFC 3339, but for what is rare and needs a calendar: 29 February, leap seconds, odd years and zones.
_PLAIN_MOMENT: Final = re.compile(
    rb"[1-8][0-9]{3}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8]|"
    rb"(?<=-(?:0[13-9]|1[0-2])-)(?:29|30)|(?<=-(?:0[13578]|1[02])-)31)"
    rb"T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]+)?(?:Z|[+-](?:0[0-9]|1[0-4]):[0-5][0-9])"
)


def layout_of(headers: Sequence[tuple[str, bytes | None]]) -> Layout | None:
    """How the headers of a well-formed event are laid out; None if a header has no value or stands twice."""
    names = [name for name, _ in headers]
    if len(set(names)) < len(names) or any(value is None for _, value in headers):
        return None
    return tuple((name, value if name in _SAME_FOR_ALL else None) for name, value in headers)


def shape_of(layout: Layout) -> Match:
    """What recognises headers of a layout, and gives their attributes."""
    env: dict[str, Any] = {"varint": read_varint, "PRINTABLE": _PRINTABLE, "moment": _PLAIN_MOMENT.fullmatch}
    lines = ["def match(d, p, q):"]
    variables: dict[str, str] = {}
    fixed = length(len(layout))
    for name, value in layout:
        binary = name.encode(errors="surrogateescape")
        fixed += length(len(binary)) + binary
        if value is not None:
            fixed += length(len(value)) + value
            continue
        lines += _compare(fixed, env)
        fixed = b""
        variables[name] = held = f"v{len(variables)}"
        lines += [
            "    z = d[p]; p += 1",
            "    if z > 127: z, p = varint(d, p - 1, 32)",
            "    e = p + (z >> 1)",
            "    if z & 1 or e > q: return None",
            f"    {held} = d[p:e]; p = e",
        ]
        if name == "ce_time":
            lines.append(f"    if not moment({held}): return None")
        elif name == "ce_source":
            continue  # whoever uses the attributes knows the sources
        elif name in _NAMED:
            lines.append(f"    if not {held} or {held}.translate(None, PRINTABLE): return None")
        elif name.startswith(_PREFIX):
            lines.append(f"    if {held}.translate(None, PRINTABLE): return None")
    found = ", ".join(variables.get(name, "None") for name in _NAMED)
    lines += [*_compare(fixed, env), "    if p != q: return None", f"    return {found}"]
    exec(compile("\n".join(lines), "<envelope shape>", "exec"), env)  # noqa: S102  of names made here only
    return env["match"]  # type: ignore[no-any-return]  # just defined


def _compare(fixed: bytes, env: dict[str, Any]) -> list[str]:
    """Code that goes past bytes that must stand there."""
    if not fixed:
        return []
    name = f"f{len(env)}"
    env[name] = fixed
    return [f"    if d[p:p + {len(fixed)}] != {name}: return None", f"    p += {len(fixed)}"]
