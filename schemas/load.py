"""A catalogue folder read: every file as far as it can be, and every problem with file, line and rule."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from schemas import marked
from schemas.marked import Marked
from schemas.model import Agency, Agreement, Connector, EventType, System, Validity
from schemas.suggestions import did_you_mean

CASES_SUFFIX: Final = ".cases.yaml"
PARTS: Final = ("agencies", "events", "agreements", "connectors")
_LONGEST_SHOWN: Final = 60
T = TypeVar("T", bound=BaseModel)


@dataclasses.dataclass(frozen=True, order=True, slots=True)
class CatalogueProblem:
    """One thing that is wrong with a catalogue on disk."""

    file: Path  # from the catalogue's folder
    line: int
    rule: str  # a key of schemas.validate.RULES
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.rule}: {self.message}"


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """Where an object stands: its file, and the line of each of its fields."""

    file: Path
    lines: Mapping[tuple[str | int, ...], int]

    def line(self, *path: str | int) -> int:
        """The line of a field, or of the nearest thing around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def problem(self, path: tuple[str | int, ...], rule: str, message: str) -> CatalogueProblem:
        """What is wrong with a field."""
        return CatalogueProblem(self.file, self.line(*path), rule, message)


@dataclasses.dataclass(frozen=True, slots=True)
class Catalogue:
    """What a folder says, as far as it could be read."""

    folder: Path
    agencies: Mapping[str, Agency]
    event_types: Mapping[str, EventType]
    schemas: Mapping[str, Any]  # parsed .avsc, by event type
    agreements: Mapping[str, Agreement]
    places: Mapping[tuple[str, str], Place]  # by kind (agency, event-type, schema ...) and name
    unread: frozenset[tuple[str, str]] = frozenset()  # kind and file name of objects that could not be read
    connectors: Mapping[str, Connector] = dataclasses.field(default_factory=dict)

    def is_unread(self, kind: str, name: str) -> bool:
        """Whether an object is there but could not be read: a reference to it is no second problem."""
        return (kind, name) in self.unread

    def place(self, kind: str, name: str) -> Place:
        """Where an object stands."""
        return self.places[kind, name]


def load(folder: Path) -> tuple[Catalogue, list[CatalogueProblem]]:
    """Read a catalogue folder: ``agencies/``, ``events/``, ``agreements/``, ``connectors/``."""
    reader = _Reader(folder)
    reader.look_around()
    agencies = reader.objects("agencies", "agency", Agency, lambda agency: agency.agency)
    event_types = reader.objects("events", "event-type", EventType, lambda event_type: event_type.event_type)
    agreements = reader.objects("agreements", "agreement", Agreement, lambda agreement: agreement.agreement)
    connectors = reader.objects("connectors", "connector", Connector, lambda connector: connector.connector)
    schemas = reader.schemas(event_types)
    catalogue = Catalogue(
        folder, agencies, event_types, schemas, agreements, reader.places, frozenset(reader.unread), connectors
    )
    return catalogue, sorted(reader.problems)


