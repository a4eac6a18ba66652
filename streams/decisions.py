"""What audit records say of each event, and the identity of a delivery as both they and the inbox give it. Pure."""

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from lintas import names
from schemas.model import Standing
from streams import audit, evidence
from streams.records import InputRecord

IN_FORCE: Final = Standing.IN_FORCE.value
ROUTED: Final = "routed"
CAUGHT_UP: Final = "caught_up"  # routed before, decided again for the agreements that are mentioned ...
RESUMED, REDRIVEN = "resumed", "redriven"  # ... since it had waited; or had been dead, with the number of the request
BACKFILLED, REPLAYED = "backfilled", "replayed"  # ... or was published before it began; or once more, and which replay
READMITTED: Final = "readmitted"  # quarantined before, decided again for everybody, with the number of the request


class Place(NamedTuple):
    """Where a record lies: an event where it was published, a delivery in its inbox."""

    topic: str
    partition: int
    offset: int


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """What an audit record says of one event for one agreement."""

    agreement: str
    outcome: str  # delivered, filtered, dead, waiting; or not_yet, expired, suspended: not in force
    problem: str | None = None
    partition: int = -1  # of the inbox, if delivered
    payload_out: bytes | None = None

    @property
    def receipt(self) -> bytes:
        """The identity of a delivery: what was written, and into which partition."""
        return receipt(self.payload_out or b"", self.partition)


@dataclasses.dataclass(frozen=True, slots=True)
class Decided:
    """What an audit record says of one event; one verdict for each mention of an agreement."""

    place: Place
    event_type: str
    published_ms: int  # the broker's time
    outcome: str  # routed, duplicate, quarantined; or caught_up
    problem: str | None
    verdicts: tuple[Verdict, ...]

    @property
    def asked(self) -> str:
        """What it was decided again for; meaningful for ``caught_up`` only, or if it is READMITTED."""
        return (self.problem or "").partition(" ")[0]

    @property
    def is_readmitted(self) -> bool:
        """Whether it had been quarantined before."""
        return self.asked == READMITTED


def receipt(payload_out: bytes, inbox_partition: int) -> bytes:
    """The identity of a record of an inbox, as audit records and the inbox itself both give it."""
    return hashlib.sha256(payload_out + inbox_partition.to_bytes(4, signed=True)).digest()


def decided_in(part: Mapping[str, Any]) -> Iterator[Decided]:
    """Every event of one of the ``partitions`` of a decoded audit record (schemas/audit.avsc)."""
    agreements = [(entry["agreement"], entry["standing"]) for entry in part["agreements"]]
    idle = tuple(Verdict(name, standing) for name, standing in agreements if standing != IN_FORCE)
    for event in part["events"]:
        verdicts: tuple[Verdict, ...] = ()
        if event["outcome"] in (ROUTED, CAUGHT_UP):
            verdicts = (
                *(idle if event["outcome"] == ROUTED else ()),
                *(Verdict(agreements[index][0], "filtered") for index in audit.members(event["filtered"])),
                *(_verdict(agreements[one["agreement"]][0], one) for one in event["decisions"]),
            )
        place = Place(part["topic"], part["partition"], event["offset"])
        published_ms = milliseconds(event["published_at"])
        yield Decided(place, part["event_type"], published_ms, event["outcome"], event["problem"], verdicts)


def _verdict(agreement: str, decision: Mapping[str, Any]) -> Verdict:
    return Verdict(agreement, decision["outcome"], decision["problem"], decision["partition"], decision["payload_out"])


def delivery_of(record: InputRecord) -> bytes:
    """The identity of a record of an inbox: the commitment to it under the salt that it carries, and its partition.

    Raises:
        KeyError: it carries no salt.
    """
    salt = next((value for name, value in record.headers if name == names.HEADER_SALT), None)
    if salt is None:
        raise KeyError(names.HEADER_SALT)
    return receipt(evidence.commitment(salt, record.key, record.headers, record.value), record.partition)


def milliseconds(moment: Any) -> int:
    """Milliseconds of a moment that a decoder may have made a datetime of."""
    return moment if isinstance(moment, int) else round(moment.timestamp() * 1000)
