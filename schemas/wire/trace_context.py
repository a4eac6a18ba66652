"""W3C Trace Context as CloudEvents carries it: the attributes ``traceparent`` and ``tracestate``.

(Trace Context level 1, section 3.2; CloudEvents extension "Distributed Tracing".) Only version 00 is understood; a
value that is anything else counts as none, as the standard asks.
"""

import re
import secrets
from typing import Final, TypeGuard

TRACEPARENT: Final = "traceparent"
TRACESTATE: Final = "tracestate"
PATTERN: Final = r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
SAMPLED: Final = 1
_WHOLE = re.compile(PATTERN)
_TRACE_ID: Final = slice(3, 35)
_FLAGS: Final = slice(53, 55)


def is_valid(traceparent: str | None) -> TypeGuard[str]:
    """Whether a value names a trace and a span."""
    return traceparent is not None and _WHOLE.fullmatch(traceparent) is not None


def trace_id(traceparent: str) -> str:
    """The trace that a valid value names, 32 hexadecimal digits."""
    return traceparent[_TRACE_ID]


def is_sampled(traceparent: str) -> bool:
    """Whether whoever wrote a valid value records the trace."""
    return bool(int(traceparent[_FLAGS], 16) & SAMPLED)


def begun() -> str:
    """A new trace, which nobody records so far."""
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-00"


def continued(parent: str | None) -> str:
    """The next span of the trace that a value names; a new trace where it names none."""
    if parent is None or not is_valid(parent):
        return begun()
    return f"{parent[:36]}{secrets.token_hex(8)}{parent[52:]}"
