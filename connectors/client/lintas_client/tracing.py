"""Which trace an event or a request belongs to that does not say so itself."""

import sys
from typing import Any

from .wire import trace_context


def active() -> str | None:
    """The ``traceparent`` of the active span, if this program traces with OpenTelemetry.

    OpenTelemetry is no dependency: where nothing has imported it, no span is active.
    """
    api: Any = sys.modules.get("opentelemetry.trace")
    if api is None:
        return None
    span = api.get_current_span().get_span_context()
    return f"00-{span.trace_id:032x}-{span.span_id:016x}-{int(span.trace_flags):02x}" if span.is_valid else None


def current() -> str:
    """The ``traceparent`` of the active span, else of a new trace."""
    return active() or trace_context.begun()
