"""Connectors on disk held to the kinds of connectors that there are."""

from pathlib import Path

from pydantic import ValidationError

from connectors.entitled import Entitled
from connectors.plugins import known
from connectors.runtime.validation import by_name, problems
from schemas.check_event_type import systems_of
from schemas.load import Catalogue, CatalogueProblem, Place, model_problems
from schemas.marked import read_yaml
from schemas.model import Connector


def check(connector: Connector, catalogue: Catalogue | None = None) -> list[tuple[tuple[str | int, ...], str]]:
    """Every problem of a connector, each naming its setting: see `schemas.validate.CheckConnector`."""
    plugins = by_name(known.PLUGINS)
    plugin = plugins.get(connector.plugin)
    given = entitled(plugin.kind, connector.system, catalogue) if plugin and catalogue else None
    return [
        (("config", *problem.path) if problem.path else ("plugin",), str(problem))
        for problem in problems(plugins, connector.plugin, connector.config, given)
    ]


def entitled(kind: str, system: str, catalogue: Catalogue) -> Entitled | None:
    """What a catalogue gives the system of a connector; None if it has no such system, or part of it could not be read.

    An agreement that is suspended, or not yet valid, counts: nobody must mend a connector to suspend one.
    """
    unread = any(part in ("agreement", "event-type") for part, _ in catalogue.unread)
    if unread or system not in systems_of(catalogue):
        return None
    agreements = {name: one for name, one in catalogue.agreements.items() if one.consumer == system}
    if kind == "sink":
        given = {one.event_type for one in agreements.values()}
        otherwise = f"no agreement gives {system}"
    else:
        given = {name for name, one in catalogue.event_types.items() if system in one.publishers}
        otherwise = f"{system} is not among the publishers of"
    return Entitled(catalogue.event_types.keys(), given, agreements.keys(), otherwise)


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
