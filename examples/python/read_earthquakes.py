"""Read the inbox of bnpb.early-warning; Ctrl-C ends it, and the next run goes on where this one stopped.

LINTAS_CREDENTIALS_FILE=.lintas/secrets/bnpb.early-warning.properties python examples/python/read_earthquakes.py
"""

import asyncio
import contextlib

from lintas_client import Connection, Subscriber


async def main() -> None:
    """Print every delivery; asking for the next one says that this one has been processed."""
    async with Subscriber(Connection.from_environment()) as subscriber:
        async for delivery in subscriber:
            print(delivery.channel, delivery.agreement, delivery.data)


with contextlib.suppress(KeyboardInterrupt):
    asyncio.run(main())
