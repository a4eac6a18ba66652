"""Whether a new schema reads all that was written before: BACKWARD_TRANSITIVE (Avro 1.12, schema resolution).

Written from the specification: ``avro.compatibility`` misjudges unqualified aliases and does not notice changes of
decimals and timestamps (FACTS.md).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from schemas.avro_tree import Names, full_name, logical

_PROMOTIONS: Final[Mapping[str, frozenset[str]]] = {
    "int": frozenset({"long", "float", "double"}),
    "long": frozenset({"float", "double"}),
    "float": frozenset({"double"}),
    "string": frozenset({"bytes"}),
    "bytes": frozenset({"string"}),
}
# Logical types that change what the bytes mean; identifiers only narrow what is accepted.
_MEANINGS: Final = (
    "decimal",
    "date",
    "time-millis",
    "time-micros",
    "timestamp-millis",
    "timestamp-micros",
    "duration",
)


def incompatibilities(new: Any, earlier: Sequence[Any]) -> list[str]:
    """Every reason why ``new`` cannot read data of the ``earlier`` schemas, in the order of the fields, once each."""
    found: dict[str, None] = {}
    for writer in earlier:
        found.update(dict.fromkeys(_Comparison(new, writer).reasons()))
    return list(found)


class _Comparison:
    def __init__(self, reader: Any, writer: Any) -> None:
        self._reader, self._writer = reader, writer
        self._reader_names, self._writer_names = Names(reader), Names(writer)
        self._compared: set[tuple[int, int]] = set()

    def reasons(self) -> Iterator[str]:
        yield from self._compare(self._reader, self._writer, "", "", "")

    def _compare(self, reader: Any, writer: Any, path: str, rspace: str, wspace: str) -> Iterator[str]:
        reader, writer = (
            self._reader_names.resolve(reader, rspace),
            self._writer_names.resolve(writer, wspace),
        )
        where = path or "the event"
        if isinstance(writer, list):
            for branch in writer:
                yield from self._compare(reader, branch, path, rspace, wspace)
            return
        if isinstance(reader, list):
            if not any(not list(self._attempt(branch, writer, path, rspace, wspace)) for branch in reader):
                yield f"{where}: no branch of the union reads {_text(writer)}"
            return
        if (id(reader), id(writer)) in self._compared:
            return
        self._compared.add((id(reader), id(writer)))
        yield from self._compare_types(reader, writer, path, rspace, wspace)

    def _attempt(self, reader: Any, writer: Any, path: str, rspace: str, wspace: str) -> Iterator[str]:
        """Compare without remembering: a branch that does not fit must not count as compared."""
        kept = set(self._compared)
        yield from list(self._compare(reader, writer, path, rspace, wspace))
        self._compared = kept

    def _compare_types(
        self, reader: Mapping[str, Any], writer: Mapping[str, Any], path: str, rspace: str, wspace: str
    ) -> Iterator[str]:
        where = path or "the event"
        kind, written = reader["type"], writer["type"]
        if kind != written:
            if kind not in _PROMOTIONS.get(written, ()):
                yield f"{where}: {_text(reader)} cannot read {_text(writer)}"
            return
        if kind in ("record", "enum", "fixed") and not self._same_name(reader, writer, rspace, wspace):
            yield f"{where}: {kind} {reader['name']} cannot read {kind} {writer['name']} (give it an alias)"
            return
        yield from _meaning(reader, writer, where)
        if kind == "record":
            yield from self._records(reader, writer, path, rspace, wspace)
        elif kind == "enum":
            lost = [symbol for symbol in writer["symbols"] if symbol not in reader["symbols"]]
            if lost and "default" not in reader:
                yield f"{where}: the enum lost {', '.join(lost)} and has no default"
        elif kind == "fixed" and reader["size"] != writer["size"]:
            yield f"{where}: fixed of {reader['size']} bytes cannot read one of {writer['size']}"
        elif kind == "array":
            yield from self._compare(reader["items"], writer["items"], f"{path}[]", rspace, wspace)
        elif kind == "map":
            yield from self._compare(reader["values"], writer["values"], f"{path}{{}}", rspace, wspace)

    def _records(
        self, reader: Mapping[str, Any], writer: Mapping[str, Any], path: str, rspace: str, wspace: str
    ) -> Iterator[str]:
        rspace, wspace = (
            self._reader_names.namespace_of(reader, rspace),
            self._writer_names.namespace_of(writer, wspace),
        )
        written = {field["name"]: field for field in writer["fields"]}
        for field in reader["fields"]:
            place = f"{path}.{field['name']}" if path else field["name"]
            source = next(
                (written[name] for name in (field["name"], *field.get("aliases", ())) if name in written),
                None,
            )
            if source is not None:
                yield from self._compare(field["type"], source["type"], place, rspace, wspace)
            elif "default" not in field:
                yield f"{place}: is new and has no default"

    @staticmethod
    def _same_name(reader: Mapping[str, Any], writer: Mapping[str, Any], rspace: str, wspace: str) -> bool:
        own, other = full_name(reader, rspace), full_name(writer, wspace)
        space = own.rpartition(".")[0]
        aliases = {
            alias if "." in alias or not space else f"{space}.{alias}" for alias in reader.get("aliases", ())
        }
        # Avro 1.12 compares unqualified names; a record may be moved to another namespace.
        return own.rpartition(".")[2] == other.rpartition(".")[2] or other in aliases


def _meaning(reader: Mapping[str, Any], writer: Mapping[str, Any], where: str) -> Iterator[str]:
    new, old = logical(reader), logical(writer)
    if (new in _MEANINGS or old in _MEANINGS) and new != old:
        yield f"{where}: {new or 'no logical type'} cannot read {old or 'no logical type'}"
    elif new == "decimal" == old:
        if reader.get("scale", 0) != writer.get("scale", 0):
            yield f"{where}: decimal scale {reader.get('scale', 0)} cannot read scale {writer.get('scale', 0)}"
        elif reader["precision"] < writer["precision"]:
            yield f"{where}: decimal precision {reader['precision']} cannot read precision {writer['precision']}"


def _text(node: Any) -> str:
    return str(node["name"] if "name" in node else node["type"]) if isinstance(node, Mapping) else "a union"
