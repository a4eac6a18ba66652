"""Health records that others send over HTTP."""

from connectors.intake.push import PushSettings, PushSource
from connectors.plugins.fhir.records import RecordSettings, records
from connectors.runtime.context import Context
from connectors.runtime.plugin import Guarantee, Plugin


class Settings(RecordSettings, PushSettings):
    """Settings of ``fhir-push``."""


def build(settings: Settings, context: Context) -> PushSource:
    """A source of valid settings."""
    return PushSource(settings, "/fhir", records(settings, context))


PLUGIN = Plugin(
    name="fhir-push",
    kind="source",
    summary="Health records that others POST to /fhir: FHIR R4 transaction Bundles, answered once they are on the bus",
    config=Settings,
    build=build,
    guarantee=Guarantee.AT_LEAST_ONCE,
    guarantee_because=(
        "a sender that got no answer sends again; the events then have the same ids, and the bus drops them as repeats "
        "within its window"
    ),
    example="""\
host: 127.0.0.1
port: 8471
token_file: /etc/lintas/hospitals.tokens
""",
)
