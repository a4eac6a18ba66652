"""The schema that all files of an event type can be read with, as released schemas evolve.

It lies beside them as ``_common_metadata``, the name that Parquet's own tools give it.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

COMMON_METADATA: Final = "_common_metadata"
_APART: Final = b"lintas.apart"  # names of columns that are nested in one file and a text in another
_DAY: Final = pa.field("day", pa.date32())  # the folder's name, which is a column to whoever reads the data set


def common_schema(path: Path) -> Any:
    """The schema that lies there; None if there is none."""
    return pq.read_schema(path) if path.exists() else None


def together(schemas: Sequence[Any]) -> Any:
    """One schema for the files of several: every column, in the widest of its types, texts where there is none.

    Left out for good is what no type can be read as: what was nested and is a text in a later file, or the other way.
    """
    found: dict[str, Any] = {_DAY.name: _DAY}
    apart = {name for schema in schemas for name in json.loads((schema.metadata or {}).get(_APART, b"[]"))}
    for schema in schemas:
        for field in schema:
            known = found.get(field.name)
            wider = field if known is None else _wider(known, field)
            if wider is None:
                apart.add(field.name)
            else:
                found[field.name] = wider
    fields = [field for name, field in found.items() if name not in {*apart, _DAY.name}]
    return pa.schema([*fields, found[_DAY.name]], {_APART: json.dumps(sorted(apart)).encode()})


def _wider(one: Any, other: Any) -> Any:
    """A field that values of two can be read as; None if there is none."""
    alike = pa.schema([other.with_name(one.name)])
    try:
        return pa.unify_schemas([pa.schema([one]), alike], promote_options="permissive").field(0)
    except (pa.ArrowTypeError, pa.ArrowInvalid):
        both = _both(one.type, other.type)
        return None if both is None else pa.field(one.name, both)


def _both(one: Any, other: Any) -> Any:
    """As `_wider`, of types that Arrow finds nothing wide enough for."""
    if pa.types.is_struct(one) and pa.types.is_struct(other):
        fields = {field.name: field for field in one}
        for field in other:
            fields[field.name] = _wider(fields[field.name], field) if field.name in fields else field
        return None if any(field is None for field in fields.values()) else pa.struct([*fields.values()])
    if pa.types.is_list(one) and pa.types.is_list(other):
        item = _wider(one.value_field, other.value_field)
        return None if item is None else pa.list_(item)
    if pa.types.is_map(one) and pa.types.is_map(other):
        item = _wider(one.item_field, other.item_field)
        return None if item is None else pa.map_(pa.string(), item)
    if pa.types.is_nested(one) or pa.types.is_nested(other):
        return None
    return pa.string()  # a date or number that an agreement has generalised or masked since
