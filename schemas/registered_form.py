"""An event type's schema as it is registered: with what a client needs to know beside it.

`lintas-client` knows no catalogue. It finds an event type's topic and subject field in the schema that the registry
gives it, as attributes of the record that Avro carries along and no deserializer minds.
"""

from collections.abc import Mapping
from typing import Any

from schemas.model import EventType

EVENT_TYPE_ATTRIBUTE = "lintas.event_type"
TOPIC_ATTRIBUTE = "lintas.topic"
SUBJECT_ATTRIBUTE = "lintas.subject"


def registered_form(contract: EventType, topic: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    """The record schema with the event type's name, topic and subject field written into it.

    Applying it twice changes nothing; ``schema`` itself is left as it is.
    """
    own = (EVENT_TYPE_ATTRIBUTE, TOPIC_ATTRIBUTE, SUBJECT_ATTRIBUTE)
    registered = {name: value for name, value in schema.items() if name not in own}
    registered[EVENT_TYPE_ATTRIBUTE] = contract.event_type
    registered[TOPIC_ATTRIBUTE] = topic
    if contract.subject is not None:
        registered[SUBJECT_ATTRIBUTE] = contract.subject
    return registered
