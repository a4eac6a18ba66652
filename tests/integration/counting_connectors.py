"""A runtime of connectors with two kinds that only tests have: one counts, one writes down what it is given.

python tests/integration/counting_connectors.py --system SYSTEM --listen HOST:PORT
"""

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from aiokafka import TopicPartition
from lintas_client import Delivery
from pydantic import Field

from connectors.plugins import known
from connectors.runtime.context import Context
from connectors.runtime.contract import Inbox, Outgoing, Portion, Progress, Refusal
from connectors.runtime.plugin import Config, Guarantee, Plugin
from lintas.cli.connector import connector
from lintas.errors import ConnectorFailed

PROGRAM = (str(Path(__file__)),)


class Counting(Config):
    """Counts."""

    event_type: str = Field(description="a permit")
    until: int = Field(description="the last number is one less")
    portion: int = Field(20, description="events in one transaction")
    pause_ms: int = Field(20, ge=0, description="between transactions")
    broken: list[int] = Field(default_factory=list, description="numbers whose permits have no fee")
    foreign: dict[int, str] = Field(default_factory=dict, description="numbers that are of another event type")
    refused: Path | None = Field(None, description="where numbers that the bus refuses are listed")


class CountingSource:
    """Makes one permit a number, in order; broken ones lack a field."""

    def __init__(self, config: Counting, context: Context) -> None:
        self._config = config
        self._context = context
        self._next = 0

    async def start(self, progress: Progress) -> None:
        self._next = progress.get("next", 0)
        self._context.log.info("counting from %d", self._next)

    async def poll(self) -> Portion | None:
        await asyncio.sleep(self._config.pause_ms / 1000)
        end = min(self._config.until, self._next + self._config.portion)
        if self._next >= end:
            return None
        events = [self._event(number) for number in range(self._next, end)]
        self._next = end
        return Portion(events, {"next": end})

    def _event(self, number: int) -> Outgoing:
        data = {"number": f"P-{number}", "issued": "2026-11-24", "fee": "150000.00"}
        if number in self._config.broken:
            del data["fee"]
        event_type = self._config.foreign.get(number, self._config.event_type)
        return Outgoing(event_type, data, id=f"permit-{number}", origin=f"number {number}")

    async def refused(self, refusals: Sequence[Refusal]) -> bool:
        if self._config.refused is None:
            return False
        with self._config.refused.open("a") as file:
            file.writelines(f"{refusal.event.id} {' '.join(refusal.reasons)}\n" for refusal in refusals)
        return True

    async def written(self, portion: Portion) -> None:
        pass

    async def stop(self) -> None:
        pass


class WritingDown(Config):
    """Writes down."""

    file: Path = Field(description="JSON lines")
    fail_while: Path | None = Field(None, description="it fails at the first delivery as long as this file is there")


class WritingSink:
    """Appends each delivery to a file: at least once, since the file knows nothing of positions."""

    def __init__(self, config: WritingDown) -> None:
        self._config = config
        self._count = 0

    async def start(self, progress: Progress, inbox: Inbox) -> Mapping[TopicPartition, int] | None:
        self._count = progress.get("count", 0)
        self._inbox = inbox
        return None

    async def deliver(
        self,
        deliveries: Sequence[Delivery],
        positions: Mapping[TopicPartition, int],  # noqa: ARG002  the runtime keeps them
    ) -> Progress:
        if self._config.fail_while is not None and self._config.fail_while.exists():
            raise ConnectorFailed(connector="writer", reason="the file stands in the way", remedy="remove it.")
        first = deliveries[0]
        again = await self._inbox.read_again(TopicPartition(first.topic, first.partition), first.offset)
        assert again == first
        with self._config.file.open("a") as file:
            for one in deliveries:
                line = {"partition": one.partition, "offset": one.offset, "number": one.data["number"]}
                file.write(json.dumps(line) + "\n")
        self._count += len(deliveries)
        return {"count": self._count}

    async def idle(self) -> Progress:
        return {}

    async def stop(self) -> None:
        pass


COUNTING = Plugin(
    name="counting",
    kind="source",
    summary="Counts, for tests",
    config=Counting,
    build=CountingSource,
    guarantee=Guarantee.EXACTLY_ONCE,
    guarantee_because="the number is written with the events",
    example="event_type: id.go.office.permit.issued.v1\nuntil: 10\n",
)
WRITING = Plugin(
    name="writing",
    kind="sink",
    summary="Writes down, for tests",
    config=WritingDown,
    build=lambda config, _: WritingSink(config),
    guarantee=Guarantee.AT_LEAST_ONCE,
    guarantee_because="the file knows nothing of positions",
    example="file: /tmp/written.jsonl\n",
)

if __name__ == "__main__":
    known.PLUGINS = (*known.PLUGINS, COUNTING, WRITING)  # type: ignore[misc]  # in this process alone
    connector.main(["run", *sys.argv[1:]], prog_name="counting connectors")
