"""Metrics of the list as a program found them at one moment, to be given whenever they are asked for."""

from collections.abc import Iterator

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from monitoring.listed import metric


class Families:
    """Samples by metric of the list; a metric without samples is given all the same, with its meaning."""

    def __init__(self, *names: str) -> None:
        """``names`` are those of metrics, in the order in which they are given."""
        self._families: dict[str, GaugeMetricFamily | CounterMetricFamily] = {
            name: metric(name).family() for name in names
        }

    def add(self, name: str, value: float, **labels: str) -> None:
        """Add a sample; ``labels`` are just those of the list."""
        listed = metric(name).labels
        assert listed.keys() == labels.keys(), f"{name} has the labels {', '.join(listed)}"
        self._families[name].add_metric([labels[label] for label in listed], value)

    def __iter__(self) -> Iterator[Metric]:
        return iter(self._families.values())
