"""Taxpayers, licensed businesses and what banks report."""

import datetime as dt

from connectors.generator import people, regions
from connectors.generator.trade import company
from connectors.generator.world import Payload, Source, World, day, moment
from schemas.wire.identifiers import make_npwp

_ACTIVITIES = (
    ("10794", "Crackers and chips", "MEDIUM_LOW"),
    ("47112", "Retail of food in small shops", "LOW"),
    ("56102", "Food stalls", "LOW"),
    ("13134", "Batik printing", "MEDIUM_HIGH"),
    ("20114", "Basic chemicals", "HIGH"),
)


def taxpayer(world: World, at: dt.datetime) -> Payload:
    """A person, or one time in four an entity, registered as taxpayer."""
    rng = world.rng
    district = people.somewhere(rng)
    person = people.aged(rng, district, at.date(), (18, 65))
    is_entity = world.chance(0.25)
    npwp = make_npwp(world.digits(14)) if is_entity else person.nik
    if is_entity:
        holder: Payload = {
            "legal_name": company(world),
            "legal_form": rng.choice(["PT", "CV", "COOPERATIVE"]),
            "deed_number": f"AHU-{world.digits(5)}.AH.01",
            "responsible_nik": person.nik,
        }
    else:
        holder = {
            "nik": person.nik,
            "name": person.name,
            "birth_date": person.birth.isoformat(),
            "employment": "trader",
        }
    return {
        "npwp": npwp,
        "holder": holder,
        "is_entity": is_entity,
        "places": [{"nitku": f"{npwp}000000", "street": "Jalan Raya 1", "regency": regions.regency(district)}],
        "obligations": ["INCOME_TAX", "VAT"] if is_entity else ["FINAL_MSME"],
        "taxable_entrepreneur": is_entity,
        "tax_office": world.digits(3),
        "status": "ACTIVE" if world.chance(0.95) else "NON_EFFECTIVE",
        "province": district[:2],
        "registered_at": moment(at),
    }


def licence(world: World, at: dt.datetime) -> Payload:
    """A business licensed; nearly all are micro enterprises of one person."""
    rng = world.rng
    district = people.somewhere(rng)
    scale = rng.choices(["MICRO", "SMALL", "MEDIUM", "LARGE"], [90, 7, 2, 1])[0]
    owner = people.aged(rng, district, at.date(), (18, 65))
    is_company = scale in ("MEDIUM", "LARGE")
    return {
        "nib": world.digits(13),
        "npwp": make_npwp(world.digits(14)) if is_company else owner.nik,
        "name": company(world) if is_company else f"Usaha {owner.name.split()[0]}",
        "scale": scale,
        "owner": None
        if is_company
        else {
            "nik": owner.nik,
            "name": owner.name,
            "sex": owner.sex,
            "birth_date": owner.birth.isoformat(),
            "phone": people.phone(rng),
            "email": None,
        },
        "activities": [
            {
                "kbli": kbli,
                "title": title,
                "risk": risk,
                "location": district,
                "investment": f"{rng.randint(5, 900)}000000.00",
                "licence": None,
            }
            for kbli, title, risk in rng.sample(_ACTIVITIES, rng.randint(1, 3))
        ],
        "capital_million_idr": {"MICRO": 40, "SMALL": 2_000, "MEDIUM": 7_000, "LARGE": 90_000}[scale]
        + rng.randint(0, 900),
        "workers": rng.randint(1, 5) if scale == "MICRO" else rng.randint(5, 400),
        "foreign_share_percent": rng.randint(10, 100) if scale == "LARGE" else 0,
        "credit_offer_consent": world.chance(0.4),
        "regency": regions.regency(district),
        "province": district[:2],
        "issued_at": moment(at),
    }


def suspicion(world: World, at: dt.datetime) -> Payload:
    """A bank's report of deposits just below the threshold."""
    rng = world.rng
    customer = people.aged(rng, people.somewhere(rng), at.date(), (25, 70))
    amounts = [rng.randint(450, 499) for _ in range(rng.randint(2, 5))]
    return {
        "report_number": f"LTKM-{at:%Y%m%d}-{world.number():06}",
        "customer": {
            "nik": customer.nik,
            "npwp": None,
            "name": customer.name,
            "account": world.digits(10),
            "opened_on": day(at, -rng.randint(90, 3_000)),
        },
        "transactions": [
            {
                "at": moment(at - dt.timedelta(hours=rng.randint(24, 72))),
                "amount": f"{amount}000000.00",
                "currency": "IDR",
                "channel": rng.choice(["TELLER", "ATM", "TRANSFER"]),
                "counterparty": world.digits(10) if world.chance(0.5) else None,
            }
            for amount in amounts
        ],
        "total_million_idr": sum(amounts),
        "indicators": ["STRUCTURING"],
        "narrative": "Deposits just below the threshold within few days",
        "officer": people.full_name(rng, "31", female=world.chance(0.5)),
        "reported_at": moment(at),
    }


def _no_activity(data: Payload) -> None:
    data["activities"] = []


def _no_transactions(data: Payload) -> None:
    data["transactions"] = []


SOURCES = (
    Source(
        "id.go.pajak.taxpayer.registered.v1",
        "djp.coretax",
        "npwp",
        40,
        taxpayer,
        nobody=lambda data: data["status"] != "ACTIVE" and not data["is_entity"],
    ),
    Source("id.go.oss.business.licensed.v1", "oss.licensing", "nib", 60, licence, break_requirement=_no_activity),
    Source(
        "id.co.banknusantara.suspicious-transaction.reported.v1",
        "bank-nusantara.compliance",
        "report_number",
        4,
        suspicion,
        break_requirement=_no_transactions,
    ),
)
