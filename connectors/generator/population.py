"""Births, deaths, moves and marriages, as the civil registry publishes them."""

import copy
import datetime as dt

from connectors.generator import people, regions
from connectors.generator.people import Person
from connectors.generator.world import Payload, Source, World, day, moment

_SIAK = "dukcapil.siak"
_STREETS = ("Merdeka", "Sudirman", "Melati", "Kartini", "Diponegoro")


def birth(world: World, at: dt.datetime) -> Payload:
    """A birth of the last two weeks, registered now."""
    rng = world.rng
    district = people.somewhere(rng)
    mother = people.aged(rng, district, at.date(), (19, 42), female=True)
    father = people.aged(rng, district, at.date(), (21, 55), female=False)
    child = people.person(rng, district, (at.date() - dt.timedelta(days=14), at.date()))
    payload = {
        "registration_number": f"{district[:5].replace('.', '')}-LU-{at:%d%m%Y}-{world.number():06}",
        "child": {
            "nik": child.nik,
            "name": child.name,
            "sex": child.sex,
            "birth_date": child.birth.isoformat(),
            "birth_place_region": regions.regency(district),
            "weight_grams": rng.randint(1_900, 4_300) if world.chance(0.93) else None,
            "birth_order": rng.randint(1, 4) if world.chance(0.9) else None,
        },
        "mother": _named(mother),
        "father": _named(father) if world.chance(0.96) else None,
        "province": district[:2],
        "registered_at": moment(at),
    }
    world.births.append(payload)
    return payload


def birth_corrected(world: World, at: dt.datetime) -> Payload:
    """A certificate of earlier today with another spelling or another province."""
    before = copy.deepcopy(world.rng.choice(world.births) if world.births else birth(world, at))
    after = copy.deepcopy(before)
    if world.chance(0.8):
        after["child"]["name"] = people.full_name(
            world.rng, before["province"], female=before["child"]["sex"] == "FEMALE"
        )
    else:
        district = people.somewhere(world.rng)
        after["child"]["birth_place_region"], after["province"] = regions.regency(district), district[:2]
    return {**after, "registered_at": moment(at), "before": before}


def death(world: World, at: dt.datetime) -> Payload:
    """A death of the last week, registered now."""
    rng = world.rng
    district = people.somewhere(rng)
    deceased = people.aged(rng, district, at.date(), rng.choice([(0, 15), (16, 50), (51, 95), (60, 95), (60, 95)]))
    informant = people.aged(rng, district, at.date(), (25, 65))
    died = max(deceased.birth, at.date() - dt.timedelta(days=rng.randint(0, 7)))
    age = deceased.age_on(died)
    return {
        "registration_number": f"{district[:5].replace('.', '')}-KM-{at:%d%m%Y}-{world.number():06}",
        "deceased": {
            "nik": deceased.nik,
            "name": deceased.name,
            "sex": deceased.sex,
            "birth_date": deceased.birth.isoformat(),
            "age_years": age,
            "occupation": _occupation(world, age),
            "last_residence": regions.village(rng, district),
        },
        "died_on": died.isoformat(),
        "place": rng.choice(["HOME", "HOME", "HOSPITAL", "HOSPITAL", "HEALTH_CENTRE", "ROAD"]),
        "cause": rng.choice(["NATURAL", "NONCOMMUNICABLE_DISEASE", "COMMUNICABLE_DISEASE", "ACCIDENT", "UNDETERMINED"]),
        "informant": {
            "nik": informant.nik if world.chance(0.97) else None,
            "name": informant.name,
            "relationship": rng.choice(["CHILD", "SPOUSE", "SIBLING", "NEIGHBOUR"]),
        },
        "province": district[:2],
        "registered_at": moment(at),
    }


