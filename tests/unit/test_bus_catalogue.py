"""The bus's own part of every catalogue: valid, apart, and for nobody else."""

import datetime as dt
import json
from pathlib import Path

import pytest
from sound_catalogue import BMKG, BPS, QUAKES, SOUND, Edit, broken, write

from lintas import names
from monitoring.canary_events import CanaryEvents
from schemas.bus_catalogue import bus_catalogue, with_bus
from schemas.compose import compose, numbering
from schemas.load import load
from schemas.validate import validate
from schemas.wire.codec import Codec

TODAY = dt.date(2026, 11, 24)


def rules(folder: Path, edits: dict[str, Edit]) -> set[str]:
    catalogue, problems = load(write(folder, broken(edits)))
    assert not problems
    return {problem.rule for problem in validate(catalogue, today=TODAY)}


def test_the_bus_s_own_part_breaks_no_rule_but_those_that_keep_its_names_for_it() -> None:
    assert {problem.rule for problem in validate(bus_catalogue(), today=TODAY)} == {"reserved-name", "bus-event-type"}


def test_it_is_called_as_the_canary_expects() -> None:
    own = bus_catalogue()
    (agreement,) = own.agreements.values()
    assert set(own.agencies) == {names.RESERVED_AGENCY}
    assert set(own.event_types) == {names.CANARY_EVENT_TYPE}
    assert own.event_types[names.CANARY_EVENT_TYPE].publishers == [names.CANARY]
    assert (agreement.agreement, agreement.consumer) == (names.CANARY, names.CANARY)
    assert own.agencies[names.RESERVED_AGENCY].domain == names.BUS_DOMAIN


def test_its_schema_is_what_the_canary_sends() -> None:
    codec = Codec(bus_catalogue().schemas[names.CANARY_EVENT_TYPE])
    sent = CanaryEvents("run").payload(1, dt.datetime(2026, 11, 26, tzinfo=dt.UTC))
    assert codec.decode(codec.encode(sent)) == sent


def test_it_holds_no_field_of_anybody() -> None:
    own = bus_catalogue()
    (event_type,) = own.event_types.values()
    fields = {field["name"] for field in own.schemas[event_type.event_type]["fields"]}
    assert fields == {"run", "sequence", "sent_at", "perch", "mask_me", "withhold_me"}
    assert event_type.personal_fields == []
    assert json.dumps(own.schemas[event_type.event_type]).count("nik") == 0


def test_a_catalogue_is_applied_together_with_it(tmp_path: Path) -> None:
    catalogue, _ = load(write(tmp_path, SOUND))
    snapshot = compose(with_bus(catalogue), numbering())
    assert snapshot.event_types.keys() == catalogue.event_types.keys() | {names.CANARY_EVENT_TYPE}
    assert {one.contract.consumer for one in snapshot.agreements_on(names.CANARY_EVENT_TYPE)} == {names.CANARY}
    assert snapshot.topics()["events.lintas.canary.sent.v1"] == 8


@pytest.mark.parametrize(
    ("edits", "rule"),
    [
        # a system of another agency asks for the canary's events
        ({QUAKES: [("id.go.bmkg.earthquake.measured.v1", names.CANARY_EVENT_TYPE)]}, "bus-event-type"),
        ({QUAKES: [("consumer: bps.vital", "consumer: lintas.canary")]}, "unknown-system"),  # to fill its inbox
        ({BMKG: [("domain: id.go.bmkg", "domain: lintas.bus.canary")]}, "reserved-name"),
        ({BPS: None, "agencies/lintas.yaml": "agency: lintas\nname: Ours\ndomain: id.x\n"}, "reserved-name"),
        (
            {QUAKES: None, "agreements/lintas.canary.yaml": SOUND[QUAKES].replace("bps.quakes", "lintas.canary")},
            "reserved-name",
        ),
    ],
)
def test_nobody_can_take_its_place_or_its_events(tmp_path: Path, edits: dict[str, Edit], rule: str) -> None:
    assert rule in rules(tmp_path, edits)
