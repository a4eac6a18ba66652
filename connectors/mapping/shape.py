"""The fields of an event type that a mapping can give: those outside lists and maps."""

import dataclasses
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from lintas_client.wire.errors import Problem

from schemas.avro_tree import Names, nullable


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """One field: its Avro type, resolved; whether it may be null itself; whether the schema gives a default."""

    type: Any
    nullable: bool
    has_default: bool

    @property
    def is_record(self) -> bool:
        """Whether it has fields of its own."""
        return not isinstance(self.type, list) and self.type["type"] in ("record", "error")


def places(schema: Any) -> dict[str, Place]:
    """Every field of a record schema by its dotted path, records before what is in them."""
    names = Names(schema)
    return dict(_walk(names, names.resolve(schema), "", "", ()))


def missing(known: Mapping[str, Place], given: Collection[str]) -> Iterator[Problem]:
    """The fields that an event cannot do without, and that nothing of ``given`` gives.

    A record that may be absent is asked for nothing unless something of it is given.
    """
    for path, place in known.items():
        above = path.rpartition(".")[0]
        begun = not above or any(other.startswith(f"{above}.") for other in given)
        covered = any(path == other or path.startswith(f"{other}.") or other.startswith(f"{path}.") for other in given)
        if begun and not covered and not place.has_default:
            remedy = "; `{value: null}` says that it is unknown" if place.nullable else ""
            yield Problem(f"data.{path}", "required", f"is given by nothing, and the event type has no default{remedy}")


def _walk(
    names: Names, record: Any, prefix: str, namespace: str, within: tuple[int, ...]
) -> Iterator[tuple[str, Place]]:
    if id(record) in within:
        return
    inner = names.namespace_of(record, namespace)
    for field in record["fields"]:
        other, may_be_null = nullable(names.resolve(field["type"], inner))
        place = Place(names.resolve(other, inner), may_be_null, "default" in field)
        path = f"{prefix}{field['name']}"
        yield path, place
        if place.is_record:
            yield from _walk(names, place.type, f"{path}.", inner, (*within, id(record)))
