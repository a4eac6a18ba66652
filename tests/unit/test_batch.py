"""A lane's decisions about whole batches, without Kafka."""

import datetime as dt
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from raw_batches import raw_batch

from lintas import names
from schemas.compose import compose, derived_schema, numbering
from schemas.load import load
from schemas.pseudonyms import PseudonymKeys
from schemas.snapshot import PublishedAgreement, RegisteredSchema
from schemas.wire import envelope, framing
from schemas.wire.codec import Codec
from schemas.wire.errors import MalformedData, Problem
from streams import audit, dead_letters, evidence
from streams.batch import Batch
from streams.decide import Plans
from streams.letters import Letter
from streams.record_format import parts_of
from streams.records import InputRecord, OutputRecord
from streams.slots import EVERYBODY, SetAside, Slot
from streams.window import DuplicateWindow

AT = dt.datetime(2026, 11, 24, 12, tzinfo=dt.UTC)
EVENT_TYPE, TOPIC = "id.go.a.case.corrected.v1", "events.a.case.corrected.v1"
RECORD = (
    {"name": "region", "type": "string"},
    {"name": "who", "type": "string"},
    {"name": "weight", "type": ["null", "int"], "default": None},
)
SCHEMA = {
    "type": "record",
    "name": "Corrected",
    "namespace": "id.go.a",
    "fields": [
        *RECORD,
        {
            "name": "before",
            "type": ["null", {"type": "record", "name": "Before", "fields": [RECORD[0]]}],
            "default": None,
        },
    ],
}
AGREEMENTS: Mapping[str, Mapping[str, Any]] = {
    "jakarta": {"when": 'data.region == "31"', "release": {"region": "keep", "who": "pseudonym"}},
    "strict": {"require": {"heavy": "data.weight > 100"}, "release": {"weight": "keep", "who": "pseudonym"}},
    "ended": {"valid": {"from": "2020-01-01", "until": "2020-12-31"}, "release": {"region": "keep"}},
}


@pytest.fixture
def plans(tmp_path: Path) -> Plans:
    def write(name: str, content: Mapping[str, Any]) -> None:
        path = tmp_path / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(yaml.safe_dump(content))

    write(
        "agencies/a",
        {
            "agency": "a",
            "name": "Agency A",
            "domain": "id.go.a",
            "systems": {"pub": {"name": "Publisher", "kind": "government"}},
        },
    )
    systems = {name: {"name": name, "kind": "business"} for name in AGREEMENTS}
    write("agencies/b", {"agency": "b", "name": "Agency B", "domain": "id.go.b", "systems": systems})
    write(
        f"events/{EVENT_TYPE}",
        {
            "event_type": EVENT_TYPE,
            "owner": "a",
            "title": "Case corrected",
            "summary": "A case was corrected",
            "publishers": ["a.pub"],
            "classification": "personal",
            "subject": "who",
            "personal_fields": ["who"],
            "before": "before",
        },
    )
    (tmp_path / f"events/{EVENT_TYPE}.avsc").write_text(json.dumps(SCHEMA))
    for name, terms in AGREEMENTS.items():
        write(
            f"agreements/{name}",
            {
                "agreement": name,
                "provider": "a",
                "consumer": f"b.{name}",
                "event_type": EVENT_TYPE,
                "legal_basis": "UU 1/2026",
                "purpose": "tests",
                "valid": {"from": "2026-01-01", "until": "2026-12-31"},
                **terms,
            },
        )
    read, problems = load(tmp_path)
    assert not problems, problems
    return Plans(compose(read, numbering()), PseudonymKeys.fixed({1: b"k" * 32}))


