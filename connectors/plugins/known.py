"""Every kind of connector: the one list of them. Adding one adds its file, its tests and a line here."""

from typing import Final

from connectors.plugins.files import source as files
from connectors.plugins.parquet import sink as parquet
from connectors.plugins.webhook import plugin as webhook
from connectors.runtime.plugin import Plugin

PLUGINS: Final[tuple[Plugin, ...]] = (
    files.PLUGIN,
    parquet.PLUGIN,
    webhook.PLUGIN,
)
