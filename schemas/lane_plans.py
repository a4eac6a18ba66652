"""What the topic of lane plans says: how many lanes there are, in which generation. Pure.

A generation is a set of lanes with ids of its own. It is planned, then every lane of the one before is fenced, then it
is opened. The topic is a log that is kept for ever; its order decides, so everybody who reads it decides the same.
"""

import dataclasses
import json
from typing import Final, Self

from lintas import names
from lintas.errors import LanePlansBroken

PLAN: Final = "plan/"
OPEN: Final = "open/"


@dataclasses.dataclass(frozen=True, slots=True)
class LanePlan:
    """How many lanes a generation is to have, who asked for it and when."""

    generation: int
    lanes: int
    author: str
    at: str  # ISO 8601, UTC

    @property
    def control_topic(self) -> str:
        """The topic whose partitions are the lanes."""
        return names.control_topic(self.generation, self.lanes)

    @property
    def group(self) -> str:
        """The group of the workers that share the lanes."""
        return names.lanes_group(self.generation)

    @property
    def transactional_ids(self) -> list[str]:
        """The id of every lane."""
        return [names.transactional_id(self.generation, lane) for lane in range(self.lanes)]

    def as_record(self) -> tuple[bytes, bytes]:
        """Key and value that plan the generation."""
        return f"{PLAN}{self.generation}".encode(), json.dumps(dataclasses.asdict(self)).encode()

    def opening(self) -> tuple[bytes, bytes]:
        """Key and value that open it; to be written only once every lane of the generation before is fenced."""
        return f"{OPEN}{self.generation}".encode(), b"{}"

    @classmethod
    def from_bytes(cls, value: bytes) -> Self:
        """Read a plan.

        Raises:
            LanePlansBroken: it is not one.
        """
        try:
            return cls(**json.loads(value))
        except (ValueError, TypeError) as error:
            raise LanePlansBroken(reason=f"a plan cannot be read ({type(error).__name__})") from error


class LanePlans:
    """The topic as read so far. Of several plans of one generation the first counts; the others never did anything."""

    def __init__(self) -> None:
        self._plans: list[LanePlan] = []
        self._open = False

    @property
    def latest(self) -> LanePlan | None:
        """The newest generation, open or not; lanes of older ones must do nothing more."""
        return self._plans[-1] if self._plans else None

    @property
    def in_force(self) -> LanePlan | None:
        """The newest generation if it is open: its lanes may run."""
        return self.latest if self._open else None

    @property
    def unfinished(self) -> LanePlan | None:
        """The newest generation if it is not open yet: whoever finds it may finish it."""
        return None if self._open else self.latest

    def before(self, plan: LanePlan) -> LanePlan | None:
        """The generation that a plan replaces; none for the first."""
        return self._plans[plan.generation - 2] if plan.generation > 1 else None

    def won(self, plan: LanePlan) -> bool:
        """Whether this plan, and not another of its generation, counts."""
        return plan in self._plans

    def next(self, lanes: int, author: str, at: str) -> LanePlan:
        """The plan to append for another number of lanes; counts only if the newest generation is open by then."""
        return LanePlan(len(self._plans) + 1, lanes, author, at)

    def add(self, key: bytes, value: bytes | None) -> None:
        """Take in the next record of the log.

        Raises:
            LanePlansBroken: the record is not what it should be.
        """
        text = key.decode(errors="replace")
        if value is None:
            raise LanePlansBroken(reason=f"{text} was deleted from it")
        if text.startswith(PLAN):
            plan = LanePlan.from_bytes(value)
            if plan.generation == len(self._plans) + 1 and (self._open or not self._plans):
                self._plans.append(plan)
                self._open = False
        elif self.latest is not None and text == f"{OPEN}{self.latest.generation}":
            self._open = True
