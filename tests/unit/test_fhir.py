"""FHIR bundles in SATUSEHAT's shapes become typed events by declaration, or are refused with every reason."""

import asyncio
import contextlib
import copy
import functools
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from fhir_bundles import (
    CONDITION,
    ENCOUNTER,
    LOCATION,
    MOTHER,
    NIK,
    PATIENT,
    SYSTEM,
    bundle,
    codes,
    condition,
    encounter,
    entry,
    immunisation,
    location,
    newborn,
    patient,
    visit,
)
from hypothesis import given
from hypothesis import strategies as st
from message_intake import context, next_portion

from connectors.intake.message import Intake, MalformedMessage
from connectors.plugins.fhir import push
from connectors.plugins.fhir.bundle import MAX_BYTES, Bundle, read
from connectors.plugins.fhir.path import BadPath, Several
from connectors.plugins.fhir.path import Path as FhirPath
from connectors.plugins.fhir.records import RecordSettings, records
from connectors.runtime.contract import Outgoing
from lintas.errors import ConnectorFailed

NEWBORN = "id.go.kemkes.newborn.recorded.v1"
IHS = [
    *(f"subject->identifier[system={SYSTEM}/{name}].value" for name in ("ihs-number", "patient-ihs-number")),
    "subject->id",
]


async def intake(mapping: Path | None = None) -> Intake:
    made = records(RecordSettings(mapping=mapping), context("kemenkes.satusehat"))
    await made.ready()
    return made


@functools.cache
def satusehat() -> Intake:
    """The mapping that is there by default, checked once."""
    with ThreadPoolExecutor(1) as aside:  # a test may run in a loop of its own
        return aside.submit(asyncio.run, intake()).result()


async def events(message: bytes) -> list[Outgoing]:
    return list(await satusehat().events(message, "test.json"))


async def refusal(message: bytes) -> list[tuple[str, str]]:
    with pytest.raises(MalformedMessage) as refused:
        await events(message)
    return [(problem.path, problem.rule) for problem in refused.value.problems]


def short(event_type: str) -> str:
    return event_type.removeprefix("id.go.kemkes.").removesuffix(".v1")


async def test_a_visit_becomes_an_encounter_and_a_diagnosis_with_the_patient_that_both_refer_to() -> None:
    made = {short(event.event_type): event for event in await events(visit())}
    assert set(made) == {"encounter.recorded", "condition.diagnosed"}
    found = made["encounter.recorded"]
    assert found.origin == "test.json entry[1]"
    assert {name: str(value) for name, value in found.data.items() if name.endswith("_at")} == {
        "started_at": "2026-11-24 08:10:00+07:00",
        "ended_at": "2026-11-24 08:42:00+07:00",
    }
    assert {name: value for name, value in found.data.items() if not name.endswith("_at")} == {
        "encounter_id": "RSU-2026-118842",
        "status": "FINISHED",
        "kind": "AMBULATORY",
        "patient": {"ihs_number": "P02478375538", "nik": NIK, "name": "Siti Rahayu"},
        "practitioner_ihs": "N10000001",
        "facility_code": "1000000412",
        "place": "Poliklinik Anak",
        "diagnoses": ["A91"],
    }
    diagnosis = made["condition.diagnosed"].data
    assert (diagnosis["code"], diagnosis["clinical_status"], str(diagnosis["onset_on"])) == (
        "A91",
        "ACTIVE",
        "2026-11-20",
    )
    assert diagnosis["facility_code"] == "1000000412"  # of the encounter that it refers to


async def test_a_patient_who_is_not_in_the_bundle_is_known_by_the_number_that_refers_to_it() -> None:
    (found,) = await events(bundle(entry(encounter("Patient/P02478375538", diagnosis=[]))))
    assert found.data["patient"] == {"ihs_number": "P02478375538", "name": "Siti Rahayu"}
    assert found.data["diagnoses"] == []


@pytest.mark.parametrize(
    ("reference", "number"),
    [
        ("https://api.example.id/fhir-r4/v1/Patient/P02478375538", "P02478375538"),
        ("Patient/P02478375538/_history/3", "P02478375538"),
        ("#contained", None),
        (f"Patient?identifier={SYSTEM}/nik|{NIK}", None),  # a search: the number in it is another
        (PATIENT, None),  # in the bundle, under a number that is its sender's own
    ],
)
async def test_a_number_is_taken_from_a_reference_that_names_one_and_from_no_other(
    reference: str, number: str | None
) -> None:
    message = bundle(entry(encounter(reference, diagnosis=[])), entry(patient(id="7", identifier=[]), PATIENT))
    if number is None:
        (missing,) = await refusal(message)
        assert missing == ("entry[0].resource." + " or ".join(IHS), "required")
    else:
        (found,) = await events(message)
        assert found.data["patient"]["ihs_number"] == number


