"""Avro values to bytes, or every reason why not: one function for each type of a schema, made once.

Paths are put together only where there is a problem, so a good value costs no text.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from .decoder import decoder_of
from .errors import Problem
from .logical_types import Unsound
from .scalars import FINE, Encode, Problems, Run, Unreadable, mismatch, plain_scalar, scalar, text, write_varint
from .types import DEEPEST, NO_DEFAULT, Array, Enum, Map, Record, Scalar, Type, Union, is_null

_MISSING: Final = object()


def under(name: str, problems: Problems) -> list[Problem]:
    """The problems of a part as problems of the whole; ``name`` is ``child``, ``[3]`` or ``{}``."""
    return [
        Problem(name if not at.path else f"{name}{'' if at.path[0] in '[{' else '.'}{at.path}", at.rule, at.message)
        for at in problems
    ]


def shown(name: Any) -> str:
    """A field's name that somebody else chose, as it may stand in a message: it could be a value in disguise."""
    plain = isinstance(name, str) and name.isascii() and name.isidentifier() and len(name) <= 40  # noqa: PLR2004
    return name if plain else "(a field)"


def encoder_of(of: Type) -> Encode:
    """The encoder of a type.

    Raises:
        BadDefault: a default does not fit its field.
    """
    return _Making(plain=False).of(of)


class BadDefault(ValueError):
    """A default that does not fit its field; the text says which and why."""


class _Making:
    """Makes encoders.

    ``plain`` ones take what a schema's defaults are written in: base types, bytes as text, the first branch of a union.
    """

    def __init__(self, *, plain: bool) -> None:
        self._plain = plain
        self._records: dict[int, Encode] = {}

    def of(self, of: Type) -> Encode:
        if isinstance(of, Record):
            return self._when_needed(of) if self._plain else self._record(of)
        if isinstance(of, Array):
            return _array(self.of(of.items))
        if isinstance(of, Map):
            return _map(self.of(of.values))
        if isinstance(of, Enum):
            return _enum(of.symbols)
        if isinstance(of, Union):
            return self._union(of)
        return plain_scalar(of) if self._plain else scalar(of)

    def _when_needed(self, of: Record) -> Encode:
        """A default may be within its own record, whose encoder is made only if there is such a value."""

        def encode(value: Any, out: bytearray, run: Run) -> Problems:
            return self._record(of)(value, out, run)

        return encode

    def _union(self, of: Union) -> Encode:
        if self._plain:
            return _branch(0, self.of(of.branches[0]))
        if (other := of.nullable()) is not None:
            return _nullable(other[0], self.of(other[1]))
        return _union([(is_null(branch), self.of(branch)) for branch in of.branches], whole_numbers_first(of))

    def _record(self, of: Record) -> Encode:
        if id(of) in self._records:
            return self._records[id(of)]
        fields: list[tuple[str, bytes | None, Encode]] = []
        names = frozenset(field.name for field in of.fields)
        made = _record(names, fields)
        self._records[id(of)] = made = _bounded(made) if of.recursive else made
        for field in of.fields:
            default = None if field.default is NO_DEFAULT else default_bytes(field.type, field.default, field.name)
            fields.append((field.name, default, self.of(field.type)))
        return made


def default_bytes(of: Type, default: Any, name: str) -> bytes:
    """A field's default in Avro binary."""
    out = bytearray()
    if problems := _Making(plain=True).of(of)(default, out, Run()):
        raise BadDefault(f"the default of {'; '.join(map(str, under(name, problems)))}")
    if default is not None:
        try:
            decoder_of(of, strict=True)(bytes(out))
        except Unsound as error:
            raise BadDefault(f"the default of {name} {error}") from None
    return bytes(out)


def whole_numbers_first(of: Union) -> list[int]:
    """The order in which a union's branches are tried: 1 is a long before it is a double."""
    floats = [isinstance(branch, Scalar) and branch.kind in ("float", "double") for branch in of.branches]
    return sorted(range(len(floats)), key=floats.__getitem__)


def closest(tries: Sequence[Problems]) -> Problems:
    """The problems of the branch that was most likely meant: not of the wrong type as a whole, and the fewest."""
    if not tries:
        return (Problem("", "type", "must be null"),)
    return min(tries, key=lambda found: (any(at.rule == "type" and not at.path for at in found), len(found)))


