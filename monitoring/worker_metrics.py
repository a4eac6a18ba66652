"""What the lanes of one worker have done, as metrics; lanes tell it batch by batch (``streams.observer``).

Counters are kept as plain numbers and made into metrics when a scrape asks: a batch costs a few dictionary look-ups for
each agreement that it concerns, whatever the number of its events.
"""

import time
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Final, NamedTuple

from prometheus_client import Metric
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar
from prometheus_client.utils import floatToGoString

from monitoring.listed import metric
from schemas.model import Standing
from streams.audit import PartitionDecisions
from streams.batch import Batch
from streams.decide import EventTypePlan, Plans
from streams.decisions import IN_FORCE
from streams.tally import Tally, given

AGE: Final = "lintas_event_age_seconds"
EVENTS: Final = "lintas_events_total"
BYTES: Final = "lintas_event_bytes_total"
DECISIONS: Final = "lintas_decisions_total"
LETTERS: Final = "lintas_dead_letters_total"
QUARANTINED: Final = "lintas_quarantined_events_total"
CAUGHT_UP: Final = "lintas_caught_up_events_total"
BATCH: Final = "lintas_batch_events"
STAGE: Final = "lintas_lane_stage_duration_seconds"
TRANSACTIONS: Final = "lintas_transactions_total"
RUNNING: Final = "lintas_lane_running"
STOPPED: Final = "lintas_lane_stopped"
TAKEOVERS: Final = "lintas_lane_takeovers_total"
REBALANCES: Final = "lintas_rebalances_total"
CATALOGUE: Final = "lintas_catalogue_info"
TAKEN_UP: Final = "lintas_catalogue_taken_up_timestamp_seconds"

OUTCOMES: Final = ("routed", "duplicate", "quarantined")
DECIDED: Final = (
    *("delivered", "filtered", "dead", "waiting"),
    *(standing.value for standing in Standing if standing != IN_FORCE),
)

Labels = tuple[str, ...]


class _Histogram:
    """Counts of one histogram's series by bucket, the last for what is beyond all bounds."""

    def __init__(self, name: str) -> None:
        self._listed = metric(name)
        self.bounds = self._listed.buckets
        self._counts: dict[Labels, list[int]] = {}
        self._sums: defaultdict[Labels, float] = defaultdict(float)
        self._exemplars: dict[tuple[Labels, int], Exemplar] = {}

    def open(self, labels: Labels) -> None:
        """Have a series before there is anything to count."""
        self._counts.setdefault(labels, [0] * (len(self.bounds) + 1))

    def add(self, labels: Labels, bucket: int, count: int, total: float, trace_id: str = "") -> None:
        """Count ``count`` observations of one bucket that make ``total`` together; one may be of a trace."""
        self.open(labels)
        self._counts[labels][bucket] += count
        self._sums[labels] += total
        if trace_id:
            self._exemplars[labels, bucket] = Exemplar({"trace_id": trace_id}, total / count, time.time())

    def observe(self, labels: Labels, value: float) -> None:
        """Count one observation."""
        self.add(labels, bisect_left(self.bounds, value), 1, value)

    def family(self) -> Metric:
        """The histogram as it stands."""
        family = HistogramMetricFamily(self._listed.name, self._listed.meaning, labels=tuple(self._listed.labels))
        bounds = [*map(floatToGoString, self.bounds), "+Inf"]
        for labels, counts in list(self._counts.items()):
            total = 0
            buckets: list[tuple[str, float] | tuple[str, float, Exemplar]] = []
            for number, (bound, count) in enumerate(zip(bounds, list(counts), strict=True)):
                total += count
                exemplar = self._exemplars.get((labels, number))
                buckets.append((bound, total) if exemplar is None else (bound, total, exemplar))
            family.add_metric(labels, buckets, self._sums[labels])
        return family


class _Agreements(NamedTuple):
    """The labels of the agreements on one event type."""

    names: Sequence[str]
    age: Sequence[Labels]  # agreement, event type, channel