class _Reader:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.problems: list[CatalogueProblem] = []
        self.places: dict[tuple[str, str], Place] = {}
        self.unread: set[tuple[str, str]] = set()

    def look_around(self) -> None:
        """Report what nobody would read: a file that is overlooked is an agreement that is not in force."""
        if not any((self._folder / part).is_dir() for part in PARTS):
            self._problem(Path(), 1, "no-folder", f"there is no folder with {', '.join(PARTS)} here")
            return
        for path in _visible(self._folder):
            if path.is_dir() and path.name not in PARTS:
                self._stray(path, f"is not read: the folders of a catalogue are {', '.join(PARTS)}", PARTS)
        for part in PARTS:
            for path in _visible(self._folder / part):
                if path.is_dir() or path.suffix not in ((".yaml", ".avsc") if part == "events" else (".yaml",)):
                    self._stray(path, f"is not read: {part} holds .yaml files{' and .avsc' * (part == 'events')}")

    def objects(self, part: str, kind: str, model: type[T], name_of: Callable[[T], str]) -> dict[str, T]:
        """Every object of one kind, by name."""
        found: dict[str, T] = {}
        for path in _visible(self._folder / part):
            if path.suffix != ".yaml" or path.name.endswith(CASES_SUFFIX) or path.is_dir():
                continue
            file = path.relative_to(self._folder)
            content = self._read(path, marked.read_yaml, "yaml-syntax")
            if content is None or content.value is None:
                self.unread.add((kind, path.stem))
                continue
            try:
                thing = model.model_validate(content.value)
            except ValidationError as error:
                self.problems += model_problems(error, model, Place(file, content.lines))
                self.unread.add((kind, path.stem))
                continue
            name = name_of(thing)
            if path.stem != name:
                line = content.lines.get((kind.replace("-", "_"),), 1)
                self._problem(file, line, "file-name", f"the file of {name} must be called {name}.yaml")
            if path.stem == name or name not in found:
                found[name] = thing
                self.places[kind, name] = Place(file, content.lines)
        return found

    def schemas(self, event_types: Mapping[str, EventType]) -> dict[str, Any]:
        """The Avro schema beside each event type; one without an event type is a problem."""
        found = {}
        for name in event_types:
            contract = self.places["event-type", name].file
            path = (self._folder / contract).with_suffix(".avsc")
            if not path.exists():
                self._problem(contract, 1, "schema-missing", f"its schema {path.name} is not beside it")
                continue
            content = self._read(path, marked.read_json, "schema-json")
            if content is not None and (content.value is not None or not content.faults):
                found[name] = content.value
                self.places["schema", name] = Place(path.relative_to(self._folder), content.lines)
        for path in _visible(self._folder / "events"):
            if path.suffix == ".avsc" and not path.with_suffix(".yaml").exists():
                self._problem(
                    path.relative_to(self._folder), 1, "schema-alone", f"there is no {path.stem}.yaml beside it"
                )
        return found

    def _read(self, path: Path, read: Callable[[str], Marked], rule: str) -> Marked | None:
        file = path.relative_to(self._folder)
        try:
            content = read(path.read_text(encoding="utf-8"))
        except UnicodeDecodeError as error:
            line = error.object.count(b"\n", 0, error.start) + 1
            self._problem(file, line, rule, "is not UTF-8")
            return None
        except OSError as error:
            self._problem(file, 1, "unreadable", error.strerror or type(error).__name__)
            return None
        for fault in content.faults:
            self._problem(file, fault.line, fault.rule, fault.message)
        return content

    def _stray(self, path: Path, message: str, known: tuple[str, ...] = ()) -> None:
        self._problem(path.relative_to(self._folder), 1, "stray-file", message + did_you_mean(path.name, known))

    def _problem(self, file: Path, line: int, rule: str, message: str) -> None:
        self.problems.append(CatalogueProblem(file, line, rule, message))


def model_problems(error: ValidationError, model: type[BaseModel], place: Place) -> list[CatalogueProblem]:
    """What keeps the content of a file from being such an object."""
    found = []
    for part in error.errors():
        path = tuple(step for step in part["loc"] if step != "[key]")
        where = ".".join(map(str, path))
        if part["type"] == "extra_forbidden":
            known = _field_names(model) if len(path) == 1 else _field_names(System) | _field_names(Validity)
            rule, message = "unknown-field", f"there is no field {where}{did_you_mean(str(path[-1]), known)}"
        elif part["type"] == "missing":
            rule, message = "missing-field", f"{where} is missing"
        else:
            rule, message = "bad-value", f"{where}: {_wrong(part)}"
        found.append(place.problem(path, rule, message))
    return found


def _visible(folder: Path) -> list[Path]:
    """What a folder holds besides hidden files and editors' copies, in order."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if not path.name.startswith(".") and not path.name.endswith("~"))


def _field_names(model: type[BaseModel]) -> set[str]:
    return {field.alias or name for name, field in model.model_fields.items()}


def _wrong(part: ErrorDetails) -> str:
    """What is wrong with a value; the value too, where it is one word of the steward's."""
    message = part["msg"].removeprefix("Value error, ")
    value = part["input"]
    if part["type"] == "value_error" or not isinstance(value, (str, int, float)):
        return message
    shown = repr(value)
    return f"{message}, but is {shown if len(shown) <= _LONGEST_SHOWN else shown[:_LONGEST_SHOWN] + '...'}"
