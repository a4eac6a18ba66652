"""Sources and sinks driven as the runtime drives them, on a bus that is a list; crashes where a test wants them."""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from lintas_client import Connection, MalformedEvent
from lintas_client.preparation import prepare
from lintas_client.registry import EventType, Registry
from lintas_client.wire.codec import Codec

from connectors.runtime.context import Context
from connectors.runtime.contract import Outgoing, Portion, Refusal, Source

EVENTS = Path(__file__).parents[2] / "schemas" / "catalogue" / "events"
EARTHQUAKE = "id.go.bmkg.earthquake.measured.v1"


class Registered:
    """The event types of the example catalogue."""

    async def event_type(self, name: str) -> EventType:
        """An event type as the registry has it."""
        schema = json.loads((EVENTS / f"{name}.avsc").read_text())
        return EventType(name, f"events.{name}", None, 1, Codec(schema))


def context(name: str = "files", system: str = "bmkg.inatews") -> Context:
    """What a connector works with, where no bus is."""
    connection = Connection(
        bootstrap_servers="127.0.0.1:1", registry_url="http://127.0.0.1:1", system=system, password="nothing"
    )
    return Context(name, connection, cast("Registry", Registered()), logging.getLogger(f"connectors.{name}"))


class DrivenSource:
    """Runs lives of a source; what a life wrote before it died is there, and nothing else.

    Attributes:
        events: what is on the bus.
        progress: what was written with it.
        set_aside: how many rows or messages the source could make no event of.
    """

    def __init__(self) -> None:
        self.events: list[Outgoing] = []
        self.progress: dict[str, Any] = {}
        self.set_aside = 0

    async def life(self, source: Source, portions: int = 1000, *, crash: bool = False) -> int:
        """Run a source until it has nothing or has written so many portions; return how many.

        With ``crash`` the last portion is written and the source dies before it is told; the one after it is made and
        never written.
        """
        written = 0
        try:
            await source.start(self.progress)
            while written < portions:
                portion = await source.poll()
                if portion is None:
                    return written
                await self.write(source, portion)
                written += 1
                if not crash or written < portions:
                    await source.written(portion)
            if crash:
                await source.poll()
        finally:
            await source.stop()
        return written

    async def write(self, source: Source, portion: Portion) -> None:
        """Write a portion as the runtime does."""
        good, refusals = [], []
        for event in portion.events:
            try:
                prepare(await Registered().event_type(event.event_type), "bmkg.inatews", event.data, id=event.id,
                        subject=event.subject, time=event.time, key=event.key, extensions=event.extensions)  # fmt: skip
                good.append(event)
            except MalformedEvent as error:
                refusals.append(Refusal(event, [str(problem) for problem in error.problems]))
        if refusals:
            assert await source.refused(refusals), "else the connector fails"
        self.events += good
        self.set_aside += portion.set_aside
        self.progress = _with(self.progress, json.loads(json.dumps(portion.progress)))


def _with(progress: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**progress, **changes}.items() if value is not None}
