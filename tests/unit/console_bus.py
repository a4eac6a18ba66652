"""Buses for the console's tests: the example deployment with books, and a very large one."""

import dataclasses
import datetime as dt
import functools
import hashlib

from console_visits import StillBus

from lintas.cli.catalogue import EXAMPLE_DEPLOYMENT
from lintas.cli.catalogue_folder import read_folder
from monitoring.console.catalogue_view import Catalogue
from monitoring.console.known import Known
from monitoring.console.ledger import Ledger
from monitoring.console.traffic import Ages, Flow, Point
from schemas.catalogue_log import CatalogueLog, Pointer
from schemas.lane_plans import LanePlan
from schemas.snapshot import PublishedAgreement, PublishedEventType, Snapshot
from streams.overview import LaneView, Overview
from streams.slots import SetAside
from streams.totals import AgreementTotals, EventTypeTotals

AT = dt.datetime(2026, 11, 26, 12, 40, 5, tzinfo=dt.UTC)
BIRTH = "id.go.dukcapil.birth.registered.v1"
BIRTHS_TO_KEMENKES = "kemenkes.satusehat.birth-registered"


@functools.cache
def example() -> Snapshot:
    """The example deployment."""
    return read_folder(EXAMPLE_DEPLOYMENT)[1]


def log_of(*snapshots: Snapshot) -> CatalogueLog:
    """A catalogue topic on which these were applied one after the other."""
    log, previous = CatalogueLog(), None
    for number, snapshot in enumerate(snapshots, 1):
        at = (AT - dt.timedelta(days=len(snapshots) - number)).isoformat()
        pointer = Pointer(snapshot.digest, previous, f"steward {number}", at, number)
        for key, value in (*log.new_records(snapshot), *pointer.records()):
            log.add(key, value)
        previous = snapshot.digest
    return log


def bus_of(*snapshots: Snapshot) -> StillBus:
    """A bus with these catalogues; the last one is in force, and every event type and agreement has had events."""
    log, bus = log_of(*snapshots), StillBus()
    assert log.current is not None
    bus.catalogue = Known(Catalogue.of(log, log.current), AT)
    bus.log = log
    bus.ledger = Known(ledger_of(snapshots[-1]), AT)
    bus.lanes = Known(lanes_of(snapshots[-1]), AT)
    bus.version = 1
    return bus


def ledger_of(snapshot: Snapshot) -> Ledger:
    """Books in which numbers differ from line to line."""
    types = {name: EventTypeTotals(name, 1_000 + at, 990 + at, 5, 3, 2) for at, name in enumerate(snapshot.event_types)}
    agreements = {
        name: AgreementTotals(name, one.contract.event_type, 900 + at, 800 + at, 97, at % 3, 0, 0, at % 2)
        for at, (name, one) in enumerate(snapshot.agreements.items())
    }
    flow = Flow(
        delivered={name: 10 + at for at, name in enumerate(snapshot.agreements) if at % 2},
        decided=dict.fromkeys(snapshot.event_types, 30),
        ages=Ages(0.12, 0.9),
        ages_of=dict.fromkeys(snapshot.agreements, Ages(0.1, 0.8)),
        points=tuple(Point(1_795_000_000 + 10 * at, at, 2 * at, Ages(0.1, 0.7)) for at in range(90)),
    )
    return Ledger(AT - dt.timedelta(hours=24), types, agreements, (), flow)


def lanes_of(snapshot: Snapshot) -> Overview:
    """Eight lanes of one worker; one agreement is set aside."""
    plan = LanePlan(generation=1, lanes=8, author="operator", at=AT.isoformat())
    lanes = tuple(LaneView(n, "worker-1", snapshot.digest, AT.isoformat(), 12, 3 * n, 0, ()) for n in range(8))
    slot = (BIRTHS_TO_KEMENKES, f"events.dukcapil.{BIRTH.removeprefix('id.go.dukcapil.')}", 0)
    aside = {slot: SetAside(41, "inbox.kemenkes.satusehat: MESSAGE_TOO_LARGE", AT.isoformat())}
    return Overview(plan, True, lanes, 1, aside)


def large(event_types: int = 1_000, agreements: int = 500) -> Snapshot:
    """A catalogue as large as a country's: the example's, again and again under other names."""
    snapshot = example()
    types, given = list(snapshot.event_types.values()), list(snapshot.agreements.values())
    many = {}
    for at in range(event_types):
        one = types[at % len(types)]
        name = _other(one.contract.event_type, at // len(types))
        many[name] = _event_type(one, name)
    more = {}
    for at in range(agreements):
        agreement = given[at % len(given)]
        name = _other(agreement.contract.event_type, at // len(given))
        new = f"{agreement.contract.agreement}-{at // len(given)}"
        more[new] = _agreement(agreement, new, name)
    return dataclasses.replace(snapshot, event_types=many, agreements=more)


def _other(event_type: str, number: int) -> str:
    head, _, version = event_type.rpartition(".")
    return f"{head}-{number}.{version}"


def _event_type(one: PublishedEventType, name: str) -> PublishedEventType:
    digest = int(hashlib.sha256(name.encode()).hexdigest()[:6], 16)
    schema = dataclasses.replace(one.current, id=digest)
    return PublishedEventType(one.contract.model_copy(update={"event_type": name}), f"{one.topic}.{digest}", (schema,))


def _agreement(one: PublishedAgreement, name: str, event_type: str) -> PublishedAgreement:
    contract = one.contract.model_copy(update={"agreement": name, "event_type": event_type})
    return dataclasses.replace(one, contract=contract)
