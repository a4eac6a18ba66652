"""The places that lanes speak of: input partitions, and the agreements that are served from each."""

import dataclasses
from typing import Any

Partition = tuple[str, int]  # topic and number
Slot = tuple[str, str, int]  # agreement, input topic and partition


@dataclasses.dataclass(frozen=True, slots=True)
class SetAside:
    """Why and from where an agreement gets nothing of one input partition for now; its events wait in their topic."""

    from_offset: int
    reason: str
    since: str  # ISO 8601
    begun: str = ""  # when it was first set aside, if it was once more while it was given what waits for it

    @property
    def waiting_since(self) -> str:
        """The moment from which on events wait."""
        return self.begun or self.since

    def as_json(self) -> dict[str, Any]:
        """As it is kept on the lanes' status topic."""
        return dataclasses.asdict(self)
