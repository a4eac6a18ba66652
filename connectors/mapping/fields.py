"""The fields of an event that a mapping gives, as a tree: each makes its part of the payload."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Final

from connectors.mapping.conversion import Convert
from connectors.mapping.problems import FieldProblem, Unconvertible
from connectors.mapping.reading import Read, Row
from connectors.mapping.shape import Place

OMITTED: Final = object()  # not given: the schema's default is taken


@dataclasses.dataclass(frozen=True, slots=True)
class Field:
    """One field: how its value is found and converted.

    Attributes:
        path: ``data.child.nik``, ``id``.
        column: that it comes from, for problems.
        read: finds the value; may raise Unconvertible.
        convert: makes it fit; may raise Unconvertible.
        when_empty: null, OMITTED, or the problem.
        is_constant: whether every record gives the same.
    """

    path: str
    column: str
    read: Read
    convert: Convert
    when_empty: Any
    is_constant: bool

    def make(self, row: Row, problems: list[FieldProblem]) -> Any:
        """The field's value, OMITTED where there is none."""
        try:
            value = self.read(row)
            if value is not None:
                return self.convert(value)
            if not isinstance(self.when_empty, Unconvertible):
                return self.when_empty
            error = self.when_empty
        except Unconvertible as failed:
            error = failed
        problems.append(FieldProblem(self.path, self.column, error.rule, error.message))
        return OMITTED


class Group:
    """The fields of one record; one that may be null is null where its columns are all empty."""

    def __init__(self, path: str, *, is_optional: bool) -> None:
        self._path = path
        self._is_optional = is_optional
        self._parts: dict[str, Field | Group] = {}

    @property
    def is_constant(self) -> bool:
        """Whether every record gives the same."""
        return all(part.is_constant for part in self._parts.values())

    def add(self, path: str, field: Field, known: Mapping[str, Place]) -> None:
        """Put a field at a path below, with the records that lie between."""
        name, _, below = path.partition(".")
        if not below:
            self._parts[name] = field
            return
        full = f"{self._path}.{name}"
        place = known[full.removeprefix("data.")]
        group = self._parts.setdefault(name, Group(full, is_optional=place.nullable))
        assert isinstance(group, Group), "a field given twice is refused before"
        group.add(below, field, known)

    def make(self, row: Row, problems: list[FieldProblem]) -> Any:
        """The record, without what is OMITTED."""
        found: list[FieldProblem] = []
        made = {name: part.make(row, found) for name, part in self._parts.items()}
        if self._is_optional and self._is_absent(made, found):
            return None
        problems += found
        return {name: value for name, value in made.items() if value is not OMITTED}

    def _is_absent(self, made: Mapping[str, Any], found: list[FieldProblem]) -> bool:
        if self.is_constant or any(problem.rule != "required" for problem in found):
            return False
        return all(made[name] in (None, OMITTED) for name, part in self._parts.items() if not part.is_constant)
