"""What all connectors of health records share: their settings, and how a bundle is read."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pydantic import Field

from connectors.intake.message import Intake
from connectors.plugins.fhir.bundle import MAX_BYTES
from connectors.plugins.fhir.events import BundleEvents
from connectors.plugins.fhir.mapping import SATUSEHAT, BadBundleMapping, load
from connectors.runtime.context import Context
from connectors.runtime.contract import Outgoing
from connectors.runtime.plugin import Config
from lintas.errors import ConnectorFailed

MEDIA_TYPES: Final = ("application/fhir+json", "application/json")
SUFFIXES: Final = (".json",)


class RecordSettings(Config):
    """What a bundle becomes."""

    mapping: Path | None = Field(
        None, description="YAML file that says which resources become which events; default: SATUSEHAT's shapes"
    )


def records(settings: RecordSettings, context: Context) -> Intake:
    """How bundles are read."""
    checked: list[BundleEvents] = []

    async def ready() -> None:
        checked[:] = [await _mapping(settings, context)]

    async def read(message: bytes, origin: str) -> Sequence[Outgoing]:
        return await asyncio.to_thread(checked[0].events, message, origin)

    return Intake(read, context, MEDIA_TYPES, SUFFIXES, MAX_BYTES, ready)


async def _mapping(settings: RecordSettings, context: Context) -> BundleEvents:
    file = settings.mapping or SATUSEHAT
    try:
        return await BundleEvents.of(load(file), context.registry)
    except BadBundleMapping as error:
        remedy = f"mend {file}; it is tried again by itself."
        raise ConnectorFailed(connector=context.name, reason=f"its mapping is wrong: {error}", remedy=remedy) from None
