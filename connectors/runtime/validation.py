"""Whether a connector's kind and settings are right: every problem at once, by field."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from connectors.entitled import Entitled
from connectors.runtime.plugin import Config, Plugin
from lintas.errors import ConnectorFailed
from schemas.suggestions import did_you_mean

Plugins = Mapping[str, Plugin]


@dataclasses.dataclass(frozen=True, slots=True)
class SettingProblem:
    """What is wrong with a setting.

    Attributes:
        path: leads to it; its first step is the name of a setting. Empty: the kind of connector is not known.
        message: without the value.
    """

    path: tuple[str | int, ...]
    message: str

    def __str__(self) -> str:
        return f"{'.'.join(map(str, self.path))}: {self.message}" if self.path else self.message


def by_name(plugins: Iterable[Plugin]) -> dict[str, Plugin]:
    """Kinds of connectors by their names."""
    return {plugin.name: plugin for plugin in plugins}


def problems(
    plugins: Plugins, plugin: str, settings: Mapping[str, Any], entitled: Entitled | None = None
) -> list[SettingProblem]:
    """Everything that is wrong with a connector's kind and settings; ``entitled`` where a catalogue is at hand."""
    if plugin not in plugins:
        known = f"; known are {', '.join(sorted(plugins))}" if plugins else ""
        return [SettingProblem((), f"there is no kind of connector {plugin}{did_you_mean(plugin, plugins)}{known}")]
    _, found = read(plugins[plugin], settings, entitled)
    return found


def read(
    plugin: Plugin, settings: Mapping[str, Any], entitled: Entitled | None = None
) -> tuple[Config | None, list[SettingProblem]]:
    """Settings as the plugin's own model, if they are right, and what is wrong with them."""
    try:
        config = plugin.config.model_validate(dict(settings), context=entitled)
    except ValidationError as error:
        return None, [
            SettingProblem(_path(part["loc"]), _message(plugin.config, part["type"], _path(part["loc"]), part["msg"]))
            for part in error.errors(include_input=False, include_url=False)
        ]
    return config, [SettingProblem(tuple(field.split(".")), message) for field, message in plugin.check(config)]


def valid(plugins: Plugins, connector: str, plugin: str, settings: Mapping[str, Any]) -> tuple[Plugin, Config]:
    """The kind of connector and its settings.

    Raises:
        ConnectorFailed: with everything that is wrong.
    """
    if plugin in plugins:
        config, found = read(plugins[plugin], settings)
        if config is not None and not found:
            return plugins[plugin], config
    else:
        found = problems(plugins, plugin, settings)
    raise ConnectorFailed(
        connector=connector,
        reason="its configuration is not right: " + "; ".join(map(str, found)),
        remedy="`lintas connector plugins` tells the settings of each kind; `lintas connector validate` checks a file.",
    )


def _path(location: tuple[str | int, ...]) -> tuple[str | int, ...]:
    return tuple(step for step in location if step != "[key]")


def _message(model: type[Config], kind: str, path: tuple[str | int, ...], message: str) -> str:
    if kind == "extra_forbidden":
        known = [field.alias or name for name, field in model.model_fields.items()] if len(path) == 1 else []
        return f"there is no such setting{did_you_mean(str(path[-1]), known)}"
    if kind == "missing":
        return "is missing"
    return message.removeprefix("Value error, ")
