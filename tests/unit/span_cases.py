"""Plans by field span and the reference path beside each other, on the same bytes."""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, Final

from hypothesis import strategies as st

from schemas.paths import covers, fields
from schemas.release_rules import parse_rule
from schemas.released import Releaser, released_schema
from schemas.rules import CannotRelease, ReleaseRule, RuleDoesNotFit
from schemas.span_places import Places, view
from schemas.span_release import Pieces
from schemas.span_walk import DECLINES, walk_of
from schemas.wire.codec import Codec
from schemas.wire.errors import MalformedData

DECLINED: Final = "declined"
MALFORMED: Final = "malformed"
CANNOT: Final = "cannot be released"
SCALAR_RULES: list[Any] = [
    "mask",
    "pseudonym",
    {"mask": {"keep_last": 2}},
    {"generalise": {"to": "month"}},
    {"generalise": {"to": "province"}},
    {"generalise": {"band": 10}},
]
HOSTILE = [b"\xff\xff\xff\xff\x0f", b"\x80\x00", b"\xff" * 10, b"\x01", b"\xfe" + b"\xff" * 8 + b"\x01"]
Verdict = bytes | str


def token(value: bytes) -> str:
    return f"p1-{hashlib.sha256(value).hexdigest()[:26]}"


def plan(writer: Any, reader: Any, release: Mapping[str, ReleaseRule]) -> Callable[[bytes], Verdict]:
    """What the plan makes of a body; raises Unsuited where there is none."""
    places = Places(Codec(writer).type)
    pieces = Pieces(view(places.root, Codec(reader).type), Releaser(reader, release).cut)
    walk = walk_of(places.root)
    code, env = pieces.code(b"", token)
    made: Callable[[bytes, Any], bytes] = eval(f"lambda d, t: {code}", env)

    def verdict(body: bytes) -> Verdict:
        try:
            found = walk(body, 0, len(body))
        except DECLINES:
            return DECLINED
        try:
            return made(body, found)
        except CannotRelease:
            return CANNOT

    return verdict


def reference(writer: Any, reader: Any, release: Mapping[str, ReleaseRule]) -> Callable[[bytes], Verdict]:
    """What decoding, releasing and encoding make of a body."""
    codec, current, releaser = Codec(writer), Codec(reader), Releaser(reader, release)
    out = Codec(released_schema(reader, release, name="Released", namespace="test"))

    def verdict(body: bytes) -> Verdict:
        try:
            data = codec.decode(body, None if writer == reader else current)
        except MalformedData:
            return MALFORMED
        try:
            return out.encode(releaser(data, token))
        except CannotRelease:
            return CANNOT

    return verdict


def event_of(schema: Any) -> Any:
    """An event's schema with a field of another schema in the middle."""
    around = [{"name": name, "type": "string"} for name in ("first", "last")]
    return {"type": "record", "name": "Event", "fields": [around[0], {"name": "a", "type": schema}, around[1]]}


def releases(draw: st.DrawFn, schema: Any) -> dict[str, ReleaseRule]:
    """A release that fits a schema."""
    every = [each.path for each in fields(schema)]
    ends = {path for path in every if not any(other != path and covers(path, other) for other in every)}
    release = {"last": parse_rule(draw(st.sampled_from(["keep", "mask", "pseudonym"])))}
    for each in (each for each in fields(schema) if each.path != "last"):
        choices = [None, None, "keep", "keep", "drop", *(SCALAR_RULES if each.path in ends else [])]
        if written := draw(st.sampled_from(choices)):
            rule = parse_rule(written)
            if rule.name in ("keep", "drop") or fits(rule, each.type):
                release[each.path] = rule
    return release


def fits(rule: ReleaseRule, avro_type: Any) -> bool:
    """Whether a rule can release a type."""
    if isinstance(avro_type, list):
        return False
    try:
        rule.released_type(avro_type)
    except RuleDoesNotFit:
        return False
    return True


def mutations(draw: st.DrawFn, body: bytes) -> bytes:
    """The body with bits flipped, cut, or with hostile numbers in it."""
    changed = bytearray(body)
    for _ in range(draw(st.integers(0, 3))):
        kind = draw(st.sampled_from(["flip", "cut", "insert", "number", "swap"]))
        at = draw(st.integers(0, max(len(changed) - 1, 0)))
        if kind == "flip" and changed:
            changed[at] ^= 1 << draw(st.integers(0, 7))
        elif kind == "cut":
            del changed[at : at + draw(st.integers(1, 4))]
        elif kind == "insert":
            changed[at:at] = draw(st.binary(min_size=1, max_size=4))
        elif kind == "number":
            changed[at : at + 1] = draw(st.sampled_from(HOSTILE))
        elif changed:
            other = draw(st.integers(0, len(changed) - 1))
            changed[at], changed[other] = changed[other], changed[at]
    return bytes(changed)
