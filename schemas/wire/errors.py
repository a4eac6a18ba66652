"""What can be wrong with an event, said without its values.

MalformedEvent
├── MalformedEnvelope    the CloudEvents attributes
├── MalformedFraming     the bytes around the Avro payload
│   └── UnknownSchema    the schema id
└── MalformedData        the payload
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: where, which rule, and why; never the value itself."""

    path: str  # "child.nik", an attribute's name, or "" for the whole
    rule: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class InvalidSchema(ValueError):
    """An Avro schema that cannot be used; the text says why."""


class MalformedEvent(ValueError):
    """An event that no one can be given; its text lists every problem of the stage that found it."""

    stage: ClassVar[str] = "event"

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(map(str, self.problems)))


class MalformedEnvelope(MalformedEvent):
    """The CloudEvents attributes are incomplete or malformed."""

    stage = "envelope"


class MalformedFraming(MalformedEvent):
    """The value does not begin with a schema id as Confluent frames it."""

    stage = "framing"


class UnknownSchema(MalformedFraming):
    """The schema id is none of the event type's."""


class MalformedData(MalformedEvent):
    """The payload does not match its schema."""

    stage = "schema"
