"""Where people go from every page."""

import dataclasses
from typing import Final

from monitoring.console.permissions import Right


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """A link of the navigation; shown to those who have the right."""

    path: str
    text: str  # key
    right: Right


NAVIGATION: Final = (
    Entry("/", "frame.overview", Right.SEE_BUS),
    Entry("/event-types", "frame.event_types", Right.SEE_BUS),
    Entry("/agreements", "frame.agreements", Right.SEE_BUS),
    Entry("/inboxes", "frame.inboxes", Right.SEE_INBOX),
    Entry("/dead-letters", "frame.dead_letters", Right.SEE_DEAD_LETTERS),
    Entry("/quarantine", "frame.quarantine", Right.SEE_QUARANTINE),
    Entry("/replays", "frame.replays", Right.SEE_REPLAYS),
    Entry("/connectors", "frame.connectors", Right.SEE_CONNECTORS),
    Entry("/workers", "frame.workers", Right.SEE_BUS),
    Entry("/history", "frame.history", Right.SEE_BUS),
    Entry("/acts", "frame.acts", Right.SEE_ACTS),
)
