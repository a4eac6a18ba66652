"""Schemas as they are registered: with what a client must know to publish, as custom attributes."""

from collections.abc import Mapping
from typing import Any, Final

from schemas.model import EventType

EVENT_TYPE: Final = "lintas.event_type"
TOPIC: Final = "lintas.topic"
SUBJECT: Final = "lintas.subject"


def registered_form(contract: EventType, topic: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    """A source schema with its event type, its topic and the path of its subject field."""
    known = {EVENT_TYPE: contract.event_type, TOPIC: topic}
    if contract.subject is not None:
        known[SUBJECT] = contract.subject
    return {**schema, **known}
