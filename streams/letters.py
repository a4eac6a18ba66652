"""Dead letters and quarantined events as they are read back: as published, and why they could not be given. Pure."""

import dataclasses
import datetime as dt
import json
from typing import Any, Final, Self

from lintas import names
from streams.records import InputRecord
from streams.slots import EVERYBODY, Slot

DEAD_STAGES: Final = ("when", "require", "release", "delivery", "event", "crash")
QUARANTINE_STAGES: Final = ("envelope", "framing", "schema", "crash")


@dataclasses.dataclass(frozen=True, slots=True)
class Letter:
    """One dead letter, or one event of quarantine.

    Attributes:
        topic: ``dead.<agency>.<system>`` or ``quarantine.<agency>``.
        offset: on that topic: by which it is named.
        event: as it was published, with its place there.
        agreement: that it could not be given under; ``EVERYBODY`` of an event that no one could be given.
        stage: where that failed.
        rule: what was broken; several are separated by commas.
        problems: each with path, rule and message; never a value.
        catalogue: the digest that was in force.
        at: when the bus decided.
        attempt: how often it has tried.
    """

    topic: str
    offset: int
    event: InputRecord
    agreement: str
    stage: str
    rule: str
    problems: list[dict[str, Any]]
    catalogue: str
    at: dt.datetime
    attempt: int

    @classmethod
    def from_record(cls, record: InputRecord) -> Self:
        """Read a record of a topic of dead letters or of quarantine.

        Raises:
            KeyError, ValueError: no lane can have written it.
        """
        why = {
            name.removeprefix(names.ERROR_PREFIX): value.decode()
            for name, value in record.headers
            if name.startswith(names.ERROR_PREFIX)
        }
        event = InputRecord(
            why["topic"],
            int(why["partition"]),
            int(why["offset"]),
            int(why["timestamp"]),
            record.key,
            record.value,
            [header for header in record.headers if not header[0].startswith(names.ERROR_PREFIX)],
        )
        return cls(
            record.topic,
            record.offset,
            event,
            why["agreement"] if record.topic.startswith(names.DEAD) else EVERYBODY,
            why["stage"],
            why["rule"],
            json.loads(why["problems"]),
            why["catalogue"],
            dt.datetime.fromisoformat(why["time"]),
            int(why["attempt"]),
        )

    @property
    def slot(self) -> Slot:
        """The agreement and the input partition: whose lane redrives it."""
        return self.agreement, self.event.topic, self.event.partition