class WorkerMetrics(Collector):
    """A ``LaneObserver`` that a registry can collect from; told in the event loop, asked in any thread.

    Attributes:
        running_lanes: lanes that carry events here.
        stopped_lanes: lanes that wait for a person.
    """

    def __init__(self) -> None:
        self._counters: dict[str, Counter[Labels]] = {
            name: Counter()
            for name in (EVENTS, BYTES, DECISIONS, LETTERS, QUARANTINED, CAUGHT_UP, TRANSACTIONS, TAKEOVERS, REBALANCES)
        }
        self._age, self._batch, self._stage = _Histogram(AGE), _Histogram(BATCH), _Histogram(STAGE)
        self._batch.open(())
        for stage in ("decide", "commit"):
            self._stage.open((stage,))
        for outcome in ("committed", "refused", "doubtful"):
            self._counters[TRANSACTIONS][outcome,] = 0
        self._counters[TAKEOVERS][()] = self._counters[REBALANCES][()] = 0
        self.running_lanes: set[int] = set()
        self.stopped_lanes: set[int] = set()
        self._catalogue = ""
        self._taken_up = 0.0
        self._agreements: dict[str, _Agreements] = {}  # by topic

    # What lanes tell.

    def beat(self) -> None:
        """Nothing is counted of it."""

    def took_up(self, plans: Plans) -> None:
        """Show the catalogue, and zeros for whatever it names."""
        self._catalogue, self._taken_up = plans.digest, time.time()
        self._agreements = {topic: self._opened(plan) for topic, plan in plans.by_topic.items()}

    def _opened(self, plan: EventTypePlan) -> _Agreements:
        event_type = plan.event_type
        names = [one.agreement.agreement for one in plan.agreements]
        age = [(name, event_type, one.channel) for name, one in zip(names, plan.agreements, strict=True)]
        for outcome in OUTCOMES:
            self._counters[EVENTS][event_type, outcome] += 0
        self._counters[BYTES][event_type,] += 0
        for labels in age:
            self._age.open(labels)
            for outcome in DECIDED:
                self._counters[DECISIONS][*labels, outcome] += 0
        return _Agreements(names, age)

    def assigned(self, lanes: AbstractSet[int]) -> None:
        """Count a hand-out; lanes that are gone are no longer this worker's to tell of."""
        self._counters[REBALANCES][()] += 1
        self.stopped_lanes &= lanes

    def left(self) -> None:
        """Forget which lanes there were."""
        self.stopped_lanes.clear()

    def owned(self, lane: int) -> None:
        """Count a take-over."""
        self._counters[TAKEOVERS][()] += 1
        self.stopped_lanes.discard(lane)

    def running(self, lane: int) -> None:
        """Show that the lane runs."""
        self.running_lanes.add(lane)

    def let_go(self, lane: int) -> None:
        """Show that it does not."""
        self.running_lanes.discard(lane)

    def stopped(self, lane: int) -> None:
        """Show that it waits for a person."""
        self.stopped_lanes.add(lane)

    def refused(self) -> None:
        """Count a transaction."""
        self._counters[TRANSACTIONS]["refused",] += 1

    def doubtful(self) -> None:
        """Count a transaction."""
        self._counters[TRANSACTIONS]["doubtful",] += 1

    def committed(self, plans: Plans, batch: Batch, *, decide_seconds: float | None, commit_seconds: float) -> None:
        """Count a batch, live or not."""
        now_ms = time.time() * 1000
        self._counters[TRANSACTIONS]["committed",] += 1
        self._stage.observe(("commit",), commit_seconds)
        if decide_seconds is not None:
            self._stage.observe(("decide",), decide_seconds)
            self._batch.observe((), batch.events)
        for (topic, partition), tally in batch.tallies().items():
            agreements = self._agreements.get(topic) or self._opened(plans.by_topic[topic])
            event_type = plans.by_topic[topic].event_type
            for stage, count in tally.quarantined.items():
                self._counters[QUARANTINED][event_type, stage] += count
            for (number, stage), count in tally.letters.items():
                self._counters[LETTERS][agreements.names[number], event_type, stage] += count
            if batch.asked is None:
                self._live(event_type, agreements, batch.decided[topic, partition], tally, now_ms)
            else:
                for served, count in tally.served.items():
                    labels = agreements.names[served.agreement], event_type, batch.asked, served.outcome
                    self._counters[CAUGHT_UP][labels] += count

    def _live(
        self,
        event_type: str,
        agreements: _Agreements,
        decided: PartitionDecisions,
        tally: Tally,
        now_ms: float,
    ) -> None:
        events, decisions = self._counters[EVENTS], self._counters[DECISIONS]
        events[event_type, "routed"] += tally.events_routed()
        events[event_type, "duplicate"] += tally.repeats
        events[event_type, "quarantined"] += tally.quarantined.total()
        self._counters[BYTES][event_type,] += tally.size
        standings = [standing for _, standing in decided.agreements]
        for number, standing in enumerate(standings):
            if standing is not Standing.IN_FORCE:
                decisions[*agreements.age[number], standing.value] += tally.events_routed()
        for (published_ms, number, outcome), count in tally.served.items():
            decisions[*agreements.age[number], outcome] += count
            if outcome == "delivered":
                age = max(0.0, (now_ms - published_ms) / 1000)
                bucket = bisect_left(self._age.bounds, age)
                self._age.add(agreements.age[number], bucket, count, age * count, tally.trace_id)
        for bucket, left_out, mean in self._by_age(tally, now_ms):
            for number, (delivered, filtered) in enumerate(given(left_out, len(standings))):
                if standings[number] is Standing.IN_FORCE:
                    decisions[*agreements.age[number], "delivered"] += delivered
                    decisions[*agreements.age[number], "filtered"] += filtered
                    if delivered:
                        self._age.add(agreements.age[number], bucket, delivered, mean * delivered, tally.trace_id)

    def _by_age(self, tally: Tally, now_ms: float) -> Iterator[tuple[int, Mapping[int, int], float]]:
        """What was decided by field span, by bucket of age: who was left out how often, and the mean age of all."""
        by_bucket: dict[int, tuple[defaultdict[int, int], list[float]]] = {}
        for published_ms, left_out in tally.groups:
            age = max(0.0, (now_ms - published_ms) / 1000)
            held, ages = by_bucket.setdefault(bisect_left(self._age.bounds, age), (defaultdict(int), []))
            for bits, count in left_out.items():
                held[bits] += count
            ages.append(age * sum(left_out.values()))
        for bucket, (held, ages) in by_bucket.items():
            yield bucket, held, sum(ages) / max(1, sum(held.values()))

    # What a scrape is answered.

    def collect(self) -> Iterator[Metric]:
        """Every metric of the list that a worker serves."""
        yield from (self._age.family(), self._batch.family(), self._stage.family())
        for name, counter in self._counters.items():
            yield _family(name, list(counter.items()))
        yield _family(RUNNING, [((str(lane),), 1) for lane in sorted(self.running_lanes)])
        yield _family(STOPPED, [((str(lane),), 1) for lane in sorted(self.stopped_lanes)])
        if self._catalogue:
            yield _family(CATALOGUE, [((self._catalogue,), 1)])
            yield _family(TAKEN_UP, [((), self._taken_up)])


def _family(name: str, samples: Sequence[tuple[Labels, float]]) -> Metric:
    family = metric(name).family()
    for labels, value in samples:
        family.add_metric(labels, value)
    return family