def record(
    plans: Plans,
    offset: int = 0,
    *,
    value: bytes | None = None,
    data: Mapping[str, Any] | None = None,
    **attributes: str,
) -> InputRecord:
    schema = plans.snapshot.event_types[EVENT_TYPE].current
    content = {"region": "31", "who": "Siti", "weight": 120, "before": None, **(data or {})}
    framed = framing.frame(schema.id, Codec(schema.schema).encode(content)) if value is None else value
    written = {
        "specversion": "1.0",
        "id": f"e{offset}",
        "type": EVENT_TYPE,
        "source": "urn:lintas:a.pub",
        "subject": content["who"],
        **attributes,
    }
    return InputRecord(
        TOPIC, 0, offset, 1_000, b"key", framed, envelope.binary_headers({k: v for k, v in written.items() if v})
    )


def decide(plans: Plans, *records: InputRecord, aside: Mapping[Slot, SetAside] | None = None) -> Batch:
    batch = Batch(plans, {(TOPIC, 0): DuplicateWindow(records=100, seconds=100)}, aside or {}, at=AT)
    raw = raw_batch(records)
    while raw.left:
        batch.add(TOPIC, 0, raw, len(records))
    return batch


def written(batch: Batch, prefix: str) -> list[OutputRecord]:
    return [
        OutputRecord(topic, number, *parts_of(record))
        for (topic, number), records in batch.outputs.items()
        if topic.startswith(prefix)
        for record in records
    ]


def entry(batch: Batch, number: int = 0) -> dict[str, Any]:
    decided = audit.Decided(batch.id, 1, 0, "worker", "digest", AT)
    (record,) = audit.read_records(audit.AuditWriter(1).records(decided, list(batch.decided.values())))
    found: dict[str, Any] = record["partitions"][0]["events"][number]
    return found


def test_an_event_goes_to_everyone_entitled_and_to_nobody_else(plans: Plans) -> None:
    batch = decide(plans, record(plans))
    assert {output.topic for output in written(batch, names.INBOX)} == {"inbox.b.jakarta", "inbox.b.strict"}
    assert entry(batch)["outcome"] == "routed"
    assert [standing for _, standing in batch.decided[TOPIC, 0].agreements] == ["expired", "in_force", "in_force"]


def test_a_correction_reaches_whoever_had_the_event_before(plans: Plans) -> None:
    moved_away = record(plans, data={"region": "32", "before": {"region": "31"}})
    elsewhere = record(plans, 1, data={"region": "32", "before": {"region": "33"}})
    batch = decide(plans, moved_away, elsewhere)
    assert len(written(batch, "inbox.b.jakarta")) == 1
    assert entry(batch)["filtered"] == b""
    assert entry(batch, 1)["filtered"] == b"\x02"  # agreements in order: ended, jakarta, strict


def test_a_repeat_is_dropped_and_said_so(plans: Plans) -> None:
    batch = decide(plans, record(plans), record(plans, 1, id="e0"))
    assert [entry(batch, number)["outcome"] for number in (0, 1)] == ["routed", "duplicate"]
    assert len(written(batch, "inbox.b.jakarta")) == 1


@pytest.mark.parametrize(
    ("data", "reason"),
    [({"weight": 90}, "require: heavy"), ({"weight": None}, "require: heavy")],  # a comparison with null is no yes
)
def test_a_requirement_that_is_not_met_makes_a_dead_letter(plans: Plans, data: dict[str, Any], reason: str) -> None:
    batch = decide(plans, record(plans, data=data))
    (letter,) = written(batch, names.DEAD)
    assert letter.topic == "dead.b.strict"
    headers = dict(letter.headers)
    assert headers["__lintas.errors.stage"] == b"require"
    assert headers["__lintas.errors.agreement"] == b"strict"
    assert json.loads(headers["__lintas.errors.problems"])[0]["rule"] == "heavy"
    assert [one["problem"] for one in entry(batch)["decisions"] if one["outcome"] == "dead"] == [reason]
    assert len(written(batch, "inbox.b.jakarta")) == 1