async def test_an_immunisation_names_recipient_vaccine_and_district() -> None:
    message = bundle(entry(patient(), PATIENT), entry(location(), LOCATION), entry(immunisation()))
    (found,) = await events(message)
    assert short(found.event_type) == "vaccination.given"
    assert found.data["recipient"]["nik"] == NIK
    assert (found.data["vaccine"]["antigen"], found.data["programme"], found.data["region"]) == (
        *("HPV", "CATCH_UP"),
        "32.73.01",
    )
    assert str(found.data["given_on"]) == "2026-11-24"


async def test_a_newborn_is_known_by_its_mothers_number() -> None:
    (found,) = await events(bundle(entry(newborn())))
    assert short(found.event_type) == "newborn.recorded"
    assert found.data["mother"] == {"nik": MOTHER, "name": "Dewi Lestari"}
    assert (found.data["sex"], found.data["birth_order"], found.data["residence"]) == ("MALE", 1, "32.73")


async def test_twins_are_two_events_of_different_ids() -> None:
    message = bundle(entry(newborn()), entry(newborn(multipleBirthInteger=2, gender="female")))
    first, second = await events(message)
    assert first.id != second.id
    assert [one.data["birth_order"] for one in (first, second)] == [1, 2]


async def test_what_is_no_event_is_passed_over_in_silence() -> None:
    problem_list = [codes("problem-list-item", system="x")]
    listed = entry(condition("Patient/P02478375538", category=problem_list, encounter={}))
    not_done = entry(immunisation(status="not-done"))
    assert await events(bundle(entry(patient(), PATIENT), entry(location(), LOCATION), listed, not_done)) == []


async def test_ids_are_the_same_each_time_and_differ_with_the_state_of_a_visit() -> None:
    first, again, later = [
        (await events(visit(status=status)))[0].id for status in ("in-progress", "in-progress", "finished")
    ]
    assert first == again != later


@pytest.mark.parametrize(
    "corrected",
    [
        {"diagnosis": []},
        {"location": [{"location": {"display": "IGD"}}]},
        {"participant": [{"individual": {"reference": "Practitioner/N10000002"}}]},
    ],
    ids=str,
)
async def test_what_corrects_a_record_is_a_further_event_and_no_repeat(corrected: dict[str, Any]) -> None:
    first, again = [(await events(visit(**more)))[0] for more in ({}, corrected)]
    assert first.data["status"] == again.data["status"]
    assert first.id != again.id


async def test_a_visit_that_was_entered_in_error_is_told_of() -> None:
    [event, *_] = await events(visit(status="entered-in-error"))
    assert event.data["status"] == "ENTERED_IN_ERROR"


@pytest.mark.parametrize(
    ("onset", "day"),
    [
        ("2026-11-20", "2026-11-20"),
        ("2026-11-20T08:00:00+07:00", "2026-11-20"),
        ("2026-11", None),  # FHIR's dates may be known to the month
        ("2026", None),
    ],
)
async def test_the_day_of_an_onset_is_told_if_it_is_known(onset: str, day: str | None) -> None:
    message = bundle(
        entry(encounter(diagnosis=[]), ENCOUNTER), entry(patient(), PATIENT), entry(condition(onsetDateTime=onset))
    )
    [found] = [event for event in await events(message) if short(event.event_type) == "condition.diagnosed"]
    assert str(found.data.get("onset_on") or "") == (day or "")


async def test_every_problem_is_told_at_once_with_entry_and_path_and_no_value() -> None:
    secret = "P-Rahasia-4711"
    message = bundle(
        entry(patient(name=[]), PATIENT),
        entry(encounter(status=secret, period={"start": secret}, serviceProvider={}, diagnosis=[]), ENCOUNTER),
        entry(condition(code=codes("A91", "A90"))),
        entry(newborn(birthDate="23-11-2026", gender=secret)),
        entry(immunisation(location={})),
    )
    with pytest.raises(MalformedMessage) as refused:
        await events(message)
    found = {(problem.path, problem.rule) for problem in refused.value.problems}
    icd = "code.coding[system=http://hl7.org/fhir/sid/icd-10]"
    assert found >= {
        ("entry[1].resource.status", "translate"),
        ("entry[1].resource.period.start", "format"),
        ("entry[1].resource.serviceProvider->id", "required"),
        (f"entry[2].resource.{icd}.code", "several"),
        ("entry[3].resource.birthDate", "format"),
        ("entry[3].resource.gender", "translate"),
        ("entry[4].resource.patient->name[0].text", "required"),
    }
    assert secret not in str(refused.value)


