"""What flows at this moment: deliveries, throughput and the age of events, from audit records as they are read. Pure.

An event's age is the time from its publication (the broker's clock) to the decision that delivered it (the worker's).
Only what is carried live has one: replays, redrives and what had waited are old by their nature.
"""

import dataclasses
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Final

from streams.decisions import ROUTED, decided_in, milliseconds

BUCKET_SECONDS: Final = 10
KEPT_BUCKETS: Final = 90  # a quarter of an hour
WINDOW_BUCKETS: Final = 30  # five minutes: what the picture and the ages are about
_GROWTH: Final = math.log(1.1)  # of the classes of ages: a quantile is right to a twentieth


@dataclasses.dataclass(slots=True)
class _Bucket:
    """What was decided within some seconds."""

    decided: int = 0
    by_type: Counter[str] = dataclasses.field(default_factory=Counter)  # decided
    delivered: Counter[str] = dataclasses.field(default_factory=Counter)  # by agreement
    ages: defaultdict[str, Counter[int]] = dataclasses.field(default_factory=lambda: defaultdict(Counter))


@dataclasses.dataclass(frozen=True, slots=True)
class Ages:
    """Quantiles of the age of events at their delivery, in seconds."""

    p50: float
    p99: float


@dataclasses.dataclass(frozen=True, slots=True)
class Point:
    """A bucket of the chart.

    Attributes:
        at: its end, seconds since 1970.
        decided: events a second.
        delivered: deliveries a second.
    """

    at: int
    decided: float
    delivered: float
    ages: Ages | None


@dataclasses.dataclass(frozen=True, slots=True)
class Flow:
    """The traffic of the last minutes.

    Attributes:
        seconds: how long the window is.
        delivered: deliveries in the window by agreement; those without any are left out.
        decided: events decided in the window by event type, likewise.
        ages: of all deliveries in the window; None if there was none.
        ages_of: by agreement.
        points: the last quarter of an hour, the oldest first.
    """

    seconds: int = WINDOW_BUCKETS * BUCKET_SECONDS
    delivered: Mapping[str, int] = dataclasses.field(default_factory=dict)
    decided: Mapping[str, int] = dataclasses.field(default_factory=dict)
    ages: Ages | None = None
    ages_of: Mapping[str, Ages] = dataclasses.field(default_factory=dict)
    points: tuple[Point, ...] = ()


class Traffic:
    """Adds up the last minutes; kept beside the books (streams.balance.Beside)."""

    def __init__(self) -> None:
        self._buckets: dict[int, _Bucket] = {}
        self._newest = 0

    def decide(self, batch: Mapping[str, Any]) -> None:
        """The next decoded audit record."""
        decided_ms = milliseconds(batch["decided_at"])
        number = decided_ms // (BUCKET_SECONDS * 1000)
        if number <= self._newest - KEPT_BUCKETS:
            return
        if number > self._newest:
            self._newest = number
            self._buckets = {old: one for old, one in self._buckets.items() if old > number - KEPT_BUCKETS}
        bucket = self._buckets.setdefault(number, _Bucket())
        for part in batch["partitions"]:
            bucket.decided += len(part["events"])
            bucket.by_type[part["event_type"]] += len(part["events"])
            for event in decided_in(part):
                given = [verdict.agreement for verdict in event.verdicts if verdict.outcome == "delivered"]
                bucket.delivered.update(given)
                if event.outcome == ROUTED and not event.problem:
                    age = _class_of(decided_ms - event.published_ms)
                    for agreement in given:
                        bucket.ages[agreement][age] += 1

    def flow(self, now: float) -> Flow:
        """The traffic up to ``now``, seconds since 1970."""
        last = int(now) // BUCKET_SECONDS  # not over yet
        window = [self._buckets[number] for number in range(last - WINDOW_BUCKETS, last + 1) if number in self._buckets]
        delivered: Counter[str] = Counter()
        decided: Counter[str] = Counter()
        ages: defaultdict[str, Counter[int]] = defaultdict(Counter)
        for bucket in window:
            delivered.update(bucket.delivered)
            decided.update(bucket.by_type)
            for agreement, classes in bucket.ages.items():
                ages[agreement].update(classes)
        return Flow(
            delivered=dict(delivered),
            decided=dict(decided),
            ages=_quantiles(ages.values()),
            ages_of={agreement: found for agreement, one in ages.items() if (found := _quantiles([one]))},
            points=tuple(self._point(number) for number in range(last - KEPT_BUCKETS, last)),
        )

    def _point(self, number: int) -> Point:
        bucket = self._buckets.get(number, _Bucket())
        return Point(
            (number + 1) * BUCKET_SECONDS,
            bucket.decided / BUCKET_SECONDS,
            bucket.delivered.total() / BUCKET_SECONDS,
            _quantiles(bucket.ages.values()),
        )


def _class_of(age_ms: int) -> int:
    return math.floor(math.log(max(1, age_ms)) / _GROWTH)  # clocks that differ may make it negative


def _quantiles(many: Iterable[Counter[int]]) -> Ages | None:
    classes: Counter[int] = Counter()
    for one in many:
        classes.update(one)
    total = classes.total()
    return Ages(_quantile(classes, total * 0.5), _quantile(classes, total * 0.99)) if total else None


def _quantile(classes: Counter[int], rank: float) -> float:
    seen = 0
    for one in sorted(classes):
        seen += classes[one]
        if seen >= rank:
            return math.exp((one + 0.5) * _GROWTH) / 1000
    raise AssertionError("the rank is not above the total")
