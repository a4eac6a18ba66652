"""Crashes: the bus's own code fails at one event. They are told apart by a digest of the trace.

Never told by the exception's text, which may hold values of the event.
"""

import hashlib
import logging
import traceback
from typing import Final

from schemas.wire.errors import MalformedEvent, Problem

log = logging.getLogger(__name__)

RULE: Final = "crash"
_DIGEST_CHARACTERS: Final = 12
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
    kind, frames = type(error).__name__, _frames(error)
    digest = hashlib.sha256("\n".join((kind, *frames)).encode()).hexdigest()[:_DIGEST_CHARACTERS]
    if digest not in _told and len(_told) < _MOST_TOLD:
        _told.add(digest)
        log.error("an event crashed the code: %s, trace %s: %s", kind, digest, " > ".join(frames))
    return Problem("", RULE, f"{kind}, trace {digest}")


def _frames(error: Exception) -> list[str]:
    """Where it happened, from the outside in; what repeats, as in a deep recursion, stands once."""
    walked = traceback.walk_tb(error.__traceback__)
    places = (
        f"{'/'.join(frame.f_code.co_filename.split('/')[-2:])}:{line} {frame.f_code.co_name}" for frame, line in walked
    )
    return list(dict.fromkeys(places))
