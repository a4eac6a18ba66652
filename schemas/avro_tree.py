"""Avro schemas in their JSON form: named types looked up, nullable taken apart.

For whoever reads or derives schemas; whoever reads or writes bytes has compiled trees of its own (``schemas.wire``).
"""

from collections.abc import Mapping
from typing import Any, Final

from schemas.wire.errors import InvalidSchema

PRIMITIVES: Final = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})
NAMED: Final = frozenset({"record", "enum", "fixed", "error"})


class Names:
    """The named types of one schema, by full name.

    Raises:
        InvalidSchema: a name is used twice or a type is unknown.
    """

    def __init__(self, schema: Any) -> None:
        """Collect the named types of ``schema`` (parsed JSON)."""
        self._types: dict[str, Mapping[str, Any]] = {}
        self._namespaces: dict[int, str] = {}
        self._collect(schema, "")

    def _collect(self, node: Any, namespace: str) -> None:
        if isinstance(node, list):
            for branch in node:
                self._collect(branch, namespace)
        elif isinstance(node, Mapping):
            kind = node.get("type")
            if kind in NAMED:
                full = full_name(node, namespace)
                if full in self._types:
                    raise InvalidSchema(f"the name {full} is defined twice")
                self._types[full] = node
                inner = full.rpartition(".")[0]
                self._namespaces[id(node)] = inner
                for field in node.get("fields", ()):
                    self._namespaces[id(field)] = inner
                    self._collect(field["type"], inner)
            elif kind in ("array", "map"):
                self._collect(node["items" if kind == "array" else "values"], namespace)
            elif isinstance(kind, (list, Mapping)):
                self._collect(kind, namespace)

    def resolve(self, node: Any, namespace: str = "") -> Any:
        """The type that ``node`` stands for: a mapping with ``type``, or a list (a union)."""
        if isinstance(node, str):
            if node in PRIMITIVES:
                return {"type": node}
            for full in (f"{namespace}.{node}" if namespace and "." not in node else node, node):
                if full in self._types:
                    return self._types[full]
            raise InvalidSchema(f"the type {node} is not defined")
        if isinstance(node, Mapping) and isinstance(node.get("type"), (list, Mapping)):
            return self.resolve(node["type"], namespace)
        if isinstance(node, Mapping) and node.get("type") not in PRIMITIVES | NAMED | {"array", "map"}:
            return self.resolve(node.get("type"), namespace)
        return node

    def namespace_of(self, node: Mapping[str, Any], namespace: str) -> str:
        """The namespace in which the names inside ``node`` are looked up."""
        return self._namespaces.get(id(node), namespace)


def full_name(node: Mapping[str, Any], namespace: str) -> str:
    """The full name of a named type that stands in ``namespace``."""
    name: str = node["name"]
    if "." in name:
        return name
    own = node.get("namespace", namespace)
    return f"{own}.{name}" if own else name


def nullable(node: Any) -> tuple[Any, bool]:
    """A union of null and one other type taken apart: (the other type, True); anything else as it is, False."""
    if isinstance(node, list) and len(node) == 2 and "null" in node:  # noqa: PLR2004  null and one other
        return next(branch for branch in node if branch != "null"), True
    return node, False


def logical(node: Any) -> str | None:
    """The logical type of a resolved type."""
    return node.get("logicalType") if isinstance(node, Mapping) else None
