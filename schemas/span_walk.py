"""The walk over one Avro binary: Python code, generated for a writer's schema, that checks everything and keeps little.

It takes what the codec takes (``schemas.wire``), with one exception on the safe side: what could be written in another
way (blocks of arrays, decimals, UUIDs in capitals, floating-point numbers that are none) it declines, since spans would
pass the other way on. Whatever it declines, the codec judges.
"""

from collections.abc import Callable
from typing import Any, Final

from schemas.span_places import Mark, Place
from schemas.wire.decoder import Fault, reading_of
from schemas.wire.identifiers import CHECKS
from schemas.wire.logical_types import Unsound, reader_of
from schemas.wire.scalars import EPOCH_DAY, FIRST_MOMENT, LAST_MOMENT
from schemas.wire.types import Array, Enum, Map, Record, Scalar, Union, is_null, least_bytes
from schemas.wire.varint import BadNumber, read_varint

Found = tuple[Any, ...]
Walk = Callable[[bytes, int, int], Found]  # bytes, where the value begins, where it must end


class Declined(Exception):
    """The walk leaves this binary to the codec: it is malformed, or written in an unusual way."""


DECLINES: Final = (Declined, Fault, Unsound, BadNumber, IndexError, UnicodeDecodeError)
_LAST_DAY: Final = 3_652_059 - EPOCH_DAY  # 9999-12-31
_DAY_US: Final = 86_400_000_000
# Numbers of up to so many bytes are in range, whatever they are.
_ALWAYS_IN_RANGE: Final = {"int": 4, "long": 9, "date": 2, "millis": 6, "micros": 8}


def walk_of(root: Place) -> Walk:
    """The walk over what ``root`` stands for; places and marks that are needed have been said so before.

    It returns the root frame's slots, and raises one of ``DECLINES``.
    """
    return _Code(root).walk