async def test_numbers_that_cannot_be_are_found_by_the_schema() -> None:
    wrong = [{"system": f"{SYSTEM}/nik-ibu", "value": "3273019908700004"}]
    path = f"entry[0].resource.identifier[system={SYSTEM}/nik-ibu].value"
    assert await refusal(bundle(entry(newborn(identifier=wrong)))) == [(path, "nik")]


def changed(path: list[Any], value: Any) -> bytes:
    content = json.loads(visit())
    inner = content
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    return json.dumps(content).encode()


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        (b"", ("", "json")),
        (b"[]", ("", "not-a-bundle")),
        (b'{"resourceType": "Patient"}', ("", "not-a-bundle")),
        (b'{"resourceType": "Bundle", "resourceType": "Bundle"}', ("", "json")),
        (b'{"resourceType": NaN}', ("", "json")),
        (b'{"\\ud800": {"reference": "urn:x"}}', ("", "json")),  # a path that no report and no answer could hold
        (b'{"Siti Rahayu": {"reference": "urn:x"}}', ("", "json")),  # a path that would quote what the bundle says
        (b'{"a": ' + b"1" * 5000 + b"}", ("", "json")),
        (b"\xff", ("", "utf-8")),
        (b"[" * 50 + b"]" * 50, ("", "depth")),
        (b"[" * 100_000, ("", "depth")),
        (b" " * (MAX_BYTES + 1), ("", "size")),
        (bundle(), ("entry", "entry")),
        (changed(["type"], "batch"), ("type", "type")),
        (changed(["entry", 0], "x"), ("entry[0]", "entry")),
        (changed(["entry", 0, "resource"], {"a": 1}), ("entry[0].resource", "resource")),
        (changed(["entry", 0, "request"], {"method": "DELETE"}), ("entry[0].request.method", "method")),
        (changed(["entry", 1, "fullUrl"], PATIENT), ("entry[1].fullUrl", "full-url")),
        (changed(["entry", 2, "fullUrl"], 7), ("entry[2].fullUrl", "full-url")),
        (
            changed(["entry", 2, "resource", "encounter", "reference"], "urn:uuid:nowhere"),
            ("entry[2].resource.encounter.reference", "reference"),
        ),
        (
            changed(["entry", 1, "resource", "subject", "reference"], "Patient/12"),
            ("entry[1].resource.subject.reference", "ihs-number"),
        ),
        (
            changed(["entry", 2, "resource", "subject", "reference"], "https://api.example.id/fhir-r4/v1/Patient/12"),
            ("entry[2].resource.subject.reference", "ihs-number"),
        ),
        (
            bundle(entry(patient(id="7"), PATIENT, "PUT")),
            ("entry[0].resource.id", "ihs-number"),
        ),
        (
            changed(["entry", 0, "resource", "identifier", 1, "value"], "P1"),
            ("entry[0].resource.identifier[1].value", "ihs-number"),
        ),
    ],
)
def test_what_is_no_sound_transaction_bundle_is_refused_by_path_and_rule(
    message: bytes, problem: tuple[str, str]
) -> None:
    with pytest.raises(MalformedMessage) as refused:
        read(message)
    assert [(found.path, found.rule) for found in refused.value.problems] == [problem]


RESOURCE = {
    "name": [{"use": "usual", "text": "A"}, {"use": "official", "text": "B"}],
    "item": [{"code": {"coding": [{"code": "x"}, {"code": "y"}]}, "n": 1}],
    "subject": {"reference": "urn:uuid:1"},
    "other": {"reference": "Organization/1000000412"},
    "again": {"reference": "Patient/P00000000007"},
    "created": {"reference": "urn:uuid:2"},
}
ENTRIES = read(
    bundle(
        entry({"resourceType": "Patient", "id": "P00000000007", "birthDate": "1996-05-12"}, "urn:uuid:1", "PUT"),
        entry(newborn(id="7"), "urn:uuid:2"),
    )
)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("name[use=official].text", "B"),
        ("name[0].text", "A"),
        ("name[7].text", None),
        ("name[*].text", ["A", "B"]),
        ("name[use=old].text", None),
        ("item[code.coding.code=y].n", 1),
        ("item[code.coding.code=z].n", None),
        ("item[n=1].code.coding[0].code", "x"),
        ("item.code.coding[code=y].code", "y"),
        ("missing.text", None),
        ("missing[*].text", []),
        ("subject->birthDate", "1996-05-12"),
        ("again->birthDate", "1996-05-12"),
        ("subject->id", "P00000000007"),
        ("created->id", None),  # it gets a number when it is created: until then, this one is its sender's own
        ("created->gender", "male"),
        ("other->id", "1000000412"),
        ("other->name", None),
        ("name[0]->id", None),
    ],
)
def test_paths_lead_to_values(path: str, value: Any) -> None:
    assert FhirPath(path)(copy.deepcopy(RESOURCE), ENTRIES) == value


