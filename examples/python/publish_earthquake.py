"""Publish an earthquake as bmkg.inatews.

LINTAS_CREDENTIALS_FILE=.lintas/secrets/bmkg.inatews.properties python examples/python/publish_earthquake.py
"""

import asyncio
import datetime as dt
from decimal import Decimal

from lintas_client import Connection, Publisher


async def main() -> None:
    """Publish one event and say where it lies."""
    async with Publisher(Connection.from_environment()) as publisher:
        receipt = await publisher.publish(
            "id.go.bmkg.earthquake.measured.v1",
            {
                "event_id": "bmkg-2026-0001",
                "origin_time": dt.datetime(2026, 11, 24, 1, 2, 3, tzinfo=dt.UTC),
                "latitude": -6.6, "longitude": 129.9, "depth_km": 140, "region": "Banda Sea",
                "magnitude": Decimal("5.8"), "magnitude_tenths": 58,
            },
            id="bmkg-2026-0001",  # published again, it is the same event
        )  # fmt: skip
    print(receipt)


asyncio.run(main())
