"""Avro binary to values, strictly: Python code is generated for each schema and walks the bytes once.

Every bound is checked before anything is made, so hostile bytes cost time and memory in proportion to their number:
fastavro ignores trailing bytes, takes negative lengths and numbers out of range, and makes 30 million items of five
bytes. Values are as fastavro has them.

There are two forms of the code. The strict one stops at the first value that its logical type forbids (``Unsound``);
the lenient one puts an ``Unreadable`` in its place and goes on, so that all can be reported.
"""

import struct
from collections.abc import Callable
from typing import Any, Final

from .errors import Problem
from .identifiers import CHECKS
from .logical_types import Unsound, reader_of
from .scalars import Unreadable
from .types import DEEPEST, Array, Enum, Map, Record, Scalar, Type, Union, least_bytes
from .varint import BadNumber, read_varint

_DEEPEST_CODE: Final = 8  # levels of blocks before the next type gets a function of its own


class Fault(Exception):
    """Bytes that are not of the schema's shape."""

    def __init__(self, rule: str, message: str, path: str = "") -> None:
        self.problem = Problem(path, rule, message)
        super().__init__(message)


def decoder_of(of: Type, *, strict: bool) -> Callable[[bytes], Any]:
    """The function that makes a value of Avro binary.

    It raises ``Fault`` where the bytes are not of the schema's shape, and, if ``strict``, ``Unsound`` where a logical
    type forbids a value.
    """
    read = reading_of(of, strict=strict)

    def decode(body: bytes) -> Any:
        size = len(body)
        value, end = read(body, 0, size, 0)
        if end != size:
            raise Fault("trailing-bytes", f"{size - end} bytes follow the value")
        return value

    return decode


def reading_of(of: Type, *, strict: bool) -> Callable[[bytes, int, int, int], tuple[Any, int]]:
    """The function that reads a value somewhere in bytes: (bytes, position, end, 0) to (value, position behind it)."""
    code = _Code(strict=strict)
    root = code.function_of(of)
    exec(compile(code.text(), "<avro decoder>", "exec"), code.env)  # noqa: S102  of names checked in types.py only
    read: Callable[[bytes, int, int, int], tuple[Any, int]] = code.env[root]
    return read


