"""``lintas agreement resume``: an agreement that was set aside is given what waits for it, and goes on live."""

import time
from collections.abc import Callable, Mapping

from lintas import names
from lintas.errors import NotResumed, RefusedAgain
from lintas.settings import Settings
from schemas.topic_writer import append
from streams.slots import SetAside, Slot
from streams.status import resume_record, status_now

POLL_SECONDS = 1.0
Progress = Callable[[Mapping[Slot, SetAside]], None]


def set_aside(settings: Settings, agreement: str) -> dict[Slot, SetAside]:
    """Where an agreement is set aside, by input partition.

    Raises:
        BusUnavailable: Kafka does not answer.
    """
    status = status_now(settings)
    return {slot: why for slot, why in status.aside.items() if slot[0] == agreement}


def resume(
    settings: Settings,
    agreement: str,
    *,
    author: str,
    wait_seconds: float | None,
    progress: Progress = lambda _: None,
) -> dict[Slot, SetAside]:
    """Ask the lanes to give an agreement what waits for it, in order and once, and to go on live; where it was aside.

    Asking again is harmless.

    Args:
        settings: of the bus.
        agreement: its name.
        author: who answers for it.
        wait_seconds: return when nothing waits any more, or raise after so long; None does not wait.
        progress: told where the agreement is still set aside.

    Raises:
        RefusedAgain: its topics still refuse records; it is set aside as before.
        NotResumed: something still waits after ``wait_seconds``; the lanes go on with it.
        BusUnavailable: Kafka does not answer.
    """
    asked = set_aside(settings, agreement)
    append(settings, names.LANES_STATUS, *(resume_record(slot, why, author) for slot, why in asked.items()))
    if wait_seconds is None:
        return asked
    deadline = time.monotonic() + wait_seconds
    while left := set_aside(settings, agreement):
        progress(left)
        for slot, why in left.items():
            if slot in asked and why.since != asked[slot].since:
                raise RefusedAgain(agreement=agreement, reason=why.reason)
        if time.monotonic() > deadline:
            raise NotResumed(agreement=agreement, seconds=f"{wait_seconds:g}", partitions=len(left))
        time.sleep(POLL_SECONDS)
    return asked
