"""Alerts and health records on a real bus: the runtime is killed with -9 again and again, each file counts once."""

import asyncio
import dataclasses
import functools
import json
import random
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from aiokafka.structs import ConsumerRecord
from connector_bus import ConnectorBus
from lane_bus import read, wait_until

from connectors.plugins.fhir.mapping import SATUSEHAT
from connectors.runtime.state import State
from lintas import credentials, names
from lintas.settings import Settings
from schemas.cluster import Cluster
from schemas.desired import Acl, Topic
from schemas.registry import Registry

EVENTS = Path(__file__).parents[2] / "schemas" / "catalogue" / "events"
PARTITIONS, FILES, KILLS, PER_LIFE = 3, 200, 3, 60
ALERT = """<?xml version="1.0"?><alert xmlns="urn:oasis:names:tc:emergency:cap:1.2">
<identifier>nowcast-{n}</identifier><sender>cuaca@example.id</sender><sent>2026-11-24T13:00:00+07:00</sent>
<status>Actual</status><msgType>Alert</msgType><scope>Public</scope></alert>"""


@dataclasses.dataclass(frozen=True)
class Office:
    """An agency with one system that may publish event types of the example deployment, under names of its own."""

    settings: Settings
    agency: str

    @property
    def system(self) -> str:
        return f"{self.agency}.office"

    @classmethod
    def open(cls, settings: Settings, *kinds: str) -> "Office":
        """``kinds`` are the example's event types: id.go.bmkg.alert.issued.v1."""
        office = cls(settings, f"agency-{uuid.uuid4().hex[:8]}")
        cluster, control = Cluster(settings), names.connectors_topic(office.system)
        topics = {kind: office.topic(kind) for kind in kinds}
        cluster.create_topics([Topic(control, 1, {"cleanup.policy": "compact"})])
        cluster.create_topics([Topic(topic, PARTITIONS, {}) for topic in topics.values()])
        cluster.create_user(credentials.create(settings, office.system))
        cluster.create_acls(
            [
                *(Acl(office.system, "WRITE", "TOPIC", topic, "LITERAL") for topic in (control, *topics.values())),
                Acl(office.system, "READ", "TOPIC", control, "LITERAL"),
                Acl(office.system, "READ", "GROUP", f"{office.system}.", "PREFIXED"),
                Acl(office.system, "WRITE", "TRANSACTIONAL_ID", f"{office.system}.", "PREFIXED"),
            ]
        )
        with Registry(settings.registry) as registry:
            for kind, topic in topics.items():
                own = {"lintas.event_type": office.event_type(kind), "lintas.topic": topic}
                schema = json.loads((EVENTS / f"{kind}.avsc").read_text())
                registry.register(names.subject_of_topic(topic), {**schema, **own})
        return office

    def event_type(self, kind: str) -> str:
        return f"id.go.{self.agency}.{kind.split('.', 3)[3]}"

    def topic(self, kind: str) -> str:
        return names.events_topic(self.agency, f"id.go.{self.agency}", self.event_type(kind))

    def published(self, kind: str) -> list[ConsumerRecord]:
        return asyncio.run(read(self.settings, self.topic(kind)))


@dataclasses.dataclass(frozen=True)
class Input:
    """What is put into a folder, with which connector, and what must come out."""

    plugin: str
    kinds: tuple[str, ...]
    suffix: str
    file: Callable[[int], bytes]
    config: Callable[[Office, Path], Mapping[str, Any]]


def _bundle(n: int) -> bytes:
    """A visit and its diagnosis, which refer to each other."""
    patient = {"reference": "Patient/P02478375538"}
    visit, diagnosis = "urn:uuid:visit", "urn:uuid:diagnosis"
    codes = {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10", "code": "A91"}]}
    encounter = {
        "resourceType": "Encounter",
        "identifier": [{"value": f"visit-{n}"}],
        "status": "finished",
        "class": {"code": "AMB"},
        "subject": patient,
        "period": {"start": "2026-11-24T08:10:00+07:00", "end": "2026-11-24T08:42:00+07:00"},
        "diagnosis": [{"condition": {"reference": diagnosis}}],
        "serviceProvider": {"reference": "Organization/1000000412"},
    }
    condition = {
        "resourceType": "Condition",
        "identifier": [{"value": f"diagnosis-{n}"}],
        "clinicalStatus": {"coding": [{"code": "active"}]},
        "code": codes,
        "subject": patient,
        "encounter": {"reference": visit},
    }
    entries = [
        {"fullUrl": url, "resource": resource, "request": {"method": "POST", "url": resource["resourceType"]}}
        for url, resource in ((visit, encounter), (diagnosis, condition))
    ]
    return json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries}).encode()


