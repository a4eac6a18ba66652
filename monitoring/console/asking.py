"""What pages ask of Kafka while somebody waits: in a thread, and never for longer than people wait."""

import asyncio
import functools
from collections.abc import Callable
from typing import Final, ParamSpec, TypeVar

import anyio.to_thread

from lintas.errors import BusUnavailable, NoCatalogue
from lintas.settings import Settings
from monitoring.console.page import Visit
from monitoring.console.permissions import TABLE, Right, Scope, scope
from schemas.snapshot import Snapshot
from streams.acts_log import Actor

PATIENCE_SECONDS: Final = 15.0
P = ParamSpec("P")
T = TypeVar("T")


async def asked(settings: Settings, read: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What ``read`` gives. It changes nothing: if it takes too long it is left to itself.

    Raises:
        BusUnavailable: it takes too long, or says so itself.
    """
    call = functools.partial(read, *args, **kwargs)
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await anyio.to_thread.run_sync(call, abandon_on_cancel=True)
    except TimeoutError:
        reason = f"no answer within {PATIENCE_SECONDS:.0f} s"
        raise BusUnavailable(part="Kafka", address=settings.brokers, reason=reason) from None


async def done(act: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What an act gives, however long it takes: it is not left half-way because a browser has gone."""
    return await anyio.to_thread.run_sync(functools.partial(act, *args, **kwargs))


def snapshot_of(visit: Visit) -> Snapshot:
    """The catalogue in force.

    Raises:
        NoCatalogue: nothing has been applied, or nothing has been read yet.
    """
    catalogue = visit.console.bus.catalogue.value
    if catalogue is None:
        raise NoCatalogue
    return catalogue.snapshot


def actor_of(visit: Visit, right: Right) -> Actor:
    """The person as the log of acts has them: in the role that gives the right furthest."""
    roles = sorted(
        (role for role in visit.person.roles if role in TABLE[right]), key=lambda role: (-TABLE[right][role], role)
    )
    client = visit.request.client
    return Actor(
        visit.person.subject,
        roles[0] if roles else "",
        client.host if client else "",
        visit.request.headers.get("user-agent", ""),
    )


def sees_whole(visit: Visit, owner: str) -> bool:
    """Whether the person may see of an agency's events what no agreement released: the bus's operators, its steward."""
    reach = scope(visit.person, Right.UNMASK)
    return reach is Scope.ALL or visit.may(Right.UNMASK, owner)
