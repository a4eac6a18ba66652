"""What drives a PostgreSQL source or sink as the runtime does, with a list or a file in the place of the bus.

The file takes the events of a portion and its progress in one write, as Kafka takes them in one transaction, so that
the connector can be killed at any moment in a second and without a Kafka.
"""

import asyncio
import dataclasses
import json
import logging
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from lintas_client import Connection, MalformedEvent
from lintas_client.preparation import prepare
from lintas_client.registry import EventType, Registry

from connectors.runtime.context import Context
from connectors.runtime.contract import Outgoing, Portion, Progress, Refusal, Source

EVENT_TYPE = "id.go.a.thing.v1"
SYSTEM = "a.pub"
RUNNING = "running"
SCHEMA: Mapping[str, Any] = {
    "type": "record",
    "name": "Thing",
    "fields": [
        {"name": "who", "type": "string"},
        {"name": "n", "type": "long"},
        {
            "name": "price",
            "default": None,
            "type": ["null", {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}],
        },
        {"name": "weight", "type": ["null", "double"], "default": None},
        {"name": "seal", "type": ["null", "bytes"], "default": None},
        {"name": "at", "type": ["null", {"type": "long", "logicalType": "timestamp-millis"}], "default": None},
    ],
    "lintas.event_type": EVENT_TYPE,
    "lintas.topic": "events.a.thing.v1",
    "lintas.subject": "who",
}


class OneType(Registry):
    """A registry that knows one event type and asks nobody."""

    def __init__(self) -> None:
        self._event_types = {EVENT_TYPE: EventType.of_schema(1, SCHEMA)}
        self._codecs = {1: self._event_types[EVENT_TYPE].codec}

    async def _get(self, path: str) -> Any:
        return [] if path == "/subjects" else None


def context(name: str = "outbox", system: str = SYSTEM) -> Context:
    connection = Connection(
        bootstrap_servers="127.0.0.1:1", registry_url="http://127.0.0.1:1", system=system, password="none"
    )
    return Context(name, connection, OneType(), logging.getLogger(name))


@dataclasses.dataclass
class Bus:
    """What was published, and the progress that was written with it."""

    events: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    progress: dict[str, Any] = dataclasses.field(default_factory=dict)
    set_aside: int = 0

    def commit(self, events: Sequence[Mapping[str, Any]], progress: Progress) -> None:
        self.events += map(dict, events)
        self.progress |= progress

    @property
    def ids(self) -> list[str]:
        return [event["id"] for event in self.events]


class FileBus(Bus):
    """One that outlives a process; a line that was cut short is a transaction that never was."""

    def __init__(self, path: Path) -> None:
        seen = history(path)
        super().__init__(seen.events, seen.progress)
        path.touch()
        os.truncate(path, path.read_bytes().rfind(b"\n") + 1)
        self._path = path

    def commit(self, events: Sequence[Mapping[str, Any]], progress: Progress) -> None:
        with self._path.open("ab", buffering=0) as file:
            file.write(json.dumps([events, progress]).encode() + b"\n")
        super().commit(events, progress)


def history(path: Path) -> Bus:
    """What a file holds by now, whoever writes to it."""
    seen = Bus()
    for line in path.read_bytes().splitlines(keepends=True) if path.exists() else ():
        if line.endswith(b"\n"):
            seen.commit(*json.loads(line))
    return seen


class Step(Protocol):
    """Called after each step of a portion, with its name: polled, refused, committed, written."""

    def __call__(self, name: str, /) -> None: ...


def _no_step(_: str) -> None:
    pass


async def drive(source: Source, bus: Bus, done: Callable[[], bool], step: Step = _no_step) -> None:
    """Run a source until ``done`` says so, which is asked between portions."""
    try:
        await source.start(dict(bus.progress))
        while not done():
            if (portion := await source.poll()) is not None:
                await _write(source, bus, portion, step)
    finally:
        await source.stop()


async def _write(source: Source, bus: Bus, portion: Portion, step: Step) -> None:
    step("polled")
    good, refusals = await _judged(portion.events)
    if refusals:
        assert await source.refused(refusals)
    step("refused")
    bus.commit(good, portion.progress)
    bus.set_aside += portion.set_aside
    step("committed")
    await source.written(portion)
    step("written")


async def _judged(events: Sequence[Outgoing]) -> tuple[list[dict[str, Any]], list[Refusal]]:
    good, refusals = [], []
    codec = OneType()._event_types[EVENT_TYPE]
    for one in events:
        if one.event_type != EVENT_TYPE:
            refusals.append(Refusal(one, ["there is no such event type"]))
            continue
        try:
            made = prepare(codec, SYSTEM, one.data, id=one.id, subject=one.subject, time=one.time, key=one.key)
        except MalformedEvent as error:
            refusals.append(Refusal(one, [str(problem) for problem in error.problems]))
        else:
            body = codec.codec.decode(made.value[5:])
            plain = {
                name: str(value) if not isinstance(value, str | int | None) else value for name, value in body.items()
            }
            good.append({"id": made.id, "key": made.key.decode(), **plain})
    return good, refusals


class Victim:
    """A program as a process that is killed and started again; it says RUNNING when it begins its work."""

    def __init__(self, program: Path, *arguments: str, log: Path) -> None:
        self._command = [sys.executable, str(program), *arguments]
        self._log = log
        self.kills = 0
        self.start()

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        until(lambda: self._log.read_text().count(RUNNING) > self.kills, "the program runs")

    def kill(self) -> None:
        assert self._process.poll() is None, self._log.read_text()[-4000:]
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self.kills += 1

    def kill_again_and_again(self, condition: Callable[[], bool], *, every: float, seconds: float) -> None:
        """Kill it each time after at most ``every`` seconds, until a condition holds, at most for so many seconds."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, self._log.read_text()[-4000:]
            time.sleep(random.uniform(0.05, every))
            self.kill()
            self.start()


def until(condition: Callable[[], bool], what: str, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.05)


def run(source: Source, bus: Bus, done: Callable[[], bool], step: Step = _no_step, seconds: float = 30) -> None:
    """As ``drive``, to its end."""

    async def bounded() -> None:
        async with asyncio.timeout(seconds):
            await drive(source, bus, done, step)

    asyncio.run(bounded())
