"""A catalogue folder read: every file as far as it can be, and every problem with file, line and rule."""

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from schemas.model import Agency, Agreement, EventType

CASES_SUFFIX: Final = ".cases.yaml"
T = TypeVar("T", bound=BaseModel)


@dataclasses.dataclass(frozen=True, order=True, slots=True)
class CatalogueProblem:
    """One thing that is wrong with a catalogue on disk."""

    file: Path
    line: int
    rule: str
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


@dataclasses.dataclass(frozen=True, slots=True)
class Catalogue:
    """What a folder says, as far as it could be read."""

    folder: Path
    agencies: Mapping[str, Agency]
    event_types: Mapping[str, EventType]
    schemas: Mapping[str, Any]  # parsed .avsc, by event type
    agreements: Mapping[str, Agreement]
    places: Mapping[tuple[str, str], Place]  # by kind (agency, event-type, agreement) and name

    def place(self, kind: str, name: str) -> Place:
        """Where an object stands."""
        return self.places[kind, name]


def load(folder: Path) -> tuple[Catalogue, list[CatalogueProblem]]:
    """Read a catalogue folder: ``agencies/``, ``events/``, ``agreements/``."""
    reader = _Reader(folder)
    agencies = reader.objects("agencies", "agency", Agency, lambda agency: agency.agency)
    event_types = reader.objects("events", "event-type", EventType, lambda event_type: event_type.event_type)
    agreements = reader.objects("agreements", "agreement", Agreement, lambda agreement: agreement.agreement)
    schemas = reader.schemas(event_types)
    return Catalogue(folder, agencies, event_types, schemas, agreements, reader.places), sorted(reader.problems)


class _Reader:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.problems: list[CatalogueProblem] = []
        self.places: dict[tuple[str, str], Place] = {}
        if not folder.is_dir():
            self.problems.append(CatalogueProblem(folder, 1, "no-folder", "there is no such folder"))

    def objects(self, part: str, kind: str, model: type[T], name_of: Callable[[T], str]) -> dict[str, T]:
        """Every object of one kind, by name."""
        found: dict[str, T] = {}
        for path in sorted((self._folder / part).glob("*.yaml")):
            if path.name.endswith(CASES_SUFFIX):
                continue
            file = path.relative_to(self._folder)
            read = self._yaml(path, file)
            if read is None:
                continue
            content, lines = read
            try:
                thing = model.model_validate(content)
            except ValidationError as error:
                self._report(error, Place(file, lines))
                continue
            name = name_of(thing)
            if path.stem != name:
                self._problem(
                    file,
                    lines.get((kind.replace("-", "_"),), 1),
                    "file-name",
                    f"the file of {name} must be called {name}.yaml",
                )
            found[name] = thing
            self.places[kind, name] = Place(file, lines)
        return found

    def schemas(self, event_types: Mapping[str, EventType]) -> dict[str, Any]:
        """The Avro schema beside each event type; one without an event type is a problem."""
        found = {}
        for name in event_types:
            file = Path("events") / f"{name}.avsc"
            try:
                found[name] = json.loads((self._folder / file).read_text())
            except FileNotFoundError:
                self._problem(
                    self.places["event-type", name].file,
                    1,
                    "schema-missing",
                    f"its schema {file.name} is not beside it",
                )
            except json.JSONDecodeError as error:
                self._problem(file, error.lineno, "schema-json", f"is not JSON: {error.msg}")
            except UnicodeDecodeError:
                self._problem(file, 1, "schema-json", "is not UTF-8")
        for path in sorted((self._folder / "events").glob("*.avsc")):
            if not path.with_suffix(".yaml").exists():
                self._problem(
                    path.relative_to(self._folder),
                    1,
                    "schema-alone",
                    f"there is no {path.stem}.yaml beside it",
                )
        return found

    def _yaml(self, path: Path, file: Path) -> tuple[Any, dict[tuple[str | int, ...], int]] | None:
        try:
            text = path.read_text()
            node = yaml.compose(text, Loader=yaml.SafeLoader)
        except UnicodeDecodeError:
            self._problem(file, 1, "yaml-syntax", "is not UTF-8")
            return None
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            self._problem(file, mark.line + 1 if mark else 1, "yaml-syntax", error.problem or "is not YAML")
            return None
        except yaml.YAMLError as error:
            self._problem(file, 1, "yaml-syntax", str(error).splitlines()[0])
            return None
        if not isinstance(node, yaml.MappingNode):
            self._problem(file, 1, "yaml-syntax", "must hold a mapping")
            return None
        lines: dict[tuple[str | int, ...], int] = {}
        self._mark(node, (), lines, file)
        return yaml.safe_load(text), lines

    def _mark(
        self, node: Any, path: tuple[str | int, ...], lines: dict[tuple[str | int, ...], int], file: Path
    ) -> None:
        lines.setdefault(path, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            seen: dict[str, int] = {}
            for key, value in node.value:
                line = key.start_mark.line + 1
                if key.value in seen:
                    self._problem(file, line, "duplicate-key", f"{key.value} stands already in line {seen[key.value]}")
                seen[key.value] = line
                lines[(*path, key.value)] = line
                self._mark(value, (*path, key.value), lines, file)
        elif isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                self._mark(item, (*path, index), lines, file)

    def _report(self, error: ValidationError, place: Place) -> None:
        for part in error.errors():
            path = tuple(step for step in part["loc"] if step != "[key]")
            where = ".".join(map(str, path))
            if part["type"] == "extra_forbidden":
                rule, message = "unknown-field", f"there is no field {where}"
            elif part["type"] == "missing":
                rule, message = "missing-field", f"{where} is missing"
            else:
                rule, message = "bad-value", f"{where}: {part['msg'].removeprefix('Value error, ')}"
            self._problem(place.file, place.line(*path), rule, message)

    def _problem(self, file: Path, line: int, rule: str, message: str) -> None:
        self.problems.append(CatalogueProblem(file, line, rule, message))
