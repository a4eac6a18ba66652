"""The work of the bench: one event type, three jobs on it, and what each must come to.

Event number ``n`` is the same whoever makes it, so what a job must deliver is known without asking any contender.
"""

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

PARTITIONS: Final = 4
DOMAIN: Final = "id.go.bench"
PROVIDER: Final = "bench"
PUBLISHER: Final = "bench.inspections"
CONSUMER: Final = "desk"
REGIONS: Final = ("31", "32", "33")
SEVERE: Final = 50  # about half of the events are at least so severe

SCHEMA: Final[Mapping[str, Any]] = {
    "type": "record",
    "name": "Inspection",
    "namespace": "id.go.bench",
    "fields": [
        {"name": "number", "type": "string"},
        {"name": "office", "type": "string"},
        {"name": "region", "type": "string"},
        {"name": "inspector", "type": "string"},
        {"name": "inspected_at_ms", "type": "long"},
        {"name": "severity", "type": "int"},
        {"name": "outcome", "type": "string"},
        {
            "name": "place",
            "type": {
                "type": "record",
                "name": "Place",
                "fields": [
                    {"name": "latitude", "type": "double"},
                    {"name": "longitude", "type": "double"},
                    {"name": "address", "type": "string"},
                ],
            },
        },
        {"name": "remarks", "type": "string"},
    ],
}
FIELDS: Final = tuple(field["name"] for field in SCHEMA["fields"])

KEEP: Final = "keep"
PSEUDONYM: Final = "pseudonym"


@dataclasses.dataclass(frozen=True)
class Desk:
    """One consumer: which events are its own and what it may see of them.

    Attributes:
        name: of the consumer system within the agency of consumers.
        release: the rule of each field; what is not listed is not released.
        region: only events of this region (``ce_subject``); None for all.
        least_severity: only events at least so severe (a field of the payload); None for all.
    """

    name: str
    release: Mapping[str, str]
    region: str | None = None
    least_severity: int | None = None

    @property
    def system(self) -> str:
        """The consumer as the catalogue names it."""
        return f"{CONSUMER}.{self.name}"

    @property
    def reduced(self) -> bool:
        """Whether it sees less than the whole payload."""
        return self.release != ALL

    @property
    def when(self) -> str | None:
        """The condition in CEL."""
        terms = []
        if self.region is not None:
            terms.append(f'event.subject == "{self.region}"')
        if self.least_severity is not None:
            terms.append(f"data.severity >= {self.least_severity}")
        return " && ".join(terms) or None

    def takes(self, n: int) -> bool:
        """Whether event ``n`` is this consumer's."""
        return (self.region is None or self.region == region_of(n)) and (
            self.least_severity is None or severity_of(n) >= self.least_severity
        )


@dataclasses.dataclass(frozen=True)
class Job:
    """One kind of work, on an event type of its own.

    Attributes:
        name: one letter.
        title: what is done.
        desks: the consumers.
        share: of the events that other jobs are given; less where an event is more work.
    """

    name: str
    title: str
    desks: Sequence[Desk]
    share: float = 1.0

    @property
    def event_type(self) -> str:
        """The event type that carries this job's events."""
        return f"{DOMAIN}.inspection-{self.name.lower()}.v1"

    @property
    def topic(self) -> str:
        """Where its events are published."""
        return f"events.{PROVIDER}.inspection-{self.name.lower()}.v1"

    def expected(self, first: int, events: int) -> dict[str, int]:
        """How many of the events from ``first`` each consumer must get."""
        counts: Counter[str] = Counter()
        for desk in self.desks:
            counts[desk.name] = sum(map(desk.takes, range(first, first + events)))
        return dict(counts)


ALL: Final = dict.fromkeys(FIELDS, KEEP)
REDUCED: Final = {
    **{name: KEEP for name in FIELDS if name not in ("place", "remarks", "inspector")},
    "inspector": PSEUDONYM,
}


def _fan_out() -> Iterator[Desk]:
    """Ten releases, no two alike: each leaves out another field or two, every other one has a pseudonym."""
    withheld = [name for name in FIELDS if name != "region"]
    for number in range(10):
        hidden = {withheld[number % 8], withheld[(number * 3 + 1 + number // 8) % 8]}
        release = {name: KEEP for name in FIELDS if name not in hidden}
        if number % 2 and "inspector" in release:
            release["inspector"] = PSEUDONYM
        yield Desk(f"f{number}", release)


ROUTE: Final = Job(
    "E",
    "route on the envelope to one of three inboxes, audit, exactly once",
    [Desk(f"e{region}", ALL, region) for region in REGIONS],
)
RELEASE: Final = Job(
    "C",
    "decide on the payload (half pass), route, release a part of it, audit, exactly once",
    [Desk(f"c{region}", REDUCED, region, SEVERE) for region in REGIONS],
)
FAN_OUT: Final = Job(
    "F", "every event to ten agreements with different releases, audit, exactly once", [*_fan_out()], share=0.4
)
TIMED: Final = Job(
    "L",
    "from publishing to read_committed arrival, job E at a steady 1,000 events/s",
    [Desk(f"l{region}", ALL, region) for region in REGIONS],
)
JOBS: Final = {job.name: job for job in (ROUTE, RELEASE, FAN_OUT)}


def region_of(n: int) -> str:
    """The region of event ``n``: all three in every partition."""
    return REGIONS[n // PARTITIONS % len(REGIONS)]


def severity_of(n: int) -> int:
    """The severity of event ``n``, 0 to 99, without a pattern that follows region or partition."""
    return (n * 2_654_435_761 >> 8) % 100


def data_of(n: int) -> dict[str, Any]:
    """The payload of event ``n``: 148 bytes in Avro (a few events one more)."""
    return {
        "number": f"INS-2026-{n % 100_000_000:08d}",
        "office": "kantor-tanjung-priok",
        "region": region_of(n),
        "inspector": f"19870412{n % 9_973:06d}1001",
        "inspected_at_ms": 1_795_000_000_000 + n,
        "severity": severity_of(n),
        "outcome": "cleared",
        "place": {
            "latitude": -6.1 - n % 97 / 100,
            "longitude": 106.8 + n % 89 / 100,
            "address": "Jl. Enggano No. 7, Jakarta",
        },
        "remarks": "seals intact, paper in order",
    }


def headers_of(n: int, event_id: str, event_type: str) -> list[tuple[str, bytes]]:
    """The envelope of event ``n``, as CloudEvents' Kafka binding writes it: seven headers."""
    return [
        ("content-type", b"application/avro"),
        ("ce_specversion", b"1.0"),
        ("ce_id", event_id.encode()),
        ("ce_source", f"urn:lintas:{PUBLISHER}".encode()),
        ("ce_type", event_type.encode()),
        ("ce_subject", region_of(n).encode()),
        ("ce_time", b"2026-11-24T01:02:03.004Z"),
    ]


def key_of(n: int) -> bytes:
    """The Kafka key of event ``n``."""
    return f"container-{n % 50_000:05d}".encode()