class _Code:
    """The generated source: d is the bytes, p the position, n the end, z a number not yet zigzag-decoded."""

    def __init__(self, root: Place) -> None:
        self._env: dict[str, Any] = {"varint": read_varint, "DECLINED": Declined}
        self._lines: list[str] = ["def walk(d, p, n):"]
        self._texts: list[tuple[str, str]] = []  # texts whose UTF-8 is not checked yet: variables of start and end
        self._count = 0
        self._mark(root.before, 1)
        self._place(root, 1)
        self._check_texts(1)
        self._add(1, "if p != n: raise DECLINED", f"return {_tuple(root.frame.slots)}")
        exec(compile("\n".join(self._lines), "<field spans>", "exec"), self._env)  # noqa: S102  of names made here only
        self.walk: Walk = self._env["walk"]

    def _add(self, indent: int, *lines: str) -> None:
        self._lines += ["    " * indent + line for line in lines]

    def _bind(self, stem: str, value: Any) -> str:
        self._count += 1
        name = f"{stem}{self._count}"
        self._env[name] = value
        return name

    def _mark(self, mark: Mark, indent: int) -> None:
        if mark.needed:
            self._add(indent, f"{mark.name} = p")

    def _number(self, indent: int, bits: int = 64) -> None:
        self._add(indent, "z = d[p]; p += 1", f"if z > 127: z, p = varint(d, p - 1, {bits})")

    def _place(self, place: Place, indent: int) -> None:
        """Code that walks a place whose ``before`` is marked, and marks its ``after``."""
        of = place.type
        composite = place.opaque or not isinstance(of, Scalar | Enum)
        if composite and (place.opaque or place.value_needed) and not self._nullable_scalar(place):
            read = self._bind("read", reading_of(of, strict=True))
            end = "p" if place.opaque else "_"
            self._add(indent, f"{place.value_name}, {end} = {read}(d, p, n, 0)")
            if place.opaque:
                self._mark(place.after, indent)
                return
        if isinstance(of, Record):
            for below in place.below:
                self._place(below, indent)
        elif isinstance(of, Union):
            self._union(place, indent)
        elif isinstance(of, Array | Map):
            self._items(place, of, indent)
        else:
            self._leaf(place, of, indent)

    @staticmethod
    def _nullable_scalar(place: Place) -> bool:
        """Whether the value of a union is that of its one branch that is not null, and a scalar."""
        if not isinstance(place.type, Union) or (other := place.type.nullable()) is None:
            return False
        return isinstance(other[1], Scalar | Enum)

    def _union(self, place: Place, indent: int) -> None:
        self._check_texts(indent)
        self._number(indent)
        shared = place.value_needed and self._nullable_scalar(place)
        for index, branch in enumerate(place.below):
            self._add(indent, f"{'el' if index else ''}if z == {2 * index}:")
            self._mark(branch.before, indent + 1)
            if shared and not is_null(branch.type):
                branch.value_needed = True
            self._place(branch, indent + 1)
            self._check_texts(indent + 1)
            if shared:
                value = "None" if is_null(branch.type) else branch.value_name
                self._add(indent + 1, f"{place.value_name} = {value}")
            for other in place.below:
                if other is not branch:
                    self._absent(other, indent + 1)
            self._add(indent + 1, "pass")
        self._add(indent, "else: raise DECLINED")
        self._mark(place.after, indent)

    def _absent(self, place: Place, indent: int) -> None:
        """Code for a branch that is not there: positions are empty spans, values are None."""
        slots = set(place.frame.slots)
        for below in place.inside():
            if below.frame is not place.frame:
                continue
            for mark in (below.before, below.after):
                if mark.needed:
                    self._add(indent, f"{mark.name} = p")
            for name in (below.value_name, below.items_name, below.text_name):
                if name in slots:
                    self._add(indent, f"{name} = None")

    def _items(self, place: Place, of: Array | Map, indent: int) -> None:
        self._check_texts(indent)
        frame = place.item_frame
        assert frame is not None, "it is not opaque"
        kept = bool(frame.slots)
        count = f"c{place.number}"
        keys = f"k{place.number}"
        least = least_bytes(of.items) if isinstance(of, Array) else least_bytes(of.values) + 1
        self._number(indent)
        if kept:
            self._add(indent, f"{place.items_name} = []")
        self._add(indent, "if z:", f"    {count} = z >> 1")
        self._add(indent + 1, f"if z & 1 or {count} * {least} > n - p: raise DECLINED")
        if isinstance(of, Map):
            self._add(indent + 1, f"{keys} = set()")
        self._add(indent + 1, f"for _ in range({count}):")
        self._mark(place.below[0].before, indent + 2)
        for below in place.below:
            if isinstance(of, Map) and below is place.below[0]:
                below.value_needed = True
            self._place(below, indent + 2)
            if isinstance(of, Map) and below is place.below[0]:
                self._add(indent + 2, f"{keys}.add({below.value_name})")
        self._check_texts(indent + 2)
        if kept:
            self._add(indent + 2, f"{place.items_name}.append({_tuple(frame.slots)})")
        self._add(indent + 2, "pass")
        self._add(indent + 1, "if d[p]: raise DECLINED", "p += 1")
        if isinstance(of, Map):
            self._add(indent + 1, f"if len({keys}) != {count}: raise DECLINED")
        self._mark(place.after, indent)

    def _leaf(self, place: Place, of: Scalar | Enum, indent: int) -> None:
        value = place.value_name if place.value_needed else None
        if isinstance(of, Enum):
            self._number(indent)
            self._add(indent, f"if z & 1 or z >= {2 * len(of.symbols)}: raise DECLINED")
            if value:
                self._add(indent, f"{value} = {self._bind('symbols', of.symbols)}[z >> 1]")
        elif of.kind in ("int", "long"):
            self._whole(of, value, indent)
        elif of.kind in ("string", "bytes"):
            self._sized(place, of, value, indent)
        elif of.kind == "null":
            if value:
                self._add(indent, f"{value} = None")
            return  # before and after are one mark
        elif of.kind == "boolean":
            self._add(indent, "z = d[p]; p += 1", "if z > 1: raise DECLINED")
            if value:
                self._add(indent, f"{value} = z == 1")
        else:
            self._fixed(of, value, indent)
        self._mark(place.after, indent)

    def _whole(self, of: Scalar, value: str | None, indent: int) -> None:
        self._check_texts(indent)
        bits = 32 if of.kind == "int" else 64
        if value is not None:
            self._number(indent, bits)
            self._add(indent, f"{value} = (z >> 1) ^ -(z & 1)")
            if of.logical is not None:
                self._add(indent, f"{value} = {self._bind('as_', reader_of(of))}({value})")
            return
        first, last = _range_of(of)
        if first == 0:  # times of day: small numbers can be out of range too
            self._number(indent, bits)
            self._add(indent, f"if not 0 <= (z >> 1) ^ -(z & 1) <= {last}: raise DECLINED")
            return
        unit = of.logical.rpartition("-")[2] if of.logical else of.kind
        self._add(indent, "z = d[p]; p += 1", "if z > 127:", "    b = p")
        self._add(indent + 1, "while d[p] > 127: p += 1", "p += 1", "if d[p - 1] == 0: raise DECLINED")
        self._add(indent + 1, f"if p - b >= {_ALWAYS_IN_RANGE[unit]}:", f"    z, p = varint(d, b - 1, {bits})")
        if of.logical is not None:
            self._add(indent + 2, f"if not {first} <= (z >> 1) ^ -(z & 1) <= {last}: raise DECLINED")

    def _sized(self, place: Place, of: Scalar, value: str | None, indent: int) -> None:
        if of.kind == "bytes":
            self._check_texts(indent)
        self._number(indent)
        if place.text_name in place.frame.slots:
            self._add(indent, f"{place.text_name} = p")
        if of.kind == "string" and value is None and of.logical is None:
            self._count += 1
            start, end = f"s{self._count}", f"e{self._count}"
            self._add(indent, f"{start} = p", f"p = {end} = p + (z >> 1)", f"{'o |= z' if self._texts else 'o = z'}")
            self._texts.append((start, end))
            return
        held = value or "x"
        self._add(indent, "e = p + (z >> 1)", "if z & 1 or e > n: raise DECLINED")
        self._add(indent, f"{held} = d[p:e]{'.decode()' if of.kind == 'string' else ''}; p = e")
        if of.logical is not None and of.logical in CHECKS:
            self._add(indent, f"if {self._bind('check', CHECKS[of.logical])}({held}) is not None: raise DECLINED")
        elif of.logical == "decimal":
            self._decimal(of, value, held, indent)
        elif of.logical == "uuid":
            self._add(indent, f"if {held} != {held}.lower(): raise DECLINED")
            self._add(indent, f"{held} = {self._bind('as_', reader_of(of))}({held})")

    def _decimal(self, of: Scalar, value: str | None, held: str, indent: int) -> None:
        if of.kind == "bytes":  # in as few bytes as it needs
            self._add(
                indent,
                f"if len({held}) > 1 and ({held}[0] == 0 and {held}[1] < 128 or {held}[0] == 255 and {held}[1] > 127):",
                "    raise DECLINED",
            )
        read = self._bind("as_", reader_of(of))
        if value is not None:
            self._add(indent, f"{held} = {read}({held})")
        else:
            # so many bytes never have too many digits
            safe = (10**of.precision).bit_length() // 8
            self._add(indent, f"if not 0 < len({held}) <= {safe}: {read}({held})")

    def _fixed(self, of: Scalar, value: str | None, indent: int) -> None:
        self._check_texts(indent)
        size = {"float": 4, "double": 8}.get(of.kind, of.size)
        self._add(indent, f"e = p + {size}", "if e > n: raise DECLINED")
        if of.kind == "float":  # one that is no number loses bits on its way through Python's wider ones
            self._add(indent, "if d[p + 3] & 127 == 127 and d[p + 2] & 128 and (d[p + 2] & 127 or d[p + 1] or d[p]):")
            self._add(indent + 1, "raise DECLINED")
        if value is not None or of.logical == "decimal":
            held = value or "x"
            read = reading_of(of, strict=True)
            self._add(indent, f"{held}, p = {self._bind('read', read)}(d, p, n, 0)")
        else:
            self._add(indent, "p = e")

    def _check_texts(self, indent: int) -> None:
        """Check lengths (``o``) and UTF-8 of the texts since the last check; ASCII alone costs one look for all."""
        if not self._texts:
            return
        texts, self._texts = self._texts, []
        first, last = texts[0][0], texts[-1][1]
        decoding = "; ".join(f"d[{start}:{end}].decode()" for start, end in texts)
        self._add(indent, "if o & 1 or p > n: raise DECLINED", f"if not d[{first}:{last}].isascii(): {decoding}")


def _range_of(of: Scalar) -> tuple[int, int]:
    if of.logical is None:
        return -1, 1  # of a number as such
    if of.logical == "date":
        return 1 - EPOCH_DAY, _LAST_DAY
    unit = 1000 if str(of.logical).endswith("millis") else 1
    if str(of.logical).startswith("time-"):
        return 0, _DAY_US // unit - 1
    micros = [int(moment.total_seconds()) * 1_000_000 + moment.microseconds for moment in (FIRST_MOMENT, LAST_MOMENT)]
    return -(-micros[0] // unit), micros[1] // unit


def _tuple(names: list[str]) -> str:
    return f"({', '.join(names)}{',' if names else ''})"
