"""What can be wrong with an event, said without its values.

ValueError
├── InvalidSchema            an Avro schema that the bus cannot use
└── MalformedEvent           an event that no one can be given
    ├── MalformedEnvelope    stage "envelope": the CloudEvents attributes
    ├── MalformedFraming     stage "framing": the bytes around the Avro payload
    │   └── UnknownSchema    the schema id
    └── MalformedData        stage "schema": the payload

The exception's docstring is its message; placeholders in braces are filled in.
"""

import inspect
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: where, which rule, and why; never the value itself."""

    path: str  # "child.nik", "children[2].name", "envelope.time", or "" for the whole
    rule: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class InvalidSchema(ValueError):
    """The Avro schema cannot be used: {reason}."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(inspect.cleandoc(type(self).__doc__ or "").format(reason=reason))


class MalformedEvent(ValueError):
    """The event is malformed: {report}."""

    stage: ClassVar[str] = "event"

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        report = "; ".join(map(str, self.problems))
        super().__init__(inspect.cleandoc(type(self).__doc__ or "").format(report=report))


class MalformedEnvelope(MalformedEvent):
    """The CloudEvents attributes are incomplete or malformed: {report}."""

    stage = "envelope"


class MalformedFraming(MalformedEvent):
    """The value is not framed as Confluent's serializers do: {report}."""

    stage = "framing"


class UnknownSchema(MalformedFraming):
    """The schema id is none of the event type's: {report}."""


class MalformedData(MalformedEvent):
    """The payload does not match its schema: {report}."""

    stage = "schema"
