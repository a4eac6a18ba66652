"""The trace that each delivery belongs to (header ``ce_traceparent``, W3C Trace Context).

A trace goes on through the bus where the event type is about nobody and its publisher named one: the same trace, a new
span. Of events about persons every delivery begins a trace of its own, or recipients could join on it. Either is made
from bytes that follow, one way, from the batch's seed, as salts do: whoever may read ``audit.salts`` can tell which
delivery a trace came from, nobody else can tell two deliveries of one event by their traces.
"""

import hashlib
import itertools
from collections.abc import Iterator
from typing import Final

from schemas.wire import trace_context
from schemas.wire.trace_context import TRACEPARENT

NAME: Final = f"ce_{TRACEPARENT}"
LABEL: Final = b"lintas.traces.v1"
BEGIN: Final = b"00-"  # of the value that begins a trace: this, the id, and END
END: Final = b"-0000000000000001-00"  # its first span; nobody records it so far
_ID_BYTES: Final = 16
_AT_ONCE: Final = 64  # ids that are derived together


def traces(seed: bytes, topic: str, partition: int) -> Iterator[bytes]:
    """The ids of the traces that deliveries of one input partition in a batch may begin, in hexadecimal, without end.

    Id ``k`` is bytes 16 j to 16 j + 15, with j = k mod 64, of SHAKE-256(label, seed, k div 64 as 4 bytes big-endian,
    partition as 4 bytes big-endian, topic).
    """
    place = partition.to_bytes(4, "big") + topic.encode()

    def block(number: int) -> list[bytes]:
        derived = hashlib.shake_256(LABEL + seed + number.to_bytes(4, "big") + place)
        digits = derived.hexdigest(_ID_BYTES * _AT_ONCE).encode()
        return [digits[start : start + 2 * _ID_BYTES] for start in range(0, len(digits), 2 * _ID_BYTES)]

    return itertools.chain.from_iterable(map(block, itertools.count()))  # in C: every delivery pays for it


def of_delivery(parent: str | None, trace: bytes) -> bytes:
    """The ``traceparent`` of a delivery.

    Args:
        parent: what the publisher said, if that may be carried on.
        trace: the id of the trace that the delivery else begins; where it does not, the id of its span is half of that.
    """
    if parent is None or not trace_context.is_valid(parent):
        return BEGIN + trace + END
    named = parent.encode()
    return named[:36] + trace[16:] + named[52:]
