"""Exports and cargo manifests."""

import base64
import datetime as dt

from connectors.generator import regions
from connectors.generator.world import Payload, Source, World, moment
from schemas.wire.identifiers import make_npwp

_GOODS = (
    ("09011110", "Arabica, not roasted"),
    ("15119020", "Palm oil, refined"),
    ("44123300", "Plywood"),
    ("03061721", "Shrimps, frozen"),
)
_COMPANY_NAMES = ("Sumber", "Cahaya", "Bumi", "Samudra")
_COMPANY_WISHES = ("Makmur", "Lestari", "Sejahtera", "Jaya")


def export(world: World, at: dt.datetime) -> Payload:
    """An export declaration."""
    rng = world.rng
    value = rng.randint(2_000, 400_000)
    code, goods = rng.choice(_GOODS)
    return {
        "declaration_number": f"{world.digits(6)}{at:%Y%m%d}{world.number():012}",
        "exporter": {
            "npwp": make_npwp(world.digits(14)),
            "nib": world.digits(13),
            "name": company(world),
            "msme": world.chance(0.5),
        },
        "consignee": {"name": "Pacific Trading", "country": rng.choice(["JP", "CN", "US", "DK", "MY"])},
        "items": [
            {
                "hs_code": code,
                "description": goods,
                "quantity": f"{rng.randint(100, 20_000)}.0000",
                "unit": "KGM",
                "fob_usd": f"{value}.00",
                "origin": regions.province(rng),
            }
        ],
        "fob_usd_total": f"{value}.00",
        "fob_usd_whole": value,
        "transport": {
            "mode": "SEA",
            "carrier_code": rng.choice(["KRSM", "OTHR"]),
            "vessel": "MV Samudra Jaya",
            "containers": [f"KRSU{world.digits(7)}" for _ in range(rng.randint(1, 3))],
            "port": rng.choice(["IDTPP", "IDSUB", "IDBLW"]),
        },
        "lane": rng.choices(["GREEN", "YELLOW", "RED"], [80, 15, 5])[0],
        "invoice_sha256": base64.b64encode(rng.randbytes(32)).decode(),
        "customs_office": world.digits(6),
        "declared_at": moment(at),
    }


def manifest(world: World, at: dt.datetime) -> Payload:
    """The manifest of a voyage."""
    rng = world.rng
    return {
        "manifest_number": f"KRSM-{at:%Y%m%d}-{world.number():06}",
        "voyage": {
            "vessel": "MV Samudra Jaya",
            "imo_number": rng.randint(9_000_000, 9_999_999),
            "voyage_number": f"{rng.randint(100, 999)}E",
            "from_port": "SGSIN",
            "to_port": rng.choice(["IDTPP", "IDSUB"]),
        },
        "direction": "INWARD",
        "bills": [
            {
                "number": f"KRSMSIN{world.digits(6)}",
                "shipper": "Lion Parts Pte",
                "consignee": company(world),
                "goods": "Machine parts",
                "gross_kg": f"{rng.randint(500, 24_000)}.500",
                "containers": [f"KRSU{world.digits(7)}"],
                "hazardous": world.chance(0.05),
                "freight_usd": f"{rng.randint(400, 5_000)}.00" if world.chance(0.9) else None,
            }
            for _ in range(rng.randint(1, 4))
        ],
        "crew_count": rng.randint(14, 26),
        "arrives_at": moment(at + dt.timedelta(hours=rng.randint(24, 96))),
    }


def company(world: World) -> str:
    """An invented company's name."""
    rng = world.rng
    return f"PT {rng.choice(_COMPANY_NAMES)} {rng.choice(_COMPANY_WISHES)}"


def _no_value(data: Payload) -> None:
    data["fob_usd_whole"] = 0


def _no_bills(data: Payload) -> None:
    data["bills"] = []


SOURCES = (
    Source(
        "id.go.beacukai.export.declared.v1",
        "bea-cukai.ceisa",
        "declaration_number",
        25,
        export,
        break_requirement=_no_value,
    ),
    Source(
        "id.co.kargosamudra.manifest.submitted.v1",
        "kargo-samudra.shipping",
        "manifest_number",
        6,
        manifest,
        break_requirement=_no_bills,
    ),
)