@pytest.mark.parametrize(
    ("change", "stage", "rule"),
    [
        ({"value": b""}, "framing", "too-short"),
        ({"value": framing.frame(99, b"")}, "framing", "unknown-schema"),
        ({"source": "urn:lintas:a.other"}, "envelope", "source"),
        ({"source": "urn:lintas:a.pubs"}, "envelope", "source"),
        ({"type": "id.go.a.other.v1"}, "envelope", "type"),
        ({"subject": "Budi"}, "envelope", "subject"),
        ({"id": ""}, "envelope", None),
    ],
)
def test_what_no_one_can_be_given_goes_to_the_publishers_quarantine_whole(
    plans: Plans, change: dict[str, Any], stage: str, rule: str | None
) -> None:
    broken = record(plans, **change)
    batch = decide(plans, broken)
    (letter,) = written(batch, "")
    assert (letter.topic, letter.key, letter.value) == ("quarantine.a", broken.key, broken.value)
    assert letter.headers[: len(broken.headers)] == list(broken.headers)
    headers = dict(letter.headers)
    assert headers["__lintas.errors.stage"].decode() == stage
    assert rule is None or headers["__lintas.errors.rule"].decode() == rule
    assert headers["__lintas.errors.offset"] == b"0"
    assert entry(batch)["outcome"] == "quarantined"
    assert "Siti" not in str([value for name, value in letter.headers if name.startswith(names.ERROR_PREFIX)])


def test_a_malformed_event_may_come_again_under_its_own_id(plans: Plans) -> None:
    batch = decide(plans, record(plans, value=b""), record(plans, 1, id="e0"))
    assert [entry(batch, number)["outcome"] for number in (0, 1)] == ["quarantined", "routed"]


def test_the_events_of_an_agreement_that_is_set_aside_wait_and_those_it_would_not_get_are_filtered(
    plans: Plans,
) -> None:
    aside = {("jakarta", TOPIC, 0): SetAside(0, "inbox.b.jakarta: gone", "2026-11-24T00:00:00Z")}
    batch = decide(plans, record(plans), record(plans, 1, data={"region": "32"}), aside=aside)
    assert written(batch, "inbox.b.jakarta") == []
    assert [(one["agreement"], one["outcome"]) for one in entry(batch)["decisions"]] == [
        (1, "waiting"),
        (2, "delivered"),
    ]
    assert entry(batch, 1)["filtered"] == b"\x02"


def test_what_waits_is_noted_by_offset_for_each_agreement(plans: Plans) -> None:
    slots: list[Slot] = [(name, TOPIC, 0) for name in ("jakarta", "strict")]
    aside = {slot: SetAside(0, "inbox: gone", "2026-11-24T00:00:00Z") for slot in slots}
    events = record(plans, 5), record(plans, 6, data={"region": "32"}), record(plans, 7, subject="")
    batch = decide(plans, *events, aside=aside)
    assert batch.waiting() == {slots[0]: [5, 7], slots[1]: [5, 6, 7]}


def test_what_waited_is_given_to_its_consumer_alone_and_recorded_as_decided_at_last(plans: Plans) -> None:
    batch = Batch(plans, {(TOPIC, 0): DuplicateWindow(records=100, seconds=100)}, {}, at=AT)
    heavy, light = record(plans, 5), record(plans, 9, data={"weight": 3})
    batch.catch_up(("strict", TOPIC, 0), [(5, heavy), (7, None), (9, light), (12, record(plans, 12, value=b""))])
    outputs = [(output.topic, dict(output.headers).get(f"{names.ERROR_PREFIX}rule")) for output in written(batch, "")]
    assert outputs == [
        ("inbox.b.strict", None),
        ("dead.b.strict", b"deleted"),
        ("dead.b.strict", b"heavy"),
        ("dead.b.strict", b"too-short"),
    ]
    entries = [entry(batch, number) for number in range(4)]
    assert [one["offset"] for one in entries] == [5, 7, 9, 12]
    assert {(one["outcome"], one["problem"]) for one in entries} == {("caught_up", "resumed")}
    assert [one["decisions"][0]["outcome"] for one in entries] == ["delivered", "dead", "dead", "dead"]
    assert all(one["filtered"] == b"" for one in entries)
    assert batch.next_offsets == {}
    assert batch.waiting() == {}


