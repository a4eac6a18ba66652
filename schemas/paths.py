"""Field paths (``child.nik``, ``children[].name``) followed through Avro schemas."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from schemas.avro_tree import Names, nullable


@dataclasses.dataclass(frozen=True, slots=True)
class Field:
    """One field of a schema, as a path reaches it."""

    path: str
    type: Any  # resolved; not nullable itself
    nullable: bool  # it or a record above it may be null
    in_collection: bool  # below an array or a map
    doc: str


def fields(schema: Any) -> Iterator[Field]:
    """Every field of a record schema with its path, records before what is in them."""
    names = Names(schema)
    yield from _walk(names, names.resolve(schema), "", "", may_be_null=False, in_collection=False, open_types=())


def find(schema: Any, path: str) -> Field | None:
    """The field at a path, or None."""
    return next((field for field in fields(schema) if field.path == path), None)


def leaves(schema: Any) -> list[Field]:
    """The fields of a schema without fields below them: those that a release decides over."""
    every = list(fields(schema))
    return [field for field in every if not any(o is not field and covers(field.path, o.path) for o in every)]


def covers(ancestor: str, path: str) -> bool:
    """Whether ``path`` is ``ancestor`` or lies below it."""
    return path == ancestor or path.startswith((f"{ancestor}.", f"{ancestor}[]", f"{ancestor}{{}}"))


def _walk(
    names: Names,
    record: Any,
    prefix: str,
    namespace: str,
    *,
    may_be_null: bool,
    in_collection: bool,
    open_types: tuple[int, ...],
) -> Iterator[Field]:
    if id(record) in open_types:
        return
    inner = names.namespace_of(record, namespace)
    for field in record["fields"]:
        path = f"{prefix}.{field['name']}" if prefix else field["name"]
        yield from _one(
            names,
            field["type"],
            path,
            inner,
            field.get("doc", ""),
            may_be_null=may_be_null,
            in_collection=in_collection,
            open_types=(*open_types, id(record)),
        )


def _one(
    names: Names,
    node: Any,
    path: str,
    namespace: str,
    doc: str,
    *,
    may_be_null: bool,
    in_collection: bool,
    open_types: tuple[int, ...],
) -> Iterator[Field]:
    other, null_here = nullable(names.resolve(node, namespace))
    resolved = names.resolve(other, namespace)
    null = may_be_null or null_here
    yield Field(path, resolved, null, in_collection, doc)
    if isinstance(resolved, list):
        return
    if resolved["type"] in ("record", "error"):
        yield from _walk(
            names,
            resolved,
            path,
            namespace,
            may_be_null=null,
            in_collection=in_collection,
            open_types=open_types,
        )
    elif resolved["type"] in ("array", "map"):
        mark, items = ("[]", "items") if resolved["type"] == "array" else ("{}", "values")
        yield from _one(
            names,
            resolved[items],
            path + mark,
            namespace,
            "",
            may_be_null=null,
            in_collection=True,
            open_types=open_types,
        )


def type_text(resolved: Any) -> str:
    """A resolved type as people read it: ``string (nik)``, ``list of record``."""
    if isinstance(resolved, list):
        return " or ".join(branch if isinstance(branch, str) else type_text(branch) for branch in resolved)
    kind: str = resolved["type"]
    if kind == "array":
        return "list"
    if kind == "map":
        return "map"
    meaning = resolved.get("logicalType")
    if kind == "enum":
        return "enum " + "|".join(resolved["symbols"])
    return f"{kind} ({meaning})" if meaning else kind


def declaration(schema: Any, path: str) -> tuple[str | int, ...]:
    """Where in the JSON of a schema the field at a path is declared, as keys and indexes; or the nearest around it."""
    places: dict[int, tuple[str | int, ...]] = {}
    _note(schema, (), places)
    names = Names(schema)
    found: tuple[str | int, ...] = ()
    node, namespace = names.resolve(schema), ""
    for step in path.split("."):
        if not isinstance(node, Mapping) or "fields" not in node:
            break
        namespace = names.namespace_of(node, namespace)
        name = step.rstrip("[]{}")
        field = next((field for field in node["fields"] if field["name"] == name), None)
        if field is None:
            break
        found = places[id(field)]
        node = _not_null(names, field["type"], namespace)
        for _ in range((len(step) - len(name)) // 2):
            inside = node.get("items", node.get("values")) if isinstance(node, Mapping) else None
            node = None if inside is None else _not_null(names, inside, namespace)
    return found


def _note(node: Any, place: tuple[str | int, ...], places: dict[int, tuple[str | int, ...]]) -> None:
    inside = node.items() if isinstance(node, Mapping) else enumerate(node) if isinstance(node, list) else None
    if inside is not None:
        places[id(node)] = place
        for key, child in inside:
            _note(child, (*place, key), places)


def _not_null(names: Names, node: Any, namespace: str) -> Any:
    return names.resolve(nullable(names.resolve(node, namespace))[0], namespace)
