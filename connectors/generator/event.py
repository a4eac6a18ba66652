"""One generated event: who publishes it, what it says, and what is wrong with it, if anything."""

import dataclasses
import enum
from collections.abc import Mapping
from typing import Any

from lintas import names


class Disorder(enum.StrEnum):
    """How an event stands in the day: most are good, the others are what a bus must live with."""

    GOOD = "good"
    REPEAT = "repeat"  # an earlier event of the day, published again with the same id
    LATE = "late"  # good, but it happened days ago
    BROKEN = "broken"  # no one can be given it: see its fault
    UNENTITLED = "unentitled"  # good, but every agreement's `when` is false, or there is no agreement
    REQUIRE_BROKEN = "require-broken"  # well-formed, but one consumer's `require` does not hold


class Fault(enum.StrEnum):
    """What is broken about a broken event."""

    BAD_BYTES = "the Avro bytes end too soon"
    WRONG_SCHEMA_ID = "the schema id belongs to no schema of the event type"
    MISSING_ID = "the event has no id"
    WRONG_SOURCE = "the source is no publisher of the event type"
    INVALID_NIK = "a population number holds a day that does not exist"
    SUBJECT_MISMATCH = "the subject is not what the payload says"


@dataclasses.dataclass(frozen=True, slots=True)
class GeneratedEvent:
    """What a system publishes.

    Attributes:
        system: id of the publishing system.
        event_type: name of the event type.
        attributes: CloudEvents attributes as they are published, wrong ones included.
        data: the payload as natural JSON; ``records.to_record`` spoils its bytes where the fault is in them.
        kind: how the event stands in the day.
        fault: what is broken, for broken events only.
        note: one line for people, without values of the payload.
    """

    system: str
    event_type: str
    attributes: Mapping[str, str]
    data: Mapping[str, Any]
    kind: Disorder = Disorder.GOOD
    fault: Fault | None = None
    note: str = ""

    @property
    def key(self) -> bytes | None:
        """The Kafka key: the subject, so that what concerns the same subject stays in order."""
        subject = self.attributes.get("subject")
        return None if subject is None else subject.encode()


def attributes_of(system: str, event_type: str, event_id: str, time: str, subject: str) -> dict[str, str]:
    """The attributes of an event as its publisher sets them."""
    return {
        "specversion": "1.0",
        "id": event_id,
        "source": names.source_of(system),
        "type": event_type,
        "time": time,
        "subject": subject,
        "datacontenttype": "application/avro",
    }
