"""The written list of metrics (``metrics.yaml``): programs make their metrics from it, so that neither can stray."""

import functools
from pathlib import Path
from typing import Literal

import yaml
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from pydantic import BaseModel, ConfigDict, Field

LIST = Path(__file__).parent / "metrics.yaml"

disable_created_metrics()  # type: ignore[no-untyped-call]  # nothing is served that is not on the list

Program = Literal["any", "worker", "exporter", "canary", "bookkeeper", "console", "connector", "gateway"]


class Listed(BaseModel):
    """One metric of the list.

    Attributes:
        name: as Prometheus shows it; of a histogram without ``_bucket``, ``_sum`` and ``_count``.
        labels: what bounds the values of each.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    program: Program
    kind: Literal["counter", "gauge", "histogram", "info"] = Field(alias="type")
    unit: str
    labels: dict[str, str]
    meaning: str
    buckets: tuple[float, ...] = ()

    def counter(self, registry: CollectorRegistry) -> Counter:
        """The metric as an object that is counted with."""
        self._must_be("counter")
        return Counter(self.name, self.meaning, tuple(self.labels), registry=registry)

    def gauge(self, registry: CollectorRegistry) -> Gauge:
        """The metric as an object that is set."""
        self._must_be("gauge", "info")
        return Gauge(self.name, self.meaning, tuple(self.labels), registry=registry)

    def histogram(self, registry: CollectorRegistry) -> Histogram:
        """The metric as an object that observes."""
        self._must_be("histogram")
        return Histogram(self.name, self.meaning, tuple(self.labels), registry=registry, buckets=self.buckets)

    def family(self) -> GaugeMetricFamily | CounterMetricFamily:
        """The metric as a collector gives it: samples are added when it is asked for."""
        self._must_be("counter", "gauge", "info")
        kind = CounterMetricFamily if self.kind == "counter" else GaugeMetricFamily
        return kind(self.name, self.meaning, labels=tuple(self.labels))

    def _must_be(self, *kinds: str) -> None:
        assert self.kind in kinds, f"{self.name} is listed as {self.kind}"


@functools.cache
def metrics() -> dict[str, Listed]:
    """Every metric of the list, by name."""
    listed = [Listed(**entry) for entry in yaml.safe_load(LIST.read_text())]
    return {metric.name: metric for metric in listed}


def metric(name: str) -> Listed:
    """The metric of that name.

    Raises:
        KeyError: it is not on the list.
    """
    return metrics()[name]
