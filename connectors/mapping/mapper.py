"""A mapping checked against an event type's schema, and then applied to records."""

import dataclasses
import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any, Final

from lintas_client.wire import json_data
from lintas_client.wire.codec import Codec
from lintas_client.wire.errors import MalformedData, Problem

from connectors.mapping.computed import Computed
from connectors.mapping.conversion import converter, takes_format
from connectors.mapping.declared import EventMapping, Origin
from connectors.mapping.fields import OMITTED, Field, Group
from connectors.mapping.problems import FieldProblem, Unconvertible, Unmappable
from connectors.mapping.reading import Row, reader
from connectors.mapping.shape import Place, missing, places
from schemas.suggestions import did_you_mean

_TEXT: Final = Place({"type": "string"}, nullable=True, has_default=False)
_MOMENT: Final = Place({"type": "long", "logicalType": "timestamp-micros"}, nullable=True, has_default=False)
_ATTRIBUTES: Final = {
    "id": dataclasses.replace(_TEXT, nullable=False),
    "subject": _TEXT,
    "key": _TEXT,
    "time": _MOMENT,
}


class BadMapping(ValueError):
    """A mapping that does not fit the event type: every problem, each with its path in the mapping."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(map(str, problems)))


@dataclasses.dataclass(frozen=True, slots=True)
class Mapped:
    """What a mapping makes of a record; an attribute that it does not give is null. Shows nothing of it."""

    event_type: str
    data: dict[str, Any] = dataclasses.field(repr=False)
    id: str | None = dataclasses.field(default=None, repr=False)
    subject: str | None = dataclasses.field(default=None, repr=False)
    time: dt.datetime | None = None
    key: str | None = dataclasses.field(default=None, repr=False)


class Mapper:
    """Makes records into events of one type.

    Attributes:
        columns: the columns that the mapping names outside of expressions.
    """

    def __init__(self, mapping: EventMapping, codec: Codec) -> None:
        """Check the mapping against the schema of its event type.

        Raises:
            BadMapping: with every problem.
        """
        self._type = mapping.event_type
        self._codec = codec
        self._empty = frozenset(mapping.empty)
        known = places(codec.schema)
        problems: list[Problem] = []
        self._when = None if mapping.when is None else Computed(mapping.when)
        attributes = mapping.attributes()
        self._attributes = {
            name: self._field(name, _ATTRIBUTES[name], origin, problems) for name, origin in attributes.items()
        }
        self._data = Group("data", is_optional=False)
        for path, origin in mapping.data.items():
            if self._fits(path, mapping, known, problems):
                self._data.add(path, self._field(f"data.{path}", known[path], origin, problems), known)
        problems += missing(known, mapping.data)
        if problems:
            raise BadMapping(problems)
        self._columns = {name: origin.columns for name, origin in attributes.items()}
        self._columns |= {f"data.{path}": origin.columns for path, origin in mapping.data.items()}
        self.columns = frozenset(column for columns in self._columns.values() for column in columns)

    def event(self, record: Mapping[str, Any]) -> Mapped | None:
        """The event that a record means; None if ``when`` says it means none.

        Raises:
            Unmappable: with every problem; where there is any, also with those that the schema's own rules find.
        """
        row = Row(record)
        if self._when is not None and not self._is_meant(self._when, row):
            return None
        problems: list[FieldProblem] = []
        attributes = {name: field.make(row, problems) for name, field in self._attributes.items()}
        data = self._data.make(row, problems)
        if problems:
            raise Unmappable([*problems, *self._further(data, problems)])
        return Mapped(self._type, data, **attributes)

    def columns_of(self, path: str) -> tuple[str, ...]:
        """The columns that a field of the event (``data.magnitude``, ``id``) comes from; none if it names none."""
        return self._columns.get(path, ())

    @staticmethod
    def _is_meant(when: Computed, row: Row) -> bool:
        try:
            verdict = when(row.plain)
        except Unconvertible as error:
            raise Unmappable([FieldProblem("when", "", error.rule, error.message)]) from None
        if not isinstance(verdict, bool):
            raise Unmappable([FieldProblem("when", "", "cel", "must be true or false")])
        return verdict

    def _further(self, data: dict[str, Any], found: list[FieldProblem]) -> Iterator[FieldProblem]:
        """What the schema finds wrong besides, so that all is told at once."""
        try:
            json_data.from_json(self._codec, json_data.to_json(self._codec, data))
        except MalformedData as error:
            reported = {problem.field for problem in found}
            for problem in error.problems:
                path = f"data.{problem.path}"
                if not any(other == path or other.startswith(f"{path}.") for other in reported):
                    yield FieldProblem(path, " ".join(self.columns_of(path)), problem.rule, problem.message)

    @staticmethod
    def _fits(path: str, mapping: EventMapping, known: Mapping[str, Place], problems: list[Problem]) -> bool:
        if path not in known:
            message = f"is no field of the event type{did_you_mean(path, known)}"
            problems.append(Problem(f"data.{path}", "unknown-field", message))
            return False
        if above := [other for other in mapping.data if path.startswith(f"{other}.")]:
            problems.append(Problem(f"data.{path}", "twice", f"is given with {above[0]} already"))
            return False
        return True

    def _field(self, path: str, place: Place, origin: Origin, problems: list[Problem]) -> Field:
        convert = converter(place.type, origin)
        if (origin.format or origin.zone) and not takes_format(place.type):
            problems.append(Problem(path, "format", "is no date or time: format and zone mean nothing here"))
        is_constant = "value" in origin.model_fields_set
        for constant in (origin.value, origin.default, *origin.translate.values()):
            try:
                if constant is not None:
                    convert(constant)
            except Unconvertible as error:
                problems.append(Problem(path, error.rule, f"what the mapping itself gives {error.message}"))
        when_empty: Any = OMITTED if place.has_default else None
        if not place.has_default and not place.nullable:
            when_empty = Unconvertible("required", "is empty, and the event type needs it")
        return Field(
            path, " ".join(origin.columns), reader(origin, self._empty), convert, when_empty, is_constant=is_constant
        )