def _alert_config(office: Office, folder: Path) -> Mapping[str, Any]:
    return {"folder": str(folder), "settle_seconds": 0, "event_type": office.event_type(ALERTS.kinds[0])}


def _record_config(office: Office, folder: Path) -> Mapping[str, Any]:
    mapping = folder.parent / "mapping.yaml"
    mapping.write_text(SATUSEHAT.read_text().replace("id.go.kemkes.", f"id.go.{office.agency}."))
    return {"folder": str(folder), "settle_seconds": 0, "mapping": str(mapping)}


ALERTS = Input(
    "cap-files", ("id.go.bmkg.alert.issued.v1",), ".cap", lambda n: ALERT.format(n=n).encode(), _alert_config
)
RECORDS = Input(
    "fhir-bundles",
    (
        "id.go.kemkes.encounter.recorded.v1",
        "id.go.kemkes.condition.diagnosed.v1",
        "id.go.kemkes.vaccination.given.v1",
        "id.go.kemkes.newborn.recorded.v1",
    ),
    ".json",
    _bundle,
    _record_config,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "watched").mkdir()
    return tmp_path / "watched"


@pytest.fixture
def runtimes() -> Iterator[list[ConnectorBus]]:
    made: list[ConnectorBus] = []
    yield made
    for one in made:
        one.kill()


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []


def _has(folder: Path, count: int) -> bool:
    return len(names_in(folder)) >= count


@pytest.mark.parametrize(
    "kind",
    [pytest.param(ALERTS, id="alerts"), pytest.param(RECORDS, id="health records", marks=pytest.mark.long)],
)
def test_files_count_once_though_the_runtime_is_killed_again_and_again(
    kind: Input, bus: Settings, folder: Path, tmp_path: Path, runtimes: list[ConnectorBus]
) -> None:
    office = Office.open(bus, *kind.kinds)
    connectors = ConnectorBus(bus, office.system, tmp_path)
    runtimes.append(connectors)
    connectors.configure("inbound", kind.plugin, kind.config(office, folder))
    done, refused = folder / "done", folder / "refused"
    expected = [f"{n:04}{kind.suffix}" for n in range(FILES)]
    numbers = iter(range(FILES))

    def put(count: int) -> None:
        for _ in range(count):
            n = next(numbers)
            (folder / f".{expected[n]}").write_bytes(kind.file(n))
            (folder / f".{expected[n]}").rename(folder / expected[n])

    (folder / f"bad{kind.suffix}").write_bytes(b"<!DOCTYPE alert><alert/>")
    moments = random.Random(kind.plugin)
    for life in range(KILLS):
        before = len(names_in(done))
        put(PER_LIFE // 2)
        connectors.start()
        what = f"life {life} goes on; the log ends: {connectors.text[-3000:]}"
        wait_until(functools.partial(_has, done, before + 1), what)  # it may be moving the others now
        if life % 2:
            put(PER_LIFE // 2)
            time.sleep(moments.uniform(0, 0.3))  # somewhere between reading these and moving them
        connectors.kill()
    put(FILES - len(names_in(done)) - len(names_in(folder)))
    connectors.start()
    wait_until(lambda: names_in(done) == expected, f"every file is done; the log ends: {connectors.text[-3000:]}")
    connectors.wait_for("inbound", State.RUNNING)
    assert connectors.end() == 0
    assert names_in(refused) == [f"bad{kind.suffix}", f"bad{kind.suffix}.problems.json"]
    produced = [record for name in kind.kinds for record in office.published(name)]
    ids = [dict(record.headers)["ce_id"] for record in produced]
    assert len(ids) == len(set(ids)) == FILES * (1 if kind is ALERTS else 2)