def move(world: World, at: dt.datetime) -> Payload:
    """A move of one person or a family; two of five leave their province."""
    rng = world.rng
    start = people.somewhere(rng)
    end = people.somewhere(rng) if world.chance(0.4) else regions.district(rng, start[:2])
    head = people.aged(rng, start, at.date(), (18, 70))
    members = [(head, "HEAD")]
    if world.chance(0.5):
        members.append((people.aged(rng, start, at.date(), (18, 65), female=not head.female), "SPOUSE"))
        members += [(people.aged(rng, start, at.date(), (0, 17)), "CHILD") for _ in range(rng.randint(0, 3))]
    return {
        "letter_number": f"SKPWNI/{start[:5].replace('.', '')}/{at:%d%m%Y}/{world.number():06}",
        "applicant": {**_named(head), "phone": people.phone(rng) if world.chance(0.8) else None},
        "family_card": f"{end.replace('.', '')}{at:%d%m%y}{rng.randint(1, 9_999):04}",
        "from_address": _address(world, start),
        "to_address": _address(world, end),
        "reason": rng.choice(["WORK", "EDUCATION", "FAMILY", "HOUSING", "OTHER"]),
        "family_members": [
            {**_named(person), "relationship": role, "age_years": person.age_on(at.date())} for person, role in members
        ],
        "members_moving": len(members),
        "moved_on": day(at, -rng.randint(0, 5)),
        "from_province": start[:2],
        "to_province": end[:2],
        "registered_at": moment(at),
    }


def marriage(world: World, at: dt.datetime) -> Payload:
    """A marriage of the last days."""
    rng = world.rng
    district = people.somewhere(rng)
    couple = [people.aged(rng, district, at.date(), (21, 45), female=female) for female in (False, True)]
    witnesses = [people.aged(rng, district, at.date(), (30, 70)) for _ in range(2)]
    return {
        "certificate_number": f"{district[:5].replace('.', '')}-KW-{at:%d%m%Y}-{world.number():06}",
        "registry": "RELIGIOUS_AFFAIRS_OFFICE" if world.chance(0.87) else "CIVIL_REGISTRY",
        "husband": _spouse(world, couple[0]),
        "wife": _spouse(world, couple[1]),
        "married_on": day(at, -rng.randint(0, 3)),
        "place": district,
        "joint_taxation": world.chance(0.8),
        "witnesses": [_named(witness) for witness in witnesses],
        "province": district[:2],
        "registered_at": moment(at),
    }


def _named(person: Person) -> Payload:
    return {"nik": person.nik, "name": person.name}


def _spouse(world: World, person: Person) -> Payload:
    return {
        **_named(person),
        "birth_date": person.birth.isoformat(),
        "npwp": person.nik if world.chance(0.5) else None,
        "previous_status": world.rng.choice(["SINGLE", "SINGLE", "SINGLE", "DIVORCED", "WIDOWED"]),
    }


def _address(world: World, district: str) -> Payload:
    rng = world.rng
    return {
        "street": f"Jalan {rng.choice(_STREETS)} {rng.randint(1, 220)}",
        "rt_rw": f"{rng.randint(1, 12):03}/{rng.randint(1, 9):03}",
        "village": regions.village(rng, district),
        "regency": regions.regency(district),
        "postal_code": world.digits(5) if world.chance(0.8) else None,
    }


def _occupation(world: World, age: int) -> str:
    if age < 17:  # noqa: PLR2004  of school age
        return "STUDENT" if age > 6 else "NONE"  # noqa: PLR2004  of school age
    return world.rng.choice(["FARMER", "FISHER", "EMPLOYEE", "ENTREPRENEUR", "CIVIL_SERVANT", "RETIRED", "OTHER"])


def _weigh_wrongly(data: Payload) -> None:
    data["child"]["weight_grams"] = 31_500


def _die_before_birth(data: Payload) -> None:
    data["died_on"] = "1900-01-01"


SOURCES = (
    Source("id.go.dukcapil.birth.registered.v1", _SIAK, "child.nik", 230, birth, break_requirement=_weigh_wrongly),
    Source("id.go.dukcapil.birth.corrected.v1", _SIAK, "child.nik", 12, birth_corrected),
    Source(
        "id.go.dukcapil.death.registered.v1", _SIAK, "deceased.nik", 110, death, break_requirement=_die_before_birth
    ),
    Source("id.go.dukcapil.resident.moved.v1", _SIAK, "applicant.nik", 120, move),
    Source("id.go.dukcapil.marriage.registered.v1", _SIAK, "certificate_number", 60, marriage),
)
