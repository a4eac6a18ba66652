"""Releases by field span: for one writer's schema and one agreement, code that cuts spans and joins them."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Final

from schemas.cuts import Cut, Fields, Nullable, Ruled, Whole
from schemas.release_rules import Pseudonym
from schemas.rules import Pseudonymise, ReleaseRule
from schemas.span_places import (
    Mark,
    Missing,
    OtherOrNull,
    Place,
    Rearranged,
    Same,
    Unsuited,
    View,
)
from schemas.wire.decoder import reading_of
from schemas.wire.types import Array, Map, Record, Scalar, Type, Union
from schemas.wire.varint import zigzag

_LENGTHS: Final = tuple(map(zigzag, range(256)))


@dataclasses.dataclass(frozen=True, slots=True)
class _Span:
    start: Mark
    end: Mark


@dataclasses.dataclass(frozen=True, slots=True)
class _Constant:
    binary: bytes


@dataclasses.dataclass(frozen=True, slots=True)
class _Changed:
    """A scalar under a rule; nothing where it is null, or something above is."""

    place: Place
    rule: ReleaseRule


@dataclasses.dataclass(frozen=True, slots=True)
class _Token:
    """The pseudonym of a text, which need not be decoded for it; nothing where it is null, or something above is."""

    place: Place


@dataclasses.dataclass(frozen=True, slots=True)
class _Items:
    place: Place
    pieces: "Sequence[_Piece]"


_Piece = _Span | _Constant | _Changed | _Token | _Items


class Pieces:
    """What one agreement takes of what is written with one schema; what it needs of the walk is said at once."""

    def __init__(self, root: View, cut: Cut) -> None:
        """Take apart.

        Raises:
            Unsuited: this release cannot be made of spans.
        """
        self._pieces = _merged(_pieces(root, cut, sure=True))
        _need(self._pieces)

    def code(self, head: bytes, pseudonymise: Pseudonymise) -> tuple[str, dict[str, Any]]:
        """Python code for the released bytes behind ``head``, and what its names mean.

        In it ``d`` is the bytes that were walked and ``t`` what the walk found. It raises ``CannotRelease`` as the
        rules do.
        """
        env: dict[str, Any] = {"HEAD": head, "zigzag": zigzag, "join": b"".join}
        parts = ["HEAD", *_expressions(self._pieces, "t", env, pseudonymise)]
        together = len(parts) > 2  # noqa: PLR2004  two are added sooner than joined
        return f"join(({', '.join(parts)}))" if together else " + ".join(parts), env


def field_value(root: View, path: Sequence[str]) -> tuple[int, None] | tuple[None, Any]:
    """Where the decoded value of a field is found in the root frame, or the value itself where the writer lacks it.

    Raises:
        Unsuited: it cannot be had without decoding.
    """
    seen: View = root
    for step in path:
        if isinstance(seen, Missing):
            raise Unsuited
        seen = _below(seen, step)
    if isinstance(seen, Missing):
        return None, reading_of(seen.type, strict=True)(seen.binary, 0, len(seen.binary), 0)[0]
    if not isinstance(seen, Same):
        raise Unsuited
    return seen.place.need_value(), None


def _below(seen: View, step: str) -> View:
    if isinstance(seen, Rearranged):
        return seen.fields[step]
    if isinstance(seen, OtherOrNull):
        return _below(seen.other, step)
    assert isinstance(seen, Same), "the caller looked"
    place = seen.place
    if isinstance(place.type, Union) and (other := place.type.nullable()) is not None:
        return _below(Same(place.below[other[0]]), step)
    if isinstance(place.type, Record) and not place.opaque:
        for field, below in zip(place.type.fields, place.below, strict=True):
            if field.name == step:
                return Same(below)
    raise Unsuited


def _pieces(seen: View, cut: Cut, *, sure: bool) -> list[_Piece]:
    """``sure``: nothing above can be null."""
    if isinstance(seen, Missing):
        if sure and isinstance(cut, Whole):
            return [_Constant(seen.binary)]
        raise Unsuited
    if isinstance(seen, Rearranged):
        if not isinstance(cut, Whole | Fields):
            raise Unsuited
        named = [(name, Whole()) for name in seen.fields] if isinstance(cut, Whole) else cut.fields
        return [piece for name, below in named for piece in _pieces(seen.fields[name], below, sure=sure)]
    if isinstance(seen, OtherOrNull):
        below = cut.other if isinstance(cut, Nullable) else cut
        return _or_null(seen.place, seen.other, below)
    return _of_place(seen.place, cut, sure=sure)


def _or_null(place: Place, other: View, cut: Cut) -> list[_Piece]:
    assert isinstance(place.type, Union), "only unions are nullable"
    nullable = place.type.nullable()
    assert nullable is not None, "the view looked"
    branch = place.below[nullable[0]]
    return [_Span(place.before, branch.before), *_pieces(other, cut, sure=False)]


def _of_place(place: Place, cut: Cut, *, sure: bool) -> list[_Piece]:
    if isinstance(cut, Whole):
        if not all(_copied(inner) for inner in place.inside()):
            raise Unsuited
        return [_Span(place.before, place.after)]
    if place.opaque:
        raise Unsuited
    if isinstance(cut, Ruled):
        of = place.type
        is_text = isinstance(of, Scalar) and of.kind == "string" and of.logical != "uuid"
        return [_Token(place) if is_text and isinstance(cut.rule, Pseudonym) else _Changed(place, cut.rule)]
    if isinstance(cut, Fields):
        assert isinstance(place.type, Record), "only records have fields"
        below = {field.name: inner for field, inner in zip(place.type.fields, place.below, strict=True)}
        return [piece for name, inner in cut.fields for piece in _of_place(below[name], inner, sure=sure)]
    if isinstance(cut, Nullable):
        assert isinstance(place.type, Union), "as above"
        nullable = place.type.nullable()
        if nullable is None:
            raise Unsuited
        return _or_null(place, Same(place.below[nullable[0]]), cut.other)
    assert isinstance(place.type, Array | Map), "what has items"
    pieces = _of_place(place.below[-1], cut.item, sure=True)
    if isinstance(place.type, Map):
        pieces = [_Span(place.below[0].before, place.below[0].after), *pieces]
    return [_Items(place, _merged(pieces))]


def _copied(place: Place) -> bool:
    """Whether a span of the place says what decoding and encoding would."""
    return not place.opaque and not (isinstance(place.type, Union) and not _is_plain(place.type))


def _is_plain(union: Union) -> bool:
    """Whether no value of one branch could be taken for one of another: encoders write the first branch that fits."""
    records = [frozenset(field.name for field in one.fields) for one in union.branches if isinstance(one, Record)]
    looks = [_look(branch) for branch in union.branches if not isinstance(branch, Record)]
    if len(set(looks)) < len(looks) or (records and "map" in looks):
        return False
    return not any(one <= other for one in records for other in records if one is not other)


def _look(branch: Type) -> str:
    """What a value of a branch, not a record, looks like once it is decoded."""
    if isinstance(branch, Scalar):
        if branch.logical is not None and branch.kind != "string":
            return branch.logical.partition("-")[0]  # moments of different units look alike
        return {"int": "number", "long": "number", "float": "number", "double": "number", "fixed": "bytes"}.get(
            branch.kind, "uuid" if branch.logical == "uuid" else branch.kind
        )
    return {Array: "array", Map: "map"}.get(type(branch), "string")


def _merged(pieces: Sequence[_Piece]) -> list[_Piece]:
    """Spans that follow each other are one; so are constants."""
    merged: list[_Piece] = []
    for piece in pieces:
        last = merged[-1] if merged else None
        if isinstance(piece, _Span) and isinstance(last, _Span) and last.end is piece.start:
            merged[-1] = _Span(last.start, piece.end)
        elif isinstance(piece, _Constant) and isinstance(last, _Constant):
            merged[-1] = _Constant(last.binary + piece.binary)
        elif not (isinstance(piece, _Span) and piece.start is piece.end):
            merged.append(piece)
    return merged


def _need(pieces: Sequence[_Piece]) -> None:
    for piece in pieces:
        if isinstance(piece, _Span):
            piece.start.need()
            piece.end.need()
        elif isinstance(piece, _Changed):
            piece.place.need_value()
        elif isinstance(piece, _Token):
            piece.place.need_text()
        elif isinstance(piece, _Items):
            piece.place.need_items()
            _need(piece.pieces)


def _expressions(pieces: Sequence[_Piece], found: str, env: dict[str, Any], pseudonymise: Pseudonymise) -> list[str]:
    """The bytes of each piece, as Python expressions over the tuple called ``found``."""
    made = []
    for piece in pieces:
        name = f"g{len(env)}"
        env[name] = None  # taken
        if isinstance(piece, _Span):
            made.append(f"d[{found}[{piece.start.need()}]:{found}[{piece.end.need()}]]")
        elif isinstance(piece, _Constant):
            env[name] = piece.binary
            made.append(name)
        elif isinstance(piece, _Changed):
            env[name] = _changed(piece.rule, pseudonymise)
            value = f"{found}[{piece.place.need_value()}]"
            made.append(f"({name}({value}) if {value} is not None else b'')")  # null above it, then
        elif isinstance(piece, _Token):
            env[name] = _token(pseudonymise)
            begin, end = (f"{found}[{slot}]" for slot in piece.place.need_text())
            made.append(f"({name}(d[{begin}:{end}]) if {begin} is not None else b'')")
        else:
            parts = _expressions(piece.pieces, "u", env, pseudonymise)
            _define_items(name, " + ".join(parts) or "b''", env)
            made.append(f"{name}(d, {found}[{piece.place.need_items()}])")
    return made


def _define_items(name: str, expression: str, env: dict[str, Any]) -> None:
    """Add the function that joins the items of an array or map, each made by ``expression`` of its tuple ``u``."""
    source = f"""def {name}(d, found):
    if found is None: return b''
    if not found: return b'\\0'
    return b''.join((zigzag(len(found)), *[{expression} for u in found], b'\\0'))"""
    exec(compile(source, "<release>", "exec"), env)  # noqa: S102  of names made here only


def _token(pseudonymise: Pseudonymise) -> Callable[[bytes], bytes]:
    """What makes the binary of a text's pseudonym."""

    def token(text: bytes) -> bytes:
        made = pseudonymise(text).encode()
        return _LENGTHS[len(made)] + made

    return token


def _changed(rule: ReleaseRule, pseudonymise: Pseudonymise) -> Callable[[Any], bytes]:
    """What makes the binary of the released text of a value."""

    def changed(value: Any) -> bytes:
        text: bytes = rule.released(value, pseudonymise).encode()
        return (_LENGTHS[len(text)] if len(text) < len(_LENGTHS) else zigzag(len(text))) + text

    return changed
