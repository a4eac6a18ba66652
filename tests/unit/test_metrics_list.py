"""The written list of metrics keeps Prometheus's rules, and programs answer what they say they do."""

import re
import urllib.error
import urllib.request

import pytest
from prometheus_client import CollectorRegistry

from monitoring.endpoints import Health, Pulse, serve
from monitoring.listed import Listed, metrics

BASE_UNITS = {"seconds", "bytes", "1"}


@pytest.mark.parametrize("metric", metrics().values(), ids=lambda metric: metric.name)
def test_a_name_has_prefix_unit_and_ending_of_its_type(metric: Listed) -> None:
    assert re.fullmatch(r"lintas_[a-z][a-z_]*[a-z]", metric.name)
    assert metric.name.endswith("_total") == (metric.kind == "counter")
    assert metric.name.endswith("_info") == (metric.kind == "info")
    assert ("_seconds" in metric.name) == (metric.unit == "seconds")
    assert ("_bytes" in metric.name) == (metric.unit == "bytes")
    assert bool(metric.buckets) == (metric.kind == "histogram")
    assert metric.meaning.endswith(".")


def _get(port: int, path: str, accept: str = "") -> tuple[int, str]:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"Accept": accept})
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_endpoints_say_why_a_program_is_not_well() -> None:
    stuck = Pulse("the loop", most_seconds=-1)
    port = serve("test", CollectorRegistry(), Health(live=stuck.check, ready=lambda: "no Kafka"), ("127.0.0.1", 0))
    assert _get(port, "/startup") == (200, "ok\n")
    assert _get(port, "/live") == (503, "the loop has not come round for 0 s\n")
    assert _get(port, "/ready") == (503, "no Kafka\n")
    assert _get(port, "/other")[0] == 404


def test_metrics_are_had_in_both_formats() -> None:
    port = serve("test", CollectorRegistry(), Health(), ("127.0.0.1", 0))
    assert 'lintas_build_info{program="test"' in _get(port, "/metrics")[1]
    assert _get(port, "/metrics", "application/openmetrics-text; version=1.0.0")[1].endswith("# EOF\n")
