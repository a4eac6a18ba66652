"""Alerts in the Common Alerting Protocol, and now and then the cancellation of an earlier one."""

import datetime as dt

from connectors.generator import people, regions
from connectors.generator.world import Payload, Source, World, moment

_SENDER = "cuaca.ekstrem@bmkg.go.id"
_JAKARTA = dt.timezone(dt.timedelta(hours=7))
_EVENTS = (("Hujan Lebat dan Petir", "Thunderstorm", "OET-194"), ("Angin Kencang", "Strong wind", "OET-204"))


def alert(world: World, at: dt.datetime) -> Payload:
    """A nowcast for a regency in both languages, or its cancellation."""
    rng = world.rng
    regency = regions.regency(people.somewhere(rng))
    indonesian, english, code = rng.choice(_EVENTS)
    cancels = world.chance(0.1)
    north, east = round(rng.uniform(-9, 4), 2), round(rng.uniform(97, 139), 2)
    corners = [
        {"latitude": round(north + up, 2), "longitude": round(east + right, 2)}
        for up, right in ((0, 0), (0.2, 0), (0.2, 0.3), (0, 0.3), (0, 0))
    ]
    area = {
        "description": f"Wilayah {regency}",
        "polygons": [{"corners": corners, "as_written": None}],
        "circles": [],
        "geocodes": [{"name": "Kemendagri", "value": regency}],
        "altitude": None,
        "ceiling": None,
        "bounds": {
            "south": corners[0]["latitude"],
            "west": corners[0]["longitude"],
            "north": corners[2]["latitude"],
            "east": corners[2]["longitude"],
        },
    }
    severity = rng.choice(["Moderate", "Severe"])
    infos = [
        _info(at, language, event, code, severity, area) for language, event in (("id", indonesian), ("en", english))
    ]
    earlier = {"messages": [{"sender": _SENDER, "identifier": _identifier(world, at), "sent": _moment(at)}]}
    return {
        "cap_version": "CAP_1_2",
        "identifier": _identifier(world, at),
        "sender": _SENDER,
        "sent": _moment(at),
        "status": "Actual",
        "message_type": "Cancel" if cancels else "Alert",
        "source": None,
        "scope": "Public",
        "restriction": None,
        "addresses": None,
        "codes": [],
        "note": None,
        "references": {**earlier, "as_written": None} if cancels else None,
        "incidents": None,
        "infos": infos,
        "signed": False,
        "message": None,
    }


def _identifier(world: World, at: dt.datetime) -> str:
    return f"2.49.0.1.360.0.{at:%Y.%m.%d}.{world.number():06}"


def _info(at: dt.datetime, language: str, event: str, code: str, severity: str, area: Payload) -> Payload:
    return {
        "language": language,
        "categories": ["Met"],
        "event": event,
        "response_types": [],
        "urgency": "Immediate",
        "severity": severity,
        "certainty": "Observed",
        "audience": None,
        "event_codes": [{"name": "OET:v1.2", "value": code}],
        "effective": _moment(at),
        "onset": None,
        "expires": _moment(at + dt.timedelta(hours=2)),
        "sender_name": "BMKG",
        "headline": event,
        "description": f"{event}, {area['description']}",
        "instruction": None,
        "web": None,
        "contact": None,
        "parameters": [],
        "resources": [],
        "areas": [area],
    }


def _moment(at: dt.datetime) -> Payload:
    return {"at": moment(at), "as_written": at.astimezone(_JAKARTA).isoformat(timespec="seconds")}


def _for_somebody(data: Payload) -> None:
    data["scope"] = "Restricted"
    data["restriction"] = "Pusdalops"


SOURCES = (
    Source("id.go.bmkg.alert.issued.v1", "bmkg.weather", "identifier", 10, alert, break_requirement=_for_somebody),
)