class _Code:
    """The generated source. In it d is the bytes, p the position, n the end, w the place in the schema, z a number."""

    def __init__(self, *, strict: bool) -> None:
        self.env: dict[str, Any] = {
            "Fault": Fault,
            "Unsound": Unsound,
            "FAULTS": (Fault, BadNumber, IndexError, UnicodeDecodeError),
            "located": _located,
            "varint": read_varint,
            "float_at": struct.Struct("<f").unpack_from,
            "double_at": struct.Struct("<d").unpack_from,
        }
        self._strict = strict
        self._lines: list[str] = []
        self._functions: dict[int, str] = {}
        self._waiting: list[tuple[str, Type]] = []
        self._count = 0

    def text(self) -> str:
        """The source of every function asked for, and of those that they need."""
        while self._waiting:
            name, of = self._waiting.pop()
            self._add(0, f"def {name}(d, p, n, depth):", "    w = ''", "    try:")
            if isinstance(of, Record) and of.recursive:
                self._add(2, f"if depth >= {DEEPEST}:")
                self._add(3, f"raise Fault('depth', 'is nested more than {DEEPEST} levels deep')")
                self._add(2, "depth += 1")
            self._value(of, "v", "", 2, inside=of)
            self._add(2, "return v, p")
            self._add(1, "except FAULTS as fault:", "    raise located(w, fault) from None")
        return "\n".join(self._lines)

    def function_of(self, of: Type) -> str:
        """The name of the function that reads a type."""
        if id(of) not in self._functions:
            self._functions[id(of)] = name = self._new("read")
            self._waiting.append((name, of))
        return self._functions[id(of)]

    def _new(self, stem: str) -> str:
        self._count += 1
        return f"{stem}{self._count}"

    def _bind(self, stem: str, value: Any) -> str:
        name = self._new(stem)
        self.env[name] = value
        return name

    def _add(self, indent: int, *lines: str) -> None:
        self._lines += ["    " * indent + line for line in lines]

    def _value(self, of: Type, into: str, path: str, indent: int, inside: Type | None = None) -> None:
        """Code that reads one value into the variable ``into``; ``inside`` is the type whose function we are in."""
        apart = isinstance(of, Record) and (of.recursive or of.uses > 1)
        if of is not inside and (apart or indent > 2 + _DEEPEST_CODE):
            self._add(indent, f"w = {path!r}", f"{into}, p = {self.function_of(of)}(d, p, n, depth)")
        elif isinstance(of, Record):
            parts = []
            for field in of.fields:
                part = self._new("v")
                self._value(field.type, part, f"{path}.{field.name}" if path else field.name, indent)
                parts.append(f"{field.name!r}: {part}")
            self._add(indent, f"{into} = {{{', '.join(parts)}}}")
        elif isinstance(of, Union):
            self._union(of, into, path, indent)
        elif isinstance(of, Array | Map):
            self._blocks(of, into, path, indent)
        elif isinstance(of, Enum):
            self._number(path, indent)
            symbols = self._bind("symbols", of.symbols)
            self._add(indent, f"if z & 1 or z >= {2 * len(of.symbols)}:")
            self._add(indent + 1, "raise Fault('enum', 'is no symbol of the enum')")
            self._add(indent, f"{into} = {symbols}[z >> 1]")
        else:
            self._scalar(of, into, path, indent)

    def _number(self, path: str, indent: int, bits: int = 64) -> None:
        self._add(indent, f"w = {path!r}", "z = d[p]; p += 1")
        self._add(indent, f"if z > 127: z, p = varint(d, p - 1, {bits})")

    def _span(self, path: str, indent: int) -> None:
        self._number(path, indent)
        self._add(indent, "e = p + (z >> 1)", "if z & 1 or e > n:")
        self._add(indent + 1, "raise Fault('length', 'has a length beyond the bytes')")

    def _union(self, of: Union, into: str, path: str, indent: int) -> None:
        self._number(path, indent)
        for index, branch in enumerate(of.branches):
            self._add(indent, f"{'el' if index else ''}if z == {2 * index}:")
            self._value(branch, into, path, indent + 1)
        self._add(indent, "else:", "    raise Fault('union', 'is no branch of the union')")

    def _blocks(self, of: Array | Map, into: str, path: str, indent: int) -> None:
        item, end, key = self._new("v"), self._new("end"), self._new("k")
        items = of.items if isinstance(of, Array) else of.values
        least = least_bytes(items) + isinstance(of, Map)
        self._add(indent, f"{into} = {'[]' if isinstance(of, Array) else '{}'}", "while True:")
        self._number(path, indent + 1)
        self._add(indent + 1, "if not z: break", f"{end} = -1", "c = z >> 1", "if z & 1:")
        self._add(indent + 2, "c += 1")
        self._span(path, indent + 2)
        self._add(indent + 2, f"{end} = e")
        self._add(indent + 1, f"if c * {least} > n - p:")
        self._add(indent + 2, "raise Fault('count', 'announces more items than bytes are left')")
        self._add(indent + 1, "for _ in range(c):")
        below = path + ("[]" if isinstance(of, Array) else "{}")
        if isinstance(of, Map):
            self._span(below, indent + 2)
            self._add(indent + 2, f"{key} = d[p:e].decode(); p = e", f"if {key} in {into}:")
            self._add(indent + 3, "raise Fault('duplicate-key', 'stands in the map twice')")
        self._value(items, item, below, indent + 2)
        self._add(indent + 2, f"{into}.append({item})" if isinstance(of, Array) else f"{into}[{key}] = {item}")
        self._add(indent + 1, f"if {end} >= 0 and p != {end}:", f"    w = {path!r}")
        self._add(indent + 2, "raise Fault('block-size', 'has a block whose size is not that of its items')")

    def _scalar(self, of: Scalar, into: str, path: str, indent: int) -> None:
        if of.kind == "null":
            self._add(indent, f"{into} = None")
        elif of.kind == "boolean":
            self._add(indent, f"w = {path!r}", "z = d[p]; p += 1", "if z > 1:")
            self._add(indent + 1, "raise Fault('boolean', 'is neither 0 nor 1')")
            self._add(indent, f"{into} = z == 1")
        elif of.kind in ("int", "long"):
            self._number(path, indent, 32 if of.kind == "int" else 64)
            self._add(indent, f"{into} = (z >> 1) ^ -(z & 1)")
        elif of.kind in ("float", "double", "fixed"):
            size = {"float": 4, "double": 8}.get(of.kind, of.size)
            self._add(indent, f"w = {path!r}", f"e = p + {size}", "if e > n:")
            self._add(indent + 1, "raise Fault('truncated', 'goes on beyond the bytes')")
            read = "d[p:e]" if of.kind == "fixed" else f"{of.kind}_at(d, p)[0]"
            self._add(indent, f"{into} = {read}; p = e")
        else:
            self._span(path, indent)
            self._add(indent, f"{into} = d[p:e]{'.decode()' if of.kind == 'string' else ''}; p = e")
        if of.logical is not None:
            self._logical(of, into, indent)

    def _logical(self, of: Scalar, into: str, indent: int) -> None:
        assert of.logical is not None, "the caller looked"
        if of.logical not in CHECKS:
            read = reader_of(of)
            self._add(indent, f"{into} = {self._bind('as_', read if self._strict else _lenient(read))}({into})")
        elif self._strict:  # else the encoder's check will find it
            self._add(indent, f"if {self._bind('check', CHECKS[of.logical])}({into}) is not None:")
            self._add(indent + 1, f"raise Unsound({of.logical!r}, '')")


def _located(where: str, fault: Exception) -> Fault:
    """The fault with its place: ``where`` in the function that caught it, and what is below."""
    if isinstance(fault, Fault):
        below = fault.problem.path
        joint = "." if where and below and below[0] not in "[{" else ""
        return Fault(fault.problem.rule, fault.problem.message, f"{where}{joint}{below}")
    if isinstance(fault, BadNumber):
        return Fault(fault.rule, str(fault), where)
    if isinstance(fault, UnicodeDecodeError):
        return Fault("utf-8", "is not UTF-8", where)
    return Fault("truncated", "goes on beyond the bytes", where)


def _lenient(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def lenient(raw: Any) -> Any:
        try:
            return read(raw)
        except Unsound as error:
            return Unreadable(error.problem)

    return lenient
