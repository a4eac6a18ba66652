"""The schema that all files of an event type can be read with, as released schemas evolve.

It lies beside them as ``_common_metadata``, the name that Parquet's own tools give it.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

COMMON_METADATA: Final = "_common_metadata"
_DAY: Final = pa.field("day", pa.date32())  # the folder's name, which is a column to whoever reads the data set


def common_schema(path: Path) -> Any:
    """The schema that lies there; None if there is none."""
    return pq.read_schema(path) if path.exists() else None


def together(schemas: Sequence[Any]) -> Any:
    """One schema for the files of several: every column, in the widest of its types, texts where there is none."""
    found: dict[str, Any] = {_DAY.name: _DAY}
    for schema in schemas:
        for field in schema:
            known = found.get(field.name)
            found[field.name] = field if known is None else _wider(known, field)
    return pa.schema([*(field for name, field in found.items() if name != _DAY.name), found[_DAY.name]])


def _wider(one: Any, other: Any) -> Any:
    alike = pa.schema([other.with_name(one.name)])
    try:
        return pa.unify_schemas([pa.schema([one]), alike], promote_options="permissive").field(0)
    except (pa.ArrowTypeError, pa.ArrowInvalid):
        return pa.field(one.name, _both(one.type, other.type))


def _both(one: Any, other: Any) -> Any:
    """A type that values of two can be read as, which nothing else is wide enough for."""
    if pa.types.is_struct(one) and pa.types.is_struct(other):
        fields = {field.name: field for field in one}
        for field in other:
            fields[field.name] = _wider(fields[field.name], field) if field.name in fields else field
        return pa.struct([*fields.values()])
    if pa.types.is_list(one) and pa.types.is_list(other):
        return pa.list_(_wider(one.value_field, other.value_field))
    if pa.types.is_map(one) and pa.types.is_map(other):
        return pa.map_(pa.string(), _wider(one.item_field, other.item_field))
    return pa.string()  # a date or number that an agreement has generalised or masked since
