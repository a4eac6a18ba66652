"""What can be wrong with a record, said without its values."""

import dataclasses
from collections.abc import Iterable


@dataclasses.dataclass(frozen=True, slots=True)
class FieldProblem:
    """One thing that keeps a record from becoming an event.

    Attributes:
        field: of the event: ``data.magnitude``, ``time``, ``id``.
        column: that it was to come from; empty where none is named.
        rule: a word for it, as ``required``, ``type``, ``format``, ``cel``.
        message: goes on after the field's name: ``is empty, and needs a value``.
    """

    field: str
    column: str
    rule: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


class Unmappable(ValueError):
    """A record that cannot become an event: every problem found."""

    def __init__(self, problems: Iterable[FieldProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(map(str, self.problems)))


class Unconvertible(ValueError):
    """A value that cannot be what its field asks for; ``message`` goes on after the field's name."""

    def __init__(self, rule: str, message: str) -> None:
        self.rule = rule
        self.message = message
        super().__init__(message)
