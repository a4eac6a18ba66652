"""An example payload for a schema, for people to begin with: every field, with a value of its type. Pure."""

import base64
from typing import Any, Final

from schemas.avro_tree import Names

_PLAIN: Final[dict[str, Any]] = {
    "null": None,
    "boolean": True,
    "int": 1,
    "long": 1,
    "float": 1.0,
    "double": 1.0,
    "string": "text",
    "bytes": "",
    "date": "2026-01-31",
    "time-millis": "08:00:00.000",
    "time-micros": "08:00:00.000000",
    "timestamp-millis": "2026-01-31T01:00:00.000Z",
    "timestamp-micros": "2026-01-31T01:00:00.000000Z",
    "timestamp-nanos": "2026-01-31T01:00:00.000000000Z",
    "local-timestamp-millis": "2026-01-31T08:00:00.000",
    "local-timestamp-micros": "2026-01-31T08:00:00.000000",
    "local-timestamp-nanos": "2026-01-31T08:00:00.000000000",
    "uuid": "5f0c7a52-0d3e-4f0a-9b7e-2f6f1d1f8a11",
    "decimal": "1",
    "nik": "3273016501900001",
    "npwp": "3273016501900001",
    "nitku": "3273016501900001000000",
    "nib": "1234567890123",
    "nisn": "0012345678",
    "nip": "199001012015031001",
    "region-code": "32.73",
}
_DEEPEST: Final = 12


def example_of(schema: Any) -> Any:
    """A value in natural JSON that has the schema's shape; rules over its contents may still find fault with it."""
    names = Names(schema)
    return _example(names, names.resolve(schema), "", 0)


def _example(names: Names, node: Any, namespace: str, depth: int) -> Any:
    node = names.resolve(node, namespace)
    if isinstance(node, list):
        branches = [one for one in node if one != "null"]
        return _example(names, branches[0], namespace, depth) if branches and depth < _DEEPEST else None
    kind = node["type"]
    if kind in ("record", "error"):
        inner = names.namespace_of(node, namespace)
        return {one["name"]: _example(names, one["type"], inner, depth + 1) for one in node["fields"]}
    if kind == "array":
        return [_example(names, node["items"], namespace, depth + 1)] if depth < _DEEPEST else []
    if kind == "map":
        return {"key": _example(names, node["values"], namespace, depth + 1)} if depth < _DEEPEST else {}
    if kind == "enum":
        return node["symbols"][0]
    if kind == "fixed":
        return base64.b64encode(bytes(node["size"])).decode()
    return _PLAIN.get(node.get("logicalType", ""), _PLAIN[kind])
