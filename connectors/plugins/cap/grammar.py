"""The elements of a CAP message in their order, and what field of the event each becomes: both ways follow this table.

Source: Common Alerting Protocol 1.2 (OASIS, 1 July 2010), sections 3.2 and 3.4; version 1.1 (errata of 2007) where it
differs.
"""

import dataclasses
import enum
from typing import Final

NAMESPACES: Final = {
    "urn:oasis:names:tc:emergency:cap:1.1": "CAP_1_1",
    "urn:oasis:names:tc:emergency:cap:1.2": "CAP_1_2",
}
SIGNATURE: Final = "http://www.w3.org/2000/09/xmldsig#"
CAP_1_1: Final = "CAP_1_1"
CAP_1_2: Final = "CAP_1_2"


class Kind(enum.Enum):
    """How the text of an element is read."""

    TEXT = enum.auto()  # as it stands, the empty text too
    NAME = enum.auto()  # text without spaces, commas, < and &: identifier and sender
    WORD = enum.auto()  # one of some words
    MOMENT = enum.auto()
    COUNT = enum.auto()  # a whole number
    MEASURE = enum.auto()  # a decimal number
    POLYGON = enum.auto()
    CIRCLE = enum.auto()
    REFERENCES = enum.auto()
    GROUP = enum.auto()  # elements again


@dataclasses.dataclass(frozen=True, slots=True)
class Element:
    """One element.

    Attributes:
        name: as CAP has it.
        field: as the event has it.
        kind: how it is read.
        required: whether it must be there.
        many: whether it may stand several times; the field is then a list.
        words: which words it may hold.
        new_words: those of 1.2 that 1.1 does not know.
        parts: of a group.
        optional_in_1_1: required by 1.2 only.
    """

    name: str
    field: str
    kind: Kind = Kind.TEXT
    required: bool = False
    many: bool = False
    words: tuple[str, ...] = ()
    new_words: tuple[str, ...] = ()
    parts: "tuple[Element, ...]" = ()
    optional_in_1_1: bool = False

    def is_required(self, version: str) -> bool:
        """Whether a message of a version must have it."""
        return self.required and not (self.optional_in_1_1 and version == CAP_1_1)

    def allowed(self, version: str) -> tuple[str, ...]:
        """The words that a version knows."""
        return self.words if version == CAP_1_1 else (*self.words, *self.new_words)


def _pair(name: str, field: str) -> Element:
    parts = (Element("valueName", "name", required=True), Element("value", "value", required=True))
    return Element(name, field, Kind.GROUP, many=True, parts=parts)


_RESOURCE: Final = (
    Element("resourceDesc", "description", required=True),
    Element("mimeType", "mime_type", required=True, optional_in_1_1=True),
    Element("size", "size_bytes", Kind.COUNT),
    Element("uri", "uri"),
    Element("derefUri", "content"),
    Element("digest", "digest"),
)
_AREA: Final = (
    Element("areaDesc", "description", required=True),
    Element("polygon", "polygons", Kind.POLYGON, many=True),
    Element("circle", "circles", Kind.CIRCLE, many=True),
    _pair("geocode", "geocodes"),
    Element("altitude", "altitude", Kind.MEASURE),
    Element("ceiling", "ceiling", Kind.MEASURE),
)
_CATEGORIES: Final = (
    *("Geo", "Met", "Safety", "Security", "Rescue", "Fire"),
    *("Health", "Env", "Transport", "Infra", "CBRNE", "Other"),
)
_INFO: Final = (
    Element("language", "language"),
    Element("category", "categories", Kind.WORD, required=True, many=True, words=_CATEGORIES),
    Element("event", "event", required=True),
    Element(
        "responseType",
        "response_types",
        Kind.WORD,
        many=True,
        words=("Shelter", "Evacuate", "Prepare", "Execute", "Monitor", "Assess", "None"),
        new_words=("Avoid", "AllClear"),
    ),
    Element(
        "urgency", "urgency", Kind.WORD, required=True, words=("Immediate", "Expected", "Future", "Past", "Unknown")
    ),
    Element(
        "severity", "severity", Kind.WORD, required=True, words=("Extreme", "Severe", "Moderate", "Minor", "Unknown")
    ),
    Element(
        "certainty",
        "certainty",
        Kind.WORD,
        required=True,
        words=("Observed", "Likely", "Possible", "Unlikely", "Unknown"),
    ),
    Element("audience", "audience"),
    _pair("eventCode", "event_codes"),
    Element("effective", "effective", Kind.MOMENT),
    Element("onset", "onset", Kind.MOMENT),
    Element("expires", "expires", Kind.MOMENT),
    Element("senderName", "sender_name"),
    Element("headline", "headline"),
    Element("description", "description"),
    Element("instruction", "instruction"),
    Element("web", "web"),
    Element("contact", "contact"),
    _pair("parameter", "parameters"),
    Element("resource", "resources", Kind.GROUP, many=True, parts=_RESOURCE),
    Element("area", "areas", Kind.GROUP, many=True, parts=_AREA),
)
ALERT: Final = (
    Element("identifier", "identifier", Kind.NAME, required=True),
    Element("sender", "sender", Kind.NAME, required=True),
    Element("sent", "sent", Kind.MOMENT, required=True),
    Element("status", "status", Kind.WORD, required=True, words=("Actual", "Exercise", "System", "Test", "Draft")),
    Element("msgType", "message_type", Kind.WORD, required=True, words=("Alert", "Update", "Cancel", "Ack", "Error")),
    Element("source", "source"),
    Element("scope", "scope", Kind.WORD, required=True, words=("Public", "Restricted", "Private")),
    Element("restriction", "restriction"),
    Element("addresses", "addresses"),
    Element("code", "codes", many=True),
    Element("note", "note"),
    Element("references", "references", Kind.REFERENCES),
    Element("incidents", "incidents"),
    Element("info", "infos", Kind.GROUP, many=True, parts=_INFO),
)
