"""Whether a worker does its work, from what its lanes tell (``streams.observer``)."""

from collections.abc import Set as AbstractSet
from typing import Final

from monitoring.endpoints import Health, Pulse
from monitoring.spans import NoSpans, Spans
from monitoring.worker_metrics import WorkerMetrics
from streams.batch import Batch
from streams.decide import Plans

STUCK_SECONDS: Final = 30.0  # the loop comes round every second; a transaction may hold it up for half this


class WorkerWatch(WorkerMetrics):
    """A ``LaneObserver`` that counts, and knows whether the worker is well."""

    def __init__(self, spans: Spans | None = None) -> None:
        """``spans`` takes one of every batch, live or not; nobody does if it is None."""
        super().__init__()
        self._spans = spans or NoSpans()
        self._pulse = Pulse("the worker's loop", STUCK_SECONDS)
        self._assigned: frozenset[int] | None = None  # None: in no group
        self.health = Health(live=self._pulse.check, ready=self._ready, startup=self._startup)

    def beat(self) -> None:
        """Note that the loop goes round."""
        self._pulse.beat()

    def assigned(self, lanes: AbstractSet[int]) -> None:
        """Note what is to run here."""
        super().assigned(lanes)
        self._assigned = frozenset(lanes)

    def left(self) -> None:
        """Note that nothing is to run here."""
        super().left()
        self._assigned = None

    def committed(self, plans: Plans, batch: Batch, *, decide_seconds: float | None, commit_seconds: float) -> None:
        """Count a batch, and make its span, linked to one event of each input partition that named its trace."""
        super().committed(plans, batch, decide_seconds=decide_seconds, commit_seconds=commit_seconds)
        self._spans.record(
            "lane batch",
            (decide_seconds or 0.0) + commit_seconds,
            {
                "lintas.catalogue": plans.digest,
                "lintas.events": batch.events,
                "lintas.live": decide_seconds is not None,
                "messaging.system": "kafka",
            },
            links=[tally.parent for tally in batch.tallies().values() if tally.parent],
        )

    def _startup(self) -> str:
        return "" if self._assigned is not None else "it has not joined the workers' group yet: no catalogue, no Kafka"

    def _ready(self) -> str:
        if self._assigned is None:
            return "it is not in the workers' group, which hands out lanes"
        if waiting := sorted(self.stopped_lanes):
            return f"lanes {', '.join(map(str, waiting))} wait for a person: the log says why"
        if missing := sorted(self._assigned - self.running_lanes):
            return f"lanes {', '.join(map(str, missing))} are being taken over"
        return ""
