"""Births in hospitals, diseases, vaccinations and health insurance."""

import base64
import datetime as dt

from connectors.generator import people, regions
from connectors.generator.world import Payload, Source, World, day, moment
from schemas.wire.identifiers import make_npwp

_VACCINES = ("BCG", "POLIO", "DPT_HB_HIB", "MEASLES_RUBELLA", "PCV", "ROTAVIRUS")


def birth_attended(world: World, at: dt.datetime) -> Payload:
    """A birth of this morning in a hospital; twins now and then."""
    rng = world.rng
    district = people.somewhere(rng)
    mother = people.aged(rng, district, at.date(), (19, 42), female=True)
    if world.chance(0.5):
        attendant = {
            "doctor_name": people.full_name(rng, district[:2], female=True),
            "sip_number": f"SIP-{world.digits(6)}",
        }
    else:
        attendant = {
            "midwife_name": people.full_name(rng, district[:2], female=True),
            "strb_number": f"STRB-{world.digits(6)}",
        }
    return {
        "statement_number": f"SKL/{district[:5].replace('.', '')}/{at:%Y}/{world.number():06}",
        "facility_code": f"{district[:5].replace('.', '')}{rng.randint(1, 40):03}",
        "mother": {
            "nik": mother.nik,
            "name": mother.name,
            "family_card": f"{district.replace('.', '')}010120{world.digits(4)}",
        },
        "newborns": [_newborn(world, district) for _ in range(2 if world.chance(0.02) else 1)],
        "attendant": attendant,
        "born_at": moment(at - dt.timedelta(minutes=rng.randint(20, 600))),
        "place": regions.regency(district),
    }


def _newborn(world: World, district: str) -> Payload:
    female = world.chance(0.49)
    scores = bytes(world.rng.randint(6, 10) for _ in range(3))
    return {
        "intended_name": people.full_name(world.rng, district[:2], female=female) if world.chance(0.7) else None,
        "sex": "FEMALE" if female else "MALE",
        "weight_grams": world.rng.randint(1_900, 4_300),
        "length_cm": world.rng.randint(44, 54),
        "apgar": base64.b64encode(scores).decode(),
        "alive": True,
    }


def disease(world: World, at: dt.datetime) -> Payload:
    """A case of a notifiable disease; outbreaks are rare."""
    rng = world.rng
    district = people.somewhere(rng)
    patient = people.aged(rng, district, at.date(), (1, 70))
    taken = day(at, -rng.randint(0, 2))
    positive = world.chance(0.7)
    return {
        "case_number": f"SKDR-{at:%Y%m%d}-{world.number():06}",
        "disease": rng.choice(["DENGUE", "DENGUE", "DENGUE", "MALARIA", "MEASLES", "DIPHTHERIA", "TUBERCULOSIS"]),
        "status": "CONFIRMED" if positive else "SUSPECTED",
        "alert_level": rng.choice([0, 0, 1, 2, 2]),
        "patient": {
            "nik": patient.nik,
            "name": patient.name,
            "sex": patient.sex,
            "birth_date": patient.birth.isoformat(),
            "age_years": patient.age_on(at.date()),
            "residence": regions.village(rng, district),
            "phone": people.phone(rng) if world.chance(0.5) else None,
        },
        "onset_on": day(at, -rng.randint(2, 9)),
        "laboratory": [
            {
                "test": "RT-PCR",
                "result": "POSITIVE" if positive else "INCONCLUSIVE",
                "value": f"{rng.uniform(14, 38):.3f}",
                "taken_on": taken,
            }
        ],
        "symptoms": {name: world.chance(0.6) for name in ("fever", "rash", "cough")},
        "province": district[:2],
        "reported_at": moment(at),
    }


