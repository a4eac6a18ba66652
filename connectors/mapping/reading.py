"""How a value is found in a record: by column, way, digest, expression, or as a constant."""

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from connectors.mapping.computed import Computed, plain
from connectors.mapping.conversion import text
from connectors.mapping.declared import Origin
from connectors.mapping.problems import Unconvertible

_DIGEST_DIGITS: Final = 32


class Row:
    """A record and, once an expression asks for it, the same as CEL takes it."""

    __slots__ = ("_plain", "record")

    def __init__(self, record: Mapping[str, Any]) -> None:
        self.record = record
        self._plain: dict[str, Any] | None = None

    @property
    def plain(self) -> dict[str, Any]:
        """The record, for expressions."""
        if self._plain is None:
            self._plain = plain(self.record)
        return self._plain


Read = Callable[[Row], Any]


def reader(origin: Origin, empty: frozenset[str]) -> Read:
    """What finds the value of an origin; null where it is empty and has no default. It may raise Unconvertible.

    Args:
        origin: where to look.
        empty: texts that mean that nothing is there.
    """
    if "value" in origin.model_fields_set:
        return lambda _row: origin.value
    if origin.digest is not None:
        columns = tuple(origin.digest)
        return lambda row: _digest(row.record, columns)
    find = _finder(origin, empty)

    def read(row: Row) -> Any:
        value = find(row)
        if is_empty(value, empty):
            return origin.default
        return _translated(value, origin.translate) if origin.translate else value

    return read


def is_empty(value: Any, empty: frozenset[str]) -> bool:
    """Whether a value is null or a text that means nothing."""
    return value is None or (isinstance(value, str) and value.strip() in empty)


def _finder(origin: Origin, empty: frozenset[str]) -> Read:
    if origin.cel is not None:
        computed = Computed(origin.cel)
        return lambda row: computed(row.plain)
    columns = origin.columns
    if len(columns) == 1:
        (column,) = columns
        return lambda row: _at(row.record, column)
    return lambda row: _joined(row.record, columns, empty)


def _at(record: Any, column: str) -> Any:
    """The value of a column, or at the end of a way through records and lists; null where the way ends early."""
    if column in record:
        return record[column]
    value = record
    for step in column.split("."):
        if isinstance(value, Mapping):
            value = value.get(step)
        elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value


def _joined(record: Mapping[str, Any], columns: tuple[str, ...], empty: frozenset[str]) -> str | None:
    parts = [value for column in columns if not is_empty(value := _at(record, column), empty)]
    if parts and len(parts) < len(columns):
        raise Unconvertible("required", f"needs all of {', '.join(columns)}")
    return " ".join(text(part).strip() for part in parts) or None


def _digest(record: Mapping[str, Any], columns: tuple[str, ...]) -> str:
    """The beginning of the SHA-256 of the columns' values as a JSON list: no two lists are written alike."""
    values = [plain(_at(record, column)) for column in columns]
    written = json.dumps(values, ensure_ascii=False, separators=(",", ":"), sort_keys=True, default=bytes.hex)
    return hashlib.sha256(written.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST_DIGITS]


def _translated(value: Any, codes: Mapping[str, Any]) -> Any:
    code = text(value).strip()
    if code not in codes:
        raise Unconvertible("translate", f"must be one of the codes {', '.join(codes)}")
    return codes[code]
