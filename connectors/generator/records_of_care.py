"""What hospitals enter in SATUSEHAT: visits, diagnoses, newborns."""

import datetime as dt

from connectors.generator import people, regions
from connectors.generator.world import Payload, Source, World, day, moment

_NOTIFIABLE = (("A90", "Dengue fever"), ("A91", "Dengue haemorrhagic fever"), ("B05.9", "Measles"))
_OTHER = (("J00", "Acute nasopharyngitis"), ("I10", "Essential hypertension"), ("E11.9", "Type 2 diabetes"))


def encounter(world: World, at: dt.datetime) -> Payload:
    """A visit that has ended, or one under way."""
    rng = world.rng
    finished = world.chance(0.8)
    return {
        "encounter_id": f"RSU-{at:%Y}-{world.number():06}",
        "status": "FINISHED" if finished else "IN_PROGRESS",
        "kind": rng.choice(["AMBULATORY", "AMBULATORY", "AMBULATORY", "EMERGENCY", "INPATIENT"]),
        "patient": _patient(world, at),
        "practitioner_ihs": f"N{world.digits(8)}",
        "facility_code": f"1000{world.digits(6)}",
        "place": rng.choice(["Poliklinik Umum", "Poliklinik Anak", "IGD"]),
        "diagnoses": [rng.choice(_NOTIFIABLE + _OTHER)[0]] if finished else [],
        "started_at": moment(at - dt.timedelta(minutes=rng.randint(30, 300))),
        "ended_at": moment(at) if finished else None,
    }


def condition(world: World, at: dt.datetime) -> Payload:
    """A diagnosis; one of two is of a notifiable disease."""
    code, name = world.rng.choice(_NOTIFIABLE if world.chance(0.5) else _OTHER)
    return {
        "condition_id": f"DX-{at:%Y}-{world.number():06}",
        "patient": _patient(world, at),
        "code": code,
        "name": name,
        "clinical_status": "ACTIVE",
        "onset_on": day(at, -world.rng.randint(1, 6)),
        "recorded_at": moment(at),
        "facility_code": f"1000{world.digits(6)}",
    }


def newborn(world: World, at: dt.datetime) -> Payload:
    """A child born today or yesterday."""
    rng = world.rng
    district = people.somewhere(rng)
    mother = people.aged(rng, district, at.date(), (19, 42), female=True)
    female = world.chance(0.49)
    return {
        "newborn_id": f"NB-{at:%Y}-{world.number():06}",
        "ihs_number": None,
        "intended_name": people.full_name(rng, district[:2], female=female) if world.chance(0.6) else None,
        "sex": "FEMALE" if female else "MALE",
        "born_on": day(at, -rng.randint(0, 1)),
        "birth_order": 2 if world.chance(0.02) else 1,
        "mother": {"nik": mother.nik, "name": mother.name},
        "residence": regions.regency(district),
        "facility_code": f"1000{world.digits(6)}",
    }


def _patient(world: World, at: dt.datetime) -> Payload:
    person = people.aged(world.rng, people.somewhere(world.rng), at.date(), (0, 80))
    return {"ihs_number": f"P{world.digits(11)}", "nik": person.nik, "name": person.name}


def _is_under_way(data: Payload) -> bool:
    return bool(data["status"] != "FINISHED")


def _is_not_notifiable(data: Payload) -> bool:
    return data["code"] not in dict(_NOTIFIABLE)


def _without_nik(data: Payload) -> None:
    data["patient"]["nik"] = None
    data["status"], data["ended_at"] = "FINISHED", data["ended_at"] or data["started_at"]


def _counted_from_zero(data: Payload) -> None:
    data["birth_order"] = 0


SOURCES = (
    Source(
        "id.go.kemkes.encounter.recorded.v1",
        "kemenkes.satusehat",
        "patient.ihs_number",
        60,
        encounter,
        nobody=_is_under_way,
        break_requirement=_without_nik,
    ),
    Source(
        "id.go.kemkes.condition.diagnosed.v1",
        "kemenkes.satusehat",
        "patient.ihs_number",
        40,
        condition,
        nobody=_is_not_notifiable,
    ),
    Source(
        "id.go.kemkes.newborn.recorded.v1",
        "kemenkes.satusehat",
        "newborn_id",
        15,
        newborn,
        break_requirement=_counted_from_zero,
    ),
)
