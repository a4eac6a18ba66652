"""Events that a sink holds, as its progress has them, and what people ask for about those that it gave up. Pure.

Those that wait for another attempt stand under ``waiting/<partition>/<offset>``, with the ``reason`` of the last.

A sink that gives events up notes each under ``undelivered/<partition>/<offset>``: ``reason``, a word, ``attempts``,
``given_up_ms``, and ``status`` and ``first_failed_ms`` where it knows them; never a value of the event. When it starts
and finds ``redeliver/<partition>/<offset>`` it takes that as a person's wish, forgets both and tries again; at
``discard/<partition>/<offset>`` it forgets both.
"""

import dataclasses
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any, Final

from connectors.runtime.control import known
from connectors.runtime.state import ConnectorsState, State, Target, progress_records
from lintas.errors import UnknownName
from schemas.connector_configs import Record

WAITING: Final = "waiting/"
UNDELIVERED: Final = "undelivered/"
REDELIVER: Final = "redeliver/"
DISCARD: Final = "discard/"


@dataclasses.dataclass(frozen=True, slots=True)
class Undelivered:
    """An event that a sink has given up.

    Attributes:
        event: where it is in the inbox: ``partition/offset``.
        reason: why the last attempt failed, a word.
        status: that the other side answered, if it did.
        attempts: that failed.
        first_failed_ms: when the first did; None if it was never tried.
        given_up_ms: when it was given up.
        asked_for: what a person wants done with it that the sink has not taken up: ``redeliver`` or ``discard``.
    """

    event: str
    reason: str
    status: int | None
    attempts: int
    first_failed_ms: int | None
    given_up_ms: int
    asked_for: str | None


def undelivered(state: ConnectorsState, connector: str) -> list[Undelivered]:
    """What a connector has given up, in the inbox's order.

    Raises:
        UnknownName: there is no such connector.
    """
    known(state, connector)
    progress = state.progress(connector)
    places = [name.removeprefix(UNDELIVERED) for name in progress if name.startswith(UNDELIVERED)]
    return [_of(place, progress) for place in sorted(places, key=_order)]


def waiting(state: ConnectorsState, connector: str) -> Counter[str]:
    """How many events wait for another attempt, by why the last one failed; those behind such an event: ``behind``.

    Raises:
        UnknownName: there is no such connector.
    """
    known(state, connector)
    held = [noted for name, noted in state.progress(connector).items() if name.startswith(WAITING)]
    return Counter(str(noted.get("reason") or "behind") for noted in held)


def asking(
    state: ConnectorsState, connector: str, wish: str, events: Collection[str] | None, now_ms: int
) -> list[Record]:
    """Have events that were given up given once more, or forgotten; all of them, if ``events`` is None.

    ``wish`` is REDELIVER or DISCARD; what was asked for an event before no longer counts. The connector is begun anew,
    so that it takes them up; one that is paused or stopped does so when it runs again.

    Raises:
        UnknownName: there is no such connector, or it has not given up such an event.
    """
    given_up = {one.event: one for one in undelivered(state, connector)}
    for event in events or ():
        if event not in given_up:
            raise UnknownName(
                kind="undelivered event",
                name=event,
                suggestion=f"`lintas connector undelivered {connector}` lists them.",
            )
    wanted = given_up if events is None else dict.fromkeys(events)
    if not wanted:
        return []
    other = DISCARD if wish == REDELIVER else REDELIVER
    asked: dict[str, Any] = {wish + event: {"asked_ms": now_ms} for event in wanted}
    asked |= {other + event: None for event in wanted if given_up[event].asked_for == other.removesuffix("/")}
    target = state.target(connector)
    records = progress_records(connector, asked)
    if target.state is State.RUNNING:
        records.append(Target(State.RUNNING, target.restarts + 1).record(connector))
    return records


def _of(place: str, progress: Mapping[str, Any]) -> Undelivered:
    noted = progress[UNDELIVERED + place]
    return Undelivered(
        event=place,
        reason=noted["reason"],
        status=noted.get("status"),
        attempts=noted["attempts"],
        first_failed_ms=noted.get("first_failed_ms"),
        given_up_ms=noted["given_up_ms"],
        asked_for=next((wish.removesuffix("/") for wish in (REDELIVER, DISCARD) if wish + place in progress), None),
    )


def _order(place: str) -> tuple[int, int]:
    partition, _, offset = place.partition("/")
    return int(partition), int(offset)
