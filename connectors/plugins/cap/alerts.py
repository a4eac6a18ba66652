"""What all connectors of alerts share: their settings, and the event that a message becomes."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from lintas_client import Problem
from pydantic import Field, ValidationInfo, field_validator

from connectors.entitled import EventTypeSetting
from connectors.intake.message import Intake, MalformedMessage
from connectors.plugins.cap.parser import parse
from connectors.plugins.cap.safe_xml import MAX_BYTES
from connectors.plugins.cap.store import MessageStore, without_bulk
from connectors.runtime.context import Context
from connectors.runtime.contract import Outgoing
from connectors.runtime.plugin import Config
from lintas.errors import ConnectorFailed

MEDIA_TYPES: Final = ("application/cap+xml", "application/xml", "text/xml")
SUFFIXES: Final = (".cap", ".xml")


class AlertSettings(Config):
    """What an alert becomes."""

    event_type: EventTypeSetting = Field(description="the event type of alerts, such as id.go.bmkg.alert.issued.v1")
    store_above_bytes: int = Field(
        128 * 1024,
        ge=1024,
        description="messages above this size are kept in the store; their events go without polygons and contents",
    )
    store_folder: Path | None = Field(None, description="where such messages are kept, as <sha256>.xml")
    store_url: str | None = Field(
        None,
        pattern=r"^https?://[^\s?#]+$",
        validate_default=True,
        description="where consumers fetch what is in the store",
    )

    @field_validator("store_url")
    @classmethod
    def _has_folder(cls, url: str | None, info: ValidationInfo) -> str | None:
        if "store_folder" in info.data and (url is None) != (info.data["store_folder"] is None):
            raise ValueError("store_folder and store_url are set both or neither")
        return url


def alerts(settings: AlertSettings, context: Context) -> Intake:
    """How messages are read."""

    async def read(message: bytes, origin: str) -> Sequence[Outgoing]:
        return [await asyncio.to_thread(_event, message, origin, settings, context.name)]

    return Intake(read, context, MEDIA_TYPES, SUFFIXES, MAX_BYTES)


def _event(message: bytes, origin: str, settings: AlertSettings, connector: str) -> Outgoing:
    alert = parse(message)
    if len(message) > settings.store_above_bytes:
        alert = _stored(alert, message, settings, connector)
    return Outgoing(
        event_type=settings.event_type,
        data=alert,
        id=event_id(alert),
        time=alert["sent"]["at"],
        key=alert["sender"],  # an update must not overtake what it updates
        origin=origin,
    )


def event_id(alert: dict[str, Any]) -> str:
    """The extended message identifier (CAP 1.2, section 3.2.1, references): sender,identifier,sent."""
    return f"{alert['sender']},{alert['identifier']},{alert['sent']['as_written'].strip()}"


def _stored(alert: dict[str, Any], message: bytes, settings: AlertSettings, connector: str) -> dict[str, Any]:
    if settings.store_folder is None or settings.store_url is None:
        reason = f"is larger than {settings.store_above_bytes} bytes, and this connector has no store (store_folder)"
        raise MalformedMessage([Problem("", "size", reason)])
    try:
        kept = MessageStore(settings.store_folder, settings.store_url).keep(message)
    except OSError as error:
        raise ConnectorFailed(
            connector=connector,
            reason=f"its store {settings.store_folder} takes no files: {error.strerror}",
            remedy="whoever runs the connector must be able to write in it, and it must have room.",
        ) from None
    return without_bulk(alert, kept)