def _bounded(encode: Encode) -> Encode:
    def bounded(value: Any, out: bytearray, run: Run) -> Problems:
        if run.depth >= DEEPEST:
            return (Problem("", "depth", f"is nested more than {DEEPEST} levels deep"),)
        run.depth += 1
        problems = encode(value, out, run)
        run.depth -= 1
        return problems

    return bounded


def _record(names: frozenset[str], fields: Sequence[tuple[str, bytes | None, Encode]]) -> Encode:
    def encode(value: Any, out: bytearray, run: Run) -> Problems:
        if not isinstance(value, dict) and not isinstance(value, Mapping):
            return mismatch(value, "a record")
        problems: list[Problem] = []
        missing = 0
        for name, default, encode_field in fields:
            item = value.get(name, _MISSING)
            if item is not _MISSING:
                if found := encode_field(item, out, run):
                    problems += under(name, found)
                continue
            missing += 1
            if default is None:
                problems.append(Problem(name, "missing-field", "is missing and has no default"))
            else:
                out += default
        if len(value) + missing > len(fields):
            problems += [
                Problem(shown(name), "unknown-field", "is no field of the schema")
                for name in value
                if name not in names
            ]
        return problems

    return encode


def _array(encode_item: Encode) -> Encode:
    def encode(value: Any, out: bytearray, run: Run) -> Problems:
        if not isinstance(value, list | tuple):
            return mismatch(value, "a list")
        problems: list[Problem] = []
        if value:
            write_varint(out, len(value))
        for index, item in enumerate(value):
            if found := encode_item(item, out, run):
                problems += under(f"[{index}]", found)
        out.append(0)
        return problems

    return encode


def _map(encode_item: Encode) -> Encode:
    encode_key = text(None)

    def encode(value: Any, out: bytearray, run: Run) -> Problems:
        if not isinstance(value, Mapping):
            return mismatch(value, "a map with texts as keys")
        problems: list[Problem] = []
        if value:
            write_varint(out, len(value))
        for key, item in value.items():
            for found in (encode_key(key, out, run), encode_item(item, out, run)):
                if found:
                    problems += under("{}", found)
        out.append(0)
        return problems

    return encode


def _enum(symbols: tuple[str, ...]) -> Encode:
    binary: dict[Any, bytes] = {}
    for index, symbol in enumerate(symbols):
        out = bytearray()
        write_varint(out, index)
        binary[symbol] = bytes(out)

    def encode(value: Any, out: bytearray, _run: Run) -> Problems:
        if not isinstance(value, str):
            return mismatch(value, f"one of {', '.join(symbols)}")
        if value not in binary:
            return (Problem("", "enum", f"must be one of {', '.join(symbols)}"),)
        out += binary[value]
        return FINE

    return encode


def _branch(index: int, encode_branch: Encode) -> Encode:
    def encode(value: Any, out: bytearray, run: Run) -> Problems:
        write_varint(out, index)
        return encode_branch(value, out, run)

    return encode


def _nullable(index: int, encode_other: Encode) -> Encode:
    null, other = (0, 2) if index else (2, 0)

    def encode(value: Any, out: bytearray, run: Run) -> Problems:
        if value is None:
            out.append(null)
            return FINE
        out.append(other)
        return encode_other(value, out, run)

    return encode


def _union(branches: Sequence[tuple[bool, Encode]], order: Sequence[int]) -> Encode:
    def encode(value: Any, out: bytearray, run: Run) -> Problems:
        if isinstance(value, Unreadable):
            return value.problems
        tries: list[Problems] = []
        for index in order:
            null, encode_branch = branches[index]
            if null and value is not None:
                continue
            # A recursive union would try the same parts again and again, so each pair is tried once.
            done = run.tried.get((id(value), id(encode_branch)))
            if done is None:
                binary = bytearray()
                found = encode_branch(value, binary, run)
                done = (found, bytes(binary))
                if isinstance(value, dict | list | tuple):
                    run.tried[id(value), id(encode_branch)] = done
            if not done[0]:
                write_varint(out, index)
                out += done[1]
                return FINE
            tries.append(done[0])
        return closest(tries)

    return encode
