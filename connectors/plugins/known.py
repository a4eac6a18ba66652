"""Every kind of connector: the one list of them. Adding one adds its file, its tests and a line here."""

from typing import Final

from connectors.plugins.bmkg_earthquakes import source as bmkg_earthquakes
from connectors.plugins.cap import feed_source as cap_feed
from connectors.plugins.cap import files as cap_files
from connectors.plugins.cap import push as cap_push
from connectors.plugins.fhir import files as fhir_files
from connectors.plugins.fhir import push as fhir_push
from connectors.plugins.files import source as files
from connectors.plugins.parquet import sink as parquet
from connectors.plugins.postgres import outbox as postgres_outbox
from connectors.plugins.postgres import replication as postgres_replication
from connectors.plugins.postgres import sink as postgres_sink
from connectors.plugins.webhook import plugin as webhook
from connectors.runtime.plugin import Plugin

PLUGINS: Final[tuple[Plugin, ...]] = (
    bmkg_earthquakes.PLUGIN,
    cap_feed.PLUGIN,
    cap_files.PLUGIN,
    cap_push.PLUGIN,
    fhir_files.PLUGIN,
    fhir_push.PLUGIN,
    files.PLUGIN,
    parquet.PLUGIN,
    postgres_outbox.PLUGIN,
    postgres_replication.PLUGIN,
    postgres_sink.PLUGIN,
    webhook.PLUGIN,
)
