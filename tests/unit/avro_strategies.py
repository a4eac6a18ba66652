"""Hypothesis strategies: Avro schemas, each with the values that it takes."""

import datetime as dt
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from schemas.wire.identifiers import make_nik, make_npwp


@dataclass(frozen=True)
class Typed:
    """A schema as parsed JSON, and its values."""

    schema: Any
    values: SearchStrategy[Any]
    kind: str  # of which a union may hold one


_MOMENTS = st.datetimes(dt.datetime(1, 1, 2), dt.datetime(9999, 12, 30), timezones=st.just(dt.UTC))  # noqa: DTZ001
_TIMES = st.times()


def _millis(value: Any) -> Any:
    return value.replace(microsecond=value.microsecond // 1000 * 1000)


def _decimals(precision: int, scale: int) -> SearchStrategy[Decimal]:
    limit = 10**precision - 1
    return st.integers(-limit, limit).map(lambda unscaled: Decimal(f"{unscaled}E-{scale}"))


def _logical(base: str, logical: str, values: SearchStrategy[Any], **more: Any) -> Typed:
    return Typed({"type": base, "logicalType": logical} | more, values, base)


PLAIN = [
    Typed("null", st.none(), "null"),
    Typed("boolean", st.booleans(), "boolean"),
    Typed("int", st.integers(-(2**31), 2**31 - 1), "int"),
    Typed("long", st.integers(-(2**63), 2**63 - 1), "long"),
    Typed("float", st.floats(allow_nan=False, width=32), "float"),
    Typed("double", st.floats(allow_nan=False), "double"),
    Typed("bytes", st.binary(), "bytes"),
    Typed("string", st.text(), "string"),
]
LOGICAL = [
    _logical("int", "date", st.dates()),
    _logical("int", "time-millis", _TIMES.map(_millis)),
    _logical("long", "time-micros", _TIMES),
    _logical("long", "timestamp-millis", _MOMENTS.map(_millis)),
    _logical("long", "timestamp-micros", _MOMENTS),
    _logical("long", "local-timestamp-micros", st.datetimes()),
    _logical("string", "uuid", st.uuids()),
    _logical("bytes", "decimal", _decimals(9, 2), precision=9, scale=2),
    _logical("bytes", "decimal", _decimals(40, 0), precision=40),
    _logical("string", "nik", st.builds(make_nik, st.just("327301"), st.dates(), st.booleans(), st.integers(1, 9999))),
    _logical("string", "npwp", st.integers(0, 10**14 - 1).map(lambda number: make_npwp(f"{number:014}"))),
    _logical("string", "region-code", st.sampled_from(["32", "32.73", "32.73.01", "32.73.01.1001"])),
    _logical("string", "somebody-elses", st.text()),
]


def _enum(name: str) -> Typed:
    symbols = ["red", "green", "blue"]
    return Typed({"type": "enum", "name": name, "symbols": symbols}, st.sampled_from(symbols), name)


def _fixed(name: str) -> Typed:
    return Typed({"type": "fixed", "name": name, "size": 3}, st.binary(min_size=3, max_size=3), name)


def _fixed_decimal(name: str) -> Typed:
    schema = {"type": "fixed", "name": name, "size": 4, "logicalType": "decimal", "precision": 9, "scale": 3}
    return Typed(schema, _decimals(9, 3), name)


NAMED: list[Callable[[str], Typed]] = [_enum, _fixed, _fixed_decimal]


@st.composite
def typed_schemas(draw: st.DrawFn, *, ambiguous_unions: bool = True) -> Typed:
    """A schema of any shape. Ambiguous unions have branches that look alike in Python or JSON."""
    names = (f"T{number}" for number in itertools.count())

    def any_type(depth: int) -> Typed:
        shape = draw(st.integers(0, 9 if depth else 5))
        if shape <= 2:
            return draw(st.sampled_from(PLAIN))
        if shape <= 4:
            return draw(st.sampled_from(LOGICAL))
        if shape == 5:
            return draw(st.sampled_from(NAMED))(next(names))
        return draw(st.sampled_from([array, mapping, record, union]))(depth - 1)

    def array(depth: int) -> Typed:
        items = any_type(depth)
        while items.schema == "null":
            items = any_type(depth)
        return Typed({"type": "array", "items": items.schema}, st.lists(items.values, max_size=3), "array")

    def mapping(depth: int) -> Typed:
        of = any_type(depth)
        values = st.dictionaries(st.text(max_size=5), of.values, max_size=3)
        return Typed({"type": "map", "values": of.schema}, values, "map")

    def record(depth: int) -> Typed:
        # The first field takes a byte and tells records apart, so that arrays and unions may hold them.
        name = next(names)
        fields = {f"{name}_id": PLAIN[2]} | {f"f{index}": any_type(depth) for index in range(draw(st.integers(0, 2)))}
        schema = {
            "type": "record",
            "name": name,
            "fields": [{"name": own, "type": of.schema} for own, of in fields.items()],
        }
        return Typed(schema, st.fixed_dictionaries({own: of.values for own, of in fields.items()}), name)

    def union(depth: int) -> Typed:
        null = PLAIN[0]
        branches = [null]
        for _ in range(draw(st.integers(1, 2 if ambiguous_unions else 1))):
            branch = any_type(depth)
            if branch.kind not in {"union", *(other.kind for other in branches)}:
                branches.append(branch)
        branches = draw(st.permutations(branches))
        values = st.one_of([branch.values for branch in branches])
        return Typed([branch.schema for branch in branches], values, "union")

    return any_type(2)
