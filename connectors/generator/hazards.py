"""Earthquakes, weather warnings, and the response to them."""

import datetime as dt

from connectors.generator import people, regions
from connectors.generator.world import Payload, Source, World, day, moment

# Flinn-Engdahl regions as BMKG's catalogue has them, with a latitude and a longitude in each.
_SEISMIC = (
    ("Banda Sea", -6.5, 129.5),
    ("Northern Molucca Sea", 1.5, 126.5),
    ("Minahassa Peninsula - Sulawesi", 0.5, 121.5),
    ("Sumba Region - Indonesia", -9.6, 119.2),
    ("Java - Indonesia", -7.3, 107.2),
    ("Southwest of Sumatra - Indonesia", -4.5, 101.5),
    ("Irian Jaya Region - Indonesia", -2.8, 138.2),
    ("Seram - Indonesia", -3.1, 129.3),
)
_SEVERITIES = ("MINOR", "MODERATE", "SEVERE", "EXTREME")


def earthquake(world: World, at: dt.datetime) -> Payload:
    """An earthquake; ten times fewer with every step of magnitude (Gutenberg and Richter)."""
    rng = world.rng
    region, latitude, longitude = rng.choice(_SEISMIC)
    tenths = min(80, 20 + int(rng.expovariate(0.11)))
    return {
        "event_id": f"bmkg{at:%Y%m%d}{world.number():06}",
        "origin_time": moment(at - dt.timedelta(seconds=rng.randint(90, 400))),
        "latitude": round(latitude + rng.uniform(-1, 1), 2),
        "longitude": round(longitude + rng.uniform(-1, 1), 2),
        "depth_km": rng.choice([5, 10, 10, 33, 61, 110, 180]),
        "magnitude": f"{tenths // 10}.{tenths % 10}",
        "magnitude_tenths": tenths,
        "region": region,
    }


def weather(world: World, at: dt.datetime) -> Payload:
    """A warning of rain on land or of waves at sea."""
    rng = world.rng
    province = regions.province(rng)
    regencies = sorted({regions.regency(regions.district(rng, province)) for _ in range(2)})
    at_sea = world.chance(0.3)
    rank = rng.choices(range(4), [10, 50, 30, 10])[0]
    centre = {"latitude": round(rng.uniform(-9, 4), 2), "longitude": round(rng.uniform(97, 139), 2)}
    hazard = "HIGH_WAVE" if at_sea else rng.choice(["HEAVY_RAIN", "THUNDERSTORM", "STRONG_WIND"])
    return {
        "identifier": f"2.49.0.1.360.0.{at:%Y.%m.%d}.{province}.{world.number():06}",
        "hazard": hazard,
        "severity": _SEVERITIES[rank],
        "severity_rank": rank,
        "urgency": "EXPECTED",
        "certainty": rng.choice(["OBSERVED", "LIKELY"]),
        "headline": {"id": "Peringatan dini cuaca", "en": "Early warning of weather"},
        "instruction": {"id": "Tetap waspada", "en": "Stay alert"} if rank > 1 else None,
        "area": {"corners": _square(centre)} if at_sea else {"centre": centre, "radius_km": f"{rng.randint(5, 60)}.00"},
        "regencies": regencies,
        "rainfall_mm": {} if at_sea else {code: rng.randint(20, 160) for code in regencies},
        "wave_height_cm": rng.randint(125, 600) if at_sea else None,
        "province": province,
        "effective_at": moment(at),
        "expires_at": moment(at + dt.timedelta(hours=rng.randint(2, 12))),
        "forecaster": f"Desk {province}",
    }


def _square(centre: Payload) -> list[Payload]:
    steps = ((0, 0), (0, 1), (1, 1), (1, 0), (0, 0))
    return [
        {"latitude": round(centre["latitude"] + up, 2), "longitude": round(centre["longitude"] + right, 2)}
        for up, right in steps
    ]


def response(world: World, at: dt.datetime) -> Payload:
    """A command post activated."""
    rng = world.rng
    district = people.somewhere(rng)
    shelters = [_shelter(world, district, number) for number in range(1, rng.randint(2, 4))]
    return {
        "response_id": f"PDB-{at:%Y%m%d}-{world.number():06}",
        "trigger": rng.choice(["FLOOD", "FLOOD", "LANDSLIDE", "EARTHQUAKE"]),
        "trigger_event": None,
        "level": rng.choices(["REGENCY", "PROVINCE", "NATIONAL"], [80, 18, 2])[0],
        "province": district[:2],
        "regencies": [regions.regency(district)],
        "affected_people": rng.randint(20, 20_000),
        "shelters": shelters,
        "resources": {"tents": rng.randint(5, 200), "ambulances": rng.randint(1, 12)},
        "needs": [{"kind": "blankets", "quantity": rng.randint(50, 3_000), "unit": "piece"}],
        "command_post": {
            "place": "Kantor Bupati",
            "phone": people.phone(rng),
            "radio_channel": f"CH-{rng.randint(1, 16)}",
        },
        "budget_idr": f"{rng.randint(100, 5_000)}000000.00",
        "public_message": "Go to the nearest shelter and follow the officers",
        "activated_at": moment(at),
        "valid_until": day(at, rng.randint(7, 21)),
    }


def _shelter(world: World, district: str, number: int) -> Payload:
    capacity = world.rng.randint(100, 900)
    return {
        "name": f"Shelter {number}",
        "village": regions.village(world.rng, district),
        "position": {"latitude": round(world.rng.uniform(-9, 4), 2), "longitude": round(world.rng.uniform(97, 139), 2)},
        "capacity": capacity,
        "occupied": world.rng.randint(0, capacity),
    }


def _nowhere(data: Payload) -> None:
    data["regencies"] = []


SOURCES = (
    Source("id.go.bmkg.earthquake.measured.v1", "bmkg.inatews", "region", 40, earthquake),
    Source("id.go.bmkg.weather.warned.v1", "bmkg.weather", "province", 25, weather),
    Source(
        "id.go.bnpb.response.activated.v1", "bnpb.operations", "response_id", 5, response, break_requirement=_nowhere
    ),
)
