"""What the REST API answers: connectors, kinds and problems as JSON in the shape of Kafka Connect's. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from typing import Any, Final

from pydantic_core import to_jsonable_python

from connectors.runtime.control import shown
from connectors.runtime.plugin import Plugin
from connectors.runtime.state import ConnectorsState, State
from connectors.runtime.validation import Plugins, SettingProblem, problems
from lintas import names
from schemas.connector_configs import Configured

CLASS: Final = "connector.class"  # the setting that names the kind, in Connect's word
SYSTEM: Final = "system"
OWN_SETTINGS: Final = (CLASS, SYSTEM, "name")
TASK: Final = 0  # a connector is one task

_TYPES: Final = {"string": "STRING", "integer": "LONG", "number": "DOUBLE", "boolean": "BOOLEAN", "array": "LIST"}


def config_of(name: str, system: str, config: Configured) -> dict[str, Any]:
    """A connector's settings with those that say whose and of which kind it is."""
    return {**config.settings, CLASS: config.plugin, SYSTEM: system, "name": name}


def info(plugins: Plugins, name: str, system: str, config: Configured) -> dict[str, Any]:
    """``GET /connectors/{name}``."""
    return {
        "name": name,
        "config": config_of(name, system, config),
        "tasks": [{"connector": name, "task": TASK}],
        "type": kind_of(plugins, config.plugin),
        "origin": config.origin,
    }


def status(plugins: Plugins, name: str, state: ConnectorsState, *, owned: bool) -> dict[str, Any]:
    """``GET /connectors/{name}/status``."""
    said = state.statuses.get(name)
    now = shown(state, name, owned=owned)
    part: dict[str, Any] = {"state": now.value, "worker_id": said.worker if said else ""}
    if said and said.trace and now in (State.FAILED, State.RESTARTING, State.UNASSIGNED):
        part["trace"] = said.trace
    return {
        "name": name,
        "connector": part,
        "tasks": [{"id": TASK, **part}] if now is not State.STOPPED else [],
        "type": kind_of(plugins, state.configs[name].plugin),
        "since": said.since if said else None,
    }


def offsets(name: str, system: str, state: ConnectorsState) -> dict[str, Any]:
    """``GET /connectors/{name}/offsets``: a sink's positions as Connect has them, then the connector's own progress."""
    kept = state.kept.get(name)
    inbox = names.inbox_topic(system)
    found: list[dict[str, Any]] = [
        {"partition": {"kafka_topic": inbox, "kafka_partition": number}, "offset": {"kafka_offset": offset}}
        for number, offset in sorted((kept.positions if kept else {}).items())
    ]
    own = sorted(state.progress(name).items())
    return {"offsets": [*found, *({"partition": {"name": key}, "offset": value} for key, value in own)]}


def topics(plugins: Plugins, name: str, system: str, state: ConnectorsState) -> dict[str, Any]:
    """``GET /connectors/{name}/topics``: the inbox of a sink; the topics that a source has written to."""
    kept = state.kept.get(name)
    reads = kind_of(plugins, state.configs[name].plugin) == "sink"
    return {name: {"topics": [names.inbox_topic(system)] if reads else list(kept.topics if kept else ())}}


def kind_of(plugins: Plugins, plugin: str) -> str:
    """``source``, ``sink``, or ``unknown``."""
    return plugins[plugin].kind if plugin in plugins else "unknown"


def plugin(one: Plugin) -> dict[str, Any]:
    """A kind of connector as ``GET /connector-plugins`` lists it."""
    return {
        "class": one.name,
        "type": one.kind,
        "version": version("lintas"),
        "summary": one.summary,
        "guarantee": one.guarantee.value,
        "guarantee_because": one.guarantee_because,
    }


def definitions(one: Plugin) -> list[dict[str, Any]]:
    """Every setting of a kind, as Connect describes settings."""
    schema = one.config.model_json_schema()
    return [_definition(schema, name, field, order) for order, (name, field) in enumerate(schema["properties"].items())]


def _definition(schema: Mapping[str, Any], name: str, field: Mapping[str, Any], order: int) -> dict[str, Any]:
    required = name in schema.get("required", ())
    default = field.get("default")
    return {
        "name": name,
        "type": _type(schema, field),
        "required": required,
        "default_value": None if required or default is None else to_jsonable_python(default),
        "importance": "HIGH" if required else "MEDIUM",
        "documentation": field.get("description", ""),
        "group": "settings",
        "order": order + 1,
        "width": "MEDIUM",
        "display_name": name,
        "dependents": [],
    }


def _resolved(schema: Mapping[str, Any], field: Mapping[str, Any]) -> Mapping[str, Any]:
    """A field's own schema: what a reference names; of a choice with null, the other."""
    while True:
        if "$ref" in field:
            field = schema["$defs"][field["$ref"].rpartition("/")[2]]
        elif "anyOf" in field:
            others = [one for one in field["anyOf"] if one.get("type") != "null"]
            if len(others) != 1:
                return field
            field = others[0]
        elif len(field.get("allOf", ())) == 1:
            field = field["allOf"][0]
        else:
            return field


def _type(schema: Mapping[str, Any], field: Mapping[str, Any]) -> str:
    return _TYPES.get(_resolved(schema, field).get("type", ""), "OBJECT")


def validated(plugins: Plugins, one: Plugin, config: Mapping[str, Any]) -> dict[str, Any]:
    """``PUT /connector-plugins/{name}/config/validate``: every setting with its definition, value and errors."""
    settings = settings_of(config)
    by_setting: dict[str, list[str]] = {}
    for problem in problems(plugins, one.name, settings):
        by_setting.setdefault(str(problem.path[0]) if problem.path else CLASS, []).append(_below(problem))
    schema = one.config.model_json_schema()
    configs: list[dict[str, Any]] = []
    for definition in definitions(one):
        name = definition["name"]
        choices = _resolved(schema, schema["properties"][name]).get("enum", [])
        value = settings.get(name, definition["default_value"])
        configs.append({"definition": definition, "value": _value(name, value, by_setting.pop(name, []), choices)})
    configs += [{"definition": None, "value": _value(name, None, errors, [])} for name, errors in by_setting.items()]
    return {
        "name": one.name,
        "error_count": sum(len(entry["value"]["errors"]) for entry in configs),
        "groups": ["settings"],
        "configs": configs,
    }


def _value(name: str, value: Any, errors: Sequence[str], choices: Sequence[Any]) -> dict[str, Any]:
    return {"name": name, "value": value, "recommended_values": choices, "errors": list(errors), "visible": True}


def _below(problem: SettingProblem) -> str:
    """A problem told at its setting: the path within it, and what is wrong."""
    rest = ".".join(map(str, problem.path[1:]))
    return f"{rest}: {problem.message}" if rest else problem.message


def settings_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """The kind's own settings."""
    return {name: value for name, value in config.items() if name not in OWN_SETTINGS}


def told(found: Iterable[SettingProblem]) -> str:
    """Problems in one message, as Connect tells them."""
    lines = [str(problem) for problem in found]
    return f"Connector configuration is invalid and contains the following {len(lines)} error(s):\n" + "\n".join(lines)
