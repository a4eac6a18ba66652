"""A source at work: its events and its progress, portion by portion, each in one transaction."""

from collections import Counter
from typing import Final

from lintas_client import MalformedEvent, Problem, UnknownEventType
from lintas_client.preparation import Prepared, prepare
from lintas_client.publisher import MAX_EVENT_BYTES

from connectors.runtime.context import Context
from connectors.runtime.contract import Outgoing, Portion, Refusal, Source
from connectors.runtime.life import Given, until
from lintas.errors import ConnectorFailed

SHOWN_REFUSALS: Final = 3


async def run_source(source: Source, given: Given) -> None:
    """Run a source: see `Life`."""
    opened = await given.journal.open(given.worker)
    try:
        await source.start(opened.progress)
        given.running()
        while not given.stopping.is_set():
            given.observer.beat()
            portion = await until(given.stopping, source.poll())
            if portion is not None:
                await _write(source, given, portion)
    finally:
        await source.stop()


async def _write(source: Source, given: Given, portion: Portion) -> None:
    ready: list[Prepared] = []
    types: Counter[str] = Counter()
    refusals: list[Refusal] = []
    for event in portion.events:
        made = await _prepared(given.context, event)
        if isinstance(made, Refusal):
            refusals.append(made)
        else:
            ready.append(made)
            types[event.event_type] += 1
    if refusals:
        given.observer.refused(given.who, len(refusals))
        if not await source.refused(refusals):
            raise _failed(given.who.connector, refusals)
    await given.journal.write(ready, portion.progress)
    given.observer.committed(given.who)
    if portion.set_aside:
        given.observer.refused(given.who, portion.set_aside)
    for event_type, count in types.items():
        given.observer.published(given.who, event_type, count)
    await source.written(portion)


async def _prepared(context: Context, event: Outgoing) -> Prepared | Refusal:
    """An event as it is sent, or why the bus would not take it."""
    try:
        made = prepare(
            await context.registry.event_type(event.event_type),
            context.system,
            event.data,
            id=event.id,
            subject=event.subject,
            time=event.time,
            key=event.key,
            extensions=event.extensions,
        )
    except MalformedEvent as error:
        return Refusal(event, [str(problem) for problem in error.problems])
    except UnknownEventType as error:
        return Refusal(event, [f"there is no event type {event.event_type}. {error.details['suggestion']}"])
    size = len(made.key) + len(made.value) + sum(len(name) + len(value) for name, value in made.headers)
    if size > MAX_EVENT_BYTES:
        return Refusal(event, [str(Problem("", "size", f"is larger than {MAX_EVENT_BYTES} bytes"))])
    return made


def _failed(connector: str, refusals: list[Refusal]) -> ConnectorFailed:
    told = [
        f"{refusal.event.origin or refusal.event.event_type}: {', '.join(refusal.reasons)}"
        for refusal in refusals[:SHOWN_REFUSALS]
    ]
    more = f"; and {len(refusals) - SHOWN_REFUSALS} more" if len(refusals) > SHOWN_REFUSALS else ""
    return ConnectorFailed(
        connector=connector,
        reason=f"the bus would not take {len(refusals)} event(s): {'; '.join(told)}{more}",
        remedy="mend them where they come from, or the mapping that makes them; it goes on by itself then.",
    )
