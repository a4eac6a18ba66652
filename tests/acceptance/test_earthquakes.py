"""The real catalogue of earthquakes, repeats included, reaches whom agreements name: each quake once, in order."""

import csv
import datetime as dt
import decimal
import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from deployment import Deployment, Record

EVENT_TYPE = "id.go.bmkg.earthquake.measured.v1"
TOPIC = "events.bmkg.earthquake.measured.v1"
WARNING, OPEN_DATA = "bnpb.early-warning", "ina-digital.open-data"
ROWS, DISTINCT = 19_228, 18_505
WINDOW_RECORDS, WINDOW_MS = 10_000, 15 * 60 * 1000  # what settings promise of repeats

Event = dict[str, Any]


@dataclass(frozen=True)
class Published:
    """The file as it was published and what was found on the bus afterwards.

    Attributes:
        events: the lines of the file, repeats included.
        stored: what lies in the event topic of them, as offsets order it within each partition.
        inboxes: what was delivered of them, by consumer.
    """

    deployment: Deployment
    events: list[Event]
    stored: list[Record]
    inboxes: dict[str, list[Record]]

    @property
    def by_id(self) -> dict[str, Event]:
        return {event["id"]: event for event in self.events}

    def repeats(self) -> set[tuple[str, int, int]]:
        """The records whose id stands among the 10,000 before them and not longer ago than 15 minutes."""
        last: dict[str, Record] = {}
        found = set()
        for record in self.stored:
            before = last.get(record.text("ce_id"))
            if (
                before is not None
                and record.offset - before.offset <= WINDOW_RECORDS
                and record.timestamp_ms - before.timestamp_ms <= WINDOW_MS
            ):
                found.add(record.place)
            last[record.text("ce_id")] = record
        return found


def as_event(row: dict[str, str]) -> Event:
    """A row of BMKG's catalogue; the same row is the same event."""
    day, month, year = row["tgl"].split("/")
    name = hashlib.sha256(";".join(row.values()).encode()).hexdigest()[:32]
    moment = f"{year}-{month}-{day}T{row['ot']}Z"
    return {
        "id": name,
        "time": moment,
        "data": {
            "event_id": name,
            "origin_time": moment,
            "latitude": float(row["lat"]),
            "longitude": float(row["lon"]),
            "depth_km": int(row["depth"]),
            "magnitude": row["mag"],
            "magnitude_tenths": int(decimal.Decimal(row["mag"]) * 10),
            "region": row["remark"],
        },
    }


