"""Letters of the example deployment as pages meet them, and a Kafka that only remembers what is written."""

import dataclasses
import datetime as dt
import functools
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from console_visits import StillBus

from connectors.generator.day import day
from connectors.generator.event import Disorder, GeneratedEvent
from connectors.generator.records import to_record
from lintas import names
from lintas.cli.catalogue import EXAMPLE_DEPLOYMENT
from lintas.cli.catalogue_folder import read_folder
from lintas.errors import BusUnavailable
from lintas.settings import Settings
from monitoring.console.known import Known
from schemas.pseudonyms import KeyFiles
from schemas.snapshot import Snapshot
from schemas.wire.codec import Codec
from streams import acts, redrive
from streams.acts_log import Act, Acts
from streams.letter_search import WithFate
from streams.letters import Letter
from streams.records import InputRecord
from streams.slots import EVERYBODY

SYSTEM = "kemenkes.satusehat"
BIRTH = "id.go.dukcapil.birth.registered.v1"
AGREEMENT = "kemenkes.satusehat.birth-registered"
AT = dt.datetime(2026, 11, 26, 6, 0, tzinfo=dt.UTC)
DATE = dt.date(2026, 11, 25)
SECRETS = ("nik", "name", "registration_number", "street")  # fields whose values must not be seen


@functools.cache
def example() -> Snapshot:
    _, snapshot = read_folder(EXAMPLE_DEPLOYMENT)
    return snapshot


@functools.cache
def births() -> Sequence[GeneratedEvent]:
    found = [one for one in day(1, DATE, 400) if one.event_type == BIRTH and one.kind is Disorder.GOOD]
    return found[:3]


def bus_with(snapshot: Snapshot) -> StillBus:
    """A bus that has a catalogue in force, and on which nothing else is known."""
    bus = StillBus()
    value: Any = types.SimpleNamespace(snapshot=snapshot, pointer=None, history=())
    bus.catalogue = Known(value, AT)
    return bus


def home_with_keys(home: Path) -> Path:
    KeyFiles(home / "secrets" / "pseudonym-keys").create(1)
    return home


def published(event: GeneratedEvent, offset: int) -> InputRecord:
    event_type = example().event_types[event.event_type]
    record = to_record(event, Codec(event_type.current.schema), event_type.current.id)
    return InputRecord(event_type.topic, 0, offset, 0, record.key, record.value, record.headers)


def letters(topic: str = names.DEAD + SYSTEM, rule: str = "plausible-weight") -> list[WithFate]:
    agreement = AGREEMENT if topic.startswith(names.DEAD) else EVERYBODY
    problems = [{"path": rule, "rule": rule, "message": "the requirement is not met"}]
    stage = "require" if agreement else "schema"
    return [
        (Letter(topic, number, published(event, number), agreement, stage, rule, problems, "ab" * 32, AT, 1), None)
        for number, event in enumerate(births())
    ]


def values_of(event: Any) -> set[str]:
    """The personal texts of an event: long enough not to be found by chance."""
    found: set[str] = set()
    if isinstance(event, dict):
        for name, value in event.items():
            found |= {value} if name in SECRETS and isinstance(value, str) else values_of(value)
    elif isinstance(event, list):
        found = set().union(*map(values_of, event))
    return {one for one in found if len(one) > 4}


@dataclasses.dataclass
class Kafka:
    """What was written, by topic; refuses the topics that it is told to."""

    written: list[tuple[str, tuple[bytes, bytes | None]]] = dataclasses.field(default_factory=list)
    refuses: frozenset[str] = frozenset()

    def append(self, _: Settings, topic: str, *records: tuple[bytes, bytes | None]) -> None:
        if topic in self.refuses:
            raise BusUnavailable(part="Kafka", address="nowhere", reason="it refuses")
        self.written += [(topic, record) for record in records]

    def on(self, topic: str) -> list[tuple[bytes, bytes | None]]:
        return [record for where, record in self.written if where == topic]

    @property
    def acts(self) -> list[Act]:
        log = Acts()
        for number, (key, value) in enumerate(self.on(names.ACTS)):
            log.add(number, key, value)
        return list(log.newest_first())


def kafka_that_remembers(monkeypatch: pytest.MonkeyPatch) -> Kafka:
    kafka = Kafka()
    for module in (acts, redrive):
        monkeypatch.setattr(module, "append", kafka.append)
    return kafka
