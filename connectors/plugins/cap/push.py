"""Alerts that others send over HTTP."""

from connectors.intake.push import PushSettings, PushSource
from connectors.plugins.cap.alerts import AlertSettings, alerts
from connectors.runtime.context import Context
from connectors.runtime.plugin import Guarantee, Plugin


class Settings(AlertSettings, PushSettings):
    """Settings of ``cap-push``."""


def build(settings: Settings, context: Context) -> PushSource:
    """A source of valid settings."""
    return PushSource(settings, "/alerts", alerts(settings, context))


PLUGIN = Plugin(
    name="cap-push",
    kind="source",
    summary="CAP alerts that others POST to /alerts, answered once they are on the bus",
    config=Settings,
    build=build,
    guarantee=Guarantee.AT_LEAST_ONCE,
    guarantee_because=(
        "a sender that got no answer sends again; the alert then has the same id, and the bus drops it as a repeat "
        "within its window"
    ),
    example="""\
host: 127.0.0.1
port: 8470
token_file: /etc/lintas/alert-senders.tokens
event_type: id.go.bmkg.alert.issued.v1
""",
)
