"""The canary's metrics, counted as events are sent and arrive."""

import time

from prometheus_client import CollectorRegistry, Gauge

from monitoring.canary_events import PROBLEMS, Arrival
from monitoring.listed import metric


class CanaryMetrics:
    """Counts what the canary did; every series is there from the beginning but the time of the last arrival."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """``registry`` is what a scrape is answered from."""
        self._registry = registry
        self._up = metric("lintas_canary_up").gauge(registry)
        self._round_trip = metric("lintas_canary_round_trip_seconds").histogram(registry)
        self._sent = metric("lintas_canary_sent_total").counter(registry)
        self._received = metric("lintas_canary_received_total").counter(registry)
        self._wrong = metric("lintas_canary_wrong_total").counter(registry)
        self._last: Gauge | None = None  # nothing has arrived: 0 would be long ago
        for problem in PROBLEMS:
            self._wrong.labels(problem)

    def connected(self, yes: bool) -> None:
        """Whether events can be sent and read."""
        self._up.set(yes)

    def sent(self) -> None:
        """Kafka has acknowledged an event."""
        self._sent.inc()

    def arrived(self, arrival: Arrival) -> None:
        """An event has been read."""
        for problem in arrival.problems:
            self._wrong.labels(problem).inc()
        if not arrival.first:
            return
        self._received.inc()
        self._round_trip.observe(arrival.seconds)
        if self._last is None:
            self._last = metric("lintas_canary_last_received_timestamp_seconds").gauge(self._registry)
        self._last.set(time.time())
