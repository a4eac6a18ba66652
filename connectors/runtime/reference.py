"""Settings of connectors, those below others included, and values, as a person reads them. Pure."""

import dataclasses
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from connectors.runtime.plugin import Plugin

Schema = Mapping[str, Any]

LONGEST_SHOWN: Final = 300  # characters of a value


@dataclasses.dataclass(frozen=True, slots=True)
class Setting:
    """One setting.

    Attributes:
        path: its name; below others with dots, ``[]`` for the items of a list, ``{}`` for the values of a map.
        type: text, integer, number, boolean, list, map, settings (of its own), or one of several.
        required: whether it must be given.
        default: what counts if it is not; None also where there is none.
        meaning: in words.
    """

    path: str
    type: str
    required: bool
    default: Any
    meaning: str


_TYPES = {"string": "text", "integer": "integer", "number": "number", "boolean": "boolean"}


def readable(value: Any, more: str = "") -> str:
    """A value of JSON; of long ones the beginning, with the size and with ``more``, which says where the rest is."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if len(text) <= LONGEST_SHOWN:
        return text
    size = f"{len(value)} in all" if isinstance(value, (list, dict)) else f"{len(text)} characters"
    return f"{text[:LONGEST_SHOWN]}... ({size}{more})"


def settings_of(plugin: Plugin) -> list[Setting]:
    """Every setting of a kind, in the order in which it declares them."""
    schema = plugin.config.model_json_schema()
    return list(_below(schema, schema, "", ()))


def _below(schema: Schema, inside: Schema, prefix: str, within: tuple[str, ...]) -> Iterator[Setting]:
    for name, field in inside.get("properties", {}).items():
        path = f"{prefix}{name}"
        default = field.get("default")
        required = name in inside.get("required", ())
        yield Setting(path, _type(schema, field), required, default, " ".join(field.get("description", "").split()))
        for reference, end, found in _inner(schema, field):
            if reference not in within:  # a setting that may hold itself is told once
                yield from _below(schema, found, f"{path}{end}.", (*within, reference))


def _inner(schema: Schema, field: Schema) -> Iterator[tuple[str, str, Schema]]:
    """What has settings of its own below a field: name, how the path goes on, its schema."""
    for one in _choices(field):
        if "$ref" in one:
            yield one["$ref"], "", _named(schema, one["$ref"])
        for key, end in (("items", "[]"), ("additionalProperties", "{}")):
            held = one.get(key)
            if isinstance(held, Mapping):
                yield from ((reference, end + more, found) for reference, more, found in _inner(schema, held))


def _type(schema: Schema, field: Schema) -> str:
    return " or ".join(dict.fromkeys(_plain(schema, one) for one in _choices(field)))


def _plain(schema: Schema, one: Schema) -> str:
    if "$ref" in one:
        found = _named(schema, one["$ref"])
        return "settings" if "properties" in found else _type(schema, found)
    if "enum" in one:
        return "one of " + ", ".join(map(str, one["enum"]))
    if "const" in one:
        return str(one["const"])
    if one.get("type") == "array":
        held = one.get("items")
        return f"list of {_type(schema, held)}" if held else "list"
    if one.get("type") == "object":
        held = one.get("additionalProperties")
        return f"map to {_type(schema, held)}" if isinstance(held, Mapping) and held else "map"
    return _TYPES.get(one.get("type", ""), "any")


def _choices(field: Schema) -> list[Schema]:
    """What a field may be, but null; choices within choices are told as one."""
    for key in ("anyOf", "oneOf", "allOf"):
        if key in field:
            return [one for part in field[key] for one in _choices(part) if one.get("type") != "null"]
    return [field]


def _named(schema: Schema, reference: str) -> Schema:
    found: Schema = schema["$defs"][reference.rpartition("/")[2]]
    return found
