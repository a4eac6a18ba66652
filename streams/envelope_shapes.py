"""Envelopes known by their shape: one publisher's headers differ from event to event in a few values only.

A shape is learned from the headers of one event that was read in full. Later headers of the same shape are recognised
by one regular expression; whatever is not exactly so is read in full. Values that vary are printable ASCII, that of
time is a plain moment, that of traceparent names a trace, or the shape does not match; the source is for the caller to
know.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any, Final

from schemas.wire.trace_context import PATTERN, TRACEPARENT
from streams.record_format import LENGTHS, length
from streams.records import InputRecord

# source, id, subject, time of an event, then their headers as they stand in a record, then the value of traceparent;
# None where it has none
Attributes = tuple[bytes, bytes, bytes | None, bytes | None, bytes, bytes, bytes | None, bytes | None, bytes | None]
Layout = tuple[tuple[str, bytes | None], ...]  # names of headers, with the value where all events share it
Match = Callable[[bytes, int, int], Attributes | None]  # record batch, where the headers begin, where they end

_TRACE: Final = f"ce_{TRACEPARENT}"
_NAMED: Final = ("ce_source", "ce_id", "ce_subject", "ce_time")
_SAME_FOR_ALL: Final = ("content-type", "ce_specversion", "ce_type", "ce_dataschema")
# To the letter of RFC 3339, but for what is rare and needs a calendar: 29 February, leap seconds, odd years and zones.
_PLAIN_MOMENT: Final = (
    rb"[1-8][0-9]{3}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8]|"
    rb"(?<=-(?:0[13-9]|1[0-2])-)(?:29|30)|(?<=-(?:0[13578]|1[02])-)31)"
    rb"T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]+)?(?:Z|[+-](?:0[0-9]|1[0-4]):[0-5][0-9])"
)
_FORMS: Final = {"ce_time": _PLAIN_MOMENT, _TRACE: PATTERN.encode()}
_LENGTH: Final = rb"([\x80-\xff]?[\x00-\x7f])"  # of a value below 8,192 bytes
_PRINTABLE: Final = range(0x20, 0x7F)
_MOST_SHAPES: Final = 16
_MOST_SOURCES: Final = 10_000


def NO_SHAPE(_data: bytes, _start: int, _end: int) -> Attributes | None:  # noqa: N802  a constant of its type
    """Recognises nothing."""
    return None


class KnownEnvelopes:
    """How the headers of well-formed events of one topic have looked so far.

    Attributes:
        sources: that were met.
        latest: the shape that was met last.
    """

    def __init__(self) -> None:
        self.sources: set[bytes] = set()
        self.latest: Match = NO_SHAPE
        self._shapes: dict[Layout, Match] = {}

    def learn(self, record: InputRecord) -> None:
        """Remember how the headers of a well-formed event look."""
        headers = dict(record.headers)
        if headers.get("content-type", b"").lower().startswith(b"application/cloudevents"):
            return
        if len(self.sources) >= _MOST_SOURCES:
            self.sources.clear()
        self.sources.add(headers["ce_source"])
        layout = layout_of(record.headers)
        if layout is not None and layout not in self._shapes and len(self._shapes) < _MOST_SHAPES:
            self.latest = self._shapes[layout] = shape_of(layout)

    def attributes_of(self, data: bytes, start: int, end: int) -> Attributes | None:
        """The attributes of an event whose headers, at ``start`` to ``end`` of a record batch, have a known shape.

        That shape is ``latest`` from then on.
        """
        for match in self._shapes.values():
            found = match(data, start, end)
            if found is not None:
                self.latest = match
                return found if found[0] in self.sources else None
        return None


def layout_of(headers: Sequence[tuple[str, bytes | None]]) -> Layout | None:
    """How the headers of a well-formed event are laid out; None if a header has no value or stands twice."""
    names = [name for name, _ in headers]
    if len(set(names)) < len(names) or any(value is None for _, value in headers):
        return None
    return tuple((name, value if name in _SAME_FOR_ALL else None) for name, value in headers)


def shape_of(layout: Layout) -> Match:
    """What recognises headers of a layout, and gives their attributes; raises IndexError for very long values."""
    names: list[str] = []
    pattern, fixed = b"(?s:", length(len(layout))
    for name, value in layout:
        binary = name.encode(errors="surrogateescape")
        head = length(len(binary)) + binary
        if value is not None:
            fixed += head + length(len(value)) + value
            continue
        pattern += _up_to(fixed + head, fixed, names) + b"(" + re.escape(head) + _LENGTH
        names.append(name)
        fixed = b""
    pattern += _up_to(fixed, fixed, names) + rb")\Z"
    env: dict[str, Any] = {"search": re.compile(pattern).match, "LENGTHS": LENGTHS}
    held = {name: f"v{number}" for number, name in enumerate(names)}
    headers = {name: f"h{number}" for number, name in enumerate(names)}
    groups = [f"h{number}, l{number}, v{number}, " for number in range(len(names))]
    wrong = [f"LENGTHS[len(v{number})] != l{number}" for number in range(len(names))]
    lines = [
        "def match(d, p, q):",
        "    m = search(d, p, q)",
        "    if m is None: return None",
        f"    {''.join(groups)}= m.groups()" if groups else "    pass",
        f"    if {' or '.join(wrong) or 'False'}: return None",
        f"    return {', '.join(found.get(name, 'None') for found in (held, headers) for name in _NAMED)}, "
        + held.get(_TRACE, "None"),
    ]
    exec(compile("\n".join(lines), "<envelope shape>", "exec"), env)  # noqa: S102  of names made here only
    return env["match"]  # type: ignore[no-any-return]  # just defined


def _up_to(behind: bytes, fixed: bytes, names: Sequence[str]) -> bytes:
    """The pattern of the last header's value and its end, and of what is fixed behind it; it is never tried twice.

    ``behind`` is all that is known to stand behind the value.
    """
    if not names:
        return re.escape(fixed)
    if (form := _FORMS.get(names[-1])) is not None:
        return b"(" + form + b"))" + re.escape(fixed)
    many = b"+" if names[-1] in _NAMED else b"*"
    # a printable byte behind it is no end of a value: then the value ends where all of what stands behind begins
    is_end = not behind or behind[0] not in _PRINTABLE
    letter = b"[ -~]" if is_end else b"(?:(?!" + re.escape(behind) + b")[ -~])"
    return b"(" + letter + many + b"+))" + re.escape(fixed)
