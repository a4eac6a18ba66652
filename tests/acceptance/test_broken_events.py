"""Broken events: refused by `lintas publish` line by line, and quarantined when a careless producer writes them."""

import json
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from deployment import Deployment, Record
from marked_day import Sent, prepared, send, with_header

EVENT_TYPE, TOPIC = "id.go.dukcapil.birth.registered.v1", "events.dukcapil.birth.registered.v1"
SYSTEM, QUARANTINE = "dukcapil.siak", "quarantine.dukcapil"
DEATHS = "id.go.dukcapil.death.registered.v1"
ERRORS = "__lintas.errors."
OURS = re.compile(rb"3273-LU-24112026-9\d{3}")  # the lines below


def birth(number: int, **changes: Any) -> dict[str, Any]:
    """A birth in natural JSON; no two have the same number."""
    return {
        "registration_number": f"3273-LU-24112026-{number:04}",
        "child": {
            "nik": f"327301231126{number:04}",
            "name": f"Raka {number}",
            "sex": "MALE",
            "birth_date": "2026-11-23",
            "birth_place_region": "32.73",
            "weight_grams": 3150,
            "birth_order": 1,
        },
        "mother": {"nik": f"327301520596{number:04}", "name": "Siti Rahayu"},
        "father": None,
        "province": "32",
        "registered_at": "2026-11-24T03:15:20.120Z",
        **changes,
    }


def child(number: int, **changes: Any) -> dict[str, Any]:
    made: dict[str, Any] = birth(number)["child"]
    return {"child": {**made, **changes}}


def without(data: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in data.items() if name not in names}


def line(data: Any, **attributes: Any) -> bytes:
    return json.dumps({**attributes, "data": data}).encode()


# Through the front door: each line, and every problem that it has.

LINES: list[tuple[bytes, set[tuple[str, str]]]] = [
    (line(birth(9001)), set()),
    (b'{"data": {', {("", "json")}),
    (b'{"data": "\xff"}', {("", "utf-8")}),
    (b'{"Case File": "7", "subject": 5}', {("a name", "unknown-attribute"), ("data", "missing"), ("subject", "type")}),
    (
        line(without(birth(9002, **child(9002, nik="3273013113260001", birth_date="2026-13-01")), "mother")),
        {("data.child.nik", "nik"), ("data.child.birth_date", "type"), ("data.mother", "missing-field")},
    ),
    (
        line(birth(9003, **child(9003, sex="male", weight_grams=2**40, birth_order=True), eye_colour="brown")),
        {
            ("data.child.sex", "enum"),
            ("data.child.weight_grams", "range"),
            ("data.child.birth_order", "type"),
            ("data.eye_colour", "unknown-field"),
        },
    ),
    (line(birth(9004), subject="3273012311269999", time="yesterday"), {("subject", "subject"), ("time", "time")}),
    (line(birth(9005, mother={"nik": "3273015205960005", "name": "Ćulibrk ☂"})), set()),
    (
        line(birth(9006), source="urn:lintas:kpu.sidalih", key=7, casefile=[1]),
        {("source", "own-attribute"), ("key", "key"), ("casefile", "attribute-value")},
    ),
    (
        b'{"id": "1", "id": "2", "data": {"father": null}}',
        {("", "duplicate-key")} | {(f"data.{name}", "missing-field") for name in birth(0).keys() - {"father"}},
    ),
    (line([1, 2]), {("data", "type")}),
    (b'{"data": {"province": NaN}}', {("", "json")}),
    (
        line(birth(9007, province="99", father={"nik": "1", "name": None})),
        {("data.province", "region-code"), ("data.father.nik", "nik"), ("data.father.name", "type")},
    ),
    (line(birth(9008), id="", traceparent="a\u0000b"), {("id", "empty"), ("traceparent", "string")}),
    (line(birth(9009)), set()),
]
GOOD = [json.loads(content) for content, problems in LINES if not problems]


@pytest.fixture(scope="module")
def front_door(deployment: Deployment, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, int]:
    """What `lintas publish` said of the lines, and its exit code."""
    file = tmp_path_factory.mktemp("broken") / "births.jsonl"
    file.write_bytes(b"\n".join(content for content, _ in LINES))
    done = deployment.lintas("publish", EVENT_TYPE, file, "--as", SYSTEM)
    deployment.settle()
    return done.stderr, done.returncode


def test_every_rejected_line_is_reported_with_its_number_and_all_its_problems(front_door: tuple[str, int]) -> None:
    report, exit_code = front_door
    found: dict[int, set[tuple[str, str]]] = {}
    for text in report.splitlines():
        if reported := re.fullmatch(r"line (\d+): (.*) \[([a-z0-9-]+)\]", text):
            path, colon, _ = reported[2].partition(": ")
            named = colon and not path.startswith("is ")
            found.setdefault(int(reported[1]), set()).add((path if named else "", reported[3]))
    assert found == {number: problems for number, (_, problems) in enumerate(LINES, 1) if problems}
    assert exit_code == 1
    assert f"{len(found)} of {len(LINES)} events were not published" in report


