"""Alerts from a watched folder."""

from connectors.intake.folder import FolderSettings, FolderSource
from connectors.plugins.cap.alerts import AlertSettings, alerts
from connectors.runtime.context import Context
from connectors.runtime.plugin import Guarantee, Plugin


class Settings(AlertSettings, FolderSettings):
    """Settings of ``cap-files``."""


def build(settings: Settings, context: Context) -> FolderSource:
    """A source of valid settings."""
    return FolderSource(settings, alerts(settings, context))


PLUGIN = Plugin(
    name="cap-files",
    kind="source",
    summary="CAP alerts, a file each, from a watched folder",
    config=Settings,
    build=build,
    guarantee=Guarantee.EXACTLY_ONCE,
    guarantee_because=(
        "what has been published is noted in the transaction that publishes it, and an alert's id is CAP's own: "
        "sender, identifier and time; the same alert in a later file is a repeat, which the bus drops within its window"
    ),
    example="""\
folder: /var/spool/alerts
event_type: id.go.bmkg.alert.issued.v1
store_folder: /srv/alerts
store_url: https://alerts.bmkg.example/messages
""",
)
