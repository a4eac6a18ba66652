"""An event of a source as it is sent, or every reason why the bus would not take it."""

from lintas_client import MalformedEvent, Problem
from lintas_client.preparation import Prepared, prepare
from lintas_client.publisher import MAX_EVENT_BYTES

from connectors.runtime.context import Context
from connectors.runtime.contract import Outgoing


async def made(context: Context, event: Outgoing) -> Prepared:
    """Check an event against its schema, CloudEvents and the brokers' limit, and write it.

    Raises:
        MalformedEvent: with every problem; no value is told.
        UnknownEventType: there is no such event type.
        BusUnreachable: the registry does not answer.
    """
    ready = prepare(
        await context.registry.event_type(event.event_type),
        context.system,
        event.data,
        id=event.id,
        subject=event.subject,
        time=event.time,
        key=event.key,
        extensions=event.extensions,
    )
    size = len(ready.key) + len(ready.value) + sum(len(name) + len(value) for name, value in ready.headers)
    if size > MAX_EVENT_BYTES:
        raise MalformedEvent([Problem("", "size", f"is larger than {MAX_EVENT_BYTES} bytes")])
    return ready
