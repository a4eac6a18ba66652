"""The kinds of connectors of alerts and health records say of themselves what holds."""

import pytest
import yaml
from message_intake import context

from connectors.plugins import known
from connectors.runtime.plugin import Plugin
from connectors.runtime.validation import read

PLUGINS = [plugin for plugin in known.PLUGINS if plugin.name.startswith(("cap-", "fhir-"))]


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda plugin: plugin.name)
def test_the_example_is_valid_and_makes_a_connector(plugin: Plugin) -> None:
    settings, problems = read(plugin, yaml.safe_load(plugin.example))
    assert problems == []
    assert plugin.build(settings, context("bmkg.weather")) is not None


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda plugin: plugin.name)
def test_every_setting_is_described_and_none_holds_a_secret(plugin: Plugin) -> None:
    for name, field in plugin.config.model_fields.items():
        assert field.description, name
        assert not {"token", "password", "key"} & {name}, name


def test_there_are_five() -> None:
    assert [plugin.name for plugin in PLUGINS] == ["cap-feed", "cap-files", "cap-push", "fhir-bundles", "fhir-push"]
