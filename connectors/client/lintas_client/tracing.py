"""Which trace an event belongs to that does not say so itself."""

import sys
from typing import Any

from .wire import trace_context


def current() -> str:
    """A ``traceparent``: of the active span if this program traces with OpenTelemetry, else of a new trace.

    OpenTelemetry is no dependency: where nothing has imported it, no span is active.
    """
    api: Any = sys.modules.get("opentelemetry.trace")
    if api is not None:
        span = api.get_current_span().get_span_context()
        if span.is_valid:
            return f"00-{span.trace_id:032x}-{span.span_id:016x}-{int(span.trace_flags):02x}"
    return trace_context.begun()
