"""Connectors on disk held to the kinds of connectors that there are."""

from pathlib import Path

from pydantic import ValidationError

from connectors.plugins import known
from connectors.runtime.validation import by_name, problems
from schemas.load import CatalogueProblem, Place, model_problems
from schemas.marked import read_yaml
from schemas.model import Connector


def check(connector: Connector) -> list[tuple[tuple[str | int, ...], str]]:
    """Every problem of a connector, each naming its setting: see `schemas.validate.CheckConnector`."""
    return [
        (("config", *problem.path) if problem.path else ("plugin",), str(problem))
        for problem in problems(by_name(known.PLUGINS), connector.plugin, connector.config)
    ]


def read_file(file: Path) -> tuple[Connector | None, list[CatalogueProblem]]:
    """A connector's file, as a catalogue has it: what it says if that can be told, and every problem."""
    try:
        content = read_yaml(file.read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        return None, [CatalogueProblem(file, 1, "yaml-syntax", "is not UTF-8")]
    place = Place(file, content.lines)
    faults = [CatalogueProblem(file, fault.line, fault.rule, fault.message) for fault in content.faults]
    if content.value is None:
        return None, faults
    try:
        found = Connector.model_validate(content.value)
    except ValidationError as error:
        return None, [*faults, *model_problems(error, Connector, place)]
    return found, [*faults, *(place.problem(path, "connector", message) for path, message in check(found))]
