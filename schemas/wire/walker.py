"""A walk over Avro binary that checks every bound before anything is decoded (Avro 1.12, binary encoding).

fastavro ignores trailing bytes, makes millions of elements of five bytes, and takes what is out of range. The walk
refuses all of that in time and memory proportional to the bytes.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from .errors import InvalidSchema, MalformedData, Problem
from .identifiers import problem_of
from .types import Names, logical

# Takes the bytes, a position and the list of problems to add to; returns the position after the value.
Walk = Callable[[bytes, int, list[Problem]], int]

_INT_BITS: Final = 32
_LONG_BITS: Final = 64
_MAX_VARINT_BYTES: Final = 10


def _bad(path: str, rule: str, message: str) -> MalformedData:
    return MalformedData([Problem(path, rule, message)])


def _varint(data: bytes, at: int, path: str, bits: int = _LONG_BITS) -> tuple[int, int]:
    value = shift = 0
    start = at
    while True:
        if at >= len(data):
            raise _bad(path, "truncated", "the bytes end inside a number")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004  the continuation bit
            break
        shift += 7
        if at - start >= _MAX_VARINT_BYTES:
            raise _bad(path, "varint", "a number is longer than ten bytes")
    if byte == 0 and at - start > 1:
        raise _bad(path, "varint", "a number is written longer than it needs to be")
    if value >> bits:
        raise _bad(path, "range", f"a number does not fit {bits} bits")
    return (value >> 1) ^ -(value & 1), at


class Walker:
    """Compiles one schema into a walk."""

    def __init__(self, schema: Any, names: Names) -> None:
        """``names`` are the schema's named types."""
        self._names = names
        self._done: dict[int, Walk] = {}
        self._walk = self._of(schema, "", "")

    def __call__(self, data: bytes) -> None:
        """Check that ``data`` is one value of the schema, whole.

        Raises:
            MalformedData: with every identifier that breaks its rules, or the first structural problem.
        """
        problems: list[Problem] = []
        try:
            end = self._walk(data, 0, problems)
        except RecursionError:
            raise _bad("", "depth", "the value is nested too deeply") from None
        if end != len(data):
            problems.append(Problem("", "trailing-bytes", f"{len(data) - end} bytes follow the value"))
        if problems:
            raise MalformedData(problems)

    def _of(self, node: Any, path: str, namespace: str) -> Walk:
        resolved = self._names.resolve(node, namespace)
        if isinstance(resolved, list):
            return _union([self._of(branch, path, namespace) for branch in resolved], path)
        kind = resolved["type"]
        if kind in ("record", "error"):
            return self._record(resolved, path, namespace)
        if kind == "array":
            return _blocks(self._of(resolved["items"], f"{path}[]", namespace), path, keyed=False)
        if kind == "map":
            return _blocks(self._of(resolved["values"], f"{path}{{}}", namespace), path, keyed=True)
        if kind == "enum":
            return _index(len(resolved["symbols"]), path)
        if kind == "fixed":
            return _decimal(_fixed(resolved["size"], path), resolved, path)
        return _primitive(resolved, path)

    def _record(self, node: Mapping[str, Any], path: str, namespace: str) -> Walk:
        # A recursive type meets itself here: its walk is looked up when it is needed.
        if id(node) in self._done:
            return lambda data, at, problems: self._done[id(node)](data, at, problems)
        self._done[id(node)] = _never
        inner = self._names.namespace_of(node, namespace)
        fields = [
            self._of(field["type"], f"{path}.{field['name']}" if path else field["name"], inner)
            for field in node["fields"]
        ]
        walk = _sequence(fields)
        self._done[id(node)] = walk
        return walk


def _never(data: bytes, at: int, problems: list[Problem]) -> int:
    raise AssertionError("a walk was used before it was compiled")


def _sequence(walks: Sequence[Walk]) -> Walk:
    def walk(data: bytes, at: int, problems: list[Problem]) -> int:
        for step in walks:
            at = step(data, at, problems)
        return at

    return walk


def _union(branches: Sequence[Walk], path: str) -> Walk:
    def walk(data: bytes, at: int, problems: list[Problem]) -> int:
        index, at = _varint(data, at, path)
        if not 0 <= index < len(branches):
            raise _bad(path, "union", "the union has no such branch")
        return branches[index](data, at, problems)

    return walk