def vaccination(world: World, at: dt.datetime) -> Payload:
    """A dose for an infant at the health centre, or for a pupil at school."""
    rng = world.rng
    district = people.somewhere(rng)
    at_school = world.chance(0.4)
    recipient = people.aged(rng, district, at.date(), (7, 12) if at_school else (0, 1))
    guardian = people.aged(rng, district, at.date(), (20, 45), female=True)
    return {
        "certificate_number": f"IMM-{at:%Y%m%d}-{world.number():06}",
        "recipient": {
            "nik": recipient.nik,
            "name": recipient.name,
            "birth_date": recipient.birth.isoformat(),
            "nisn": f"0{world.digits(9)}" if at_school else None,
            "guardian_nik": guardian.nik,
        },
        "vaccine": {
            "antigen": rng.choice(["HPV", "TD", "MEASLES_RUBELLA"] if at_school else _VACCINES),
            "product": rng.choice(["Nusagard", "Biovaksin", "Imunika"]),
            "batch": f"B{at:%y}-{rng.randint(1, 400):03}",
            "expires_on": day(at, rng.randint(30, 700)),
        },
        "dose_number": rng.randint(1, 3),
        "programme": "SCHOOL_BIAS" if at_school else "ROUTINE_INFANT",
        "given_on": day(at),
        "next_due_on": day(at, 60) if world.chance(0.6) else None,
        "facility_code": f"{district[:5].replace('.', '')}{rng.randint(1, 40):03}",
        "region": district,
        "adverse_events": ["light fever"] if world.chance(0.03) else [],
    }


def membership(world: World, at: dt.datetime) -> Payload:
    """A change of a membership in the national health insurance."""
    rng = world.rng
    district = people.somewhere(rng)
    participant = people.aged(rng, district, at.date(), (0, 80))
    segment = rng.choice(["PBI_NATIONAL", "PBI_NATIONAL", "PBI_REGIONAL", "WORKER_PRIVATE", "SELF_EMPLOYED"])
    in_arrears = segment == "SELF_EMPLOYED" and world.chance(0.3)
    employer = {
        "npwp": make_npwp(world.digits(14)),
        "name": f"PT {rng.choice(['Sinar', 'Karya', 'Tirta'])} {rng.choice(['Abadi', 'Utama'])}",
    }
    return {
        "card_number": f"000{world.digits(10)}",
        "participant": {
            "nik": participant.nik,
            "name": participant.name,
            "birth_date": participant.birth.isoformat(),
            "sex": participant.sex,
            "phone": people.phone(rng) if world.chance(0.6) else None,
        },
        "segment": segment,
        "care_class": 3 if segment.startswith("PBI") else rng.randint(1, 3),
        "status": "ARREARS" if in_arrears else "ACTIVE",
        "arrears_months": rng.randint(1, 6) if in_arrears else 0,
        "monthly_contribution": "42000.00" if segment == "SELF_EMPLOYED" else None,
        "employer": employer if segment == "WORKER_PRIVATE" else None,
        "primary_facility": {"code": world.digits(8), "name": "Puskesmas", "region": regions.regency(district)},
        "effective_on": day(at, rng.randint(0, 14)),
    }


def _no_agreement_on_disease(data: Payload) -> bool:
    outbreak = data["alert_level"] >= 2 and data["status"] == "CONFIRMED"  # noqa: PLR2004  an outbreak (KLB)
    children = data["province"] == "32" and data["disease"] in ("MEASLES", "DIPHTHERIA", "POLIO")
    return not outbreak and not children


def _no_newborn(data: Payload) -> None:
    data["newborns"] = []


def _class_seven(data: Payload) -> None:
    data["care_class"] = 7


SOURCES = (
    Source(
        "id.co.sehatsentosa.birth.attended.v1",
        "sehat-sentosa.records",
        "statement_number",
        20,
        birth_attended,
        break_requirement=_no_newborn,
    ),
    Source(
        "id.go.kemkes.disease.reported.v1",
        "kemenkes.surveillance",
        "case_number",
        25,
        disease,
        nobody=_no_agreement_on_disease,
    ),
    Source("id.go.kemkes.vaccination.given.v1", "kemenkes.satusehat", "recipient.nik", 140, vaccination),
    Source(
        "id.go.bpjs-kesehatan.membership.changed.v1",
        "bpjs-kesehatan.membership",
        "participant.nik",
        150,
        membership,
        break_requirement=_class_seven,
    ),
)