def test_a_delivery_opens_its_commitment_with_the_salt_in_its_header(plans: Plans) -> None:
    batch = decide(plans, record(plans))
    outputs = {output.topic: output for output in written(batch, names.INBOX)}
    agreements = [name for name, _ in batch.decided[TOPIC, 0].agreements]
    for one in entry(batch)["decisions"]:
        output = outputs[f"inbox.b.{agreements[one['agreement']]}"]
        salt = dict(output.headers)[names.HEADER_SALT]
        assert evidence.commitment(salt, output.key, output.headers, output.value) == one["payload_out"]


def test_two_consumers_of_one_personal_event_share_no_value_in_key_or_headers(plans: Plans) -> None:
    jakarta, strict = written(decide(plans, record(plans, time="2026-11-24T01:02:03.456Z")), names.INBOX)
    same = {name for name, value in jakarta.headers if dict(strict.headers).get(name) == value}
    assert jakarta.key != strict.key
    assert same == {"content-type", "ce_specversion", "ce_type", "ce_source", "ce_channel", "ce_time"}
    assert dict(jakarta.headers)["ce_time"] == b"2026-11-24T00:00:00Z"


def test_a_publishers_forged_error_headers_do_not_survive(plans: Plans) -> None:
    honest = record(plans, value=b"")
    forged = InputRecord(honest.topic, 0, 0, 0, None, b"", [*honest.headers, (f"{names.ERROR_PREFIX}stage", b"forged")])
    (letter,) = written(decide(plans, forged), names.QUARANTINE)
    assert [value for name, value in letter.headers if name == f"{names.ERROR_PREFIX}stage"] == [b"framing"]


def test_a_letter_with_thousands_of_problems_tells_the_first_and_how_many_more(plans: Plans) -> None:
    error = MalformedData(Problem(f"items[{number}]", "nik", "must be 16 digits") for number in range(5_000))
    plan = plans.by_topic[TOPIC]
    letter = dead_letters.quarantined(record(plans), plan, error, catalogue=plans.digest, at=AT, attempt=1)
    told = json.loads(dict(letter.headers)[f"{names.ERROR_PREFIX}problems"])
    assert len(told) == dead_letters.MOST_PROBLEMS + 1
    assert told[-1]["message"] == "and 4900 more problems"
    assert sum(len(value) for _, value in letter.headers) < 20_000


def test_an_event_out_of_quarantine_is_given_to_everybody_and_known_to_the_window_from_then_on(plans: Plans) -> None:
    window = DuplicateWindow(records=100, seconds=100)
    for offset in (5, 6):
        window.add_malformed(offset)
    batch = Batch(plans, {(TOPIC, 0): window}, {}, at=AT)
    batch.readmit((TOPIC, 0), [letter(record(plans, 5)), letter(record(plans, 6, value=b""), attempt=2)], 17)
    assert [output.topic for output in written(batch, "")] == ["inbox.b.jakarta", "inbox.b.strict", "quarantine.a"]
    assert dict(written(batch, "quarantine.a")[0].headers)[f"{names.ERROR_PREFIX}attempt"] == b"3"
    first, second = entry(batch), entry(batch, 1)
    assert (first["outcome"], first["problem"], len(first["decisions"])) == ("routed", "readmitted 17", 2)
    assert (second["outcome"], second["problem"]) == ("quarantined", "readmitted 17: framing: too-short")
    assert not window.is_malformed(5)
    assert window.is_malformed(6)
    again = Batch(plans, {(TOPIC, 0): window}, {}, at=AT)
    again.add(TOPIC, 0, raw_batch([record(plans, 9, id="e5")]), 1)
    assert entry(again)["outcome"] == "duplicate"


