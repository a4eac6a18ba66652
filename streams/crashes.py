"""Crashes: the bus's own code fails at one event. They are told apart by a digest of the trace.

Never told by the exception's text, which may hold values of the event.
"""

import logging
from typing import Final

from lintas.logs import digest, frames
from schemas.wire.errors import MalformedEvent, Problem

log = logging.getLogger(__name__)

RULE: Final = "crash"
_MOST_TOLD: Final = 1_000
_told: set[str] = set()


class Crashed(MalformedEvent):
    """The bus's own code failed at this event: {report}.

    Likely cause: a defect of the bus, or of a library that it uses.
    Remedy: find the trace by its digest in the workers' log, and mend the code.
    """

    stage = "crash"


def problem_of(error: Exception) -> Problem:
    """What to say of a crash; its trace is logged when it comes for the first time in this process.

    Raises:
        MemoryError: as it came: that is the machine's trouble and not the event's.
    """
    if isinstance(error, MemoryError):
        raise error
    kind, trace = type(error).__name__, digest(error)
    if trace not in _told and len(_told) < _MOST_TOLD:
        _told.add(trace)
        log.error(
            "an event crashed the code: %s, trace %s: %s",
            kind,
            trace,
            " > ".join(frames(error)),
            extra={"event": "event_crashed", "trace": trace},
        )
    return Problem("", RULE, f"{kind}, trace {trace}")
