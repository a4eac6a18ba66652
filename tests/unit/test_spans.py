"""Spans reach a collector that is there, and trouble nobody where it is slow, away, or not asked for."""

import sys
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from monitoring import spans

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
OTHER = "00-5bf92f3577b34da6a3ce929d0e0e4736-10f067aa0ba902b7-01"


class Collector(ThreadingHTTPServer):
    """Takes OTLP over HTTP, as soon as it is willing."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.requests: list[ExportTraceServiceRequest] = []
        self.willing = Event()
        self.willing.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def spans(self) -> list[Any]:
        return [
            span
            for request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]


class Answer(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.willing.wait(30)
        self.server.requests.append(ExportTraceServiceRequest.FromString(body))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    server = Collector()
    Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.willing.set()
    server.shutdown()
    server.server_close()


def test_nothing_is_made_or_imported_where_no_collector_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in spans.ENDPOINTS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    made = spans.start("worker")
    assert isinstance(made, spans.NoSpans)
    made.record("lane batch", 1.0, {})
    made.close()


def test_a_collector_without_the_extra_is_told_of_and_otherwise_as_none(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    assert isinstance(spans.start("worker"), spans.NoSpans)
    assert "the extra otel is not installed" in caplog.text


def test_a_span_arrives_with_its_times_parent_links_and_attributes(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    made = spans.start("worker")
    before = time.time_ns()
    made.record("lane batch", 0.25, {"lintas.lane": 3, "lintas.events": 7}, links=[PARENT, "nonsense", OTHER])
    made.record("GET /history", 0.5, {}, parent=PARENT, failed=True)
    made.close(20)
    batch, request = collector.spans
    (resource,) = {str(one.resource) for message in collector.requests for one in message.resource_spans}
    assert "lintas-worker" in resource
    assert batch.name == "lane batch"
    assert batch.end_time_unix_nano - batch.start_time_unix_nano == 250_000_000
    assert batch.end_time_unix_nano >= before
    assert {one.key: one.value.int_value for one in batch.attributes} == {"lintas.lane": 3, "lintas.events": 7}
    assert [(one.trace_id.hex(), one.span_id.hex()) for one in batch.links] == [
        (PARENT[3:35], PARENT[36:52]),
        (OTHER[3:35], OTHER[36:52]),
    ]
    assert batch.parent_span_id == b""
    assert (request.trace_id.hex(), request.parent_span_id.hex()) == (PARENT[3:35], PARENT[36:52])
    assert request.status.code == 2


def test_a_collector_that_hangs_holds_nobody_up_and_what_is_dropped_is_counted(collector: Collector) -> None:
    collector.willing.clear()
    made = spans.Exported("worker", OTLPSpanExporter(f"{collector.url}/v1/traces"), most_waiting=10)
    begun = time.monotonic()
    total = 10 + spans.MOST_AT_ONCE + 1_000
    for _ in range(total):
        made.record("lane batch", 0.0, {})
    assert time.monotonic() - begun < 10  # of which none is waiting
    assert made.dropped >= 1_000
    collector.willing.set()
    made.close(20)
    assert len(collector.spans) + made.dropped == total


def test_a_collector_that_is_away_costs_its_spans_and_no_more(caplog: pytest.LogCaptureFixture) -> None:
    made = spans.Exported("worker", OTLPSpanExporter("http://127.0.0.1:9/v1/traces", timeout=1))
    made.record("lane batch", 0.0, {})
    made.close(20)
    assert made.dropped == 1
    assert "1 spans were dropped" in caplog.text


def test_a_command_has_a_span_also_when_it_fails(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)

    @spans.command("dead redrive")
    def redrive(*, fail: bool) -> int:
        if fail:
            raise ValueError("3210142211266547")
        return 7

    assert redrive(fail=False) == 7
    with pytest.raises(ValueError, match="3210142211266547"):
        redrive(fail=True)
    assert [(span.name, span.status.code) for span in collector.spans] == [
        ("lintas dead redrive", 0),
        ("lintas dead redrive", 2),
    ]
    assert b"3210142211266547" not in b"".join(one.SerializeToString() for one in collector.requests)