def test_the_report_repeats_no_value_of_an_event(front_door: tuple[str, int]) -> None:
    report, _ = front_door
    for value in (
        "3273013113260001",
        "2026-13-01",
        "brown",
        "yesterday",
        "3273012311269999",
        "kpu.sidalih",
        "Case File",
    ):
        assert value not in report


def test_the_good_lines_beside_them_are_published_and_delivered(
    deployment: Deployment, front_door: tuple[str, int]
) -> None:
    assert front_door
    numbers = {event["data"]["registration_number"] for event in GOOD}
    assert len(numbers) == 3
    stored = [OURS.findall(record.value or b"") for record in deployment.read(TOPIC)]
    assert {number.decode() for found in stored for number in found} == numbers
    delivered = [deployment.decode(record) for record in deployment.read("inbox.ina-digital.citizen-inbox")]
    ours = [data.get("registration_number") for data in delivered if data.get("registration_number") in numbers]
    assert sorted(ours) == sorted(numbers)


# Through the back door: written to the topic by a producer that checks nothing.


@dataclass(frozen=True)
class Broken:
    """A way to break a record, the stage at which it is noticed, and every rule that it breaks there."""

    name: str
    spoil: Callable[["Good"], Sent]
    stage: str
    rules: set[str]


@dataclass(frozen=True)
class Good:
    """A good record, and what there is to break it with."""

    record: Sent
    schema_id: int
    other_schema_id: int

    @property
    def body(self) -> bytes:
        return (self.record.value or b"")[5:]

    def having(self, value: bytes | None) -> Sent:
        return replace(self.record, value=value)

    def header(self, name: str, value: str | None) -> Sent:
        return with_header(self.record, name, None if value is None else value.encode())

    def framed(self, schema_id: int, body: bytes) -> Sent:
        return self.having(struct.pack(">bI", 0, schema_id) + body)

    def with_text(self, text: str, other: str) -> Sent:
        """With a text in the payload replaced by one of the same length."""
        assert len(text) == len(other)
        return self.framed(self.schema_id, self.body.replace(text.encode(), other.encode()))


def structured(**members: Any) -> Callable[[Good], Sent]:
    """An event in structured mode, with members changed."""

    def spoil(_: Good) -> Sent:
        event = {
            "specversion": "1.0",
            "type": EVENT_TYPE,
            "source": f"urn:lintas:{SYSTEM}",
            "id": "structured",
            "data": birth(8000),
            **members,
        }
        headers = [("content-type", b"application/cloudevents+json")]
        return Sent(TOPIC, b"k", json.dumps(event).encode(), headers)

    return spoil


BROKEN = [
    Broken(
        "bad magic byte", lambda good: good.having(b"\x01" + (good.record.value or b"")[1:]), "framing", {"magic-byte"}
    ),
    Broken("JSON instead of Avro", lambda good: good.having(json.dumps(birth(1)).encode()), "framing", {"magic-byte"}),
    Broken("too short", lambda good: good.having(b"\x00\x00"), "framing", {"too-short"}),
    Broken("unknown schema id", lambda good: good.framed(2**31 - 7, good.body), "framing", {"unknown-schema"}),
    Broken(
        "schema of another event type",
        lambda good: good.framed(good.other_schema_id, good.body),
        "framing",
        {"unknown-schema"},
    ),
    Broken("no payload", lambda good: good.having(None), "schema", {"no-data"}),
    Broken("truncated Avro", lambda good: good.framed(good.schema_id, good.body[:-3]), "schema", {"truncated"}),
    Broken(
        "bytes left over",
        lambda good: good.framed(good.schema_id, good.body + b"\x00\x01"),
        "schema",
        {"trailing-bytes"},
    ),
    Broken("no id", lambda good: good.header("ce_id", None), "envelope", {"required"}),
    Broken("no type", lambda good: good.header("ce_type", None), "envelope", {"required"}),
    Broken("no attribute at all", lambda good: replace(good.record, headers=[]), "envelope", {"required"}),
    Broken("wrong source", lambda good: good.header("ce_source", "urn:lintas:kpu.sidalih"), "envelope", {"source"}),
    Broken(
        "wrong source and type",
        lambda good: with_header(good.header("ce_source", "urn:lintas:kpu.sidalih"), "ce_type", DEATHS.encode()),
        "envelope",
        {"source", "type"},
    ),
    Broken(
        "bad time, empty subject",
        lambda good: with_header(good.header("ce_time", "24/11/2026"), "ce_subject", b""),
        "envelope",
        {"time", "empty"},
    ),
    Broken(
        "two ids",
        lambda good: replace(good.record, headers=[*good.record.headers, ("ce_id", b"2")]),
        "envelope",
        {"duplicate"},
    ),
    Broken("subject mismatch", lambda good: good.header("ce_subject", "3273012311269999"), "envelope", {"subject"}),
    Broken(
        "invalid numbers of both",
        lambda good: replace(
            good.with_text("327301231126", "327301321326"),
            value=(good.with_text("327301231126", "327301321326").value or b"").replace(
                b"327301520596", b"007301520596"
            ),
        ),
        "schema",
        {"nik"},
    ),
    Broken(
        "structured, with a wrong payload",
        structured(data={**without(birth(8001), "mother"), "province": 32, "colour": "red"}),
        "schema",
        {"missing-field", "type", "unknown-field"},
    ),
    Broken("structured, with wrong attributes", structured(id=7, time="noon"), "envelope", {"type", "time"}),
]


