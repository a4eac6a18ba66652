"""Spans for whoever runs an OpenTelemetry collector: off, and at no cost, unless one is named.

They are exported if the extra ``otel`` is installed and ``OTEL_EXPORTER_OTLP_ENDPOINT`` says where to (OTLP over HTTP;
the SDK's other ``OTEL_*`` variables hold). A span is made when what it tells of is over, so nothing waits for it. What
the collector does not take in time is dropped and counted: it can be slow, or away, and nobody notices but the log.

Attributes name lanes, event types, pages, commands; never anything of an event or a person.
"""

import contextlib
import logging
import os
import queue
import time
from collections.abc import Iterator, Mapping, Sequence
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, Final, Protocol

from schemas.wire import trace_context

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExporter

log = logging.getLogger(__name__)

ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
MOST_WAITING: Final = 2_048  # spans; more are dropped
MOST_AT_ONCE: Final = 512
MOST_LINKS: Final = 16
SAY_SECONDS: Final = 60.0  # how often it is said that spans were dropped
GATHER_SECONDS: Final = 1.0
Attributes = Mapping[str, str | int | float | bool]


class Spans(Protocol):
    """Takes spans of what is over."""

    def record(
        self,
        name: str,
        seconds: float,
        attributes: Attributes,
        *,
        parent: str | None = None,
        links: Sequence[str] = (),
        failed: bool = False,
    ) -> None:
        """Take the span of something that ended now.

        Args:
            name: what was done; one of few.
            seconds: how long it took.
            attributes: nothing personal.
            parent: ``traceparent`` of what asked for it.
            links: ``traceparent`` of other traces that it has to do with.
            failed: whether it went wrong.
        """

    def close(self, seconds: float = 2.0) -> None:
        """Export what waits, for so long at most."""


class NoSpans:
    """Nobody wants any."""

    def record(
        self,
        name: str,
        seconds: float,
        attributes: Attributes,
        *,
        parent: str | None = None,
        links: Sequence[str] = (),
        failed: bool = False,
    ) -> None:
        """Take nothing."""

    def close(self, seconds: float = 2.0) -> None:
        """Wait for nothing."""


def start(program: str) -> Spans:
    """What takes the spans of a program: an exporter if the environment names a collector."""
    if not any(os.environ.get(name) for name in ENDPOINTS):
        return NoSpans()
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415  an extra
    except ImportError:
        log.warning("no spans are exported: the extra otel is not installed (pip install lintas[otel])")
        return NoSpans()
    return Exported(program, OTLPSpanExporter())


@contextlib.contextmanager
def command(name: str) -> Iterator[None]:
    """The span of a command of an operator, and what decorates the function that does it."""
    spans, began, failed = start("cli"), time.monotonic(), True
    try:
        yield
        failed = False
    finally:
        spans.record(f"lintas {name}", time.monotonic() - began, {}, failed=failed)
        spans.close()


class Exported:
    """Spans on their way to a collector, in a thread of its own.

    Attributes:
        dropped: how many never got there: too many waited, or the collector did not take them.
    """

    def __init__(self, program: str, exporter: "SpanExporter", *, most_waiting: int = MOST_WAITING) -> None:
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415  an extra
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415  as above

        self.dropped = 0
        self._exporter = exporter
        self._waiting: queue.Queue[ReadableSpan] = queue.Queue(most_waiting)
        self._closing = Event()
        self._said, self._said_at = 0, time.monotonic() - SAY_SECONDS
        provider = TracerProvider(resource=Resource.create({"service.name": f"lintas-{program}"}))
        provider.add_span_processor(_handing_to(self._take))
        self._tracer = provider.get_tracer("lintas")
        self._thread = Thread(target=self._export, name="spans", daemon=True)
        self._thread.start()

    def record(
        self,
        name: str,
        seconds: float,
        attributes: Attributes,
        *,
        parent: str | None = None,
        links: Sequence[str] = (),
        failed: bool = False,
    ) -> None:
        """Take the span of something that ended now: see ``Spans.record``."""
        from opentelemetry.trace import Link, Status, StatusCode  # noqa: PLC0415  as above

        end = time.time_ns()
        valid = (one for one in links if trace_context.is_valid(one))
        span = self._tracer.start_span(
            name,
            _context(parent),
            attributes=attributes,
            links=[Link(_span_context(one)) for one, _ in zip(valid, range(MOST_LINKS), strict=False)],
            start_time=end - int(seconds * 1e9),
        )
        if failed:
            span.set_status(Status(StatusCode.ERROR))
        span.end(end)

    def close(self, seconds: float = 2.0) -> None:
        """Export what waits, for so long at most."""
        self._closing.set()
        self._thread.join(seconds)

    def _take(self, span: "ReadableSpan") -> None:
        try:
            self._waiting.put_nowait(span)
        except queue.Full:
            self.dropped += 1

    def _export(self) -> None:
        from opentelemetry.sdk.trace.export import SpanExportResult  # noqa: PLC0415  as above

        while not (self._closing.is_set() and self._waiting.empty()):
            spans = self._gathered()
            try:
                taken = not spans or self._exporter.export(spans) is SpanExportResult.SUCCESS
            except Exception as error:  # noqa: BLE001  whatever it is, it is not the program's trouble
                log.warning("a collector's answer is not understood: %s", error, extra={"event": "spans_failed"})
                taken = False
            self.dropped += 0 if taken else len(spans)
            self._say()

    def _gathered(self) -> "list[ReadableSpan]":
        spans: list[ReadableSpan] = []
        due = time.monotonic() + (0 if self._closing.is_set() else GATHER_SECONDS)
        while len(spans) < MOST_AT_ONCE:
            try:
                spans.append(self._waiting.get(timeout=max(0.0, due - time.monotonic())))
            except queue.Empty:
                break
        return spans

    def _say(self) -> None:
        if self.dropped > self._said and time.monotonic() >= self._said_at + SAY_SECONDS:
            log.warning(
                "%d spans were dropped: the collector does not take them in time",
                self.dropped - self._said,
                extra={"event": "spans_dropped"},
            )
            self._said, self._said_at = self.dropped, time.monotonic()


def _handing_to(take: Any) -> Any:
    from opentelemetry.sdk.trace import SpanProcessor  # noqa: PLC0415  as above

    class Handing(SpanProcessor):
        """Hands on what is over."""

        def on_end(self, span: "ReadableSpan") -> None:
            take(span)

    return Handing()


def _span_context(traceparent: str) -> Any:
    from opentelemetry.trace import SpanContext, TraceFlags  # noqa: PLC0415  as above

    flags = TraceFlags(int(trace_context.is_sampled(traceparent)))
    return SpanContext(int(traceparent[3:35], 16), int(traceparent[36:52], 16), is_remote=True, trace_flags=flags)


def _context(parent: str | None) -> Any:
    from opentelemetry.context import Context  # noqa: PLC0415  as above
    from opentelemetry.trace import NonRecordingSpan, set_span_in_context  # noqa: PLC0415  as above

    if not trace_context.is_valid(parent):
        return Context()
    return set_span_in_context(NonRecordingSpan(_span_context(parent)), Context())
