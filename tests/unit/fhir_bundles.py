"""Bundles in SATUSEHAT's shapes; every name and number is made up."""

import json
from typing import Any

SYSTEM = "https://fhir.kemkes.go.id/id"
LOCAL = "http://sys-ids.kemkes.go.id"
ICD = "http://hl7.org/fhir/sid/icd-10"
ADMINISTRATIVE = "https://fhir.kemkes.go.id/r4/StructureDefinition/administrativeCode"
PATIENT, ENCOUNTER, CONDITION, LOCATION = (f"urn:uuid:0000000{n}-0000-4000-8000-000000000000" for n in range(1, 5))
NIK, MOTHER = "3273015205960002", "3273015108700004"


def codes(*values: str, system: str = ICD) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": value, "display": f"about {value}"} for value in values]}


def entry(resource: dict[str, Any], full_url: str | None = None, method: str = "POST") -> dict[str, Any]:
    request = {"method": method, "url": resource["resourceType"]}
    return {"resource": resource, "request": request} | ({"fullUrl": full_url} if full_url else {})


def administrative(**levels: str) -> list[dict[str, Any]]:
    return [{"url": ADMINISTRATIVE, "extension": [{"url": name, "valueCode": code} for name, code in levels.items()]}]


def patient(**more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Patient",
        "identifier": [
            {"use": "official", "system": f"{SYSTEM}/nik", "value": NIK},
            {"use": "official", "system": f"{SYSTEM}/ihs-number", "value": "P02478375538"},
        ],
        "name": [{"use": "official", "text": "Siti Rahayu"}],
        "gender": "female",
        "birthDate": "1996-05-12",
        **more,
    }


def encounter(subject: str = PATIENT, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Encounter",
        "identifier": [{"system": f"{LOCAL}/encounter/1000000412", "value": "RSU-2026-118842"}],
        "status": "finished",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
        "subject": {"reference": subject, "display": "Siti Rahayu"},
        "participant": [{"individual": {"reference": "Practitioner/N10000001", "display": "dr. Bambang"}}],
        "period": {"start": "2026-11-24T08:10:00+07:00", "end": "2026-11-24T08:42:00+07:00"},
        "location": [{"location": {"reference": "Location/b017aa54", "display": "Poliklinik Anak"}}],
        "diagnosis": [{"condition": {"reference": CONDITION}, "rank": 1}],
        "serviceProvider": {"reference": "Organization/1000000412"},
        **more,
    }


def condition(subject: str = PATIENT, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Condition",
        "clinicalStatus": codes("active", system="http://terminology.hl7.org/CodeSystem/condition-clinical"),
        "category": [codes("encounter-diagnosis", system="http://terminology.hl7.org/CodeSystem/condition-category")],
        "code": codes("A91"),
        "subject": {"reference": subject},
        "encounter": {"reference": ENCOUNTER},
        "onsetDateTime": "2026-11-20",
        "recordedDate": "2026-11-24T08:40:00+07:00",
        **more,
    }


def immunisation(**more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Immunization",
        "identifier": [{"system": f"{LOCAL}/immunization/1000000412", "value": "IMM-2026-5530017"}],
        "status": "completed",
        "vaccineCode": {"text": "Nusagard"},
        "patient": {"reference": PATIENT},
        "occurrenceDateTime": "2026-11-24T08:30:00+07:00",
        "location": {"reference": LOCATION},
        "lotNumber": "NG24-118",
        "expirationDate": "2027-12-31",
        "performer": [{"actor": {"type": "Organization", "reference": "Organization/1000000412"}}],
        "reasonCode": [codes("IM-Kejar", system="http://terminology.kemkes.go.id/CodeSystem/immunization-reason")],
        "protocolApplied": [{"targetDisease": [codes("HPV")], "doseNumberPositiveInt": 1}],
        **more,
    }


def location() -> dict[str, Any]:
    address = {"city": "Bandung", "extension": administrative(province="32", city="3273", district="327301")}
    return {"resourceType": "Location", "name": "Ruang Imunisasi", "address": address}


def newborn(**more: Any) -> dict[str, Any]:
    relationship = codes("MTH", system="http://terminology.hl7.org/CodeSystem/v3-RoleCode")
    return {
        "resourceType": "Patient",
        "identifier": [{"use": "official", "system": f"{SYSTEM}/nik-ibu", "value": MOTHER}],
        "name": [{"use": "official", "text": "Raka Aditya Pratama"}],
        "gender": "male",
        "birthDate": "2026-11-23",
        "multipleBirthInteger": 1,
        "contact": [{"relationship": [relationship], "name": {"text": "Dewi Lestari"}}],
        "address": [{"use": "home", "extension": administrative(province="32", city="3273")}],
        "managingOrganization": {"reference": "Organization/1000000412"},
        **more,
    }


def bundle(*entries: dict[str, Any], **more: Any) -> bytes:
    return json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": list(entries), **more}).encode()


def visit(number: int = 118842, **more: Any) -> bytes:
    """A patient, a visit and its diagnosis, each referring to the others; ``more`` is of the encounter."""
    identifier = [{"system": f"{LOCAL}/encounter/1000000412", "value": f"RSU-2026-{number}"}]
    return bundle(
        entry(patient(), PATIENT),
        entry(encounter(identifier=identifier, **more), ENCOUNTER),
        entry(condition(identifier=[{"value": f"DX-{number}"}]), CONDITION),
    )