def test_a_path_to_several_values_must_say_which() -> None:
    with pytest.raises(Several):
        FhirPath("name.text")(RESOURCE, Bundle([]))


@pytest.mark.parametrize("path", ["", "a..b", "a[", "a[]", "a.b-", "->a", "a->", "a b", "[0]", "a[official]", "a[=b]"])
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(BadPath):
        FhirPath(path)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("resources: []", "resources"),
        ("a: [", "is not YAML"),
        ("resources: [{each: Patient, values: {a: 'b..c'}, event: {event_type: x, data: {a: a}}}]", "is no path"),
        (
            f"resources: [{{each: Patient, values: {{a: id}}, event: {{event_type: {NEWBORN}, data: {{sexx: a}}}}}}]",
            "data.sexx: is no field of the event type",
        ),
    ],
)
async def test_a_wrong_mapping_fails_the_connector_with_every_reason(text: str, reason: str, tmp_path: Path) -> None:
    file = tmp_path / "mapping.yaml"
    file.write_text(text)
    with pytest.raises(ConnectorFailed, match=reason):
        await intake(file)


async def test_a_value_that_the_mapping_does_not_name_is_missed(tmp_path: Path) -> None:
    file = tmp_path / "mapping.yaml"
    data = "newborn_id: b, sex: a, born_on: a, birth_order: a, mother.nik: a, facility_code: a, mother.name: a,"
    nothing = " ihs_number: {value: null}, intended_name: {value: null}, residence: {value: null}"
    event = f"{{event_type: id.go.kemkes.newborn.recorded.v1, data: {{{data}{nothing}}}}}"
    file.write_text(f"resources: [{{each: Patient, values: {{a: id}}, event: {event}}}]")
    with pytest.raises(ConnectorFailed, match="there is no value b"):
        await intake(file)


def test_nothing_of_a_record_shows() -> None:
    found = read(bundle(entry(patient(), PATIENT), entry(encounter(diagnosis=[]), ENCOUNTER)))
    assert NIK not in repr(found.entries)
    assert CONDITION not in repr(found.entries)


WHOLE = json.loads(
    bundle(
        entry(patient(), PATIENT),
        entry(encounter(), ENCOUNTER),
        entry(condition(), CONDITION),
        entry(location(), LOCATION),
        entry(immunisation()),
        entry(newborn()),
    )
)
ODD: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, 0, -1, 10**30, 1.5, "", " ", "\ud800", "9999-12-31T23:59:59-23:59", "0001-01-01", [], [[]], {}, [{}]]
) | st.text(max_size=5)


def _places(value: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for step, item in inside for found in [(*way, step), *_places(item, (*way, step))]]


@given(changes=st.lists(st.tuples(st.sampled_from(_places(WHOLE)), ODD), min_size=1, max_size=3))
def test_whatever_is_done_to_a_bundle_it_is_read_or_refused(changes: list[tuple[tuple[Any, ...], Any]]) -> None:
    content = copy.deepcopy(WHOLE)
    for way, value in changes:
        inner = content
        with contextlib.suppress(KeyError, IndexError, TypeError):  # an earlier change took the way away
            for step in way[:-1]:
                inner = inner[step]
            inner[way[-1]] = value
    with contextlib.suppress(MalformedMessage):
        asyncio.run(events(json.dumps(content).encode()))


async def test_a_bundle_over_http_is_answered_once_all_its_events_are_on_the_bus(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("0123456789abcdef")
    settings = push.Settings(port=0, token_file=tmp_path / "tokens")
    source = push.build(settings, context("kemenkes.satusehat"))
    await source.start({})
    try:
        headers = {"content-type": "application/fhir+json", "authorization": "Bearer 0123456789abcdef"}
        async with httpx.AsyncClient(trust_env=False, headers=headers) as client:
            url = f"http://127.0.0.1:{source.port}/fhir"
            asking = asyncio.create_task(client.post(url, content=visit()))
            portion = await next_portion(source)
            await source.written(portion)
            answer = await asking
            refused = await client.post(url, content=visit(status="done"))
    finally:
        await source.stop()
    assert [short(one["type"]) for one in answer.json()["published"]] == ["encounter.recorded", "condition.diagnosed"]
    assert (refused.status_code, refused.json()["problems"][0]["path"]) == (422, "entry[1].resource.status")
