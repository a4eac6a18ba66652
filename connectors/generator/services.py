"""Schools, social assistance, the civil service and the police."""

import datetime as dt

from connectors.generator import people, regions
from connectors.generator.world import Payload, Source, World, day, moment

_PLATE = "ABCDEFGHKLMNPRSTUVXYZ"


def enrolment(world: World, at: dt.datetime) -> Payload:
    """A pupil enrolled; one in six comes from another school."""
    rng = world.rng
    district = people.somewhere(rng)
    grade = rng.choice([1, 7, 10])
    student = people.aged(rng, district, at.date(), (grade + 5, grade + 7))
    level = {1: "SD", 7: "SMP", 10: "SMA"}[grade]
    transfer = world.chance(0.17)
    return {
        "student": {
            "nisn": f"0{world.digits(9)}",
            "nik": student.nik,
            "name": student.name,
            "sex": student.sex,
            "birth_date": student.birth.isoformat(),
            "mother_name": people.full_name(rng, district[:2], female=True),
        },
        "school": _school(world, level, district),
        "previous_school": _school(world, level, people.somewhere(rng)) if transfer else None,
        "grade": grade,
        "academic_year": f"{at.year}/{at.year + 1}",
        "entry": "TRANSFER" if transfer else rng.choice(["DOMICILE", "DOMICILE", "ACHIEVEMENT", "AFFIRMATION"]),
        "special_needs": [rng.choice(["VISUAL", "HEARING", "AUTISM"])] if world.chance(0.03) else [],
        "kip_number": f"K{world.digits(7)}" if world.chance(0.5) else None,
        "province": district[:2],
        "enrolled_on": day(at, -rng.randint(0, 3)),
    }


def _school(world: World, level: str, district: str) -> Payload:
    public = world.chance(0.8)
    return {
        "npsn": world.digits(8),
        "name": f"{level} {'Negeri' if public else 'Swasta'} {world.rng.randint(1, 60)}",
        "level": level,
        "public": public,
        "district": district,
    }


def assistance(world: World, at: dt.datetime) -> Payload:
    """Social assistance granted to a poor family."""
    rng = world.rng
    district = people.somewhere(rng)
    mother = people.aged(rng, district, at.date(), (20, 60), female=True)
    payer = rng.choices(["BANK", "POST", "OUTLET"], [70, 20, 10])[0]
    payment = {
        "BANK": {"bank_code": "009", "account": f"0{world.digits(9)}"},
        "POST": {"post_office": "Kantor Pos", "barcode": f"P{world.digits(7)}"},
        "OUTLET": {"outlet": "e-Warong", "package": "Rice 10 kg, eggs"},
    }[payer]
    return {
        "grant_number": f"PKH-{at:%Y%m%d}-{world.number():06}",
        "beneficiary": {
            "nik": mother.nik,
            "name": mother.name,
            "family_card": f"{district.replace('.', '')}010119{world.digits(4)}",
            "decile": rng.randint(1, 3),
            "address_village": regions.village(rng, district),
            "components": rng.sample(["EARLY_CHILDHOOD", "SCHOOL", "ELDERLY", "DISABILITY"], rng.randint(1, 2)),
        },
        "programme": "SEMBAKO" if payer == "OUTLET" else "PKH",
        "amount": f"{rng.choice([225, 375, 500, 750])}000.00",
        "period": f"{at.year}-Q{(at.month + 2) // 3}",
        "payment": payment,
        "payer": payer,
        "pay_from": day(at, rng.randint(1, 20)),
        "province": district[:2],
    }


def transfer(world: World, at: dt.datetime) -> Payload:
    """A civil servant's transfer."""
    rng = world.rng
    start = people.somewhere(rng)
    end = start if world.chance(0.7) else people.somewhere(rng)
    servant = people.aged(rng, start, at.date(), (28, 56))
    appointed = servant.birth.year + rng.randint(21, 27)
    return {
        "decision_number": f"PT-{world.number():06}/{at.year}",
        "servant": {
            "nip": f"{servant.birth:%Y%m%d}{appointed}03{2 if servant.female else 1}{rng.randint(1, 999):03}",
            "nik": servant.nik,
            "name": servant.name,
            "grade": rng.choice(["II/c", "III/a", "III/c", "III/d", "IV/a"]),
            "email": None,
        },
        "from_post": _post(world, start),
        "to_post": _post(world, end),
        "reason": rng.choice(["PROMOTION", "ROTATION", "OWN_REQUEST", "REORGANISATION"]),
        "basic_salary": f"{rng.randint(2_600, 5_900)}000.00",
        "allowances": {"structural": f"{rng.randint(4, 20)}00000.00", "rice": "72420.00"},
        "effective_on": day(at, rng.randint(5, 40)),
        "disciplinary_note": None,
    }


def _post(world: World, district: str) -> Payload:
    rng = world.rng
    return {
        "office": f"{rng.choice(['Dinas Sosial', 'Dinas Kesehatan', 'Dinas Pendidikan', 'Bappeda'])} {district[:2]}",
        "office_province": district[:2],
        "title": rng.choice(["Analyst", "Head of section", "Social worker"]),
        "category": rng.choice(["MANAGERIAL", "NON_MANAGERIAL"]),
        "remote_area": world.chance(0.1),
    }