@pytest.fixture(scope="module")
def published(deployment: Deployment, public_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Published:
    with (public_data / "earthquakes" / "bmkg-catalogue-2021.csv").open(newline="") as source:
        events = [as_event(row) for row in csv.DictReader(source, delimiter=";")]
    lines = tmp_path_factory.mktemp("earthquakes") / "quakes.jsonl"
    lines.write_text("".join(json.dumps(event) + "\n" for event in events))
    done = deployment.lintas("publish", EVENT_TYPE, lines, "--as", "bmkg.inatews")
    assert (done.returncode, done.stderr) == (0, "")
    deployment.settle()
    ours = {event["id"] for event in events}

    def of_ours(topic: str) -> list[Record]:
        return [record for record in deployment.read(topic) if record.text("ce_id") in ours]

    return Published(
        deployment, events, of_ours(TOPIC), {system: of_ours(f"inbox.{system}") for system in (WARNING, OPEN_DATA)}
    )


def ids(records: Iterable[Record]) -> list[str]:
    return [record.text("ce_id") for record in records]


def is_asked_for(event: Event) -> bool:
    """What the disaster agency's agreement says, in words of this test."""
    return bool(50 <= event["data"]["magnitude_tenths"] <= 100 and event["data"]["depth_km"] >= 0)


def in_order(records: Iterable[Record]) -> dict[bytes | None, list[str]]:
    """The ids of each key's records, in the order of their partition."""
    found = defaultdict(list)
    for record in sorted(records, key=lambda record: record.place):
        found[record.key].append(record.text("ce_id"))
    return found


def decisions(deployment: Deployment, places: set[tuple[str, int, int]]) -> Iterable[tuple[Any, Any]]:
    """The audit records' entries for some records of event topics: input partition and event."""
    for record in deployment.read("audit.decisions"):
        for partition in deployment.decode(record)["partitions"]:
            for event in partition["events"]:
                if (partition["topic"], partition["partition"], event["offset"]) in places:
                    yield partition, event


def test_the_event_topic_holds_every_row_that_was_acknowledged(published: Published) -> None:
    assert len(published.events) == ROWS
    assert len(published.by_id) == DISTINCT
    assert Counter(ids(published.stored)) == Counter(event["id"] for event in published.events)


def test_the_disaster_agency_gets_each_quake_that_it_asks_for_exactly_once(published: Published) -> None:
    asked_for = [event["id"] for event in published.by_id.values() if is_asked_for(event)]
    assert len(asked_for) > 300
    assert Counter(ids(published.inboxes[WARNING])) == Counter(asked_for)


def test_the_public_gets_every_quake_exactly_once(published: Published) -> None:
    assert Counter(ids(published.inboxes[OPEN_DATA])) == Counter(published.by_id.keys())


@pytest.mark.parametrize("system", [WARNING, OPEN_DATA])
def test_quakes_of_a_region_come_in_the_order_in_which_they_were_published(published: Published, system: str) -> None:
    delivered = in_order(published.inboxes[system])
    wanted = set(ids(published.inboxes[system]))
    for region, order in in_order(published.stored).items():
        firsts = [event for event in dict.fromkeys(order) if event in wanted]
        assert delivered.get(region, []) == firsts


def test_every_quake_of_a_region_lies_in_one_partition_of_an_inbox(published: Published) -> None:
    places = {(record.key, record.partition) for record in published.inboxes[OPEN_DATA]}
    assert len(places) == len({key for key, _ in places})


def test_what_is_delivered_says_what_the_row_says(published: Published) -> None:
    by_id = published.by_id
    for record in published.inboxes[WARNING]:
        row = by_id[record.text("ce_id")]["data"]
        data = published.deployment.decode(record)
        assert data.pop("origin_time") == dt.datetime.fromisoformat(row["origin_time"])
        assert data.pop("magnitude") == decimal.Decimal(row["magnitude"])
        assert data == {name: row[name] for name in ("event_id", "latitude", "longitude", "depth_km", "region")}


def test_repeats_are_dropped_and_counted_in_the_audit_records(published: Published) -> None:
    repeats = published.repeats()
    assert len(repeats) == ROWS - DISTINCT
    places = {record.place for record in published.stored}
    counted = {
        (partition["topic"], partition["partition"], event["offset"]): event["outcome"]
        for partition, event in decisions(published.deployment, places)
    }
    assert {place for place, outcome in counted.items() if outcome == "duplicate"} == repeats
    assert Counter(counted.values()) == {"routed": DISTINCT, "duplicate": ROWS - DISTINCT}


def test_the_audit_records_decide_each_event_once_and_add_up_with_the_inboxes(published: Published) -> None:
    places = {record.place for record in published.stored}
    events, outcomes = 0, Counter[tuple[str, str]]()
    for partition, event in decisions(published.deployment, places):
        events += 1
        agreements = [agreement["agreement"] for agreement in partition["agreements"]]
        for decision in event["decisions"]:
            outcomes[agreements[decision["agreement"]], decision["outcome"]] += 1
        bits = int.from_bytes(event["filtered"], "little")
        for index, agreement in enumerate(agreements):
            outcomes[agreement, "filtered"] += bits >> index & 1
    assert events == ROWS
    for system, inbox in published.inboxes.items():
        agreement = f"{system}.earthquake-measured"
        assert outcomes[agreement, "delivered"] == len(inbox)
        assert outcomes[agreement, "delivered"] + outcomes[agreement, "filtered"] == DISTINCT
        assert outcomes[agreement, "dead"] == outcomes[agreement, "waiting"] == 0
