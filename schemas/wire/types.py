"""An Avro schema as a tree of types, checked once (Avro 1.12, "Schema Declaration").

Stricter than the specification where it lets a schema mean nothing: a logical type that we know must fit its base, and
what an array holds must take at least one byte, or five bytes could announce millions of items.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from .errors import InvalidSchema
from .identifiers import CHECKS

PRIMITIVES: Final = ("null", "boolean", "int", "long", "float", "double", "bytes", "string")
NO_DEFAULT: Final = object()
DEEPEST: Final = 100  # how often recursive records may stand inside each other
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_FULL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")
_MOST_DIGITS: Final = 1000  # of a decimal
# What a logical type may stand on. Others are annotations of somebody else and are left alone.
_BASES: Final[Mapping[str, tuple[str, ...]]] = {
    "decimal": ("bytes", "fixed"),
    "date": ("int",),
    "time-millis": ("int",),
    "time-micros": ("long",),
    "timestamp-millis": ("long",),
    "timestamp-micros": ("long",),
    "local-timestamp-millis": ("long",),
    "local-timestamp-micros": ("long",),
    "uuid": ("string",),
    **dict.fromkeys(CHECKS, ("string",)),
}


@dataclass(slots=True, eq=False)
class Scalar:
    """A primitive or a fixed, with its logical type if it is one that we know."""

    kind: str  # one of PRIMITIVES, or "fixed"
    logical: str | None = None
    precision: int = 0
    scale: int = 0
    size: int = 0  # of a fixed


@dataclass(slots=True, eq=False)
class Enum:
    """One of some symbols."""

    symbols: tuple[str, ...]


@dataclass(slots=True, eq=False)
class Array:
    """Items of one type."""

    items: "Type"


@dataclass(slots=True, eq=False)
class Map:
    """Values of one type by text keys."""

    values: "Type"


@dataclass(slots=True, eq=False)
class Union:
    """One of several types; the binary says which."""

    branches: "tuple[Type, ...]"

    def nullable(self) -> "tuple[int, Type] | None":
        """The index and type of the branch that is not null, if the other one is and there are two."""
        nulls = [is_null(branch) for branch in self.branches]
        if len(nulls) != 2 or not any(nulls):  # noqa: PLR2004  null and one other
            return None
        other = nulls.index(False)
        return other, self.branches[other]


@dataclass(slots=True, eq=False)
class Field:
    """A field of a record; ``default`` is JSON as the schema has it."""

    name: str
    type: "Type"
    default: Any = NO_DEFAULT


@dataclass(slots=True, eq=False)
class Record:
    """Named fields in their order. ``uses`` counts the places of the schema where it stands."""

    name: str
    fields: list[Field] = field(default_factory=list)
    uses: int = 1
    recursive: bool = False


Type = Scalar | Enum | Array | Map | Union | Record


def is_null(of: Type) -> bool:
    """Whether it is the type null."""
    return isinstance(of, Scalar) and of.kind == "null"


def read_schema(schema: Any) -> Type:
    """The tree of a schema given as parsed JSON.

    Raises:
        InvalidSchema: with the first thing that is wrong and where.
    """
    return _Reading().type_of(schema, "", "", 0)


class _Reading:
    """One pass over a schema, with the named types seen so far."""

    def __init__(self) -> None:
        self._named: dict[str, Record | Enum | Scalar] = {}
        self._open: list[Record] = []  # the records that we are inside of

    def type_of(self, node: Any, path: str, namespace: str, depth: int) -> Type:
        """The type at ``path``; names in it are looked up in ``namespace``."""
        if depth > DEEPEST:
            raise _wrong(path, f"is nested more than {DEEPEST} levels deep")
        if isinstance(node, str):
            return Scalar(node) if node in PRIMITIVES else self._reference(node, path, namespace)
        if isinstance(node, list):
            return self._union(node, path, namespace, depth)
        if not isinstance(node, Mapping) or "type" not in node:
            raise _wrong(path, "has no type")
        kind = node["type"]
        if kind == "array":
            return self._array(node, path, namespace, depth)
        if kind == "map":
            return Map(self.type_of(node.get("values"), path + "{}", namespace, depth + 1))
        if kind in ("record", "error", "enum", "fixed"):
            return self._define(node, path, namespace, depth)
        if isinstance(kind, str) and kind in PRIMITIVES:
            return _scalar(node, kind, path)
        if "logicalType" in node:
            raise _wrong(path, "has a logical type on what is neither a primitive nor a fixed")
        return self.type_of(kind, path, namespace, depth + 1)

    def _array(self, node: Mapping[str, Any], path: str, namespace: str, depth: int) -> Array:
        array = Array(self.type_of(node.get("items"), path + "[]", namespace, depth + 1))
        if least_bytes(array.items) == 0:
            raise _wrong(path, "holds items that take no bytes, so their number could not be bounded")
        return array

    def _union(self, node: list[Any], path: str, namespace: str, depth: int) -> Union:
        if not node:
            raise _wrong(path, "is a union without branches")
        branches = tuple(self.type_of(branch, path, namespace, depth + 1) for branch in node)
        kinds = []
        for branch in branches:
            if isinstance(branch, Union):
                raise _wrong(path, "is a union directly inside a union")
            named = isinstance(branch, Record | Enum) or branch in self._named.values()
            kinds.append(id(branch) if named else getattr(branch, "kind", type(branch).__name__))
        if len(set(kinds)) < len(kinds):
            raise _wrong(path, "is a union with the same type twice")
        return Union(branches)

    def _reference(self, name: str, path: str, namespace: str) -> Type:
        for full in ([f"{namespace}.{name}"] if namespace and "." not in name else []) + [name]:
            if (known := self._named.get(full)) is not None:
                break
        else:
            raise _wrong(path, f"has the unknown type {name}")
        if isinstance(known, Record):
            known.uses += 1
            if known in self._open:
                for record in self._open[self._open.index(known) :]:
                    record.recursive = True
        return known

    def _define(self, node: Mapping[str, Any], path: str, namespace: str, depth: int) -> Type:
        name = node.get("name")
        if not isinstance(name, str) or not _FULL_NAME.fullmatch(name):
            raise _wrong(path, "is a named type without a valid name")
        own = node.get("namespace", namespace) or ""
        if not isinstance(own, str) or (own and not _FULL_NAME.fullmatch(own)):
            raise _wrong(path, f"has an invalid namespace ({name})")
        full = f"{own}.{name}" if own and "." not in name else name
        if full in self._named or full in PRIMITIVES:
            raise _wrong(path, f"defines the name {full} again")
        kind = node["type"]
        if kind == "enum":
            self._named[full] = defined = _enum(node, path)
            return defined
        if kind == "fixed":
            self._named[full] = fixed = _scalar(node, "fixed", path)
            return fixed
        record = Record(full)
        self._named[full] = record
        self._open.append(record)
        record.fields.extend(self._fields(node.get("fields"), path, full.rpartition(".")[0], depth))
        self._open.pop()
        return record

    def _fields(self, nodes: Any, path: str, namespace: str, depth: int) -> Iterator[Field]:
        if not isinstance(nodes, list):
            raise _wrong(path, "is a record without a list of fields")
        seen: set[str] = set()
        for node in nodes:
            name = node.get("name") if isinstance(node, Mapping) else None
            if not isinstance(name, str) or not _NAME.fullmatch(name):
                raise _wrong(path, "has a field without a valid name")
            if name in seen:
                raise _wrong(path, f"has the field {name} twice")
            seen.add(name)
            below = f"{path}.{name}" if path else name
            if "type" not in node:
                raise _wrong(below, "has no type")
            of = self.type_of(node["type"], below, namespace, depth + 1)
            yield Field(name, of, node.get("default", NO_DEFAULT))


def _enum(node: Mapping[str, Any], path: str) -> Enum:
    symbols = node.get("symbols")
    if (
        not isinstance(symbols, list)
        or not symbols
        or not all(isinstance(symbol, str) and _NAME.fullmatch(symbol) for symbol in symbols)
        or len(set(symbols)) < len(symbols)
    ):
        raise _wrong(path, "is an enum without a list of distinct, valid symbols")
    if "default" in node and node["default"] not in symbols:
        raise _wrong(path, "is an enum whose default is none of its symbols")
    return Enum(tuple(symbols))


def _scalar(node: Mapping[str, Any], kind: str, path: str) -> Scalar:
    size = node.get("size", 0) if kind == "fixed" else 0
    if kind == "fixed" and (not isinstance(size, int) or isinstance(size, bool) or size < 1):
        raise _wrong(path, "is a fixed without a size of at least one byte")
    logical = node.get("logicalType")
    if not isinstance(logical, str) or logical not in _BASES:
        return Scalar(kind, size=size)
    if kind not in _BASES[logical]:
        raise _wrong(path, f"has the logical type {logical} on {kind}, not on {' or '.join(_BASES[logical])}")
    if logical != "decimal":
        return Scalar(kind, logical, size=size)
    precision, scale = node.get("precision"), node.get("scale", 0)
    most = _digits_of(size) if kind == "fixed" else _MOST_DIGITS
    if type(precision) is not int or not 1 <= precision <= most:
        raise _wrong(path, f"is a decimal whose precision is not between 1 and {most}")
    if type(scale) is not int or not 0 <= scale <= precision:
        raise _wrong(path, "is a decimal whose scale is not between 0 and its precision")
    return Scalar(kind, logical, precision, scale, size)


def _digits_of(size: int) -> int:
    """How many decimal digits always fit a signed number of ``size`` bytes, up to the most that we take."""
    return min(len(str(2 ** (8 * min(size, 500) - 1) - 1)) - 1, _MOST_DIGITS)


def least_bytes(of: Type, inside: tuple[Record, ...] = ()) -> int:
    """The fewest bytes that a value of the type takes; a record inside itself counts as nothing."""
    if isinstance(of, Record):
        if of in inside:
            return 0
        return sum(least_bytes(entry.type, (*inside, of)) for entry in of.fields)
    if isinstance(of, Union):
        return 1 + min(least_bytes(branch, inside) for branch in of.branches)
    if isinstance(of, Scalar):
        return {"null": 0, "float": 4, "double": 8, "fixed": of.size}.get(of.kind, 1)
    return 1


def _wrong(path: str, message: str) -> InvalidSchema:
    return InvalidSchema(f"{path or 'the schema'} {message}")
