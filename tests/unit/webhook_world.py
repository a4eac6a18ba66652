"""What tests of the webhook sink share: a receiver that does as it is told, a clock that is set, an inbox in memory."""

import base64
import datetime as dt
import json
import logging
import os
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

from aiokafka import TopicPartition
from lintas_client import Connection, Delivery, UnknownEventType
from lintas_client.registry import Registry

from connectors.plugins.webhook.answers import Answer
from connectors.plugins.webhook.settings import WebhookConfig
from connectors.plugins.webhook.sink import WebhookSink
from connectors.runtime.context import Context

SYSTEM = "b.all"
URL = "https://receiver.example/hook"
START_MS = 1_800_000_000_000

Answers = Callable[[Mapping[str, str], bytes], Answer]


def symmetric() -> str:
    return "whsec_" + base64.b64encode(os.urandom(32)).decode()


def secret_file(folder: Path, name: str = "secret", secret: str | None = None) -> Path:
    file = folder / name
    file.write_text((secret or symmetric()) + "\n")
    return file


def delivery(number: int, key: str | None = "k", *, partition: int = 0, **event: str) -> Delivery:
    """The event ``number`` of a key, at that offset."""
    attributes = {
        "specversion": "1.0",
        "id": f"e{number}",
        "source": "urn:lintas:a.pub",
        "type": "id.go.a.thing.v1",
        "datacontenttype": "application/vnd.confluent.avro",
        "agreement": "all",
    }
    return Delivery(
        event=attributes | event,
        data={"n": number, "key": key},
        agreement="all",
        channel="G2G",
        key=None if key is None else key.encode(),
        topic=f"inbox.{SYSTEM}",
        partition=partition,
        offset=number,
        timestamp=dt.datetime(2026, 11, 26, tzinfo=dt.UTC),
        salt=None,
        codec=None,
    )


class Clock:
    """Unix milliseconds that pass only when told."""

    def __init__(self) -> None:
        self.ms = START_MS

    def __call__(self) -> int:
        return self.ms

    def forward(self, seconds: float) -> None:
        self.ms += round(seconds * 1000)


class Told:
    """A receiver that permits everything and answers deliveries as ``answers`` says."""

    def __init__(self, answers: Answers = lambda _headers, _body: Answer(204)) -> None:
        self.answers = answers
        self.permits: Callable[[Mapping[str, str]], Answer] = lambda _headers: Answer(
            200, {"webhook-allowed-origin": "*", "webhook-allowed-rate": "*"}
        )
        self.asked: list[dict[str, str]] = []
        self.posted: list[tuple[dict[str, str], bytes]] = []
        self.taken: list[Any] = []  # the data of what was answered with 2xx
        self.closed = False

    async def request(self, method: str, headers: Mapping[str, str], body: bytes = b"") -> Answer:
        if method == "OPTIONS":
            self.asked.append(dict(headers))
            return self.permits(headers)
        self.posted.append((dict(headers), body))
        answer = self.answers(headers, body)
        if answer.status // 100 == 2:
            self.taken.append(json.loads(body))
        return answer

    async def close(self) -> None:
        self.closed = True

    def numbers(self, key: str | None = None) -> list[int]:
        """The events that were taken, of one key or all."""
        return [data["n"] for data in self.taken if key in (None, data["key"])]


class Registered:
    """A registry that has one event type."""

    async def event_type(self, name: str) -> None:
        if name != "id.go.a.other.v1":
            raise UnknownEventType(event_type=name, suggestion="Registered is id.go.a.other.v1.")


class World:
    """One sink with what it needs; `restart` makes the next life from the progress that was written."""

    def __init__(self, folder: Path, receiver: Told | None = None, **settings: Any) -> None:
        given: dict[str, Any] = {"url": URL, "origin": "bus.example", "secret_files": [str(secret_file(folder))]}
        self.config = WebhookConfig.model_validate(given | settings)
        self.receiver = receiver or Told()
        self.clock = Clock()
        self.inbox: dict[tuple[int, int], Delivery] = {}
        self.read_again_count = 0
        self.progress: dict[str, Any] = {}
        self.sink = self._made()

    def _made(self) -> WebhookSink:
        connection = Connection(
            bootstrap_servers="127.0.0.1:1", registry_url="http://127.0.0.1:1", system=SYSTEM, password="p"
        )
        context = Context("hook", connection, cast("Registry", Registered()), logging.getLogger("webhook-test"))
        return WebhookSink(
            self.config, context, receiver=lambda _: self.receiver, now_ms=self.clock, chance=random.Random(7)
        )

    async def start(self) -> None:
        await self.sink.start(self.progress, self)

    async def restart(self) -> None:
        await self.sink.stop()
        self.sink = self._made()
        await self.start()

    async def read_again(self, place: TopicPartition, offset: int) -> Delivery | None:
        assert place.topic == f"inbox.{SYSTEM}"
        self.read_again_count += 1
        return self.inbox.get((place.partition, offset))

    async def deliver(self, *deliveries: Delivery) -> None:
        self.inbox |= {(one.partition, one.offset): one for one in deliveries}
        positions = {TopicPartition(f"inbox.{SYSTEM}", one.partition): one.offset + 1 for one in deliveries}
        self._keep(await self.sink.deliver(deliveries, positions))

    async def idle(self, seconds: float = 0) -> None:
        self.clock.forward(seconds)
        self._keep(await self.sink.idle())

    def kept(self, prefix: str) -> dict[str, Any]:
        return {name: value for name, value in self.progress.items() if name.startswith(prefix)}

    def _keep(self, changes: Mapping[str, Any]) -> None:
        for name, value in json.loads(json.dumps(changes)).items():
            if value is None:
                self.progress.pop(name, None)
            else:
                self.progress[name] = value