def theft(world: World, at: dt.datetime) -> Payload:
    """A vehicle stolen, mostly a motorcycle at night."""
    rng = world.rng
    district = people.somewhere(rng)
    owner = people.aged(rng, district, at.date(), (18, 65))
    kind = rng.choices(["MOTORCYCLE", "CAR", "TRUCK"], [80, 17, 3])[0]
    return {
        "report_number": f"LP/B/{world.number():06}/{at:%m/%Y}",
        "vehicle": {
            "plate": f"{rng.choice('ABDFHLNRSTWZ')} {rng.randint(1000, 9999)} {''.join(rng.choices(_PLATE, k=3))}",
            "chassis_number": f"MH1JM{world.digits(12)}",
            "engine_number": f"JM{world.digits(10)}",
            "kind": kind,
            "make": rng.choice(["Honda", "Yamaha"] if kind == "MOTORCYCLE" else ["Toyota", "Daihatsu", "Isuzu"]),
            "colour": rng.choice(["black", "white", "red"]),
            "year": rng.randint(at.year - 12, at.year),
            "register_province": district[:2],
        },
        "owner": {"nik": owner.nik, "name": owner.name, "phone": people.phone(rng)},
        "financed_by": "PT Adil Finance" if world.chance(0.4) else None,
        "stolen_between": {
            "earliest": moment(at - dt.timedelta(hours=12)),
            "latest": moment(at - dt.timedelta(hours=2)),
        },
        "place": district,
        "with_violence": world.chance(0.08),
        "narrative": "Parked in front of the house overnight",
    }


def missing(world: World, at: dt.datetime) -> Payload:
    """A person reported missing."""
    rng = world.rng
    district = people.somewhere(rng)
    category, years = rng.choice([("CHILD", (4, 16)), ("ADULT", (17, 59)), ("ELDERLY", (65, 90))])
    person = people.aged(rng, district, at.date(), years)
    reporter = people.aged(rng, district, at.date(), (20, 60))
    return {
        "report_number": f"LP/O/{world.number():06}/{at:%m/%Y}",
        "person": {
            "nik": person.nik if world.chance(0.7) else None,
            "name": person.name,
            "sex": person.sex,
            "age_years": person.age_on(at.date()),
            "height_cm": rng.randint(95, 180) if world.chance(0.8) else None,
            "description": rng.choice(["Red school shirt", "Grey batik and sandals", "Blue jacket, glasses"]),
            "photo_thumbnail": None,
            "medical_needs": ["asthma inhaler"] if world.chance(0.2) else [],
        },
        "category": category,
        "public_appeal_consent": world.chance(0.6),
        "reporter": {"nik": reporter.nik, "name": reporter.name, "phone": people.phone(rng), "relationship": "family"},
        "last_seen_at": moment(at - dt.timedelta(hours=rng.randint(3, 40))),
        "last_seen_district": district,
        "province": district[:2],
        "hotline": "110",
    }


def wanted(world: World, at: dt.datetime) -> Payload:
    """A wanted notice; no agreement gives it to anyone."""
    rng = world.rng
    province = regions.province(rng)
    female = world.chance(0.1)
    return {
        "notice_number": f"DPO/{world.number():06}/{at:%m/%Y}",
        "suspect": {
            "nik": None,
            "name": people.full_name(rng, province, female=female),
            "aliases": [],
            "sex": "FEMALE" if female else "MALE",
            "description": "About 40 years old",
        },
        "offence": rng.choice(["FRAUD", "NARCOTICS", "ROBBERY"]),
        "dangerous": world.chance(0.3),
        "issued_by": f"Polda {province}",
        "province": province,
        "issued_at": moment(at),
    }


_POLICE = "polri.criminal-records"

SOURCES = (
    Source(
        "id.go.kemendikdasmen.student.enrolled.v1",
        "kemendikdasmen.dapodik",
        "student.nisn",
        80,
        enrolment,
        nobody=lambda data: data["kip_number"] is None and not (data["province"] == "32" and data["school"]["public"]),
    ),
    Source("id.go.kemensos.assistance.granted.v1", "kemensos.siks", "beneficiary.nik", 90, assistance),
    Source("id.go.bkn.civil-servant.transferred.v1", "bkn.siasn", "servant.nip", 25, transfer),
    Source(
        "id.go.polri.vehicle-theft.reported.v1",
        _POLICE,
        "vehicle.plate",
        20,
        theft,
        nobody=lambda data: (
            data["vehicle"]["kind"] == "MOTORCYCLE"
            and not data["with_violence"]
            and data["vehicle"]["register_province"] != "32"
        ),
    ),
    Source("id.go.polri.missing-person.reported.v1", _POLICE, "report_number", 5, missing),
    Source("id.go.polri.wanted-notice.issued.v1", _POLICE, "notice_number", 4, wanted, nobody=lambda _: True),
)
