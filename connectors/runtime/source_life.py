"""A source at work: its events and its progress, portion by portion, each in one transaction."""

from collections import Counter
from typing import Final

from lintas_client import MalformedEvent, UnknownEventType
from lintas_client.preparation import Prepared

from connectors.runtime.context import Context
from connectors.runtime.contract import Outgoing, Portion, Refusal, Source
from connectors.runtime.life import Given, until
from connectors.runtime.making import made
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
    allowed: dict[str, bool] = {}
    for event in portion.events:
        record = await _made(given.context, event)
        if isinstance(record, Prepared) and record.topic not in allowed:
            allowed[record.topic] = await given.journal.may_publish(record.topic)
        if isinstance(record, Refusal):
            refusals.append(record)
        elif not allowed[record.topic]:
            refusals.append(Refusal(event, [f"{given.context.system} may not publish {event.event_type}"]))
        else:
            ready.append(record)
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


async def _made(context: Context, event: Outgoing) -> Prepared | Refusal:
    """An event as it is sent, or why the bus would not take it."""
    try:
        return event.ready or await made(context, event)
    except MalformedEvent as error:
        return Refusal(event, [str(problem) for problem in error.problems])
    except UnknownEventType as error:
        return Refusal(event, [f"there is no event type {event.event_type}. {error.details['suggestion']}"])


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
