"""Values of rows as payloads: JSON read without loss, numbers and bytes as the schema has them."""

import decimal
import json
import math
from collections.abc import Mapping
from typing import Any, Final

from lintas_client.wire.types import DEEPEST, Array, Map, Record, Scalar, Type, Union, is_null

_LONGEST_WHOLE: Final = 400  # digits: Python refuses to read numbers of thousands
_HEXADECIMAL: Final = "\\x"  # how PostgreSQL writes bytes as text; no base64 begins so


def parsed(text: str) -> Any:
    """The value of a JSON text with its decimals exact; None if it is nested too deeply to be an event."""
    if text.count("{") + text.count("[") > DEEPEST and _depth(text) > DEEPEST:
        return None
    return json.loads(text, parse_float=decimal.Decimal, parse_int=_whole)


def _whole(text: str) -> int | decimal.Decimal:
    return int(text) if len(text) < _LONGEST_WHOLE else decimal.Decimal(text)


def _depth(text: str) -> int:
    deepest = depth = 0
    in_text = escaped = False
    for character in text:
        if in_text:
            in_text = escaped or character != '"'
            escaped = not escaped and character == "\\"
        elif character == '"':
            in_text = True
        elif character in "{[":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "}]":
            depth -= 1
    return deepest


def fitted(of: Type, value: Any) -> Any:
    """A payload whose numbers and bytes are what the schema asks for; whatever does not fit is left for its check.

    PostgreSQL has one kind of JSON number where Avro has whole numbers, floating point and decimals, and writes bytes
    in hexadecimal where natural JSON has base64.
    """
    if isinstance(of, Record) and isinstance(value, Mapping):
        types = {field.name: field.type for field in of.fields}
        return {name: fitted(types[name], item) if name in types else item for name, item in value.items()}
    if isinstance(of, Array) and isinstance(value, list):
        return [fitted(of.items, item) for item in value]
    if isinstance(of, Map) and isinstance(value, Mapping):
        return {name: fitted(of.values, item) for name, item in value.items()}
    if isinstance(of, Union):
        return _fitted_to_one(of, value)
    return _fitted_scalar(of, value) if isinstance(of, Scalar) else value


def _fitted_to_one(of: Union, value: Any) -> Any:
    """By the branch that is not null, if there is one only: of several, the check finds the one that is meant."""
    others = [branch for branch in of.branches if not is_null(branch)]
    if value is None or not others:
        return value
    if len(others) == 1:
        return fitted(others[0], value)
    real = next((one for one in others if isinstance(one, Scalar) and one.kind in ("float", "double")), None)
    return value if real is None else _fitted_scalar(real, value)


def _fitted_scalar(of: Scalar, value: Any) -> Any:
    if isinstance(value, decimal.Decimal) and of.logical is None:
        if of.kind in ("float", "double"):
            real = float(value)
            return real if math.isfinite(real) else value
        if of.kind in ("int", "long") and value.is_finite() and value == value.to_integral_value():
            return int(value)
    if isinstance(value, str) and of.kind in ("bytes", "fixed") and of.logical is None:
        return _bytes(value)
    return value


def _bytes(text: str) -> bytes | str:
    try:
        return bytes.fromhex(text.removeprefix(_HEXADECIMAL)) if text.startswith(_HEXADECIMAL) else text
    except ValueError:
        return text
