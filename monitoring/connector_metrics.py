"""What the connectors of one runtime do, as metrics, and whether the runtime is well; it is told by the runtime."""

import time
from collections.abc import Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from connectors.runtime.observer import Who
from connectors.runtime.state import State
from monitoring.endpoints import Health, Pulse
from monitoring.listed import metric

STUCK_SECONDS: Final = 30.0
STATES: Final = (State.RUNNING, State.PAUSED, State.STOPPED, State.FAILED)


class ConnectorMetrics:
    """A ``ConnectorObserver`` that counts; told in the runtime's loop, asked in any thread."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """``registry`` is what a scrape is answered from."""
        self._owned = metric("lintas_connectors_owned").gauge(registry)
        self._state = metric("lintas_connector_state").gauge(registry)
        self._failures = metric("lintas_connector_failures_total").counter(registry)
        self._transactions = metric("lintas_connector_transactions_total").counter(registry)
        self._last = metric("lintas_connector_last_transaction_timestamp_seconds").gauge(registry)
        self._events = metric("lintas_connector_events_total").counter(registry)
        self._refused = metric("lintas_connector_refused_events_total").counter(registry)
        self._deliveries = metric("lintas_connector_deliveries_total").counter(registry)
        self._duration = metric("lintas_connector_delivery_duration_seconds").histogram(registry)
        self._held = metric("lintas_connector_held_events").gauge(registry)
        self._pulse = Pulse("the runtime's loop", STUCK_SECONDS)
        self._problems: dict[str, str] = {}  # by system, why its topic cannot be read
        self._has_begun = False
        self.health = Health(live=self._pulse.check, ready=self._ready, startup=self._startup)

    def beat(self) -> None:
        """Note that the loop goes round."""
        self._pulse.beat()

    def reached(self, system: str, problem: str) -> None:
        """Note whether a system's topic can be read."""
        self._problems[system] = problem
        self._has_begun = self._has_begun or not problem

    def owned(self, system: str, *, owner: bool | None) -> None:
        """Show who runs a system's connectors, if it has any."""
        if owner is None:
            self._owned.remove_by_labels({"system": system})
        else:
            self._owned.labels(system).set(owner)

    def became(self, who: Who, state: State) -> None:
        """Show a connector's state, and zeros for what it may do."""
        self._remove(self._state, who.system, who.connector)  # its kind may be another now
        for one in STATES:
            self._state.labels(who.system, who.connector, who.plugin, one.value).set(one is state)
        of_kind = {"source": (self._refused,), "sink": (self._deliveries, self._duration)}
        for counted in (self._failures, self._transactions, *of_kind.get(who.kind, ())):
            counted.labels(who.system, who.connector)

    def forgotten(self, system: str, connector: str) -> None:
        """Show nothing of a connector any more."""
        for shown in (
            self._state,
            self._failures,
            self._transactions,
            self._last,
            self._events,
            self._refused,
            self._deliveries,
            self._duration,
            self._held,
        ):
            self._remove(shown, system, connector)

    def failed(self, who: Who) -> None:
        """Count a failure."""
        self._failures.labels(who.system, who.connector).inc()

    def published(self, who: Who, event_type: str, events: int) -> None:
        """Count events."""
        self._events.labels(who.system, who.connector, event_type).inc(events)

    def refused(self, who: Who, events: int) -> None:
        """Count events that the bus would not take."""
        self._refused.labels(who.system, who.connector).inc(events)

    def delivered(self, who: Who, events: int, seconds: float) -> None:
        """Count deliveries."""
        self._deliveries.labels(who.system, who.connector).inc(events)
        self._duration.labels(who.system, who.connector).observe(seconds)

    def committed(self, who: Who) -> None:
        """Count a transaction."""
        self._transactions.labels(who.system, who.connector).inc()
        self._last.labels(who.system, who.connector).set(time.time())

    def holds(self, who: Who, events: Mapping[str, int]) -> None:
        """Show what is kept back."""
        for waits_for, count in events.items():
            self._held.labels(who.system, who.connector, waits_for).set(count)

    def _remove(self, shown: Counter | Gauge | Histogram, system: str, connector: str) -> None:
        shown.remove_by_labels({"system": system, "connector": connector})

    def _startup(self) -> str:
        return "" if self._has_begun else self._ready() or "no system's credentials are here yet"

    def _ready(self) -> str:
        """Ready is who can read what connectors are to do; one that waits for another runtime to end is ready."""
        return "; ".join(f"{system}: {problem}" for system, problem in sorted(self._problems.items()) if problem)