def test_an_event_out_of_quarantine_that_was_published_again_meanwhile_is_a_duplicate(plans: Plans) -> None:
    window = DuplicateWindow(records=100, seconds=100)
    window.add_malformed(5)
    before = Batch(plans, {(TOPIC, 0): window}, {}, at=AT)
    before.add(TOPIC, 0, raw_batch([record(plans, 9, id="e5")]), 1)
    batch = Batch(plans, {(TOPIC, 0): window}, {}, at=AT)
    batch.readmit((TOPIC, 0), [letter(record(plans, 5))], 17)
    assert (entry(batch)["outcome"], entry(batch)["problem"]) == ("duplicate", "readmitted 17")
    assert written(batch, "") == []


def test_an_event_out_of_quarantine_is_a_dead_letter_to_who_is_set_aside(plans: Plans) -> None:
    """What waits is given in the order of the input, where this event comes too late."""
    aside = {("jakarta", TOPIC, 0): SetAside(0, "inbox: gone", "2026-11-24T00:00:00Z")}
    batch = Batch(plans, {(TOPIC, 0): DuplicateWindow(records=100, seconds=100)}, aside, at=AT)
    batch.readmit((TOPIC, 0), [letter(record(plans, 5))], 17)
    (dead,) = written(batch, names.DEAD)
    headers = dict(dead.headers)
    assert (dead.topic, headers[f"{names.ERROR_PREFIX}stage"]) == ("dead.b.jakarta", b"delivery")
    assert [output.topic for output in written(batch, names.INBOX)] == ["inbox.b.strict"]
    assert batch.waiting() == {}
    assert batch.floods() == {}  # nothing that the breaker should know of


def test_events_of_the_past_are_given_once_to_one_consumer_and_marked_if_it_is_a_replay(plans: Plans) -> None:
    slot: Slot = ("strict", TOPIC, 0)
    events = [record(plans, 5), record(plans, 6, data={"weight": 3}), record(plans, 7, id="e5")]
    for replay, topics in ((3, ["inbox.b.strict"]), (None, ["inbox.b.strict", "dead.b.strict"])):
        batch = Batch(plans, {(TOPIC, 0): DuplicateWindow(records=100, seconds=100)}, {}, at=AT)
        batch.give_past(slot, events, replay)
        assert [output.topic for output in written(batch, "")] == topics  # no second letter for a replay
        marks = [dict(output.headers).get(names.HEADER_REPLAY) for output in written(batch, names.INBOX)]
        assert marks == [None if replay is None else b"3"]
        entries = [entry(batch, number) for number in range(2)]
        assert [one["decisions"][0]["outcome"] for one in entries] == ["delivered", "dead"]
        asked = "backfilled" if replay is None else "replayed 3"
        assert {(one["outcome"], one["problem"]) for one in entries} == {("caught_up", asked)}
        assert len(batch.decided[TOPIC, 0].entries) == 2  # the repeat is nothing


def test_a_replay_under_terms_of_its_own_gives_what_those_release(plans: Plans) -> None:
    slot: Slot = ("strict", TOPIC, 0)
    now = plans.snapshot.agreements["strict"]
    less = now.contract.model_copy(update={"release": {"who": now.contract.release["who"]}})
    schema = derived_schema(less, SCHEMA)
    narrowed = plans.under(PublishedAgreement(less, RegisteredSchema(99, schema)))
    batch = Batch(narrowed, {(TOPIC, 0): DuplicateWindow(records=100, seconds=100)}, {}, at=AT)
    batch.give_past(slot, [record(plans, 5)], 3)
    (output,) = written(batch, names.INBOX)
    schema_id, body = framing.unframe(output.value or b"")
    assert (schema_id, set(Codec(schema).decode(body))) == (99, {"who"})
    assert narrowed.digest == plans.digest


def letter(event: InputRecord, attempt: int = 1) -> Letter:
    return Letter("quarantine.a", event.offset, event, EVERYBODY, "framing", "r", [], "digest", AT, attempt)