@pytest.fixture(scope="module")
def back_door(deployment: Deployment) -> dict[str, tuple[Sent, Record, Any]]:
    """By name: what was written, what lies in the quarantine of it, and its entry in the audit log."""
    snapshot = deployment.snapshot()
    inboxes = [f"inbox.{system}" for system in snapshot.consumers()]
    before = len(deployment.read(*inboxes))
    written = {}
    for number, broken in enumerate(BROKEN):
        made = prepared(snapshot, EVENT_TYPE, birth(7000 + number), id=f"broken-{number}")
        record = Sent(made.topic, made.key, made.value, [*made.headers, ("x-of-the-publisher", b"kept")])
        ids = [snapshot.event_types[name].current.id for name in (EVENT_TYPE, DEATHS)]
        spoilt = broken.spoil(Good(record, *ids))
        ((partition, offset),) = send(deployment, SYSTEM, [spoilt])
        written[broken.name] = spoilt, (TOPIC, partition, offset)
    deployment.settle()
    assert len(deployment.read(*inboxes)) == before, "something broken was delivered"
    quarantined = {
        (
            record.text(f"{ERRORS}topic"),
            int(record.text(f"{ERRORS}partition")),
            int(record.text(f"{ERRORS}offset")),
        ): record
        for record in deployment.read(QUARANTINE)
    }
    audited = {
        (partition["topic"], partition["partition"], event["offset"]): event
        for record in deployment.read("audit.decisions")
        for partition in deployment.decode(record)["partitions"]
        for event in partition["events"]
    }
    return {name: (sent, quarantined[place], audited[place]) for name, (sent, place) in written.items()}


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.name)
class TestBackDoor:
    """A broken record goes to its publisher's quarantine and nowhere else."""

    def test_it_lies_in_quarantine_as_it_was_written(self, back_door: Any, broken: Broken) -> None:
        sent, found, _ = back_door[broken.name]
        assert (found.key, found.value) == (sent.key, sent.value)
        assert [header for header in found.headers if not header[0].startswith(ERRORS)] == sent.headers

    def test_its_headers_name_every_problem(self, back_door: Any, broken: Broken) -> None:
        _, found, _ = back_door[broken.name]
        problems = json.loads(found.text(f"{ERRORS}problems"))
        assert found.text(f"{ERRORS}stage") == broken.stage
        assert {problem["rule"] for problem in problems} == broken.rules
        assert set(found.text(f"{ERRORS}rule").split(", ")) == broken.rules
        assert all(problem["message"] for problem in problems)

    def test_the_audit_log_says_that_no_one_was_given_it(self, back_door: Any, broken: Broken) -> None:
        _, _, audited = back_door[broken.name]
        assert (audited["outcome"], audited["decisions"], audited["filtered"]) == ("quarantined", [], b"")
        stage, _, rules = audited["problem"].partition(": ")
        assert (stage, set(rules.split(", "))) == (broken.stage, broken.rules)


def test_records_with_several_problems_name_each_place(back_door: Any) -> None:
    def places(name: str) -> set[str]:
        return {problem["path"] for problem in json.loads(back_door[name][1].text(f"{ERRORS}problems"))}

    assert places("no attribute at all") == {f"envelope.{name}" for name in ("id", "source", "specversion", "type")}
    assert places("invalid numbers of both") == {"child.nik", "mother.nik"}
    assert places("structured, with a wrong payload") == {"mother", "province", "colour"}


def test_the_publisher_reads_its_own_quarantine_and_nobody_elses(deployment: Deployment, back_door: Any) -> None:
    assert back_door
    assert len(deployment.read(QUARANTINE, system=SYSTEM)) >= len(BROKEN)
