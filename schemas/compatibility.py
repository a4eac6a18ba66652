"""Whether a new schema reads all that was written before: BACKWARD_TRANSITIVE (Avro 1.12, "Schema Resolution").

Written from the specification: ``avro.compatibility`` misjudges unqualified aliases, does not notice changes of
decimals and timestamps, and answers in no order (FACTS.md). Where the specification matches names without their
namespace, so does this.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from schemas.avro_tree import NAMED, Names, full_name, logical
from schemas.wire.identifiers import CHECKS

_PROMOTIONS: Final[Mapping[str, frozenset[str]]] = {
    "int": frozenset({"long", "float", "double"}),
    "long": frozenset({"float", "double"}),
    "float": frozenset({"double"}),
    "string": frozenset({"bytes"}),
    "bytes": frozenset({"string"}),
}
# Logical types that say what the bytes mean.
_MEANINGS: Final = frozenset(
    {"decimal", "date", "time-millis", "time-micros", "duration"}
    | {f"{local}timestamp-{unit}" for local in ("", "local-") for unit in ("millis", "micros", "nanos")}
)


# Logical types that narrow which texts there are: a text written before them need not be one.
_NARROWING: Final = frozenset({"uuid", *CHECKS})


def incompatibilities(new: Any, earlier: Sequence[Any]) -> list[str]:
    """Every reason why ``new`` cannot read data of the ``earlier`` schemas, as ``path: reason`` in the fields' order.

    Args:
        new: a valid Avro schema as parsed JSON.
        earlier: the schemas that data has been written with, oldest first.
    """
    found: dict[str, None] = {}
    for writer in earlier:
        found.update(dict.fromkeys(_Resolution(new, writer).reasons()))
    return list(found)


class _Type(NamedTuple):
    """A resolved type, and the namespace in which the names inside it are looked up."""

    node: Any
    namespace: str

    @property
    def kind(self) -> str:
        kind: str = self.node["type"]
        return "record" if kind == "error" else kind

    @property
    def full_name(self) -> str:
        return full_name(self.node, self.namespace)

    def __str__(self) -> str:
        if isinstance(self.node, list):
            return "a union"
        return f"{self.kind} {self.node['name']}" if self.kind in NAMED else self.kind


class _Resolution:
    """One reader's schema held against one writer's."""

    def __init__(self, reader: Any, writer: Any) -> None:
        self._reader, self._writer = reader, writer
        self._reader_names, self._writer_names = Names(reader), Names(writer)
        self._open: list[tuple[int, int]] = []  # records being compared: a type may contain itself

    def reasons(self) -> Iterator[str]:
        return self._compare(_Type(self._reader, ""), _Type(self._writer, ""), "")

    def _compare(self, reader: _Type, writer: _Type, path: str) -> Iterator[str]:
        reader = _Type(self._reader_names.resolve(*reader), reader.namespace)
        writer = _Type(self._writer_names.resolve(*writer), writer.namespace)
        if isinstance(writer.node, list):
            for branch in writer.node:
                yield from self._compare(reader, _Type(branch, writer.namespace), path)
        elif isinstance(reader.node, list):
            branches = [
                _Type(self._reader_names.resolve(branch, reader.namespace), reader.namespace) for branch in reader.node
            ]
            match = next((branch for branch in branches if _matches(branch, writer)), None)
            if match is not None:  # the specification has readers try the first match only
                yield from self._compare_types(match, writer, path)
            else:
                yield f"{_at(path)}: no branch of the union reads {writer}"
        elif not _matches(reader, writer):
            alias = " (it needs an alias)" if reader.kind == writer.kind else ""
            yield f"{_at(path)}: {reader} cannot read {writer}{alias}"
        else:
            yield from self._compare_types(reader, writer, path)

    def _compare_types(self, reader: _Type, writer: _Type, path: str) -> Iterator[str]:
        """Compare two types that match by kind and name."""
        yield from _meanings(reader.node, writer.node, _at(path))
        if reader.kind == "record":
            pair = id(reader.node), id(writer.node)
            if pair not in self._open:
                self._open.append(pair)
                yield from self._fields(reader, writer, path)
                self._open.pop()
        elif reader.kind == "enum":
            lost = [symbol for symbol in writer.node["symbols"] if symbol not in reader.node["symbols"]]
            if lost and "default" not in reader.node:
                yield f"{_at(path)}: the enum has lost {', '.join(lost)} and has no default"
        elif reader.kind == "fixed" and reader.node["size"] != writer.node["size"]:
            yield f"{_at(path)}: fixed of {reader.node['size']} bytes cannot read one of {writer.node['size']}"
        elif reader.kind in ("array", "map") and reader.kind == writer.kind:
            mark, inside = ("[]", "items") if reader.kind == "array" else ("{}", "values")
            yield from self._compare(
                _Type(reader.node[inside], reader.namespace), _Type(writer.node[inside], writer.namespace), path + mark
            )

    def _fields(self, reader: _Type, writer: _Type, path: str) -> Iterator[str]:
        reader_space = self._reader_names.namespace_of(reader.node, reader.namespace)
        writer_space = self._writer_names.namespace_of(writer.node, writer.namespace)
        written = {field["name"]: field for field in writer.node["fields"]}
        for field in reader.node["fields"]:
            place = f"{path}.{field['name']}" if path else field["name"]
            source = next(
                (written[name] for name in (field["name"], *field.get("aliases", ())) if name in written), None
            )
            if source is not None:
                yield from self._compare(_Type(field["type"], reader_space), _Type(source["type"], writer_space), place)
            elif "default" not in field:
                yield f"{place}: is new and has no default"


def _at(path: str) -> str:
    return path or "the event"


def _matches(reader: _Type, writer: _Type) -> bool:
    """Whether two types match by kind and name, whatever is inside them."""
    if isinstance(reader.node, list):
        return False  # a union stands in no union
    if reader.kind != writer.kind:
        return reader.kind in _PROMOTIONS.get(writer.kind, ())
    if reader.kind not in NAMED:
        return True
    space = reader.full_name.rpartition(".")[0]
    aliases = {alias if "." in alias or not space else f"{space}.{alias}" for alias in reader.node.get("aliases", ())}
    same = reader.full_name.rpartition(".")[2] == writer.full_name.rpartition(".")[2]
    return same or writer.full_name in aliases


def _meanings(reader: Mapping[str, Any], writer: Mapping[str, Any], where: str) -> Iterator[str]:
    new, old = logical(reader), logical(writer)
    if new != old and (new in _MEANINGS or old in _MEANINGS or new in _NARROWING):
        yield f"{where}: {new or reader['type']} cannot read {old or writer['type']}"
    elif new == "decimal":
        for part in ("scale", "precision"):
            ours, theirs = reader.get(part, 0), writer.get(part, 0)
            if ours != theirs:
                yield f"{where}: decimal of {part} {ours} cannot read one of {part} {theirs}"
