"""A failure told to whoever looks at a connector's status: what, where, and no value of an event."""

from lintas import logs

MOST_FRAMES = 12


def trace_of(error: BaseException) -> str:
    """Words and places of an exception.

    The words of others' exceptions may hold values (a database tells the row that it refuses): of those only the class
    is told.
    """
    lines = [f"{type(error).__name__}: {logs.told(error)}" if _is_own(error) else logs.told(error)]
    lines += [f"  at {frame}" for frame in logs.frames(error)[-MOST_FRAMES:]]
    cause = error.__cause__
    if cause is not None:
        lines += [f"caused by {logs.told(cause)}", *(f"  at {frame}" for frame in logs.frames(cause)[-MOST_FRAMES:])]
    return "\n".join(lines)


def _is_own(error: BaseException) -> bool:
    return type(error).__module__.partition(".")[0] in logs.OWN
