"""What the makers of events share: one source of chance, running numbers, and what happened earlier in the day."""

import dataclasses
import datetime as dt
import random
from collections.abc import Callable, Mapping
from typing import Any

Payload = dict[str, Any]  # natural JSON


@dataclasses.dataclass(slots=True)
class World:
    """The state of one generated day."""

    rng: random.Random
    births: list[Payload] = dataclasses.field(default_factory=list)  # for corrections
    _count: int = 0

    def number(self) -> int:
        """The next running number of the day."""
        self._count += 1
        return self._count

    def digits(self, count: int) -> str:
        """So many digits by chance, the first not 0."""
        return str(self.rng.randrange(10 ** (count - 1), 10**count))

    def chance(self, share: float) -> bool:
        """True in a share of cases."""
        return self.rng.random() < share


Make = Callable[[World, dt.datetime], Payload]


@dataclasses.dataclass(frozen=True, slots=True)
class Source:
    """How events of one type come about.

    Attributes:
        event_type: its name.
        system: who publishes it.
        subject: dotted path of the field that ce_subject repeats.
        weight: how often it happens in comparison with the others.
        make: one payload, of what happened at a moment.
        nobody: whether no agreement of the example deployment asks for this payload.
        break_requirement: spoils a payload so that one consumer's `require` does not hold.
    """

    event_type: str
    system: str
    subject: str
    weight: int
    make: Make
    nobody: Callable[[Payload], bool] = lambda _: False
    break_requirement: Callable[[Payload], None] | None = None

    def subject_of(self, data: Mapping[str, Any]) -> str:
        """What ce_subject says of a payload."""
        value: Any = data
        for step in self.subject.split("."):
            value = value[step]
        return str(value)


def moment(at: dt.datetime) -> str:
    """A moment as natural JSON has it: UTC with milliseconds."""
    return at.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def day(at: dt.datetime, offset: int = 0) -> str:
    """The day of a moment, or one some days away."""
    return (at.date() + dt.timedelta(days=offset)).isoformat()
