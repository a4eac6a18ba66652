"""Health records from a watched folder."""

from connectors.intake.folder import FolderSettings, FolderSource
from connectors.plugins.fhir.records import RecordSettings, records
from connectors.runtime.context import Context
from connectors.runtime.plugin import Guarantee, Plugin


class Settings(RecordSettings, FolderSettings):
    """Settings of ``fhir-bundles``."""


def build(settings: Settings, context: Context) -> FolderSource:
    """A source of valid settings."""
    return FolderSource(settings, records(settings, context))


PLUGIN = Plugin(
    name="fhir-bundles",
    kind="source",
    summary="Health records from a watched folder: FHIR R4 transaction Bundles, a file each",
    config=Settings,
    build=build,
    guarantee=Guarantee.EXACTLY_ONCE,
    guarantee_because=(
        "what has been published is noted in the transaction that publishes it, all events of a bundle in one, and ids "
        "are made of what records say; a record that comes again is a repeat, which the bus drops within its window"
    ),
    example="""\
folder: /var/spool/satusehat
""",
)
