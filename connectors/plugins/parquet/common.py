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
    try:
        return pa.unify_schemas([pa.schema([one]), pa.schema([other])], promote_options="permissive").field(0)
    except (pa.ArrowTypeError, pa.ArrowInvalid):
        return pa.field(one.name, pa.string())  # a number that an agreement has masked since