def _blocks(item: Walk, path: str, *, keyed: bool) -> Walk:
    key = _text(path, "") if keyed else None

    def walk(data: bytes, at: int, problems: list[Problem]) -> int:
        while True:
            count, at = _varint(data, at, path)
            if count == 0:
                return at
            end = None
            if count < 0:
                count = -count
                size, at = _varint(data, at, path)
                end = at + size
            if count > len(data) - at:
                raise _bad(path, "count", "more items are announced than bytes are left")
            for _ in range(count):
                before = at
                if key is not None:
                    at = key(data, at, problems)
                at = item(data, at, problems)
                if at == before:
                    raise _bad(path, "count", "items without size are not accepted")
            if end is not None and at != end:
                raise _bad(path, "count", "a block's size is not that of its items")

    return walk


def _index(size: int, path: str) -> Walk:
    def walk(data: bytes, at: int, problems: list[Problem]) -> int:  # noqa: ARG001  one shape for all walks
        index, at = _varint(data, at, path, _INT_BITS)
        if not 0 <= index < size:
            raise _bad(path, "enum", "the enum has no such symbol")
        return at

    return walk


def _fixed(size: int, path: str) -> Walk:
    def walk(data: bytes, at: int, problems: list[Problem]) -> int:  # noqa: ARG001  one shape for all walks
        if at + size > len(data):
            raise _bad(path, "truncated", "the bytes end inside the value")
        return at + size

    return walk


def _sized(path: str) -> Callable[[bytes, int], tuple[int, int]]:
    def span(data: bytes, at: int) -> tuple[int, int]:
        size, at = _varint(data, at, path)
        if size < 0 or size > len(data) - at:
            raise _bad(path, "length", "the length is not within the bytes")
        return at, at + size

    return span


def _text(path: str, identifier: str) -> Walk:
    span = _sized(path)

    def walk(data: bytes, at: int, problems: list[Problem]) -> int:
        start, end = span(data, at)
        try:
            text = data[start:end].decode()
        except UnicodeDecodeError:
            raise _bad(path, "utf-8", "the text is not UTF-8") from None
        if identifier and (problem := problem_of(identifier, text)) is not None:
            problems.append(Problem(path, identifier, problem))
        return end

    return walk


def _boolean(path: str) -> Walk:
    def walk(data: bytes, at: int, problems: list[Problem]) -> int:  # noqa: ARG001  one shape for all walks
        if at >= len(data) or data[at] > 1:
            raise _bad(path, "boolean", "a boolean is neither 0 nor 1, or missing")
        return at + 1

    return walk


def _number(path: str, bits: int) -> Walk:
    def walk(data: bytes, at: int, problems: list[Problem]) -> int:  # noqa: ARG001  one shape for all walks
        return _varint(data, at, path, bits)[1]

    return walk


def _bytes(path: str) -> Walk:
    span = _sized(path)

    def walk(data: bytes, at: int, problems: list[Problem]) -> int:  # noqa: ARG001  one shape for all walks
        return span(data, at)[1]

    return walk


def _decimal(inner: Walk, node: Mapping[str, Any], path: str) -> Walk:
    if logical(node) != "decimal":
        return inner
    limit = 10 ** int(node["precision"])
    fixed = node["type"] == "fixed"
    span = _sized(path)

    def walk(data: bytes, at: int, problems: list[Problem]) -> int:
        end = inner(data, at, problems)
        start = at if fixed else span(data, at)[0]
        if abs(int.from_bytes(data[start:end], "big", signed=True)) >= limit:
            problems.append(Problem(path, "decimal", f"has more than {node['precision']} digits"))
        return end

    return walk


def _primitive(node: Mapping[str, Any], path: str) -> Walk:
    kind = node["type"]
    if kind == "null":
        return lambda _data, at, _problems: at
    if kind == "boolean":
        return _boolean(path)
    if kind in ("int", "long"):
        return _number(path, _INT_BITS if kind == "int" else _LONG_BITS)
    if kind in ("float", "double"):
        return _fixed(4 if kind == "float" else 8, path)
    if kind == "bytes":
        return _decimal(_bytes(path), node, path)
    if kind == "string":
        return _text(path, logical(node) or "")
    raise InvalidSchema(f"the type {kind} is not defined")
